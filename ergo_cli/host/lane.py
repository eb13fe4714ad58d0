"""Events straight to the bytes of a bundle: what a runner does where nobody wants to know what a step came to.

The supervisor decides, the program runs, effects are realised as ever; but decisions leave as text, and no record, no
outcome of a step comes into being. Tests hold it equal, byte for byte, to ``HostedRunner``, which takes over wherever
channels take part, a journal is kept or a caller looks on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ergo_cli.bundle.codec import decision_text
from ergo_cli.events.adapter.binding import build_bound_event
from ergo_cli.events.external import ExternalEvent
from ergo_cli.events.hosted import HostedEvent
from ergo_cli.events.unbound import build_unbound_event
from ergo_cli.host.enrichment import StepEvidence, UnrenderableEffect
from ergo_cli.host.preparation import PreparedRun
from ergo_cli.host.realisation import HostEffects
from ergo_cli.supervisor.constraints import Constraints
from ergo_cli.supervisor.log import LogEntry
from ergo_cli.supervisor.seam import EffectfulInvoker
from ergo_cli.supervisor.supervisor import Supervisor

if TYPE_CHECKING:
    from ergo_cli.bundle.writer import BundleWriter

_NO_CHANNELS = StepEvidence(None)


class DecisionLane:
    """Decides about events one at a time and gives each decision as the text that a bundle has of it."""

    def __init__(
        self, graph_id: str, constraints: Constraints, invoker: EffectfulInvoker, effects: HostEffects
    ) -> None:
        self._invoker = invoker
        self._effects = effects
        self._supervisor = Supervisor(graph_id, constraints, self, invoker)
        self.entry: LogEntry
        """The latest decision."""

    def log(self, entry: LogEntry) -> None:
        """Remember the one decision of a step."""
        self.entry = entry

    def decide(self, event: ExternalEvent) -> bytes:
        """The text of the decision about an event, its effects realised. Raises StepError and UnrenderableEffect."""
        self._supervisor.on_event(event)
        try:
            effects = self._invoker.drain_rendered()
        except ValueError as error:
            raise UnrenderableEffect(event.event_id, error) from error
        if effects:
            self._effects.realise(effects, _NO_CHANNELS)
        return decision_text(self.entry, effects)


class CaptureLane:
    """Steps events into a bundle."""

    def __init__(self, run: PreparedRun, invoker: EffectfulInvoker, effects: HostEffects, writer: BundleWriter) -> None:
        self._kinds = None if run.adapter is None else run.adapter.kinds
        self._numbers = run.numbers
        self._stored = effects.store.values
        self._lane = DecisionLane(run.program.graph_id, run.constraints, invoker, effects)
        self._writer = writer

    def step(self, event: HostedEvent) -> LogEntry:
        """Run one event and keep it. Raises StepError, UnrenderableEffect and CaptureWriteError."""
        external = self._built(event)
        self._writer.step(external, self._lane.decide(external))
        return self._lane.entry

    def _built(self, event: HostedEvent) -> ExternalEvent:
        if self._kinds is None:
            return build_unbound_event(event, self._numbers)
        return build_bound_event(self._kinds, event, self._stored, self._numbers)
