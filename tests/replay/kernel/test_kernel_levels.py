"""What differs of a kernel program's runs: another decision, or other evidence of the same one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from replayed_agents import approve, approve_reduce, chat, chat_step, shout
from replayed_kernels import capture, command, example, replay

from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.core.levels import Level
from ergo_cli.programs.kernel import CallTool, Complete, Do, Emit, Interrupt, StateUpdated, Success
from ergo_cli.replay.diffing import diff_bundles
from ergo_cli.replay.level_counts import LevelCounts
from ergo_cli.replay.results import BundleResult

TURNS = [command(f"e{number}", text=f"hello {number}") for number in range(2)]


def levels(result: BundleResult) -> list[tuple[str | None, Level]]:
    assert result.error is None
    assert result.levels == LevelCounts(*([each.level for each in result.divergences].count(level) for level in Level))
    return [(each.cause, each.level) for each in result.divergences]


def raising(state: Any, event: Any) -> Any:
    raise RuntimeError("no")


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"step": lambda state: Do(CallTool("other", {}))}, "ActionMismatch"),
        ({"step": lambda state: Emit([StateUpdated("score", {"x": 1})])}, "EventMismatch"),
        ({"step": lambda state: Interrupt({"ask": "why"})}, "EventMismatch"),
        ({"step": lambda state: Complete()}, "EventMismatch"),
        ({"step": lambda state: 1 / 0}, "MissingEvents"),
        ({"initial_state": lambda payload: {**payload, "limit": 1}}, "StateMismatch"),
    ],
)
def test_what_is_done_or_is_not_compared_on_is_a_decision(changed: dict[str, Any], cause: str) -> None:
    assert levels(replay(example(), approve(**changed))) == [(cause, Level.DECISION)]


def test_another_state_behind_equal_records_is_evidence() -> None:
    counting = approve(reduce=lambda state, event: {**approve_reduce(state, event), "x": 1})
    assert levels(replay(example(), counting)) == [("StateMismatch", Level.EVIDENCE)]


def test_a_state_that_cannot_be_made_is_a_decision() -> None:
    found = levels(replay(example(), approve(reduce=raising)))
    assert found == [("MissingEvents", Level.DECISION), ("StateMismatch", Level.DECISION)]


def test_a_request_without_result_is_evidence(tmp_path: Path) -> None:
    program = approve()
    bundle = capture(program, [command("e1", amount=1)], lambda *_: float("nan"))
    assert levels(replay(bundle, program, strict=True)) == [("OrphanAction", Level.EVIDENCE)]


def diffed(folder: Path, one: CaptureBundle, other: CaptureBundle) -> list[tuple[str | None, Level]]:
    paths = folder / "a.json", folder / "b.json"
    for path, bundle in zip(paths, (one, other), strict=True):
        path.write_bytes(bundle.encode())
    return levels(diff_bundles(str(paths[0]), str(paths[1])))


def test_two_bundles_whose_records_are_equal_differ_in_evidence(tmp_path: Path) -> None:
    def opened(payload: Any) -> Any:
        return {"turn": 0, "said": payload["text"], "last": "nothing yet"}

    one, other = (capture(chat(**parts), TURNS, shout, run_id="room") for parts in ({}, {"initial_state": opened}))
    found = diffed(tmp_path, one, other)
    assert found
    assert set(found) == {("StateMismatch", Level.EVIDENCE)}


def test_two_bundles_of_other_answers_or_other_runs_differ_in_decisions(tmp_path: Path) -> None:
    one = capture(chat(), TURNS, shout, run_id="room")
    answered = capture(chat(), TURNS, lambda *_: Success("…"), run_id="room")
    assert {level for cause, level in diffed(tmp_path, one, answered) if cause == "EventMismatch"} == {Level.DECISION}
    elsewhere = capture(chat(), TURNS, shout, run_id="hall")
    assert {level for _, level in diffed(tmp_path, one, elsewhere)} == {Level.DECISION}
    failing = capture(
        chat(step=lambda state: chat_step(state) if state["turn"] else 1 / 0), TURNS, shout, run_id="room"
    )
    assert Level.DECISION in {level for _, level in diffed(tmp_path, one, failing)}
