"""Spec 11 §18, C-15 and C-16: the capturing session without a host."""

from __future__ import annotations

from ergo_cli.bundle.memory import CaptureBundle, InMemoryBundle
from ergo_cli.bundle.rehydrate import rehydrate
from ergo_cli.bundle.schema import DecisionRecord, EventRecord, Header
from ergo_cli.bundle.session import CapturingLog, CapturingSession
from ergo_cli.events.external import EventKind, ExternalEvent
from ergo_cli.supervisor.constraints import Constraints
from ergo_cli.supervisor.log import Decision, LogEntry
from ergo_cli.supervisor.seam import ErrKind, Failed, Outcome
from ergo_cli.testing.bundles import set_context
from ergo_cli.testing.logs import RecordingLog
from ergo_cli.testing.scripted import ScriptedInvoker

HEADER = Header("g", Constraints(max_retries=1), "rpv1:sha256:test")


def capture(events: list[ExternalEvent], runtime: ScriptedInvoker) -> CaptureBundle:
    kept = InMemoryBundle(HEADER)
    session = CapturingSession(HEADER.graph_id, HEADER.constraints, kept, runtime)
    for event in events:
        session.on_event(event)
    return kept.commit()


def replay_schedule(bundle: CaptureBundle, runtime: ScriptedInvoker) -> CaptureBundle:
    return capture([rehydrate(record) for record in bundle.events], runtime)


def test_c11_15_the_log_adds_one_record_an_entry_without_effects() -> None:
    kept, inner = InMemoryBundle(HEADER), RecordingLog()
    log = CapturingLog(kept, inner)
    event = ExternalEvent.mechanical("e1", EventKind.COMMAND, 5)
    entries = [
        LogEntry("g", event, Decision.INVOKE, None, 0, 7, Outcome.COMPLETED, 1),
        LogEntry("g", event, Decision.DEFER, 9, 1, None, None, 0),
    ]
    for count, entry in enumerate(entries, 1):
        log.log(entry)
        assert len(kept.commit().decisions) == count
    assert inner.entries == entries
    assert kept.commit().decisions == (
        DecisionRecord("e1", Decision.INVOKE, None, 0, 7, Outcome.COMPLETED, 1),
        DecisionRecord("e1", Decision.DEFER, 9, 1, None, None, 0),
    )


def test_c11_15_effects_of_the_runtime_stay_out_of_a_session_without_host() -> None:
    runtime = ScriptedInvoker()
    runtime.give_effects("e1", [set_context("x", 1.0)])
    bundle = capture([ExternalEvent.mechanical("e1", EventKind.COMMAND, 0)], runtime)
    assert [record.effects for record in bundle.decisions] == [()]


def test_c11_15_an_event_is_kept_before_its_decision() -> None:
    order: list[str] = []

    class Ordered:
        def event(self, record: EventRecord) -> None:
            order.append(f"event {record.event_id}")

        def decision(self, record: DecisionRecord) -> None:
            order.append(f"decision {record.event_id}")

    session = CapturingSession("g", Constraints(), Ordered(), ScriptedInvoker())
    for name in ("a", "b"):
        session.on_event(ExternalEvent.mechanical(name, EventKind.COMMAND, 0))
    assert order == ["event a", "decision a", "event b", "decision b"]


def test_c11_16_one_pump_is_one_event_and_one_decision() -> None:
    bundle = capture([ExternalEvent.mechanical("p", EventKind.PUMP, 0)], ScriptedInvoker())
    assert (len(bundle.events), len(bundle.decisions)) == (1, 1)
    assert replay_schedule(bundle, ScriptedInvoker()).decisions == bundle.decisions


def test_c11_16_the_schedule_replays_with_termination_and_retries() -> None:
    def runtime() -> ScriptedInvoker:
        invoker = ScriptedInvoker()
        invoker.script("c", [Failed(ErrKind.NETWORK_TIMEOUT), Failed(ErrKind.SEMANTIC_ERROR)])
        return invoker

    bundle = capture([ExternalEvent.mechanical("c", EventKind.COMMAND, 0)], runtime())
    again = replay_schedule(bundle, runtime())
    assert again == bundle
    assert (again.decisions[0].termination, again.decisions[0].retry_count) == (Failed(ErrKind.SEMANTIC_ERROR), 1)
