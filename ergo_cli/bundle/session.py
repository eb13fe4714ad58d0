"""The capturing session: a supervisor whose events and decisions are kept (spec 11 §7.1)."""

from __future__ import annotations

from ergo_cli.bundle.schema import DecisionRecord, EventRecord
from ergo_cli.bundle.sink import BundleSink
from ergo_cli.events.external import ExternalEvent
from ergo_cli.supervisor.constraints import Constraints
from ergo_cli.supervisor.log import DecisionLog, LogEntry
from ergo_cli.supervisor.seam import RuntimeInvoker
from ergo_cli.supervisor.supervisor import Supervisor


class CapturingLog:
    """A decision log that forwards every entry to an inner log, if there is one, and then to a sink.

    The records have no effects: the host knows those and adds them on the way to the file.
    """

    def __init__(self, sink: BundleSink, inner: DecisionLog | None = None) -> None:
        self._sink = sink
        self._inner = inner

    def log(self, entry: LogEntry) -> None:
        """Keep one decision."""
        if self._inner is not None:
            self._inner.log(entry)
        self._sink.decision(DecisionRecord.of(entry))


class CapturingSession:
    """Feeds events to a fresh supervisor; the event record comes first, its one decision after it."""

    def __init__(
        self,
        graph_id: str,
        constraints: Constraints,
        sink: BundleSink,
        runtime: RuntimeInvoker,
    ) -> None:
        self._sink = sink
        self._supervisor = Supervisor(graph_id, constraints, CapturingLog(sink), runtime)

    def on_event(self, event: ExternalEvent) -> None:
        """Keep the event, then let the supervisor decide."""
        self._sink.event(EventRecord.of(event))
        self._supervisor.on_event(event)
