"""One event through the core: build, supervise, record, realise (spec 30 §6–7, 11 §7.2)."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from ergo_cli.bundle.schema import DecisionRecord
from ergo_cli.bundle.session import CapturingSession
from ergo_cli.bundle.sink import BundleSink
from ergo_cli.core.digest_set import DigestSet
from ergo_cli.core.effects import Effect, Write
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import StepError
from ergo_cli.events.adapter import Adapter
from ergo_cli.events.external import ExternalEvent
from ergo_cli.events.hosted import HostedEvent
from ergo_cli.events.unbound import build_unbound_event
from ergo_cli.host.enrichment import EnrichingSink
from ergo_cli.host.gate import Gate, lifecycle_violation
from ergo_cli.host.realisation import EffectSink
from ergo_cli.supervisor.constraints import Constraints
from ergo_cli.supervisor.log import Decision
from ergo_cli.supervisor.seam import EffectfulInvoker, RunTermination


class StepOutcome(Struct, frozen=True):
    """What one step came to."""

    decision: Decision
    termination: RunTermination | None
    retry_count: int
    effects: list[Effect]
    applied_writes: list[Write]


class HostedRunner:
    """Steps events one at a time; nothing of step N+1 begins before every effect of step N is realised (HST-8).

    ``effects`` realises what the program wants done and holds the context that later events are merged with;
    ``bundle`` takes the records. ``seen`` remembers event ids (HST-9); None where the caller vouches for them.
    """

    def __init__(
        self,
        graph_id: str,
        constraints: Constraints,
        invoker: EffectfulInvoker,
        adapter: Adapter | None,
        effects: EffectSink,
        bundle: BundleSink,
        *,
        numbers: Numbers = Numbers.EXACT,
        seen: DigestSet | None = None,
    ) -> None:
        self._invoker = invoker
        self._adapter = adapter
        self._effects = effects
        self._records = EnrichingSink(bundle)
        self._session = CapturingSession(graph_id, constraints, self._records, invoker)
        self._numbers = numbers
        self._seen = seen
        self.gate = Gate()

    def step(self, event: HostedEvent) -> StepOutcome:
        """Run one hosted event live: merged with the store, bound to the adapter's contract, then executed."""
        return self._guarded(lambda: self._execute(self._build(event)))

    def replay_step(self, event: ExternalEvent) -> StepOutcome:
        """Run one recorded event: its payload is what the graph saw, nothing is merged or checked against a schema."""
        return self._guarded(lambda: self._execute(event))

    def _guarded(self, step: Callable[[], StepOutcome]) -> StepOutcome:
        self.gate.check_step()
        try:
            outcome = step()
        except StepError as error:
            self.gate.failed(error)
            raise
        self.gate.committed()
        return outcome

    def _build(self, event: HostedEvent) -> ExternalEvent:
        if self._adapter is None:
            return build_unbound_event(event, self._numbers)
        return self._adapter.build_event(event, self._effects.store.values, self._numbers)

    def _execute(self, event: ExternalEvent) -> StepOutcome:
        self._refuse_repeated(event)
        if self._invoker.pending:
            raise lifecycle_violation("pending effect buffer must be drained before the next step")
        calls_before = self._invoker.run_calls
        self._session.on_event(event)
        effects = self._invoker.drain()
        record = self._decided(self._invoker.run_calls - calls_before, effects)
        if effects:
            self._records.attach_effects(effects)
        applied = self._effects.realise(effects)
        self._records.release()
        return StepOutcome(record.decision, record.termination, record.retry_count, effects, applied)

    def _refuse_repeated(self, event: ExternalEvent) -> None:
        if self._seen is not None and not self._seen.add(event.event_id):
            raise StepError(
                "DuplicateEventId",
                f"event id '{event.event_id}' was used before in this run",
                recoverable=True,
                where=f"event '{event.event_id}'",
                fix="give every event of a run its own id",
            )

    def _decided(self, calls: int, effects: list[Effect]) -> DecisionRecord:
        """The one decision of this step; the program ran as often as it says (HST-3, HST-8)."""
        if len(self._records.held) != 1:
            raise lifecycle_violation(f"one event led to {len(self._records.held)} decisions")
        record = self._records.held[0]
        if record.decision is Decision.INVOKE:
            if calls != record.retry_count + 1:
                raise lifecycle_violation(f"{record.retry_count} retries decided, but the program ran {calls} times")
        elif calls or effects:
            raise lifecycle_violation("a decision that is no Invoke must not run the program (HST-3)")
        return record
