"""Spec 40 §21.7, timeline, execution log, fork: C-70 to C-80."""

from __future__ import annotations

from typing import Any

import pytest
from kernel_scenarios import digits, preloaded

from ergo_cli.core import wire
from ergo_cli.programs.kernel.engine.errors import KernelError
from ergo_cli.programs.kernel.engine.events import (
    ActionFailed,
    ActionRequested,
    ActionSucceeded,
    Completed,
    Event,
    Interrupted,
    Resumed,
    StateUpdated,
)
from ergo_cli.programs.kernel.engine.state import StateCodec, StateUpdatedOnly
from ergo_cli.programs.kernel.runs.fork import ForkMode, ForkResult, TimelineFork, clone_timeline, fork
from ergo_cli.programs.kernel.runs.timeline import (
    BlockedSummary,
    CompletedSummary,
    DerivedStatus,
    ExecutionLog,
    FailedSummary,
    KernelTraceEvent,
    RunStatusSummary,
    RunTimeline,
    TimelineEntry,
    derived_status,
    run_timeline,
    scan_execution_log,
    scan_execution_log_with_state_hashes,
    scan_execution_trace,
    trace_of,
)

STATE_1 = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
SU, INT, RES, C = StateUpdated(None, 0), Interrupted(0), Resumed(0), Completed()
REQUESTED, SUCCEEDED, FAILED = ActionRequested("a1", 0), ActionSucceeded("a1", 0), ActionFailed("a1", "x")


def test_c40_70_a_timeline() -> None:
    timeline = run_timeline(preloaded("r", [StateUpdated("n1", {"x": 1}), Completed()]), "r")
    assert timeline.events == [TimelineEntry(1, "StateUpdated", "n1"), TimelineEntry(2, "Completed")]
    assert timeline.final_status == CompletedSummary()
    assert b"action_id" not in wire.encode(timeline)


def test_c40_71_a_timeline_survives_a_round_trip() -> None:
    timeline = run_timeline(preloaded("r", [REQUESTED, SUCCEEDED, C]), "r")
    assert wire.decode(wire.encode(timeline), RunTimeline) == timeline


@pytest.mark.parametrize(
    ("log", "final", "derived"),
    [
        ([INT, RES], BlockedSummary(), DerivedStatus.ACTIVE),
        ([FAILED, SU], FailedSummary(), DerivedStatus.ACTIVE),
        ([REQUESTED], CompletedSummary(), DerivedStatus.ACTIVE),
        ([], CompletedSummary(), DerivedStatus.EMPTY),
        ([INT, RES, C], CompletedSummary(), DerivedStatus.COMPLETED),
        ([SU, INT], BlockedSummary(), DerivedStatus.BLOCKED),
        ([REQUESTED, FAILED], FailedSummary(), DerivedStatus.FAILED),
    ],
)
def test_c40_72_the_originals_last_word_and_the_true_one(
    log: list[Event], final: RunStatusSummary, derived: DerivedStatus
) -> None:
    journal = preloaded("r", log)
    assert run_timeline(journal, "r").final_status == final
    assert derived_status(journal, "r") == derived


def test_c40_73_the_execution_log() -> None:
    entries = list(scan_execution_log(preloaded("r", [StateUpdated("n1", 1), C]), "r"))
    assert [(entry.thread_id, entry.step_id, entry.event_index) for entry in entries] == [
        ("r", "n1", 1),
        ("r", None, 2),
    ]


def test_c40_74_a_state_entry_has_its_step_and_no_hash() -> None:
    (entry,) = scan_execution_log(preloaded("r", [StateUpdated("n1", 1)]), "r")
    assert (entry.step_id, entry.state_hash) == ("n1", None)


def test_c40_75_a_completed_entry_has_no_step() -> None:
    (entry,) = scan_execution_log(preloaded("r", [SU, C]), "r", start=2)
    assert (entry.event_index, entry.step_id) == (2, None)


def test_c40_76_a_trace_event() -> None:
    trace = trace_of(ExecutionLog("run-trace", "node-a", 3, ActionRequested("a1", None)))
    assert trace == KernelTraceEvent("run-trace", 3, "node-a", "a1", "ActionRequested")
    assert b"timestamp" not in wire.encode(trace)
    assert [entry.kind for entry in scan_execution_trace(preloaded("r", [SU, C]), "r")] == ["StateUpdated", "Completed"]


def test_c40_77_state_hashes() -> None:
    journal = preloaded("r", [StateUpdated(None, 1), C])
    entries = scan_execution_log_with_state_hashes(journal, "r", 0, StateUpdatedOnly(), StateCodec[Any]())
    assert [bytes(entry.state_hash or ()).hex() for entry in entries] == [STATE_1, STATE_1]


def test_c40_78_a_fork_keeps_what_came_later() -> None:
    journal = preloaded("source", [StateUpdated(None, value) for value in (1, 2, 3)])
    branching = TimelineFork("source", "branch-1", 1, StateUpdated(None, 99))
    assert fork(journal, branching, 0, StateUpdatedOnly()) == ForkResult(branching, 3)
    assert journal.runs() == ["source"]


def test_c40_79_a_clone() -> None:
    journal = preloaded("source2", [StateUpdated(None, 10), C])
    result = clone_timeline(journal, "source2", "clone", 0, StateUpdatedOnly())
    assert result == ForkResult(TimelineFork("source2", "clone", 0, None), 10)


@pytest.mark.parametrize(("at", "state"), [(1, 1657), (0, 6157), (9, 1576)])
def test_c40_80_the_alternate_comes_before_the_original(at: int, state: int) -> None:
    journal = preloaded("s", [SU, INT, C])
    assert fork(journal, TimelineFork("s", "b", at, RES), 0, digits).final_state == state
    assert clone_timeline(journal, "s", "b", 0, digits).final_state == 157


def test_c40_80_a_branch_can_replace_and_be_kept() -> None:
    journal = preloaded("s", [SU, INT, C])
    branching = TimelineFork("s", "b", 1, RES)
    assert fork(journal, branching, 0, digits, mode=ForkMode.REPLACE, persist=True).final_state == 167
    assert [text for _, text in journal.scan("b")] == [
        '{"StateUpdated":{"step_id":null,"payload":0}}',
        '{"Resumed":{"value":0}}',
        '"Completed"',
    ]
    with pytest.raises(KernelError) as refused:
        fork(journal, branching, 0, digits, persist=True)
    assert refused.value.code == "kernel.seq_conflict"
    assert journal.head("b") == 3
