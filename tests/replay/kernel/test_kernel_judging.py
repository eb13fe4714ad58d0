"""Kernel bundles replayed: what matches, what differs and where (spec 00 §13.7, 40 §19.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace
from replayed_agents import (
    APPROVE_PROVENANCE,
    approve,
    approve_reduce,
    approve_step,
    chat,
    chat_reduce,
    chat_step,
    half,
    shout,
    tool_program,
)
from replayed_kernels import capture, command, example, only, replay, told

from ergo_cli.events.external import EventKind, ExternalEvent
from ergo_cli.programs.kernel import (
    AllowList,
    CallLLM,
    CallTool,
    Complete,
    Do,
    Emit,
    Interrupt,
    KernelProgram,
    StateUpdated,
)
from ergo_cli.programs.kernel.engine.actions import Next
from ergo_cli.programs.kernel.engine.errors import driver_error
from ergo_cli.replay.results import DivergenceKind, Outcome
from ergo_cli.stores.memory import MemoryJournal, MemorySnapshots
from ergo_cli.supervisor.seam import Constraints, ErrKind, Failed
from ergo_cli.supervisor.seam import Outcome as Ended


class Counter(Struct, frozen=True):
    total: int
    label: str


@pytest.mark.parametrize("strict", [False, True])
def test_the_bundle_of_the_specification_replays(strict: bool) -> None:
    result = replay(example(), approve(), strict=strict, provenance=APPROVE_PROVENANCE)
    assert (result.outcome, result.error, result.warnings, result.events) == (Outcome.MATCH, None, (), 1)


def test_another_action_is_named_with_both_sides() -> None:
    def asks_other(state: Any) -> Next:
        answer = approve_step(state)
        return Do(CallTool("other", {"amount": 5})) if isinstance(answer, Do) else answer

    found = only(replay(example(), approve(step=asks_other), provenance=APPROVE_PROVENANCE))
    assert (found.kind, found.code, found.cause) == (
        DivergenceKind.JOURNAL,
        "replay.journal_mismatch",
        "ActionMismatch",
    )
    assert found.path == "journals[0].records[1].event.ActionRequested.payload.CallTool.tool"
    assert (found.expected, found.actual, found.node, found.origin) == ("score", "other", "approve/e1-1", None)
    assert (found.seq, found.event_id, found.episode_id, found.occurrence) == (0, "e1", 0, 0)
    assert found.log is not None
    assert (found.log.run_id, found.log.first_divergent_seq, found.log.common_prefix) == ("approve/e1", 1, 0)
    assert found.log.expected_hash != found.log.actual_hash


def test_an_action_of_another_kind_is_shown_whole() -> None:
    found = only(replay(example(), approve(step=lambda state: Do(CallLLM("m", {"amount": 5})))))
    assert found.path == "journals[0].records[1].event.ActionRequested.payload"
    assert found.expected == {"CallTool": {"input": {"amount": 5}, "tool": "score"}}
    assert found.actual == {"CallLLM": {"input": {"amount": 5}, "provider": "m"}}


def test_another_order_of_tools() -> None:
    def asks(*tools: str) -> Callable[[Any], Next]:
        return lambda state: Do(CallTool(tools[len(state)], {})) if len(state) < len(tools) else Complete()

    def collects(state: Any, event: Any) -> Any:
        return [*state, 1] if event.kind == "ActionSucceeded" else state

    parts = {"initial_state": lambda payload: [], "reduce": collects}
    bundle = capture(tool_program(step=asks("a", "b", "c"), **parts), [command("e1")], lambda *_: 1)
    found = only(replay(bundle, tool_program(step=asks("a", "c", "b"), **parts)))
    assert (found.expected, found.actual) == ("b", "c")
    assert found.log is not None
    assert (found.log.first_divergent_seq, found.log.common_prefix) == (3, 2)


def test_a_run_that_ends_too_soon_and_one_that_goes_on() -> None:
    blocked = capture(tool_program(step=lambda state: Interrupt("ask")), [command("e1")], half)
    found = only(replay(blocked, tool_program(step=lambda state: Emit([StateUpdated("s", state)]))))
    assert (found.path, found.cause) == ("journals[0].records[1].event", "EventMismatch")
    twice = iter([Emit([StateUpdated("s", 1)]), Emit([StateUpdated("s", 2)])])
    bundle = capture(tool_program(step=lambda state: next(twice, Complete())), [command("e1")], half)
    steps = iter([Emit([StateUpdated("s", 1), StateUpdated("s", 2), StateUpdated("s", 3)])])
    found = only(replay(bundle, tool_program(step=lambda state: next(steps, Complete()))))
    assert (found.path, found.cause, found.node) == ("journals[0].records[3].event", "EventMismatch", "s")


def test_records_that_are_missing_come_with_the_error_that_ended_the_call() -> None:
    found = only(replay(example(), approve(step=lambda state: 1 / 0)))
    assert (found.path, found.cause, found.actual) == ("journals[0].records[1]", "MissingEvents", None)
    assert found.log is not None
    assert found.log.error == "kernel.driver: Driver error: ZeroDivisionError: division by zero"


def test_extra_records_stand_where_the_call_ended() -> None:
    bundle = capture(tool_program(step=lambda state: 1 / 0), [command("e1")], half)
    found = only(replay(bundle, tool_program()))
    assert (found.path, found.cause, found.expected) == ("journals[0].records[1]", "ExtraEvents", None)
    assert found.actual is not None
    assert found.node == "tools/e1-1"


def test_a_changed_initial_state_ends_the_first_call() -> None:
    found = only(replay(example(), approve(initial_state=lambda payload: {**payload, "limit": 1})))
    assert (found.path, found.cause) == ("journals[0].records[0].begin.initial", "StateMismatch")
    assert found.log is not None
    assert (found.log.first_divergent_seq, found.log.common_prefix) == (0, 0)
    assert (found.expected, found.actual) == (found.log.expected_hash, found.log.actual_hash)


def test_an_initial_state_that_cannot_be_made_any_more() -> None:
    found = only(replay(example(), approve(initial_state=lambda payload: payload["missing"])))
    assert (found.path, found.actual) == ("journals[0].records[0].begin.initial", None)
    assert found.log is not None
    assert found.log.error is not None
    assert "KeyError" in found.log.error


def test_an_initial_state_that_could_not_be_made() -> None:
    program = tool_program(initial_state=lambda payload: payload["missing"])
    bundle = capture(program, [command("e1")], half)
    assert bundle.decisions[0].termination == Failed(ErrKind.RUNTIME_ERROR)
    assert replay(bundle, program, strict=True).outcome is Outcome.MATCH
    found = only(replay(bundle, tool_program()))
    assert (found.path, found.expected) == ("journals[0].records[0].begin.initial", None)


def test_a_changed_reducer_shows_in_the_state() -> None:
    found = only(replay(example(), approve(reduce=lambda state, event: {**approve_reduce(state, event), "x": 1})))
    assert (found.path, found.cause) == ("journals[0].records[5].end.state", "StateMismatch")
    assert found.log is not None
    assert found.log.first_divergent_seq == 4


def test_a_reducer_that_raises_now() -> None:
    def raising(state: Any, event: Any) -> Any:
        raise RuntimeError("no")

    result = replay(example(), approve(reduce=raising))
    assert told(result) == [
        ("journals[0].records[1]", "MissingEvents"),
        ("journals[0].records[5].end.state", "StateMismatch"),
    ]
    assert result.divergences[1].actual is None


def test_strict_refuses_another_program_before_anything_runs() -> None:
    def never(state: Any) -> Next:
        raise AssertionError("nothing may run")

    result = replay(example(), approve(step=never), strict=True)
    assert (result.outcome, result.events) == (Outcome.REFUSED, None)
    assert result.error is not None
    assert result.error.code == "replay.runtime_provenance_mismatch"


def test_a_changed_program_is_announced() -> None:
    result = replay(example(), approve())
    assert result.outcome is Outcome.MATCH
    assert [notice.message.split(":")[0] for notice in result.warnings] == ["the program changed"]


def test_strict_wants_the_same_graph() -> None:
    program = replace(approve(), name="other")
    result = replay(example(), program, strict=True, provenance=APPROVE_PROVENANCE)
    assert result.error is not None
    assert result.error.code == "replay.graph_id_mismatch"


def test_every_episode_is_judged_on_the_recorded_records() -> None:
    """One run of many turns: a divergence in one of them does not spread."""
    events = [command(f"e{number}", text=f"hello {number}") for number in range(4)]
    bundle = capture(chat(), events, shout, run_id="room")
    assert replay(bundle, chat(), strict=True).outcome is Outcome.MATCH

    def greets_the_third(state: Any) -> Next:
        answer = chat_step(state)
        return Do(CallTool("greet", {})) if isinstance(answer, Do) and state["turn"] == 2 else answer

    found = only(replay(bundle, chat(step=greets_the_third)))
    assert (found.seq, found.event_id) == (2, "e2")
    assert found.path == "journals[2].records[2].event.ActionRequested.payload"
    assert found.log is not None
    assert (found.log.run_id, found.log.first_divergent_seq, found.log.common_prefix) == ("room", 9, 8)


def test_a_changed_reducer_is_told_for_every_turn_that_it_changes() -> None:
    events = [command(f"e{number}", text="x") for number in range(3)]
    bundle = capture(chat(), events, shout, run_id="$payload.text")

    def counts_from_turn_two(state: Any, event: Any) -> Any:
        after = chat_reduce(state, event)
        return {**after, "last": None} if after["turn"] == 2 else after

    result = replay(bundle, chat(reduce=counts_from_turn_two))
    assert told(result) == [("journals[1].records[5].end.state", "StateMismatch")]


def test_a_run_that_nobody_named() -> None:
    program = chat()
    bundle = capture(program, [command("e1", text=5), command("e2", text="hi")], shout, run_id="$payload.text")
    assert [decision.termination for decision in bundle.decisions] == [
        Failed(ErrKind.VALIDATION_FAILED),
        Ended.COMPLETED,
    ]
    assert replay(bundle, program, strict=True).outcome is Outcome.MATCH


def test_a_run_that_is_done_answers_no_further_event() -> None:
    program = tool_program()
    bundle = capture(program, [command("e1"), command("e2")], lambda *_: 1, run_id="one")
    assert bundle.decisions[1].termination == Failed(ErrKind.VALIDATION_FAILED)
    assert replay(bundle, program, strict=True).outcome is Outcome.MATCH


def test_a_run_continued_from_a_store_brings_its_earlier_records() -> None:
    journal, snapshots = MemoryJournal(), MemorySnapshots()
    capture(chat(), [command("e1", text="a")], shout, run_id="room", journal=journal, snapshots=snapshots)
    later = [command("e2", text="b"), command("e3", text="c")]
    bundle = capture(chat(), later, shout, run_id="room", journal=journal, snapshots=snapshots)
    assert b'"prior":"' in bundle.journals[0]
    assert b'"prior":null' in bundle.journals[1]
    assert replay(bundle, chat(), strict=True).outcome is Outcome.MATCH
    silent = chat(step=lambda state: Interrupt("no") if state["turn"] == 2 and state["said"] else chat_step(state))
    found = only(replay(bundle, silent))
    assert found.log is not None
    assert (found.log.first_divergent_seq, found.log.common_prefix, found.event_id) == (9, 8, "e3")


def test_deferred_work_is_judged_with_the_payload_of_its_own_event() -> None:
    limits = Constraints(max_per_window=1, rate_window=10)
    pump = ExternalEvent.mechanical("tick", EventKind.PUMP, 20)
    events = [command("e1", amount=5), command("e2", amount=7), pump]
    bundle = capture(approve(), events, half, constraints=limits)
    assert len(bundle.journals) == 2
    assert replay(bundle, approve(), strict=True).outcome is Outcome.MATCH


def test_effects_are_compared_where_the_journal_is_silent() -> None:
    """A denied action leaves no record, only its effect."""
    bundle = capture(tool_program(policy=AllowList()), [command("e1")], half)
    found = only(replay(bundle, tool_program(step=lambda state: Do(CallTool("u", None)))))
    assert (found.kind, found.code) == (DivergenceKind.EFFECT_CHANGED, "replay.effect_mismatch")
    assert found.path == "effects[0].intents[0].fields[0].value.String"


def test_a_program_that_reaches_for_the_world_ends_the_comparison() -> None:
    def reaching(state: Any) -> Next:
        raise driver_error("an action must not be executed", code="kernel.replay_side_effect")

    result = replay(example(), approve(step=reaching), provenance=APPROVE_PROVENANCE)
    found = only(result)
    assert (found.kind, found.code, found.expected) == (DivergenceKind.PROGRAM, "replay.host_step_failed", "Completed")
    assert [notice.message.split(";")[1] for notice in result.warnings] == [" the rest of the bundle was not compared"]


def test_a_decision_that_is_missing_on_either_side() -> None:
    bundle = capture(approve(), [command("e1", amount=5), command("e2", amount=6)], half)
    shorter = replace(bundle, decisions=bundle.decisions[:1], journals=bundle.journals[:1])
    used = [name for name in bundle.artifacts if name.encode() in bundle.journals[0]]
    shorter = replace(shorter, artifacts={name: bundle.artifacts[name] for name in used})
    assert [each.kind for each in replay(shorter, approve()).divergences] == [DivergenceKind.DECISION_EXTRA]
    shorter = replace(bundle, events=bundle.events[1:])
    assert [each.kind for each in replay(shorter, approve()).divergences] == [
        DivergenceKind.DECISION_MISSING,
        DivergenceKind.DECISION,
    ]


def test_states_of_a_struct_are_read_from_the_bundle() -> None:
    """A run continued from a store: its initial state is known from the bundle alone."""

    def step(state: Counter) -> Next:
        return Interrupt(state.total) if state.total % 2 else Emit([StateUpdated("s", {"total": 1 + state.total})])

    def reduce(state: Counter, event: Any) -> Counter:
        match event.event:
            case StateUpdated(_, payload):
                return Counter(payload["total"], state.label)
            case _:
                return Counter(state.total + 1, state.label) if event.kind == "Resumed" else state

    program = KernelProgram(
        "count", lambda payload: Counter(0, payload["label"]), step, "nowhere:execute", reduce, state=Counter
    )
    journal, snapshots = MemoryJournal(), MemorySnapshots()
    capture(program, [command("e1", label="a")], half, run_id="one", journal=journal, snapshots=snapshots)
    bundle = capture(program, [command("e2")], half, run_id="one", journal=journal, snapshots=snapshots)
    assert any(b"base64" in text for text in bundle.artifacts.values()), "declared order is not that of free values"
    assert replay(bundle, program, strict=True).outcome is Outcome.MATCH
    narrower = replace(program, state=int)
    result = replay(bundle, narrower)
    assert result.divergences[0].cause == "MissingEvents"
