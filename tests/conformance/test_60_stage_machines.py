"""Every (state, event) pair of the original's stage machines (spec 60 §18), or the rule by which ours differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ergo_cli.programs.pipeline import stage_machines as machines
from ergo_cli.programs.pipeline.stage_machines import StageEvent, StageMachine, StageState
from ergo_cli.programs.pipeline.state_machine import UnhandledEvent, name_of

STAGES = json.loads((Path(__file__).parent / "data/spec60/fsm.json").read_bytes())["stages"]

MACHINES: dict[str, StageMachine] = {
    "finite_source": machines.FINITE_SOURCE,
    "async_finite_source": machines.FINITE_SOURCE,
    "infinite_source": machines.INFINITE_SOURCE,
    "async_infinite_source": machines.INFINITE_SOURCE,
    "transform": machines.TRANSFORM,
    "stateful": machines.STATEFUL,
    "sink": machines.SINK,
    "join/FiniteEof": machines.JOIN_FINITE_EOF,
    "join/Live": machines.JOIN_LIVE,
}

ONE_NAME = {"SendError": "SendFailure", "WriteStageCompleted": "SendCompletion"}
"""The original has a second name for these actions in sources."""

SAME = "the same state and no actions"
INSTEAD = {
    ("source", "Created", "BeginDrain"): ("H-19", "Draining", []),
    ("source", "Initialized", "BeginDrain"): ("H-19", "Draining", []),
    ("source", "WaitingForGun", "BeginDrain"): ("H-19", "Draining", []),
    ("source", "WaitingForGun", "Ready"): ("H-19", SAME, []),
    ("source", "Running", "Ready"): ("H-19", SAME, []),
    ("source", "Draining", "Ready"): ("H-19", SAME, []),
    ("source", "Draining", "BeginDrain"): ("H-19", SAME, []),
    ("source", "Running", "Error"): ("H-18", "Failed({text})", ["SendFailure({text})", "Cleanup"]),
    ("join", "Live", "Error"): ("H-18", "Failed({text})", ["SendFailure({text})", "Cleanup"]),
    ("join", "Enriching", "Error"): ("H-18", "Failed({text})", ["SendFailure({text})", "Cleanup"]),
}
"""Where the product does otherwise: the rule, the next state and the actions."""


def value_of(text: str) -> Any:
    name, _, payload = text.partition("(")
    made = getattr(machines, name)
    return made(json.loads(payload[:-1])) if payload else made()


def text_of(value: Any) -> str:
    payload = [getattr(value, field) for field in value.__struct_fields__]
    return name_of(value) + (f"({json.dumps(payload[0])})" if payload else "")


def outcome(machine: StageMachine, state: StageState, event: StageEvent) -> dict[str, Any]:
    try:
        step = machine.step(state, event, None)
    except UnhandledEvent as error:
        return {"next": text_of(state), "error": str(error)}
    return {"next": text_of(step.state), "actions": [text_of(action) for action in step.actions]}


def expected(kind: str, row: dict[str, Any]) -> dict[str, Any]:
    key = (kind.split("/")[0].split("_")[-1], name_of(value_of(row["state"])), name_of(value_of(row["event"])))
    if key in INSTEAD:
        _rule, state, actions = INSTEAD[key]
        text = row["event"].partition("(")[2][:-1]
        state = row["state"] if state == SAME else state.format(text=text)
        return {"next": state, "actions": [action.format(text=text) for action in actions]}
    if "error" in row:
        return {"next": row["next"], "error": row["error"]}
    named = [name + rest for name, rest in map(_split, row["actions"])]
    return {"next": row["next"], "actions": named}


def _split(action: str) -> tuple[str, str]:
    name = action.partition("(")[0]
    return ONE_NAME.get(name, name), action[len(name) :]


ROWS = [pytest.param(kind, row, id=f"{kind} {row['state']} {row['event']}") for kind in STAGES for row in STAGES[kind]]


@pytest.mark.parametrize(("kind", "row"), ROWS)
def test_a_stage_moves_as_in_the_original(kind: str, row: dict[str, Any]) -> None:
    assert outcome(MACHINES[kind], value_of(row["state"]), value_of(row["event"])) == expected(kind, row)


def test_every_kind_has_a_machine() -> None:
    assert STAGES.keys() == MACHINES.keys()


@pytest.mark.parametrize("kind", MACHINES)
def test_a_stage_can_fail_in_every_state_and_says_so_once(kind: str) -> None:
    machine = MACHINES[kind]
    for state in {value_of(row["state"]) for row in STAGES[kind]}:
        step = machine.step(state, machines.Error("boom"), None)
        if isinstance(state, machines.Failed):
            assert (step.state, step.actions) == (state, ())
        else:
            assert step.state == machines.Failed("boom")
            assert step.actions == (machines.SendFailure("boom"), machines.Cleanup())
