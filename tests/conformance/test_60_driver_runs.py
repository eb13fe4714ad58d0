"""Whole flows of the original, run by tasks of an event loop: control, time and watchers included.

The records are compared as in ``test_60_runs``, which runs the same flows with ergo's scheduler. The loop's time is
made up, so that steps which sleep take none.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace
from pipeline_loops import ended, launched, reached_state
from pipeline_scenarios import expected_rows, is_infinite, program_of, rows_of
from test_60_runs import CASES, INSTEAD, REFUSED, Row, sequences

from ergo_cli.programs.pipeline import Event, FlowHandle, PipelineProgram
from ergo_cli.programs.pipeline.authoring import Join, Sink, Stateful, Transform
from ergo_cli.programs.pipeline.state_machine import name_of
from ergo_cli.testing.virtual_time import run_in_virtual_time

Case = dict[str, Any]


def program_in_time(case: Case) -> PipelineProgram:
    """The program of a scenario, with what takes time in it."""
    program = program_of(case)
    stages = tuple(stage_in_time(stage, case["scenario"]["shape"]) for stage in program.stages)
    seconds = int(case["env"].get("OBZENFLOW_SHUTDOWN_TIMEOUT_SECS", "30"))
    return replace(program, stages=stages, settings=replace(program.settings, shutdown_timeout_ms=seconds * 1000))


def stage_in_time(stage: Any, shape: str) -> Any:
    """A stage that takes a millisecond for an event, so that sources are ahead of it, as they were in the original."""
    match stage:
        case Transform():
            return replace(stage, process=slowly(stage.process))
        case Stateful():
            interval_ms = 50 if shape.endswith("-interval") else None
            return replace(stage, accumulate=slowly(stage.accumulate), emit_interval_ms=interval_ms)
        case Join():
            return replace(stage, process_event=slowly(stage.process_event))
        case Sink():
            return replace(stage, consume=slowly(stage.consume))
        case _:
            return stage


def slowly(handler: Any) -> Any:
    async def slow(*arguments: Any) -> Any:
        (event,) = (each for each in arguments if isinstance(each, Event))
        said = event.payload.get("snk", "")
        await asyncio.sleep(int(said.removeprefix("sleep:")) / 1000 if said.startswith("sleep:") else 0.001)
        return handler(*arguments)

    return slow


def feed(steps: list[Row], is_endless: bool) -> Any:
    left = list(steps)

    async def next_step() -> list[Any] | None:
        if not left:
            return [] if is_endless else None
        step = left.pop(0)
        if "sleep" in step:
            await asyncio.sleep(step["sleep"] / 1000)
            return []
        return [{"step": step}]

    return next_step


async def controlled(case: Case) -> tuple[FlowHandle, list[str]]:
    """Run a scenario and do with its handle what its control says; the handle and the states that a watcher saw."""
    program = program_in_time(case)
    scripts = case["scenario"]["sources"]
    feeds = {name: feed(steps, is_infinite(case)) for name, steps in scripts.items()}
    handle = await launched(program, feeds)
    watching = asyncio.create_task(watched(handle))
    for control in case["scenario"].get("control", ["run"]):
        match control:
            case "start":
                await handle.start()
            case ["wait", state]:
                await reached_state(handle, state)
            case ["sleep", ms]:
                await asyncio.sleep(ms / 1000)
            case "cancel":
                await handle.stop()
            case ["graceful", ms]:
                await handle.stop_graceful(ms)
            case ["abort", reason]:
                await handle.abort(reason)
            case "drop":
                handle.close()
            case _:
                await ended(handle)
    await ended(handle)
    return handle, await watching


async def watched(handle: FlowHandle) -> list[str]:
    return [name_of(state) async for state in handle.watch_state()]


def differences(case: Case) -> set[str]:
    """The journals in which our rows differ."""
    unstable = {label for label, journal in case["journals"].items() if label != "system" and not journal["stable"]}
    handle, _ = run_in_virtual_time(controlled(case))
    ours, theirs = sequences(rows_of(handle.flow), unstable), sequences(expected_rows(case), unstable)
    return {key[0] for key in ours.keys() | theirs.keys() if ours.get(key, []) != theirs.get(key, [])}


INTERVAL = "§18.3: an idle stage emits once its interval is over"
IN_TIME: dict[str, tuple[str, set[str]]] = {
    "acc-interval": (INTERVAL, {"data:acc", "data:snk", "system"}),
    "err-timeout-in-stateful-interval": (INTERVAL, {"data:acc", "data:snk", "data:src", "system"}),
    "drop-handle": ("§11: a pipeline that nothing can control any more fails", {"system"}),
    "forged-eof-tr-over-abort": ("§15.5: an abort is heard before the sink is done", {"data:snk", "system"}),
    "src-panic": ("§28: a stage whose handler panics fails; the sink had read as much", {"system"}),
}
"""Where time or control make another difference than ergo's scheduler does: the rule, and the journals that differ."""

LAST_STATES = {"drop-handle": "Failed", "isrc-snk-graceful-deadline": "Failed"}
"""The last states that differ from those under ergo's scheduler, whose clock stands and whose channel has no end."""


def expected_differences(name: str) -> set[str]:
    if name in IN_TIME:
        return IN_TIME[name][1]
    return INSTEAD[name][2] if name in INSTEAD else set()


def last_state(name: str) -> str:
    if name in LAST_STATES:
        return LAST_STATES[name]
    return INSTEAD[name][1] if name in INSTEAD else CASES[name]["final_states"][0].partition(" ")[0]


FLOWS = [name for name in CASES if name not in REFUSED]


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_leaves_the_records_of_the_original_or_differs_by_a_rule(name: str) -> None:
    assert differences(CASES[name]) == expected_differences(name)


@pytest.mark.parametrize("name", FLOWS)
def test_a_watcher_sees_the_states_to_the_last_one(name: str) -> None:
    """A watcher of the original may miss states, ours sees those that it saw, in their order."""
    _, states = run_in_virtual_time(controlled(CASES[name]))
    assert (states[0], states[-1]) == ("Created", last_state(name))
    if name not in INSTEAD and name not in IN_TIME:
        seen = iter(states)
        assert all(state in seen for state in CASES[name]["observed_states"])
