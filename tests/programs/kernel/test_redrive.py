"""Calls driven again from their records, and where logs part (spec 40 §9.2, §19.3)."""

from __future__ import annotations

from typing import Any

import pytest
from kernel_scenarios import digits

from ergo_cli.programs.kernel import (
    ActionError,
    ActionFailed,
    ActionRequested,
    ActionSucceeded,
    AllowAll,
    CallTool,
    Complete,
    Completed,
    Do,
    Emit,
    Event,
    Interrupt,
    Interrupted,
    KernelError,
    Limits,
    Resume,
    Resumed,
    RetryWithBackoff,
    SequencedEvent,
    StateUpdated,
    Success,
)
from ergo_cli.programs.kernel.engine.actions import Next
from ergo_cli.programs.kernel.engine.errors import Category
from ergo_cli.programs.kernel.engine.events import RunBlocked, RunCompleted, RunFailed, RunLog
from ergo_cli.programs.kernel.engine.policy import deadline_exceeded
from ergo_cli.programs.kernel.program import Kernel
from ergo_cli.programs.kernel.replay.divergence import (
    DivergenceKind,
    LogVerdict,
    check_log,
    compare_logs,
    compare_states,
    first_difference,
    orphan_actions,
)
from ergo_cli.programs.kernel.replay.redrive import EndingPoint, RecordedEnding, Redriven, redrive
from ergo_cli.stores.memory import MemoryJournal
from ergo_cli.testing.kernel import CollectingEffectSink, ScriptedClock, ScriptedExecutor, ScriptedStep

TOOL = Do(CallTool("t", None))
REQUEST = ActionRequested("r-1", {"CallTool": {"input": None, "tool": "t"}})


def sequenced(*events: Event, first: int = 1) -> list[SequencedEvent]:
    return [SequencedEvent(seq, event) for seq, event in enumerate(events, first)]


def again(
    answers: list[Next], records: list[SequencedEvent], ending: RecordedEnding | None = None, **parts: Any
) -> Redriven:
    kernel = Kernel[Any](journal=MemoryJournal(), reducer=digits, step=ScriptedStep(answers), **parts)
    return redrive(kernel, "r", lambda today: today.run_until_blocked("r", 0), records, ending=ending)


def test_a_resumed_call_goes_on_behind_its_prior_records() -> None:
    prior = sequenced(StateUpdated(None, 1), Interrupted("ask"))
    records = sequenced(Resumed("yes"), Completed(), first=3)
    kernel = Kernel[Any](journal=MemoryJournal(), reducer=digits, step=ScriptedStep([]))
    redriven = redrive(kernel, "r", lambda today: today.resume("r", 0, Resume("yes")), records, prior=prior)
    assert (redriven.status, redriven.report.verdict, redriven.report.common_prefix) == (
        RunCompleted(),
        LogVerdict.MATCH,
        2,
    )


def test_a_recorded_failure_fails_again() -> None:
    redriven = again([TOOL], sequenced(REQUEST, ActionFailed("r-1", "Executor: gone")))
    assert (redriven.status, redriven.report.verdict) == (RunFailed(), LogVerdict.MATCH)


def test_a_call_that_ends_too_soon_misses_events() -> None:
    report = again([Interrupt("a")], sequenced(Interrupted("a"), Completed())).report
    assert (report.kind, report.first_divergent_seq, report.actual) == (DivergenceKind.MISSING_EVENTS, 2, None)
    assert report.expected == SequencedEvent(2, Completed())


def test_a_call_that_goes_on_has_extra_events() -> None:
    report = again([Emit([StateUpdated(None, 1), StateUpdated(None, 2)])], sequenced(StateUpdated(None, 1))).report
    assert (report.kind, report.first_divergent_seq, report.expected) == (DivergenceKind.EXTRA_EVENTS, 2, None)


def test_an_action_beyond_the_records_is_not_executed() -> None:
    executor = ScriptedExecutor([Success(1)])
    redriven = again([TOOL], [], executor=executor)
    assert redriven.report.kind is DivergenceKind.EXTRA_EVENTS
    assert (redriven.status, redriven.error, executor.calls) == (None, None, [])


