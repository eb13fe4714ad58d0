"""How a stage reads its upstream stages: which event comes next, and which stage it comes from (spec 60 §19.2, §19.5).

There is one reader for each upstream stage. Where there are several, the next event is chosen by the canonical merge:
while a reader that has not ended is empty no data is delivered, and of the heads that no other head caused the one
comes first that is the earliest of its reader, then the one of the stage whose name is lower. Signals come as soon as
they are heads and count for nothing, since how many there are depends on time. So neither time nor ids of this run take
part, and every run delivers its data in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from ergo_cli.programs.pipeline.chain_events import ChainEvent, Data, FlowSignal, Lifecycle
from ergo_cli.programs.pipeline.effects import EFFECT_EVENTS
from ergo_cli.programs.pipeline.ids import StageId, StageWriter
from ergo_cli.programs.pipeline.journal import JournalReader
from ergo_cli.programs.pipeline.signals import Eof, PipelineAbort
from ergo_cli.programs.pipeline.stages.output import ChainRecord


class UpstreamReader:
    """The reader of one upstream stage; ``delivered`` counts the data that it has given."""

    def __init__(self, upstream: StageId, name: str, reader: JournalReader[ChainEvent]) -> None:
        self.upstream = upstream
        self.name = name
        self.delivered = 0
        self.has_ended = False
        self._reader = reader
        self._head: ChainRecord | None = None

    @property
    def position(self) -> int:
        """How many records of the upstream journal are read, those passed over included."""
        return self._reader.position

    @property
    def is_at_end(self) -> bool:
        """Whether there is nothing to take or to pass over yet."""
        return self._head is None and self._reader.is_at_end

    def head(self) -> ChainRecord | None:
        """The next event that a stage may get, without taking it; observations are passed over."""
        while self._head is None and not self.has_ended:
            record = self._reader.next()
            if record is None:
                return None
            if is_delivered(record.event):
                self._head = record
        return self._head

    def take(self) -> ChainRecord:
        """Take the head. After the upstream stage's own EOF nothing more is read."""
        record = self.head()
        assert record is not None
        self._head = None
        self.delivered += isinstance(record.event.content, Data)
        signal = signal_of(record.event)
        if isinstance(signal, PipelineAbort) or (isinstance(signal, Eof) and self.is_own(signal)):
            self.has_ended = True
        return record

    def is_own(self, eof: Eof) -> bool:
        """Whether an EOF is that of the upstream stage itself (H-22); one without author is (C-75)."""
        return eof.writer_id is None or eof.writer_id == StageWriter(self.upstream)


class Delivered(Struct, frozen=True):
    """An event and the reader that it comes from, which alone says which stage is upstream (C-78)."""

    record: ChainRecord
    reader: UpstreamReader

    @property
    def own_eof(self) -> Eof | None:
        """The EOF of the upstream stage, if this is it."""
        signal = signal_of(self.record.event)
        return signal if isinstance(signal, Eof) and self.reader.is_own(signal) else None


class Subscription:
    """The readers of one stage, in the order of its edges."""

    def __init__(self, readers: Sequence[UpstreamReader], *, is_ordered: bool = True) -> None:
        self.readers = readers
        self._next = self._merged if is_ordered and len(readers) > 1 else self._in_turn
        self._turn = 0

    @property
    def have_all_ended(self) -> bool:
        """Whether every upstream stage has ended."""
        return all(reader.has_ended for reader in self.readers)

    def poll(self, *, at_rest: bool, of: UpstreamReader | None = None) -> Delivered | None:
        """Take the next event; None where there is none, or where the order waits for one.

        ``at_rest``: nothing in the flow moves, so that empty readers hold nothing back. ``of`` is the only reader that
        is looked at.
        """
        chosen = self._next(self.readers if of is None else [of], at_rest)
        return None if chosen is None else Delivered(chosen.take(), chosen)

    def _in_turn(self, readers: Sequence[UpstreamReader], at_rest: bool) -> UpstreamReader | None:
        for step in range(len(readers)):
            place = (self._turn + step) % len(readers)
            if readers[place].head() is not None:
                self._turn = place + 1
                return readers[place]
        return None

    def _merged(self, readers: Sequence[UpstreamReader], at_rest: bool) -> UpstreamReader | None:
        heads = [(reader, record) for reader in readers if (record := reader.head()) is not None]
        for reader, record in heads:
            if signal_of(record.event) is not None and not _is_own_eof(reader, record):
                return reader
        if not heads or (not at_rest and any(not each.has_ended and each.head() is None for each in readers)):
            return None
        return min(_uncaused(heads), key=lambda head: (head[0].delivered, head[0].name))[0]


def is_delivered(event: ChainEvent) -> bool:
    """Whether a stage downstream gets an event: no observation, no record of an effect (C-72)."""
    match event.content:
        case Lifecycle():
            return False
        case Data(event_type):
            return event_type not in EFFECT_EVENTS
        case _:
            return True


def signal_of(event: ChainEvent) -> object:
    """The signal that an event holds; None where it holds none."""
    return event.content.signal if isinstance(event.content, FlowSignal) else None


Head = tuple[UpstreamReader, ChainRecord]


def _uncaused(heads: Sequence[Head]) -> Iterable[Head]:
    """The heads that no other head happened before.

    Only data that a stage made itself excludes and is excluded. EOFs do not, nor does what a stage passed on under the
    writer of another one: that writer's count in this journal depends on how many of its signals were passed on.
    """
    causes = [record for reader, record in heads if _is_own_data(reader, record)]
    left = [
        (reader, record)
        for reader, record in heads
        if not _is_own_data(reader, record)
        or not any(cause.vector_clock.happened_before(record.vector_clock) for cause in causes)
    ]
    return left or heads


def _is_own_data(reader: UpstreamReader, record: ChainRecord) -> bool:
    return isinstance(record.event.content, Data) and record.event.writer_id == StageWriter(reader.upstream)


def _is_own_eof(reader: UpstreamReader, record: ChainRecord) -> bool:
    signal = signal_of(record.event)
    return isinstance(signal, Eof) and reader.is_own(signal)
