"""One event through the core: build, supervise, record, realise (spec 30 §6–7, 11 §7.2)."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ergo_cli.bundle.schema import CapturedEffect, DecisionRecord, EventRecord
from ergo_cli.bundle.sink import BundleSink
from ergo_cli.core.digest_set import DigestSet
from ergo_cli.core.effects import Effect, ProducedEffect, Write, effect_hash
from ergo_cli.core.numbers import Numbers
from ergo_cli.core.values import NativeValue
from ergo_cli.errors import CaptureWriteError, StepError
from ergo_cli.events.adapter import Adapter
from ergo_cli.events.adapter.binding import build_bound_event
from ergo_cli.events.external import ExternalEvent
from ergo_cli.events.hosted import HostedEvent
from ergo_cli.events.unbound import build_unbound_event
from ergo_cli.host.egress.failures import DispatchFailure
from ergo_cli.host.enrichment import OnIntent, StepEvidence, UnrenderableEffect
from ergo_cli.host.gate import Gate, GateState, lifecycle_violation
from ergo_cli.host.realisation import EffectSink
from ergo_cli.supervisor.constraints import Constraints
from ergo_cli.supervisor.log import Decision, LogEntry
from ergo_cli.supervisor.seam import EffectfulInvoker, RunTermination
from ergo_cli.supervisor.supervisor import Supervisor

_ELIGIBLE, _INVOKE = GateState.ELIGIBLE, Decision.INVOKE  # looking up a member of an enumeration is felt once an event


class StepOutcome(Struct, frozen=True):
    """What one step came to: its decision, what the episode wants done, and of that what was written."""

    record: DecisionRecord
    produced: list[ProducedEffect]
    applied: list[ProducedEffect]

    @property
    def decision(self) -> Decision:
        """What the supervisor made of the event."""
        return self.record.decision

    @property
    def termination(self) -> RunTermination | None:
        """How the episode ended, if one was run."""
        return self.record.termination

    @property
    def retry_count(self) -> int:
        """How often the episode was run again."""
        return self.record.retry_count

    @property
    def effects(self) -> list[Effect]:
        """The effects of the last attempt, in program order."""
        return [produced.effect for produced in self.produced]

    @property
    def applied_writes(self) -> list[Write]:
        """The writes that the context now holds, in the order in which they were applied."""
        return [write for applied in self.applied for write in applied.effect.writes]


class HostedRunner:
    """Steps events one at a time; nothing of step N+1 begins before every effect of step N is realised (HST-8).

    ``effects`` realises what the program wants done and holds the context that later events are merged with;
    ``bundle`` takes the records of every step that is committed, and of the one that a channel broke off. ``seen``
    remembers event ids (HST-9); None where the caller vouches for them. ``on_intent`` is called before each dispatch.
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
    ) -> None:
        self._invoker = invoker
        self._adapter = adapter
        self._effects = effects
        self._bundle = bundle
        self._evidence = StepEvidence(on_intent)
        log = _StepLog()
        self._entries = log.entries
        self._supervisor = Supervisor(graph_id, constraints, log, invoker)
        self._numbers = numbers
        self._seen = seen
        self.gate = Gate()

    @property
    def context(self) -> Mapping[str, NativeValue]:
        """What the context holds now, to be read only."""
        return self._effects.store.values

    def step(self, event: HostedEvent) -> StepOutcome:
        """Run one hosted event live: merged with the store, bound to the adapter's contract, then executed.

        Raises StepError, DispatchFailure among them, and CaptureWriteError.
        """
        try:
            if self.gate.state is not _ELIGIBLE:
                self.gate.check_step()
            return self._execute(self._build(event))
        except (StepError, CaptureWriteError) as error:
            self.gate.failed(error)
            raise

    def replay_step(self, event: ExternalEvent) -> StepOutcome:
        """Run one recorded event: its payload is what the graph saw, nothing is merged or checked against a schema."""
        try:
            if self.gate.state is not _ELIGIBLE:
                self.gate.check_step()
            return self._execute(event)
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
        self._entries.clear()
        self._supervisor.on_event(event)
        try:
            effects = invoker.drain_rendered()
        except ValueError as error:
            raise UnrenderableEffect(event.event_id, error) from error
        entry = self._decided(invoker.run_calls - calls_before, effects)
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
        """Commit the step: only now its event is kept, so that a step that fails leaves no trace."""
        if self._bundle is not None:
            self._bundle.event(EventRecord.of(event))
            self._bundle.decision(record)
        if self.gate.state is not _ELIGIBLE:
            self.gate.committed()
        return StepOutcome(record, effects, applied)

    def _decided(self, calls: int, effects: list[ProducedEffect]) -> LogEntry:
        """The one decision of this step; the program ran as often as it says (HST-3, HST-8)."""
        if len(self._entries) != 1:
            raise lifecycle_violation(f"one event led to {len(self._entries)} decisions")
        entry = self._entries[0]
        if entry.decision is _INVOKE:
            if calls != entry.retry_count + 1:
                raise lifecycle_violation(f"{entry.retry_count} retries decided, but the program ran {calls} times")
        elif calls or effects:
            raise lifecycle_violation("a decision that is no Invoke must not run the program (HST-3)")
        return entry


class _StepLog:
    """The decisions of one step."""

    def __init__(self) -> None:
        self.entries: list[LogEntry] = []

    def log(self, entry: LogEntry) -> None:
        self.entries.append(entry)


def _repeated(event: ExternalEvent) -> StepError:
    return StepError(
        "DuplicateEventId",
        f"event id '{event.event_id}' was used before in this run",
        recoverable=True,
        where=f"event '{event.event_id}'",
        fix="give every event of a run its own id",
    )