@pytest.mark.parametrize("max_retries", [0, 9])
def test_a_call_cut_off_in_its_executor(max_retries: int) -> None:
    """The log has the failure, the end the deadline."""
    records = sequenced(REQUEST, ActionFailed("r-1", "Driver error: deadline exceeded"))
    ending = RecordedEnding(deadline_exceeded(), EndingPoint.CHECK)
    redriven = again([TOOL], records, ending, policy=RetryWithBackoff(AllowAll(), max_retries, 1))
    assert redriven.report.verdict is LogVerdict.MATCH
    assert (redriven.status, redriven.error) == (None, ending.error)


@pytest.mark.parametrize("records", [[], [StateUpdated(None, 1)], [StateUpdated(None, 1), REQUEST]])
def test_a_call_stopped_at_its_deadline_stops_there(records: list[Event]) -> None:
    """Before the first step, between steps, before an execution."""
    answers = [Emit([StateUpdated(None, 1)]), TOOL]
    recorded = [
        ActionRequested("r-2", REQUEST.payload) if isinstance(event, ActionRequested) else event for event in records
    ]
    ending = RecordedEnding(deadline_exceeded(), EndingPoint.CHECK)
    redriven = again(answers, sequenced(*recorded), ending)
    assert redriven.report.verdict is LogVerdict.MATCH
    assert redriven.error is not None
    assert redriven.error.code == "kernel.deadline"


def test_a_deadline_met_live_is_met_again() -> None:
    """What a live call with a deadline recorded replays to the same records and the same error."""
    clock = ScriptedClock()
    live = Kernel[Any](
        journal=MemoryJournal(),
        reducer=digits,
        step=ScriptedStep([TOOL]),
        executor=ScriptedExecutor([ActionError.transient("x")] * 5),
        policy=RetryWithBackoff(AllowAll(), 5, 100),
        clock=clock,
        deadline=150_000_000,
    )
    with pytest.raises(KernelError) as met:
        live.run_until_blocked("r", 0)
    records = list(RunLog(live.journal, "r").scan())
    redriven = again([TOOL], records, RecordedEnding(met.value, EndingPoint.CHECK))
    assert redriven.report.verdict is LogVerdict.MATCH
    assert redriven.error is not None
    assert redriven.error.code == met.value.code


def test_a_store_that_failed_fails_at_the_same_append() -> None:
    failure, sink = KernelError(Category.EVENT_STORE, "disk full", code="store.full"), CollectingEffectSink()
    ending = RecordedEnding(failure, EndingPoint.APPEND)
    redriven = again([Emit([StateUpdated(None, 1)]), TOOL], sequenced(StateUpdated(None, 1)), ending, effect_sink=sink)
    assert (redriven.error, redriven.report.verdict) == (failure, LogVerdict.MATCH)
    assert len(sink.effects) == 2, "the effect of the action was recorded before the append failed"


def test_a_snapshot_store_that_failed_fails_behind_its_record() -> None:
    failure = KernelError(Category.SNAPSHOT_STORE, "disk full", code="store.full")
    ending = RecordedEnding(failure, EndingPoint.RECORD)
    redriven = again([], sequenced(Completed()), ending)
    assert (redriven.error, redriven.report.verdict) == (failure, LogVerdict.MATCH)


def test_budgets_strike_where_they_were_recorded_alone() -> None:
    records = sequenced(REQUEST, ActionSucceeded("r-1", 1), Completed())
    redriven = again([TOOL], records, limits=Limits(max_tool_calls=0))
    assert (redriven.status, redriven.report.verdict) == (RunCompleted(), LogVerdict.MATCH)


def test_a_program_that_raises_now_is_told_with_what_is_missing() -> None:
    redriven = again([Emit([StateUpdated(None, float("nan"))])], sequenced(Completed()))
    assert redriven.report.kind is DivergenceKind.MISSING_EVENTS
    assert redriven.error is not None
    assert redriven.error.code == "kernel.not_canonical"


def test_an_interrupt_is_interrupted_again() -> None:
    redriven = again([Interrupt({"b": 1, "a": 2})], sequenced(Interrupted({"a": 2, "b": 1})))
    assert isinstance(redriven.status, RunBlocked)
    assert redriven.report.verdict is LogVerdict.MATCH


