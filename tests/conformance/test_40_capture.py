"""Spec 40 §21.13 where it is about captures: what the invoker records, and with which stores (§19.1–2)."""

from __future__ import annotations

from kernel_agents import ASKER, Desk, scripted

from ergo_cli.core import wire
from ergo_cli.programs.kernel import ActionError, AllowList, CallTool, Complete, Do, RetryWithBackoff
from ergo_cli.programs.kernel.engine.events import SequencedEvent
from ergo_cli.programs.kernel.engine.policy import AllowAll
from ergo_cli.programs.kernel.replay.divergence import events_hash
from ergo_cli.stores.memory import MemoryJournal, MemorySnapshots
from ergo_cli.supervisor.seam import ErrKind, Failed, Outcome
from ergo_cli.testing.kernel import ScriptedClock

DUMMY = Do(CallTool("dummy", None))
RUN = "run-retry-success"


def test_c40_128_the_records_of_a_capture_are_the_runs_log() -> None:
    policy = RetryWithBackoff(AllowAll(), max_retries=3, backoff_base_ms=0)
    results = [ActionError.transient("transient-1"), ActionError.transient("transient-2"), "ok"]
    desk = Desk(scripted(DUMMY, Complete(), policy=policy), results, run_id=RUN)
    assert desk.run("e1") is Outcome.COMPLETED
    [journal] = desk.invoker.drain_journals()
    records = journal.records[1:-1]
    events = [wire.decode(record, SequencedEvent) for record in records]
    assert events_hash(events) == "241a242466bf4ea70d67d5fa36bc734742c0bb459669ac0b8477929e966c8214"


def test_c40_130_a_denied_action_is_captured_as_its_effect_and_its_error() -> None:
    desk = Desk(scripted(DUMMY, policy=AllowList(["other"])), [])
    termination, episode = desk.episode("e1")
    assert termination == Failed(ErrKind.VALIDATION_FAILED)
    assert episode.end["error"] == {
        "code": "kernel.policy",
        "message": "Policy error: tool not allowed: dummy",
    }
    assert ([effect.kind for effect in episode.effects], episode.events) == (["tool_call"], [])


def test_c40_131_deleting_all_snapshots_changes_no_capture() -> None:
    told: list[object] = []
    for drops in (False, True):
        journal, snapshots = MemoryJournal(), MemorySnapshots()
        Desk(ASKER, run_id="one", journal=journal, snapshots=snapshots).episode("e1")
        if drops:
            snapshots.drop("one")
        desk = Desk(ASKER, run_id="one", journal=journal, snapshots=snapshots)
        _, episode = desk.episode("e2", {"word": "done"})
        told.append((episode.records, dict(episode.artifacts)))
    assert told[0] == told[1]


def test_c40_132_a_snapshot_ahead_of_the_log_stops_the_run() -> None:
    snapshots = MemorySnapshots()
    snapshots.save("talk/e1", 9, '{"words":[]}')
    journal = MemoryJournal()
    termination, episode = Desk(ASKER, journal=journal, snapshots=snapshots).episode("e1")
    assert termination == Failed(ErrKind.ADAPTER_UNAVAILABLE)
    assert episode.end["error"]["code"] == "kernel.snapshot_ahead"
    assert episode.failure is not None
    assert journal.head("talk/e1") == 0


def test_c40_133_waits_of_a_capture_go_by_the_clock_that_is_given() -> None:
    clock = ScriptedClock()
    policy = RetryWithBackoff(AllowAll(), max_retries=5, backoff_base_ms=50, backoff_cap_ms=500)
    results = [*[ActionError.transient("busy")] * 3, "ok"]
    assert Desk(scripted(DUMMY, Complete(), policy=policy), results, clock=clock).run("e1") is Outcome.COMPLETED
    assert clock.sleeps == [50_000_000, 100_000_000, 200_000_000]
