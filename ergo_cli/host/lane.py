"""Events straight to the bytes of a bundle: what a runner does where nobody wants to know what a step came to.

The supervisor decides, the program runs, effects are realised as ever, one event after the other; but no record and no
outcome of a step comes into being, and what many events have in common, binding and encoding, is done for many at once.
Tests hold it equal, byte for byte, to ``HostedRunner``, which takes over wherever channels take part, a journal is kept
or a caller looks on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ergo_cli.bundle.sink import StepSink
from ergo_cli.core.effects import ProducedEffect
from ergo_cli.core.numbers import Numbers
from ergo_cli.events.adapter.binding import bind_together, build_bound_event
from ergo_cli.events.building import events_of
from ergo_cli.events.external import ExternalEvent
from ergo_cli.events.hosted import HostedEvent
from ergo_cli.events.unbound import build_unbound_event
from ergo_cli.host.enrichment import StepEvidence, UnrenderableEffect
from ergo_cli.host.preparation import PreparedRun
from ergo_cli.host.realisation import HostEffects
from ergo_cli.host.stopping import StopHandle
from ergo_cli.supervisor.constraints import Constraints
from ergo_cli.supervisor.log import DecidedEffects, LogEntry
from ergo_cli.supervisor.seam import EffectfulInvoker
from ergo_cli.supervisor.supervisor import Supervisor

_NO_CHANNELS = StepEvidence(None)
_NEVER = StopHandle()


class DecisionLane:
    """Decides about events, one after the other."""

    def __init__(
        self, graph_id: str, constraints: Constraints, invoker: EffectfulInvoker, effects: HostEffects
    ) -> None:
        self._invoker = invoker
        self._effects = effects
        self._entries: list[LogEntry] = []
        self.log = self._entries.append
        self._supervisor = Supervisor(graph_id, constraints, self, invoker)

    def decide(
        self,
        events: Iterable[ExternalEvent],
        taken: list[DecidedEffects],
        on_step: Callable[[], None] | None = None,
        stop: StopHandle = _NEVER,
    ) -> None:
        """Append one decision for each event, until ``stop`` says so; ``on_step`` is called after each.

        What cannot be appended is raised: StepError, UnrenderableEffect.
        """
        on_event, drain, realise = self._supervisor.on_event, self._invoker.drain_rendered, self._effects.realise
        produced: list[list[ProducedEffect]] = []
        try:
            for event in events:
                on_event(event)
                try:
                    effects = drain()
                except ValueError as error:
                    raise UnrenderableEffect(event.event_id, error) from error
                if effects:
                    realise(effects, _NO_CHANNELS)
                produced.append(effects)
                if on_step is not None:
                    on_step()
                if stop.stopped:  # looked at before the next event is bound, which may refuse it
                    break
        finally:
            taken += zip(self._entries, produced, strict=False)  # the event that failed has an entry, but no effects
            self._entries.clear()


class RunLane:
    """Steps events into a bundle, or nowhere."""

    def __init__(self, run: PreparedRun, invoker: EffectfulInvoker, effects: HostEffects, sink: StepSink) -> None:
        self._kinds = None if run.adapter is None else run.adapter.kinds
        self._numbers = run.numbers
        self._stored = effects.store.values
        self._lane = DecisionLane(run.program.graph_id, run.constraints, invoker, effects)
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
        stop: StopHandle = _NEVER,
    ) -> None:
        """Run events one after the other, until ``stop`` says so, adding to what was ``taken``; keep them together.

        ``on_step`` is called after each. Raises as ``step``.
        """
        self._lane.decide(self._bound_together(events) or map(self._built, events), taken, on_step, stop)
        self._sink.steps(taken)

    def _bound_together(self, events: Sequence[HostedEvent]) -> list[ExternalEvent] | None:
        if self._numbers is not Numbers.EXACT or len(events) == 1:
            return None
        return events_of(events) if self._kinds is None else bind_together(self._kinds, events)

    def _built(self, event: HostedEvent) -> ExternalEvent:
        if self._kinds is None:
            return build_unbound_event(event, self._numbers)
        return build_bound_event(self._kinds, event, self._stored, self._numbers)
