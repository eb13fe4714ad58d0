"""Step one event of a live run, or many together; track whether stepping may go on (spec 30 §6–8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum

from msgspec import Struct

from ergo_cli.bundle.schema import BundleSink, CapturedEffect, DecisionRecord, EventRecord, StepSink
from ergo_cli.channels.interruption import DispatchFailure
from ergo_cli.core.digest_set import DigestSet
from ergo_cli.core.numbers import Numbers
from ergo_cli.core.values import Effect, NativeValue, ProducedEffect, Write, effect_hash
from ergo_cli.errors import CaptureWriteError, StepError
from ergo_cli.events.adapter import Adapter, bind_together, build_bound_event
from ergo_cli.events.external import ExternalEvent, HostedEvent, build_unbound_event, events_of
from ergo_cli.host.effects import ApplyEffects, EffectSink, OnIntent, StepEvidence, lifecycle_violation
from ergo_cli.host.failures import Failures
from ergo_cli.host.run_plan import PreparedRun
from ergo_cli.host.timing import StopHandle
from ergo_cli.supervisor.seam import Constraints, DecidedEffects, Decision, EffectfulInvoker, LogEntry, RunTermination
from ergo_cli.supervisor.supervisor import Decider


class GateState(Enum):
    """The state of a runner."""

    NO_COMMITTED_STEPS = "no committed steps"
    ELIGIBLE = "eligible"
    FINALIZE_ONLY = "finalize only"
    FATAL = "fatal"


_ELIGIBLE, _INVOKE = GateState.ELIGIBLE, Decision.INVOKE  # bound locally: enum lookup is measurable here


class Gate:
    """Keeps a runner's state; every step reports to it. ``FATAL`` is final."""

    def __init__(self) -> None:
        self.state = GateState.NO_COMMITTED_STEPS

    def check_step(self) -> None:
        """Raise StepError ``LifecycleViolation`` unless a further step is allowed."""
        if self.state is GateState.FINALIZE_ONLY:
            raise lifecycle_violation("the runner must be finalized after egress dispatch failure")
        if self.state is GateState.FATAL:
            raise lifecycle_violation("the runner has failed; neither a step nor finalization is possible")

    def check_finalize(self) -> None:
        """Raise StepError ``LifecycleViolation`` unless the run may be finalized."""
        if self.state is GateState.NO_COMMITTED_STEPS:
            raise lifecycle_violation("no step was committed: there is nothing to finalize")
        if self.state is GateState.FATAL:
            raise lifecycle_violation("the runner has failed; neither a step nor finalization is possible")

    def committed(self) -> None:
        """Record that a step succeeded."""
        if self.state is GateState.NO_COMMITTED_STEPS:
            self.state = GateState.ELIGIBLE

    def failed(self, error: StepError | CaptureWriteError) -> None:
        """Record that a step failed or cannot be kept; a recoverable error changes nothing."""
        if isinstance(error, StepError) and error.name == "EgressDispatchFailure":
            self._dispatch_failed()
        elif not (isinstance(error, StepError) and error.recoverable):
            self.state = GateState.FATAL

    def _dispatch_failed(self) -> None:
        if self.state is not GateState.FATAL:
            self.state = GateState.FINALIZE_ONLY


class StepOutcome(Struct, frozen=True):
    """The result of one step: its decision, the episode's effects, and the applied ones."""

    record: DecisionRecord
    produced: list[ProducedEffect]
    applied: list[ProducedEffect]

    @property
    def decision(self) -> Decision:
        """The supervisor's decision for the event."""
        return self.record.decision

    @property
    def termination(self) -> RunTermination | None:
        """How the episode ended, if one was run."""
        return self.record.termination

    @property
    def retry_count(self) -> int:
        """How many times the episode was retried."""
        return self.record.retry_count

    @property
    def effects(self) -> list[Effect]:
        """The effects of the last attempt, in program order."""
        return [produced.effect for produced in self.produced]

    @property
    def applied_writes(self) -> list[Write]:
        """The writes applied to the context, in order."""
        return [write for applied in self.applied for write in applied.effect.writes]