def test_one_and_one_point_zero_differ() -> None:
    report = compare_logs("r", sequenced(StateUpdated(None, [0, 1])), sequenced(StateUpdated(None, [0, 1.0])))
    assert (report.kind, report.path) == (DivergenceKind.EVENT_MISMATCH, "/event/StateUpdated/payload/1")


def test_the_report_of_the_specification() -> None:
    expected, actual = sequenced(Resumed(1), Completed()), sequenced(Resumed(1), Interrupted("pause"))
    report = compare_logs("r", expected, actual)
    assert (report.verdict, report.kind, report.common_prefix, report.first_divergent_seq, report.path) == (
        LogVerdict.DIVERGED,
        DivergenceKind.EVENT_MISMATCH,
        1,
        2,
        "/event",
    )
    assert (report.expected, report.actual) == (expected[1], actual[1])
    assert report.expected_hash != report.actual_hash


def test_equal_logs_match() -> None:
    report = compare_logs("r", sequenced(Completed()), sequenced(Completed()))
    assert (report.verdict, report.kind, report.common_prefix) == (LogVerdict.MATCH, None, 1)
    assert report.expected_hash == report.actual_hash


def test_a_gap_goes_before_all_else() -> None:
    gap = [SequencedEvent(1, Resumed(1)), SequencedEvent(3, Completed())]
    assert compare_logs("r", sequenced(Resumed(1), Interrupted(1)), gap).kind is DivergenceKind.SEQUENCE_GAP
    report = check_log("r", gap)
    assert report is not None
    assert (report.kind, report.first_divergent_seq) == (DivergenceKind.SEQUENCE_GAP, 2)
    assert (report.expected, report.actual) == (gap[1], None)


@pytest.mark.parametrize(
    ("events", "orphans"),
    [
        ([REQUEST, ActionSucceeded("r-1", 1)], []),
        ([REQUEST], []),
        ([REQUEST, ActionRequested("r-2", 0), ActionFailed("r-2", "x")], [1]),
        ([REQUEST, Completed()], [1]),
    ],
)
def test_requests_without_result(events: list[Event], orphans: list[int]) -> None:
    assert [event.seq for event in orphan_actions(sequenced(*events))] == orphans
    report = check_log("r", sequenced(*events))
    assert (report is None) is (orphans == [])
    if report is not None:
        assert (report.kind, report.first_divergent_seq) == (DivergenceKind.ORPHAN_ACTION, 1)
        assert (report.expected, report.actual) == (sequenced(REQUEST)[0], None)


def test_states_are_compared_by_hash() -> None:
    assert compare_states("r", 3, "aa", "aa").verdict is LogVerdict.MATCH
    report = compare_states("r", 0, "aa", "bb")
    assert (report.kind, report.first_divergent_seq) == (DivergenceKind.STATE_MISMATCH, 0)


@pytest.mark.parametrize(
    ("one", "other", "place"),
    [
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, "/a/1/b"),
        ({"a": 1}, {"a": 1, "b": 2}, "/b"),
        ({"a": 1, "b": 2}, {"a": 1}, "/b"),
        ([1], [1, 2], "/1"),
        (True, 1, ""),
        ({"x/y": 1}, {"x/y": 2}, "/x~1y"),
        ({"a": 1}, {"a": 1}, None),
    ],
)
def test_the_first_place_that_differs(one: object, other: object, place: str | None) -> None:
    assert first_difference(one, other) == place


def test_a_step_that_completes_where_it_did_not() -> None:
    assert again([Complete()], sequenced(Completed())).status == RunCompleted()


def test_an_impure_reducer_is_found_out() -> None:
    """K-3: Verify folds everything twice."""
    folds: list[int] = []

    def impure(state: Any, event: SequencedEvent) -> int:
        folds.append(event.seq)
        return len(folds)

    kernel = Kernel[Any](journal=MemoryJournal(), reducer=impure, step=ScriptedStep([]))
    redriven = redrive(kernel, "r", lambda today: today.run_until_blocked("r", 0), sequenced(Completed()))
    assert redriven.error is not None
    assert (redriven.error.code, redriven.error.where) == ("kernel.reducer", "run 'r' seq 1")
    assert "must be pure" in redriven.error.message
