"""Spec 11 §18, the lines on steps: what a runner does with events, effects and errors."""

from __future__ import annotations

import pytest

from ergo_cli.core.values import Effect, Intent, ProducedEffect, Value, Write
from ergo_cli.errors import ReplayError, StepError
from ergo_cli.events.adapter import Adapter
from ergo_cli.events.external import EventKind, ExternalEvent, HostedEvent
from ergo_cli.host.effects import ApplyEffects, IgnoreEffects
from ergo_cli.host.step import Gate, GateState
from ergo_cli.replay.engine import replay_bundle
from ergo_cli.replay.results import Target
from ergo_cli.supervisor.seam import Decision, ErrKind, Failed, Outcome
from ergo_cli.testing.bundles import bundle_of, completed, event_record
from ergo_cli.testing.worlds import RecordingEvidence
from tests.host.stages import Stage, desk, writes
from tests.support.events import tick
from tests.support.scripted_kind import scripted

RETRYABLE = Failed(ErrKind.NETWORK_TIMEOUT)


@pytest.fixture
def adapter() -> Adapter:
    return desk()


def staged(adapter: Adapter | None, **limits: int) -> Stage:
    """A stage whose ``publish`` goes elsewhere."""
    return Stage(adapter, owned_elsewhere=frozenset({"publish"}), **limits)


def test_c11_18_a_retried_episode_keeps_the_last_attempts_effects_and_draining_empties(adapter: Adapter) -> None:
    stage = staged(adapter, max_retries=1)
    stage.invoker.script("e", [RETRYABLE, Outcome.COMPLETED])
    stage.invoker.give_effects("e", [writes(("y", 2.0))])
    outcome = stage.runner.step(tick("e"))
    assert (outcome.retry_count, outcome.effects) == (1, [writes(("y", 2.0))])
    assert stage.invoker.drain() == []
    stage.invoker.script("f", [RETRYABLE, RETRYABLE])
    stage.invoker.give_effects("f", [writes(("y", 3.0))])
    assert stage.runner.step(tick("f")).effects == []


def test_c11_20_undrained_effects_are_fatal(adapter: Adapter) -> None:
    stage = staged(adapter)
    stage.runner.step(tick("a"))
    stage.invoker.give_effects("b", [writes(("y", 2.0))])
    event = ExternalEvent.mechanical("b", EventKind.COMMAND, 0)
    stage.invoker.run("g", "b", event.context, None)
    with pytest.raises(StepError, match="pending effect buffer must be drained") as caught:
        stage.runner.step(tick("c"))
    assert (caught.value.name, caught.value.recoverable) == ("LifecycleViolation", False)
    with pytest.raises(StepError, match="has failed"):
        stage.runner.step(tick("d"))
    with pytest.raises(StepError, match="has failed"):
        stage.runner.gate.check_finalize()


def test_c11_21_finalizing_needs_a_committed_step(adapter: Adapter) -> None:
    stage = staged(adapter)
    with pytest.raises(StepError, match="nothing to finalize"):
        stage.runner.gate.check_finalize()
    stage.runner.step(tick("a"))
    stage.runner.gate.check_finalize()
    stage.runner.gate.failed(StepError("EgressDispatchFailure", "no ack in time"))
    stage.runner.gate.check_finalize()
    with pytest.raises(StepError, match="must be finalized after egress dispatch failure"):
        stage.runner.step(tick("b"))


TRANSITIONS = {
    (GateState.NO_COMMITTED_STEPS, "ok"): GateState.ELIGIBLE,
    (GateState.NO_COMMITTED_STEPS, "dispatch"): GateState.FINALIZE_ONLY,
    (GateState.NO_COMMITTED_STEPS, "fatal"): GateState.FATAL,
    (GateState.ELIGIBLE, "ok"): GateState.ELIGIBLE,
    (GateState.ELIGIBLE, "dispatch"): GateState.FINALIZE_ONLY,
    (GateState.ELIGIBLE, "fatal"): GateState.FATAL,
    (GateState.FINALIZE_ONLY, "ok"): GateState.FINALIZE_ONLY,
    (GateState.FINALIZE_ONLY, "dispatch"): GateState.FINALIZE_ONLY,
    (GateState.FINALIZE_ONLY, "fatal"): GateState.FATAL,
    (GateState.FATAL, "ok"): GateState.FATAL,
    (GateState.FATAL, "dispatch"): GateState.FATAL,
    (GateState.FATAL, "fatal"): GateState.FATAL,
}


