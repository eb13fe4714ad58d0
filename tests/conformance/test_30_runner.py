"""Spec 30, checklist lines of the runner: C-17, C-20 to C-25, C-27, C-28, C-30, C-85 to C-87."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from ergo_cli.channels.interruption import DispatchFailure
from ergo_cli.core.values import ProducedEffect, effect_hash, encode_effect
from ergo_cli.errors import CaptureWriteError, ReplayError, StepError
from ergo_cli.events.external import EventKind, ExternalEvent, HostedEvent
from ergo_cli.host.effects import ApplyEffects, SentIntent, replay_owned_kinds
from ergo_cli.host.step import GateState
from ergo_cli.replay.engine import replay_bundle
from ergo_cli.replay.results import DivergenceKind, Target
from ergo_cli.supervisor.seam import Decision, ErrKind, Failed, Outcome
from ergo_cli.testing.bundles import bundle_of, completed, event_record
from ergo_cli.testing.scripted import ScriptedInvoker
from ergo_cli.testing.worlds import RecordingEvidence, ScriptedDispatcher, broken_channel
from tests.host.stages import Stage, desk, publishes, writes
from tests.support.events import tick
from tests.support.scripted_kind import scripted

RETRYABLE = Failed(ErrKind.NETWORK_TIMEOUT)
BROKER = {"publish": "broker"}


def refused(stage: Stage, event: HostedEvent) -> StepError:
    with pytest.raises(StepError) as caught:
        stage.runner.step(event)
    return caught.value


def mechanical(event_id: str) -> ExternalEvent:
    return ExternalEvent.mechanical(event_id, EventKind.COMMAND, 0)


def test_c30_17_the_write_before_a_bad_one_stays() -> None:
    stage = Stage(desk())
    stage.invoker.give_effects("e", [writes(("y", 2.0), ("nowhere", 3.0))])
    assert refused(stage, tick("e")).details == ("UndeclaredKey",)
    assert dict(stage.effects.store.values) == {"y": 2.0}


def test_c30_20_an_invoked_step_with_an_effect() -> None:
    stage, effect = Stage(desk()), writes(("y", 2.0))
    stage.invoker.give_effects("e", [effect])
    outcome = stage.runner.step(tick("e"))
    assert (outcome.decision, outcome.termination, outcome.retry_count) == (Decision.INVOKE, Outcome.COMPLETED, 0)
    assert (outcome.effects, outcome.applied_writes) == ([effect], effect.writes)
    assert dict(stage.effects.store.values) == {"y": 2.0}
    (captured,) = stage.decisions[0].effects
    assert (captured.effect, captured.effect_hash) == (effect, effect_hash(encode_effect(effect)))


def test_c30_21_a_pump_with_nothing_due() -> None:
    stage = Stage(desk())
    stage.invoker.give_effects("e", [writes(("y", 2.0))])
    outcome = stage.runner.step(tick("e", kind=EventKind.PUMP))
    assert (outcome.decision, outcome.effects, outcome.applied_writes) == (Decision.DEFER, [], [])


def test_c30_22_an_id_used_twice_live_and_in_replay() -> None:
    stage = Stage(desk())
    stage.runner.step(tick("e"))
    assert refused(stage, tick("e")).name == "DuplicateEventId"
    repeated = bundle_of([event_record("e")] * 2, [completed("e"), completed("e", 1)])
    with pytest.raises(ReplayError) as caught:
        replay_bundle(repeated, Target(scripted()), raise_on_failure=True)
    assert caught.value.code == "replay.duplicate_event_id"


def test_c30_23_a_retry_leaves_the_last_attempts_effects() -> None:
    stage = Stage(desk(), max_retries=2)
    stage.invoker.script("e", [RETRYABLE, RETRYABLE, Outcome.COMPLETED])
    stage.invoker.give_effects("e", [writes(("y", 2.0))])
    assert stage.runner.step(tick("e")).effects == [writes(("y", 2.0))]
    assert (stage.decisions[0].retry_count, stage.invoker.drain()) == (2, [])


def test_c30_24_effects_that_the_host_did_not_ask_for() -> None:
    stage = Stage(desk())
    stage.runner.step(tick("a"))
    stage.invoker.give_effects("b", [writes(("y", 2.0))])
    stage.invoker.run("g", "b", mechanical("b").context, None)
    assert refused(stage, tick("c")).name == "LifecycleViolation"
    assert refused(stage, tick("d")).name == "LifecycleViolation"
    with pytest.raises(StepError):
        stage.runner.gate.check_finalize()


def test_c30_25_what_may_be_finalized() -> None:
    stage = Stage(desk(), ScriptedDispatcher(BROKER, {0: broken_channel()}))
    with pytest.raises(StepError, match="nothing to finalize"):
        stage.runner.gate.check_finalize()
    stage.runner.step(tick("a"))
    stage.runner.gate.check_finalize()
    stage.invoker.give_effects("b", [publishes("i1")])
    with pytest.raises(DispatchFailure):
        stage.runner.step(tick("b"))
    stage.runner.gate.check_finalize()
    assert refused(stage, tick("c")).name == "LifecycleViolation"


RECOVERABLE = {
    "DuplicateEventId": tick("a"),
    "PayloadMustBeObject": HostedEvent("e", EventKind.COMMAND, 0, "tick", [1]),
    "MissingSemanticKind": HostedEvent("e", EventKind.COMMAND, 0, None, {"x": 1}),
    "MissingPayload": HostedEvent("e", EventKind.COMMAND, 0, "tick", None),
    "UnknownSemanticKind": HostedEvent("e", EventKind.COMMAND, 0, "tock", {"x": 1}),
    "Binding": HostedEvent("e", EventKind.COMMAND, 0, "tick", {"x": "1"}),
}


@pytest.mark.parametrize("name", RECOVERABLE)
def test_c30_27_input_errors_are_recoverable(name: str) -> None:
    stage = Stage(desk())
    stage.runner.step(tick("a"))
    error = refused(stage, RECOVERABLE[name])
    assert (error.name, error.recoverable) == (name, True)
    assert stage.runner.gate.state is GateState.ELIGIBLE
    stage.runner.step(tick("next"))
    assert stage.events == ["a", "next"]


def test_c30_27_a_payload_that_no_event_can_have_is_recoverable() -> None:
    stage = Stage()
    error = refused(stage, HostedEvent("e", EventKind.COMMAND, 0, None, [1]))
    assert (error.name, error.recoverable) == ("EventBuild", True)
    assert stage.runner.step(HostedEvent("e", EventKind.COMMAND, 0)).decision is Decision.INVOKE


def test_c30_27_a_dispatch_failure_can_be_finalized_and_no_more() -> None:
    stage = Stage(desk(), ScriptedDispatcher(BROKER, {0: broken_channel()}))
    stage.invoker.give_effects("e", [publishes("i1")])
    error = refused(stage, tick("e"))
    assert (error.name, error.recoverable) == ("EgressDispatchFailure", False)
    assert stage.runner.gate.state is GateState.FINALIZE_ONLY


FATAL = {
    "EffectApply": ([writes(("x", 1.0))], None),
    "EgressProcess": ([publishes("i1")], StepError("EgressProcess", "the channel is not running")),
    "LifecycleViolation": ([writes(("y", 1.0)), publishes()], None),
}


@pytest.mark.parametrize("name", FATAL)
def test_c30_27_other_step_errors_are_fatal_and_their_step_is_not_kept(name: str) -> None:
    effects, failure = FATAL[name]
    stage = Stage(desk(), ScriptedDispatcher(BROKER, {} if failure is None else {0: failure}))
    stage.runner.step(tick("a"))
    stage.invoker.give_effects("b", effects)
    error = refused(stage, tick("b"))
    assert (error.name, error.recoverable) == (name, False)
    assert stage.runner.gate.state is GateState.FATAL
    assert (stage.events, len(stage.decisions)) == (["a"], 1)


def test_c30_27_effects_without_an_adapter_are_fatal() -> None:
    stage = Stage()
    stage.invoker.give_effects("e", [writes(("y", 1.0))])
    error = refused(stage, HostedEvent("e", EventKind.COMMAND, 0))
    assert (error.name, stage.runner.gate.state) == ("EffectsWithoutAdapter", GateState.FATAL)


def test_c30_28_effects_stay_with_their_steps() -> None:
    stage = Stage(desk())
    stage.invoker.give_effects("a", [writes(("y", 1.0)), writes(("y", 2.0))])
    stage.invoker.give_effects("b", [writes(("y", 3.0))])
    stage.runner.step(tick("a"))
    stage.runner.step(tick("b"))
    kept = [[captured.effect for captured in decision.effects] for decision in stage.decisions]
    assert kept == [[writes(("y", 1.0)), writes(("y", 2.0))], [writes(("y", 3.0))]]


def test_c30_30_a_replay_realises_writes_and_sends_nothing() -> None:
    adapter, emitted = desk(), {"set_context", "publish"}
    effects, evidence = ApplyEffects(adapter, replay_owned_kinds(emitted, adapter)), RecordingEvidence()
    wanted = [ProducedEffect.of(writes(("y", 2.0))), ProducedEffect.of(publishes("i1"))]
    assert effects.realise(wanted, evidence) == wanted[:1]
    assert dict(effects.store.values) == {"y": 2.0}
    assert (evidence.sent, evidence.acks) == ([], [])


@pytest.mark.parametrize(("key", "program_fault"), [("y", False), ("nowhere", True)])
def test_c30_30_a_replayed_bundle_is_realised_as_it_was_live(key: str, program_fault: bool) -> None:
    wanted = [writes((key, 2.0)), publishes("i1")]

    def runtime() -> ScriptedInvoker:
        invoker = ScriptedInvoker()
        invoker.give_effects("e", wanted)
        return invoker

    adapter, emitted = desk(), ("set_context", "publish")
    bundle = bundle_of([event_record("e")], [completed("e", effects=wanted)])
    bundle = replace(bundle, header=replace(bundle.header, adapter_provenance=adapter.fingerprint))
    result = replay_bundle(bundle, Target(scripted(runtime, emits=emitted), adapter))
    assert result.error is None
    told = [(each.kind, "UndeclaredKey" in str(each.actual)) for each in result.divergences]
    assert told == ([(DivergenceKind.PROGRAM, True)] if program_fault else [])


def test_c30_78_the_step_that_a_channel_broke_off_is_kept() -> None:
    stage = Stage(desk(), ScriptedDispatcher(BROKER, {1: broken_channel()}))
    effects = [publishes("i1", "i2", "i3"), writes(("y", 2.0))]
    stage.invoker.give_effects("e", effects)
    with pytest.raises(DispatchFailure):
        stage.runner.step(tick("e"))
    (decision,) = stage.decisions
    assert stage.events == ["e"]
    assert [captured.effect for captured in decision.effects] == effects
    assert [ack.intent_id for ack in decision.intent_acks] == ["i1"]
    assert decision.interruption == (
        "egress dispatch failed: I/O failure on channel 'broker': channel closed stdout while waiting for ack"
    )
    assert stage.intents == [SentIntent("e", "i1", "broker"), SentIntent("e", "i2", "broker")]
    assert dict(stage.effects.store.values) == {}


def test_c30_85_equal_event_ids_do_not_mix_what_belongs_to_their_decisions() -> None:
    """C-86 and C-87 speak of lists beside the decisions; here every decision is completed before it is kept."""
    stage = Stage(desk(), ScriptedDispatcher(BROKER), unique=False)
    for intent_id, y in (("i1", 1.0), ("i2", 2.0)):
        stage.invoker.give_effects("e", [writes(("y", y)), publishes(intent_id)])
        stage.runner.step(tick("e"))
    assert [[ack.intent_id for ack in decision.intent_acks] for decision in stage.decisions] == [["i1"], ["i2"]]
    assert [decision.effects[0].effect for decision in stage.decisions] == [writes(("y", 1.0)), writes(("y", 2.0))]


def test_c30_86_what_one_step_left_is_not_seen_by_the_next() -> None:
    stage = Stage(desk(), ScriptedDispatcher(BROKER))
    stage.invoker.give_effects("a", [publishes("i1")])
    stage.runner.step(tick("a"))
    stage.runner.step(tick("b"))
    assert [len(decision.intent_acks) for decision in stage.decisions] == [1, 0]
    assert [len(decision.effects) for decision in stage.decisions] == [1, 0]


@pytest.mark.parametrize("effect", [publishes("i1", price=math.nan), publishes("\ud800")])
def test_effects_that_json_cannot_hold_end_the_run_in_order(effect: object) -> None:
    dispatcher = ScriptedDispatcher(BROKER)
    stage = Stage(desk(), dispatcher)
    stage.invoker.give_effects("e", [effect])  # type: ignore[list-item]
    with pytest.raises(CaptureWriteError) as caught:
        stage.runner.step(tick("e"))
    assert (caught.value.code, caught.value.stage, caught.value.where) == (
        "capture.write_failed",
        "Serialize",
        "event 'e'",
    )
    assert (stage.events, dispatcher.sent, stage.runner.gate.state) == ([], [], GateState.FATAL)
