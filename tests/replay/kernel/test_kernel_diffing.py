"""Two kernel bundles compared without running anything (spec 00 §13.7, 40 §9.2)."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from replayed_agents import approve, chat, chat_step, shout
from replayed_kernels import capture, command

from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.errors import BundleError
from ergo_cli.events.external import ExternalEvent
from ergo_cli.programs.kernel import CallTool, Do, Success
from ergo_cli.programs.kernel.engine.actions import Next
from ergo_cli.replay.diffing import diff_bundles
from ergo_cli.replay.results import BundleResult, DivergenceKind, Outcome

TURNS = [command(f"e{number}", text=f"hello {number}") for number in range(3)]


def half(action: Any, call: Any) -> float:
    return action.input["amount"] / 10


@pytest.fixture
def diffed(tmp_path: Path) -> Any:
    def diff(one: CaptureBundle, other: CaptureBundle) -> BundleResult:
        paths = tmp_path / "a.json", tmp_path / "b.json"
        for path, bundle in zip(paths, (one, other), strict=True):
            path.write_bytes(bundle.encode())
        return diff_bundles(str(paths[0]), str(paths[1]))

    return diff


def room(events: list[ExternalEvent], **parts: Any) -> CaptureBundle:
    return capture(chat(**parts), events, shout, run_id="room")


def told(result: BundleResult) -> list[tuple[str, str | None]]:
    return [(found.path, found.cause) for found in result.divergences if found.kind is DivergenceKind.JOURNAL]


def test_the_same_bundle_twice(diffed: Any) -> None:
    assert diffed(room(TURNS), room(TURNS)).outcome is Outcome.MATCH


def test_another_answer_of_the_world(diffed: Any) -> None:
    other = capture(chat(), TURNS, lambda *_: Success("…"), run_id="room")
    result = diffed(room(TURNS), other)
    found = result.divergences[0]
    assert (found.path, found.cause, found.code) == (
        "journals[0].records[2].event.ActionSucceeded.output",
        "EventMismatch",
        None,
    )
    assert (found.expected, found.actual, found.node) == ("HELLO 0", "…", "room-1")
    assert found.log is not None
    assert (found.log.run_id, found.log.first_divergent_seq, found.log.common_prefix) == ("room", 2, 1)
    assert [path for path, _ in told(result)] == [
        "journals[0].records[2].event.ActionSucceeded.output",
        "journals[1].records[3].event.ActionSucceeded.output",
        "journals[2].records[3].event.ActionSucceeded.output",
    ]


def test_another_action_is_told_as_one(diffed: Any) -> None:
    def greets(state: Any) -> Next:
        greeting = state["turn"] == 1 and state["said"] is not None
        return Do(CallTool("greet", {"said": state["said"]})) if greeting else chat_step(state)

    result = diffed(room(TURNS), room(TURNS, step=greets))
    assert told(result) == [
        ("journals[1].records[2].event.ActionRequested.payload.CallTool.tool", "ActionMismatch"),
    ]


def test_a_turn_put_in_is_one_difference_not_a_shifted_tail(diffed: Any) -> None:
    more = [*TURNS[:1], command("new", text="x"), *TURNS[1:]]
    without_turns = {"step": lambda state: chat_step({**state, "turn": 0})}
    result = diffed(room(TURNS, **without_turns), room(more, **without_turns))
    assert [found.kind for found in result.divergences if found.kind is not DivergenceKind.JOURNAL] == [
        DivergenceKind.EVENT_EXTRA
    ]
    assert {cause for _, cause in told(result)} == {"StateMismatch"}, "the state counts turns, the records do not"


def test_a_renamed_graph_renames_its_runs(diffed: Any) -> None:
    one = capture(approve(), [command("e1", amount=5)], half)
    other = capture(replace(approve(), name="renamed"), [command("e1", amount=5)], half)
    result = diffed(one, other)
    assert told(result) == []
    assert result.divergences[0].path == "header.graph_id"


def test_another_run_is_named(diffed: Any) -> None:
    one = capture(chat(), TURNS, shout, run_id="room")
    other = capture(chat(), TURNS, shout, run_id="hall")
    result = diffed(one, other)
    assert [path for path, _ in told(result)] == [f"journals[{index}].run_id" for index in range(3)]


def test_initial_state_and_end_are_compared(diffed: Any) -> None:
    def opened(payload: Any) -> Any:
        return {"turn": 0, "said": payload["text"], "last": "nothing yet"}

    result = diffed(room(TURNS), room(TURNS, initial_state=opened))
    assert told(result) == [("journals[0].records[0].begin.initial", "StateMismatch")]


def test_a_status_that_differs(diffed: Any) -> None:
    asks = {"step": lambda state: Do(CallTool("a", {"said": "x"})) if state["last"] is None else chat_step(state)}
    failing = capture(chat(**asks), TURNS[:1], lambda *_: 1 / 0, run_id="room")
    result = diffed(room(TURNS[:1], **asks), failing)
    assert ("journals[0].records[4].end.status.status", None) in told(result)
    assert "termination" in [found.path for found in result.divergences]


def test_a_journal_that_is_none_is_refused(diffed: Any) -> None:
    whole = room(TURNS)
    with pytest.raises(BundleError) as refused:
        diffed(whole, replace(whole, journals=whole.journals[:-1]))
    assert refused.value.code == "bundle.journal_invalid"


def test_an_entry_that_belongs_to_no_decision_is_refused(diffed: Any) -> None:
    whole = room(TURNS)
    without = replace(whole, events=whole.events[:-1], decisions=whole.decisions[:-1])
    lone = replace(whole, decisions=whole.decisions[:-1])
    for surplus in (without, lone):
        for pair in ((whole, surplus), (surplus, whole)):
            with pytest.raises(BundleError) as refused:
                diffed(*pair)
            assert refused.value.code == "bundle.journal_invalid"
            assert "it belongs to no decision" in refused.value.message


def test_a_malformed_decision_is_told_before_a_malformed_event(diffed: Any, tmp_path: Path) -> None:
    diffed(room(TURNS), room(TURNS))
    path = tmp_path / "b.json"
    bundle = json.loads(path.read_bytes())
    bundle["events"][2]["kind"] = "X"
    del bundle["decisions"][1]["retry_count"]
    del bundle["digest"]
    covered = json.dumps(bundle, separators=(",", ":")).encode()[:-1]
    path.write_bytes(covered + b',"digest":"sha256:%b"}' % sha256(covered).hexdigest().encode())
    with pytest.raises(BundleError) as refused:
        diff_bundles(str(tmp_path / "a.json"), str(path))
    assert "missing field `retry_count` in decisions[1]" in refused.value.message