@pytest.mark.parametrize(("state", "happened"), sorted(TRANSITIONS, key=lambda pair: (pair[0].value, pair[1])))
def test_c30_26_gate_transitions(state: GateState, happened: str) -> None:
    gate = Gate()
    gate.state = state
    match happened:
        case "ok":
            gate.committed()
        case "dispatch":
            gate.failed(StepError("EgressDispatchFailure", "no ack in time"))
        case _:
            gate.failed(StepError("LifecycleViolation", "broken"))
    assert gate.state is TRANSITIONS[state, happened]


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (HostedEvent("e", EventKind.COMMAND, 0, None, [1]), "PayloadMustBeObject"),
        (HostedEvent("e", EventKind.COMMAND, 0, None, {"x": 1}), "MissingSemanticKind"),
        (HostedEvent("e", EventKind.COMMAND, 0, "tick", None), "MissingPayload"),
        (HostedEvent("e", EventKind.COMMAND, 0, "nope", {"x": 1}), "UnknownSemanticKind"),
        (HostedEvent("e", EventKind.COMMAND, 0, "tick", {"x": "one"}), "Binding"),
    ],
)
def test_c11_22_input_errors_leave_the_runner_unharmed_and_the_id_free(
    adapter: Adapter, event: HostedEvent, name: str
) -> None:
    stage = staged(adapter)
    with pytest.raises(StepError) as caught:
        stage.runner.step(event)
    assert (caught.value.name, caught.value.recoverable) == (name, True)
    assert stage.bundle.commit().events == ()
    assert stage.runner.step(tick("e")).decision is Decision.INVOKE


def test_c11_23_a_repeated_id_is_refused_live_and_in_replay(adapter: Adapter) -> None:
    stage = staged(adapter)
    stage.runner.step(tick("a"))
    with pytest.raises(StepError) as caught:
        stage.runner.step(tick("a"))
    assert (caught.value.name, caught.value.recoverable) == ("DuplicateEventId", True)
    assert len(stage.decisions) == 1
    repeated = bundle_of([event_record("a")] * 2, [completed("a"), completed("a", 1)])
    with pytest.raises(ReplayError) as refused:
        replay_bundle(repeated, Target(scripted()), raise_on_failure=True)
    assert refused.value.code == "replay.duplicate_event_id"


@pytest.mark.parametrize(
    ("effect", "reason"),
    [
        (writes(("unknown", 1.0)), "UndeclaredKey"),
        (writes(("x", 1.0)), "NonWritableKey"),
        (writes(("y", True)), "TypeMismatch"),
        (writes(("armed", 1.0)), "TypeMismatch"),
    ],
)
def test_c11_24_set_context_checks_each_key(adapter: Adapter, effect: Effect, reason: str) -> None:
    stage = staged(adapter)
    stage.invoker.give_effects("e", [effect])
    with pytest.raises(StepError) as caught:
        stage.runner.step(tick("e"))
    assert (caught.value.name, caught.value.details) == ("EffectApply", (reason,))
    assert dict(stage.effects.store.values) == {}
    assert stage.runner.gate.state is GateState.FATAL


def test_c11_24_what_was_written_before_a_bad_write_stays(adapter: Adapter) -> None:
    stage = staged(adapter)
    stage.invoker.give_effects("e", [writes(("y", 2.0), ("unknown", 1.0))])
    with pytest.raises(StepError):
        stage.runner.step(tick("e"))
    assert dict(stage.effects.store.values) == {"y": 2.0}


def test_c11_25_a_decision_that_is_no_invoke_has_no_effects(adapter: Adapter) -> None:
    stage = staged(adapter, max_in_flight=0)
    stage.invoker.give_effects("e", [writes(("y", 2.0))])
    outcome = stage.runner.step(tick("e"))
    assert (outcome.decision, outcome.effects, outcome.applied_writes) == (Decision.DEFER, [], [])
    assert dict(stage.effects.store.values) == {}


def test_c11_26_effects_stay_with_their_own_decisions(adapter: Adapter) -> None:
    stage = staged(adapter)
    for event_id, value in (("a", 1.0), ("b", 2.0)):
        stage.invoker.give_effects(event_id, [writes(("y", value))])
        stage.runner.step(tick(event_id))
    kept = [[item.effect for item in decision.effects] for decision in stage.decisions]
    assert kept == [[writes(("y", 1.0))], [writes(("y", 2.0))]]


