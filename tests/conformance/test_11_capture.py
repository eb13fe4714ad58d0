"""Spec 11 §18, C-15 and C-16: what a run keeps of its events, and its replay."""

from __future__ import annotations

from ergo_cli.bundle.memory import InMemoryBundle
from ergo_cli.bundle.schema import CapturedEffect, DecisionRecord, EventRecord, Header
from ergo_cli.events.external import EventKind, ExternalEvent, HostedEvent
from ergo_cli.host.loop import RunResources, start_run
from ergo_cli.host.run_plan import PreparedRun
from ergo_cli.replay.engine import replay_bundle
from ergo_cli.replay.results import Outcome as Result
from ergo_cli.replay.results import Target
from ergo_cli.supervisor.seam import Constraints, Decision, ErrKind, Failed, LogEntry, Outcome
from ergo_cli.testing.bundles import set_context
from ergo_cli.testing.scripted import ScriptedInvoker
from tests.support.scripted_kind import captured, scripted, step_all

RETRYABLE = Failed(ErrKind.NETWORK_TIMEOUT)


def mechanical(event_id: str, kind: EventKind = EventKind.COMMAND, at: int = 0) -> HostedEvent:
    return HostedEvent(event_id, kind, at)


def test_c11_15_one_record_an_entry_without_effects() -> None:
    def runtime() -> ScriptedInvoker:
        invoker = ScriptedInvoker()
        invoker.script("e1", [RETRYABLE, Outcome.COMPLETED])
        return invoker

    limits = Constraints(max_per_window=1, rate_window=4, deadline=7, max_retries=1)
    program = scripted(runtime, graph_id="g")
    kept = InMemoryBundle(Header("g", limits, program.provenance))
    started = start_run(PreparedRun(program, None, limits), kept, RunResources())
    for count, name in enumerate(("e1", "e2"), 1):
        started.runner.step(mechanical(name, at=5))
        assert len(kept.commit().decisions) == count
    assert kept.commit().decisions == (
        DecisionRecord("e1", Decision.INVOKE, None, 0, 7, Outcome.COMPLETED, 1),
        DecisionRecord("e2", Decision.DEFER, 9, 1, 7, None, 0),
    )


def test_c11_15_an_entry_of_the_log_holds_no_effects_they_are_the_hosts_to_add() -> None:
    event = ExternalEvent.mechanical("e1", EventKind.COMMAND, 5)
    entry = LogEntry("g", event, Decision.INVOKE, None, 0, 7, Outcome.COMPLETED, 1)
    bare = DecisionRecord("e1", Decision.INVOKE, None, 0, 7, Outcome.COMPLETED, 1)
    assert DecisionRecord.of(entry) == bare
    assert DecisionRecord.of(entry).effects == ()
    effects = (CapturedEffect.of(set_context("x", 1.0)),)
    assert DecisionRecord.of(entry, effects).effects == effects


def test_c11_15_an_event_is_kept_before_its_decision() -> None:
    order: list[str] = []

    class Ordered:
        def event(self, record: EventRecord) -> None:
            order.append(f"event {record.event_id}")

        def decision(self, record: DecisionRecord) -> None:
            order.append(f"decision {record.event_id}")

    step_all(scripted(), map(mechanical, ("a", "b")), Ordered())
    assert order == ["event a", "decision a", "event b", "decision b"]


def test_c11_16_one_pump_is_one_event_and_one_decision() -> None:
    program = scripted()
    bundle = captured(program, [mechanical("p", EventKind.PUMP)])
    assert (len(bundle.events), len(bundle.decisions)) == (1, 1)
    result = replay_bundle(bundle, Target(program))
    assert (result.outcome, result.events) == (Result.MATCH, 1)


def test_c11_16_the_schedule_replays_with_termination_and_retries() -> None:
    def runtime() -> ScriptedInvoker:
        invoker = ScriptedInvoker()
        invoker.script("c", [RETRYABLE, Failed(ErrKind.SEMANTIC_ERROR)])
        return invoker

    program = scripted(runtime)
    bundle = captured(program, [mechanical("c")], Constraints(max_retries=1))
    (decision,) = bundle.decisions
    assert (decision.termination, decision.retry_count) == (Failed(ErrKind.SEMANTIC_ERROR), 1)
    assert replay_bundle(bundle, Target(program)).outcome is Result.MATCH
    told = [(each.path, each.actual) for each in replay_bundle(bundle, Target(scripted())).divergences]
    assert told == [("termination", "Completed"), ("retry_count", 0)]