class HostedRunner:
    """Steps events one at a time; nothing of step N+1 begins before every effect of step N is realised (HST-8).

    ``effects`` realises the program's effects and holds the context that later events are merged with; ``bundle`` takes
    the records of every committed step, and of the one that a channel broke off. ``seen`` remembers event ids (HST-9);
    None where the caller guarantees that they are unique. ``on_intent`` is called before each dispatch, ``admit``
    before an event is processed; ``failures`` gathers the episodes that do not complete.
    """

    def __init__(
        self,
        graph_id: str,
        constraints: Constraints,
        invoker: EffectfulInvoker,
        adapter: Adapter | None,
        effects: EffectSink,
        bundle: BundleSink | None,
        *,
        numbers: Numbers = Numbers.EXACT,
        seen: DigestSet | None = None,
        on_intent: OnIntent | None = None,
        admit: Callable[[HostedEvent], None] | None = None,
        failures: Failures | None = None,
    ) -> None:
        self._invoker = invoker
        self._adapter = adapter
        self._effects = effects
        self._bundle = bundle
        self._evidence = StepEvidence(on_intent)
        on_failure = None if failures is None else failures.listener(invoker)
        self._decide = Decider(graph_id, constraints, invoker, on_failure).decide
        self._numbers = numbers
        self._seen = seen
        self._admit = admit
        self.gate = Gate()

    @property
    def context(self) -> Mapping[str, NativeValue]:
        """The current context, read-only."""
        return self._effects.store.values

    def step(self, event: HostedEvent) -> StepOutcome:
        """Run one hosted event live: merge it with the store, bind it to the adapter, execute it, realise its effects.

        Raises StepError, DispatchFailure among them, and CaptureWriteError.
        """
        try:
            if self.gate.state is not _ELIGIBLE:
                self.gate.check_step()
            if self._admit is not None:
                self._admit(event)
            return self._execute(self._build(event))
        except (StepError, CaptureWriteError) as error:
            self.gate.failed(error)
            raise

    def _build(self, event: HostedEvent) -> ExternalEvent:
        if self._adapter is None:
            return build_unbound_event(event, self._numbers)
        return build_bound_event(self._adapter.kinds, event, self._effects.store.values, self._numbers)

    def _execute(self, event: ExternalEvent) -> StepOutcome:
        if self._seen is not None and not self._seen.add(event.event_id):
            raise _repeated(event)
        invoker = self._invoker
        if invoker.pending:
            raise lifecycle_violation("pending effect buffer must be drained before the next step")
        calls_before = invoker.run_calls
        entry, effects = self._decide(event)
        _check_calls(entry, invoker.run_calls - calls_before, effects)
        if not effects:
            return self._keep(event, DecisionRecord.of(entry), effects, effects)
        return self._realise(event, entry, effects)

    def _realise(self, event: ExternalEvent, entry: LogEntry, effects: list[ProducedEffect]) -> StepOutcome:
        captured = tuple([CapturedEffect(effect.text, effect_hash(effect.text)) for effect in effects])
        evidence = self._evidence
        evidence.event_id = event.event_id
        try:
            applied = self._effects.realise(effects, evidence)
        except DispatchFailure as failure:
            self._keep(event, DecisionRecord.of(entry, captured, evidence.take_acks(), failure.text), effects, [])
            raise
        return self._keep(event, DecisionRecord.of(entry, captured, evidence.take_acks()), effects, applied)

    def _keep(
        self, event: ExternalEvent, record: DecisionRecord, effects: list[ProducedEffect], applied: list[ProducedEffect]
    ) -> StepOutcome:
        """Commit the step; the event is kept only here, so that a failed step leaves no record."""
        if self._bundle is not None:
            self._bundle.event(EventRecord.of(event))
            self._bundle.decision(record)
        if self.gate.state is not _ELIGIBLE:
            self.gate.committed()
        return StepOutcome(record, effects, applied)


def _check_calls(entry: LogEntry, calls: int, effects: list[ProducedEffect]) -> None:
    """Raise unless the number of calls of the program matches the decision (HST-3, HST-8)."""
    if entry.decision is _INVOKE:
        if calls != entry.retry_count + 1:
            raise lifecycle_violation(f"{entry.retry_count} retries decided, but the program ran {calls} times")
    elif calls or effects:
        raise lifecycle_violation("a decision that is no Invoke must not run the program (HST-3)")


def _repeated(event: ExternalEvent) -> StepError:
    return StepError(
        "DuplicateEventId",
        f"event id '{event.event_id}' was used before in this run",
        recoverable=True,
        where=f"event '{event.event_id}'",
        fix="give every event of a run its own id",
    )


_NO_CHANNELS = StepEvidence(None)


def decide_all(
    decider: Decider,
    effects: EffectSink,
    events: Iterable[ExternalEvent],
    taken: list[DecidedEffects],
    on_step: Callable[[], None] | None = None,
    stop: StopHandle | None = None,
) -> None:
    """Append one decision for each event to ``taken`` until ``stop`` is set; ``on_step`` is called after each.

    Raises StepError, UnrenderableEffect.
    """
    decide, realise, take = decider.decide, effects.realise, taken.append
    for event in events:
        decided = decide(event)
        if decided[1]:
            realise(decided[1], _NO_CHANNELS)
        take(decided)
        if on_step is not None:
            on_step()
        if stop is not None and stop.stopped:  # checked before binding the next event, which may raise
            break


class BatchRunner:
    """Steps events in batches and passes each batch to the sink as a whole; ``start_run`` decides where to use it."""

    def __init__(
        self,
        run: PreparedRun,
        invoker: EffectfulInvoker,
        effects: ApplyEffects,
        sink: StepSink,
        failures: Failures | None = None,
    ) -> None:
        self._kinds = None if run.adapter is None else run.adapter.kinds
        self._numbers = run.numbers
        self._effects = effects
        self._stored = effects.store.values
        on_failure = None if failures is None else failures.listener(invoker)
        self._decider = Decider(run.program.graph_id, run.constraints, invoker, on_failure)
        self._sink = sink

    def step(self, event: HostedEvent) -> LogEntry:
        """Run one event and keep it. Raises StepError, UnrenderableEffect and CaptureWriteError."""
        taken: list[DecidedEffects] = []
        self.steps((event,), taken)
        return taken[0][0]

    def steps(
        self,
        events: Sequence[HostedEvent],
        taken: list[DecidedEffects],
        on_step: Callable[[], None] | None = None,
        stop: StopHandle | None = None,
    ) -> None:
        """Run events in order until ``stop`` is set, appending to ``taken``; keep their records together.

        ``on_step`` is called after each. Raises as ``step``.
        """
        # Otherwise events are bound lazily, one by one, since each may see values that the step before it stored.
        bound = self._bound_together(events) or map(self._built, events)
        decide_all(self._decider, self._effects, bound, taken, on_step, stop)
        self._sink.steps(taken)

    def _bound_together(self, events: Sequence[HostedEvent]) -> list[ExternalEvent] | None:
        if self._numbers is not Numbers.EXACT or len(events) == 1:
            return None
        return events_of(events) if self._kinds is None else bind_together(self._kinds, events)

    def _built(self, event: HostedEvent) -> ExternalEvent:
        if self._kinds is None:
            return build_unbound_event(event, self._numbers)
        return build_bound_event(self._kinds, event, self._stored, self._numbers)