def test_c11_19_effects_of_deferred_work_belong_to_the_pump_that_served_it(adapter: Adapter) -> None:
    stage = staged(adapter, max_per_window=1, rate_window=10)
    stage.invoker.give_effects("late", [writes(("y", 5.0))])
    stage.runner.step(tick("first"))
    stage.runner.step(tick("late"))
    stage.runner.step(HostedEvent("pump", EventKind.PUMP, 10, "tick", {"x": 0.0}))
    first, late, pump = stage.decisions
    assert (first.effects, late.effects) == ((), ())
    assert [item.effect for item in pump.effects] == [writes(("y", 5.0))]
    assert pump.episode_id == late.episode_id


def test_c30_13_stored_values_come_back_in_the_next_payload(adapter: Adapter) -> None:
    stage = staged(adapter)
    stage.invoker.give_effects("a", [writes(("y", 1.0))])
    stage.runner.step(HostedEvent("a", EventKind.COMMAND, 0, "tick", {"x": 1}))
    stage.runner.step(HostedEvent("b", EventKind.COMMAND, 0, "tick", {"x": 3}))
    stage.runner.step(HostedEvent("c", EventKind.COMMAND, 0, "tick", {"x": 3, "y": 9}))
    stage.runner.step(HostedEvent("d", EventKind.COMMAND, 0, "blind", {"x": 4}))
    payloads = [event.payload for event in stage.bundle.commit().events]
    assert payloads == [b'{"x":1}', b'{"x":3,"y":1.0}', b'{"x":3,"y":9}', b'{"x":4}']


def test_c30_16_applied_writes_are_told(adapter: Adapter) -> None:
    stage = staged(adapter)
    stage.invoker.give_effects("a", [writes(("y", 1.0), ("armed", True))])
    outcome = stage.runner.step(tick("a"))
    assert outcome.applied_writes == writes(("y", 1.0), ("armed", True)).writes
    assert dict(stage.effects.store.values) == {"y": 1.0, "armed": True}


@pytest.mark.parametrize(
    ("effect", "name"),
    [
        (Effect("set_context", [], [Intent("set_context", "eid1:x", [])]), "LifecycleViolation"),
        (Effect("publish", [Write("y", Value(Number=1.0))], [Intent("publish", "eid1:x", [])]), "LifecycleViolation"),
        (Effect("publish", []), "LifecycleViolation"),
        (Effect("publish", [], [Intent("other", "eid1:x", [])]), "LifecycleViolation"),
        (Effect("unheard_of", [], [Intent("unheard_of", "eid1:x", [])]), "EffectApply"),
    ],
)
def test_c30_30_effects_of_the_wrong_shape_or_owner_are_fatal(adapter: Adapter, effect: Effect, name: str) -> None:
    stage = staged(adapter)
    stage.invoker.give_effects("e", [effect])
    with pytest.raises(StepError) as caught:
        stage.runner.step(tick("e"))
    assert caught.value.name == name
    assert stage.runner.gate.state is GateState.FATAL


def test_c30_30_effects_owned_elsewhere_pass_and_change_nothing(adapter: Adapter) -> None:
    stage = staged(adapter)
    effect = Effect("publish", [], [Intent("publish", "eid1:x", [])])
    stage.invoker.give_effects("e", [effect])
    outcome = stage.runner.step(tick("e"))
    assert (outcome.effects, outcome.applied_writes) == ([effect], [])


def test_c30_29_without_adapter_effects_are_refused() -> None:
    stage = staged(None)
    assert stage.runner.step(HostedEvent("a", EventKind.COMMAND, 0)).termination is Outcome.COMPLETED
    stage.invoker.give_effects("b", [writes(("y", 1.0))])
    with pytest.raises(StepError) as caught:
        stage.runner.step(HostedEvent("b", EventKind.COMMAND, 0))
    assert caught.value.name == "EffectsWithoutAdapter"


def test_a_replay_without_the_captures_adapter_lets_effects_pass() -> None:
    sink = IgnoreEffects()
    assert sink.realise([ProducedEffect.of(writes(("y", 1.0)))], RecordingEvidence()) == []
    assert dict(sink.store.values) == {}


def test_c11_43_a_kind_that_the_host_realises_cannot_be_owned_elsewhere(adapter: Adapter) -> None:
    sink = ApplyEffects(adapter, frozenset({"set_context"}))
    with pytest.raises(StepError, match="owned twice"):
        sink.realise([ProducedEffect.of(writes(("y", 1.0)))], RecordingEvidence())
