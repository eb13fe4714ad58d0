"""What a reader has seen of an upstream stage, and the contracts that judge it (spec 60 §14.1–14.3).

The record of an edge counts; a contract is a function of the record. The reader feeds it what it reads of the upstream
journal, and a sink the receipts that it writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from ergo_cli.programs.pipeline.causes import ContractCause, DeliveryMismatch, Divergence, Other, SeqDivergence
from ergo_cli.programs.pipeline.chain_events import ChainEvent, Data, Delivery, FlowSignal
from ergo_cli.programs.pipeline.clocks import VectorClock
from ergo_cli.programs.pipeline.counters import raised
from ergo_cli.programs.pipeline.ids import EventId, StageId, StageWriter
from ergo_cli.programs.pipeline.receipts import Delivered, NotDelivered, PartlyDelivered
from ergo_cli.programs.pipeline.signals import Eof, SourceContract

TRANSPORT = "TransportContract"
SOURCE = "SourceContract"
DELIVERY = "DeliveryContract"
DIVERGENCE = "DivergenceContract"

MISSING_SHOWN = 100
"""How many missing receipts a verdict lists."""

NANOS_A_MS = 1_000_000


class Receipts(Struct):
    """The data events of a sink that wait for their receipts, and the receipts so far."""

    pending: set[EventId] = set()
    pending_peak: int = 0
    consumed_total: int = 0
    receipted_total: int = 0
    success_count: int = 0
    partial_count: int = 0
    failed_count: int = 0
    failed_final_count: int = 0
    orphan_count: int = 0

    def expect(self, event: EventId) -> None:
        """A data event was read."""
        self.consumed_total = raised(self.consumed_total)
        self.pending.add(event)
        self.pending_peak = max(self.pending_peak, len(self.pending))

    def take(self, event: ChainEvent, delivery: Delivery) -> None:
        """A receipt was written; one without a parent says nothing, a failed one is a receipt too."""
        if not event.causality.parent_ids:
            return
        parent = event.causality.parent_ids[0]
        if parent not in self.pending:
            self.orphan_count = raised(self.orphan_count)
            return
        self.pending.remove(parent)
        self.receipted_total = raised(self.receipted_total)
        match delivery.receipt.result:
            case Delivered():
                self.success_count = raised(self.success_count)
            case PartlyDelivered():
                self.partial_count = raised(self.partial_count)
            case NotDelivered(final_attempt=is_final):
                self.failed_count = raised(self.failed_count)
                self.failed_final_count = raised(self.failed_final_count, int(is_final))


class Window(Struct):
    """The traffic of an edge in a cycle since the window began; ``started_ns`` is a moment of the monotonic clock."""

    cycle: EventId
    started_ns: int
    window_ms: int = 60_000
    max_ratio: float = 10.0
    max_signals: int = 1_000
    max_depth: int = 30
    data: int = 0
    signals: int = 0
    depth: int = 0

    @property
    def ratio(self) -> float | None:
        """Signals for each data event; None without data."""
        return self.signals / self.data if self.data else None

    def count(self, event: ChainEvent) -> None:
        """An event was read; the depth of data events counts in this cycle alone."""
        match event.content:
            case Data():
                self.data = raised(self.data)
                if event.cycle_scc_id == self.cycle and event.cycle_depth is not None:
                    self.depth = max(self.depth, event.cycle_depth)
            case FlowSignal():
                self.signals = raised(self.signals)
            case _:
                pass

    def roll(self, now_ns: int) -> None:
        """Begin a new window where this one is over."""
        if now_ns - self.started_ns >= self.window_ms * NANOS_A_MS:
            self.started_ns = now_ns
            self.data = self.signals = self.depth = 0


class EdgeRecord(Struct, kw_only=True):
    """What a reader has seen of one upstream stage; ``contracts`` are judged in this order."""

    upstream: StageId
    contracts: tuple[str, ...]
    index: int = 0
    """The place of the upstream among those of the reader."""
    reader_seq: int = 0
    """The data events read."""
    writer_seq: int | None = None
    """The data events written, as the upstream's own EOF says."""
    expected_count: int | None = None
    """The data events promised, as ``source_contract`` says."""
    eof_seen: bool = False
    last_event: EventId | None = None
    last_clock: VectorClock | None = None
    writer_clock: VectorClock | None = None
    """The clock of the EOF's writer, where the EOF names it."""
    receipts: Receipts | None = None
    """Of an edge into a sink."""
    window: Window | None = None
    """Of an edge in a cycle."""

    def consume(self, event: ChainEvent, clock: VectorClock | None = None) -> None:
        """An event of the upstream journal was delivered."""
        if not isinstance(event.content, Data):
            self.written(event)
        self.read(event)
        self.last_event, self.last_clock = event.id, clock

    def written(self, event: ChainEvent) -> None:
        """An event tells what was written: the upstream's EOF and promise, a receipt of this reader.

        An EOF of another author says nothing (H-22); one without author is the upstream's.
        """
        match event.content:
            case FlowSignal(Eof() as eof) if self.is_author(eof):
                self.eof_seen = True
                self.writer_clock = eof.vector_clock
                if eof.writer_seq is not None:
                    self.writer_seq = eof.writer_seq
            case FlowSignal(SourceContract(expected_count=count)) if count is not None:
                self.expected_count = count
            case Delivery() as delivery if self.receipts is not None:
                self.receipts.take(event, delivery)
            case _:
                pass

    def read(self, event: ChainEvent) -> None:
        """An event was read; marked ones count like others."""
        if isinstance(event.content, Data):
            self.reader_seq = raised(self.reader_seq)
            if self.receipts is not None:
                self.receipts.expect(event.id)
        if self.window is not None:
            self.window.count(event)

    def is_author(self, eof: Eof) -> bool:
        """Whether an EOF ends this upstream (§19.2, C-75)."""
        return eof.writer_id is None or eof.writer_id == StageWriter(self.upstream)


Details = Mapping[str, object] | str
"""The evidence of a verdict, as plain JSON."""


class Verdict(Struct, frozen=True):
    """How a contract stands, and why where it failed."""

    contract: str
    status: Literal["passed", "failed", "pending"]
    cause: ContractCause | None = None
    details: Details = {}


def verify(record: EdgeRecord) -> tuple[Verdict, ...]:
    """The verdicts at the end of the upstream's data."""
    return tuple(_AT_END[contract](record) for contract in record.contracts)


def verify_midway(record: EdgeRecord, now_ns: int) -> tuple[Verdict, ...]:
    """The verdicts while data flows: only divergence can fail; a window that passed and is over starts anew."""
    return tuple(
        _divergence_midway(record.window, now_ns)
        if contract == DIVERGENCE and record.window is not None
        else Verdict(contract, "pending")
        for contract in record.contracts
    )


def strict(verdicts: Sequence[Verdict]) -> ContractCause | None:
    """The cause of the first failure, which the edge fails for; None where there is none."""
    return next((verdict.cause for verdict in verdicts if verdict.status == "failed"), None)


def _transport(record: EdgeRecord) -> Verdict:
    written = record.writer_seq or 0
    counts = {"writer_seq": written, "reader_seq": record.reader_seq}
    if written == record.reader_seq:
        return Verdict(TRANSPORT, "passed", details=counts)
    cause = SeqDivergence(written, record.reader_seq)
    return Verdict(TRANSPORT, "failed", cause, {**counts, "delta": written - record.reader_seq})


def _source(record: EdgeRecord) -> Verdict:
    expected, written = record.expected_count, record.writer_seq
    if expected is None and written is None:
        return Verdict(SOURCE, "passed", details="no source_contract / EOF evidence observed")
    counts = {"expected_count": expected or 0, "observed_writer_seq": written or 0}
    if expected is None or written is None or expected == written:
        return Verdict(SOURCE, "passed", details=counts)
    return Verdict(SOURCE, "failed", Other("source_expected_count_mismatch"), {**counts, "delta": written - expected})


def _delivery(record: EdgeRecord) -> Verdict:
    receipts = Receipts() if record.receipts is None else record.receipts
    totals = {
        "consumed_total": receipts.consumed_total,
        "receipted_total": receipts.receipted_total,
        "pending_peak": receipts.pending_peak,
    }
    missing = len(receipts.pending)
    if missing or receipts.orphan_count:
        shown = sorted(receipts.pending)[:MISSING_SHOWN]
        counts = {"missing_count": missing, "orphan_count": receipts.orphan_count, "missing_event_ids": shown}
        cause = DeliveryMismatch(missing, receipts.orphan_count)
        return Verdict(DELIVERY, "failed", cause, {**totals, **counts})
    results = {
        "has_failures": receipts.failed_count > 0,
        "success_count": receipts.success_count,
        "partial_count": receipts.partial_count,
        "failed_count": receipts.failed_count,
        "failed_final_count": receipts.failed_final_count,
    }
    return Verdict(DELIVERY, "passed", details={**totals, **results})


def _divergence_at_end(record: EdgeRecord) -> Verdict:
    window = record.window
    if window is None:
        return Verdict(DIVERGENCE, "passed")
    details = {
        "scc_id": f"scc_{window.cycle}",
        "window_seconds": window.window_ms // 1000,
        "signal_to_data_ratio_threshold": window.max_ratio,
        "max_signals_when_no_data": window.max_signals,
        "max_cycle_depth": window.max_depth,
        "data_events_observed_in_window": window.data,
        "flow_control_signals_observed_in_window": window.signals,
        "signal_to_data_ratio_observed": window.ratio,
        "max_cycle_depth_observed": window.depth,
    }
    return Verdict(DIVERGENCE, "passed", details=details)


def _divergence_midway(window: Window, now_ns: int) -> Verdict:
    seconds = window.window_ms // 1000
    traffic = {"window_seconds": seconds, "flow_control_signals": window.signals, "data_events": window.data}
    if window.depth > window.max_depth:
        cause = Divergence("cycle_depth", float(window.depth), float(window.max_depth))
        depths = {"max_cycle_depth_observed": window.depth, "max_cycle_depth": window.max_depth}
        return Verdict(DIVERGENCE, "failed", cause, {"scc_id": f"scc_{window.cycle}", **depths})
    if window.ratio is None and window.signals > window.max_signals:
        cause = Divergence("signals_when_no_data", float(window.signals), float(window.max_signals), seconds)
        return Verdict(DIVERGENCE, "failed", cause, {**traffic, "max_signals_when_no_data": window.max_signals})
    if window.ratio is not None and window.ratio > window.max_ratio:
        cause = Divergence("signal_to_data_ratio", window.ratio, window.max_ratio, seconds)
        ratios = {"observed_ratio": window.ratio, "threshold_ratio": window.max_ratio}
        return Verdict(DIVERGENCE, "failed", cause, {**traffic, **ratios})
    window.roll(now_ns)
    return Verdict(DIVERGENCE, "pending")


_AT_END: Mapping[str, Callable[[EdgeRecord], Verdict]] = {
    TRANSPORT: _transport,
    SOURCE: _source,
    DELIVERY: _delivery,
    DIVERGENCE: _divergence_at_end,
}
