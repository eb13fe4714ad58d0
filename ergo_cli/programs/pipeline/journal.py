"""Append-only journals of events with vector clocks, over any store of journals (spec 60 §5.1, §5.3).

A journal is a run of its store; the position of a record, counted from 0, is how many records stand before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from threading import Lock
from typing import Generic

from ergo_cli.core.json import JsonError, NotCanonicalError
from ergo_cli.core.wire import Timestamp, WireError
from ergo_cli.errors import StoreError
from ergo_cli.programs.pipeline.clocks import NEVER, VectorClock, causally_ordered
from ergo_cli.programs.pipeline.errors import JournalError, UnfitRecord
from ergo_cli.programs.pipeline.ids import JournalId, StageId, SystemId
from ergo_cli.programs.pipeline.records import (
    Envelope,
    EventReader,
    EventT,
    GroupMember,
    read_head,
    read_record,
    record_text,
)
from ergo_cli.stores.journals import EventJournal, place

_RECENT = 64  # records: readers that keep up ask the store for none of them

_OWN_CODES = {
    "store.conflict": "pipeline.journal_conflict",
    "store.corrupt": "pipeline.journal_corrupt",
    "store.run_busy": "pipeline.run_busy",
}


class Journal(Generic[EventT]):
    """The records of one kind that a stage or a system writes. Every method raises JournalError.

    ``run`` is the journal's run in the store, ``<flow id>/<label>``. Without an owner a journal is only read, and sees
    what others append. ``now`` stamps records. The clocks of writers, and the id of the journal, are those of the
    records that are there (H-4); ``journal_id`` is the id of an empty journal.
    """

    def __init__(
        self,
        store: EventJournal,
        run: str,
        *,
        journal_id: JournalId,
        owner: StageId | SystemId | None,
        read_event: EventReader[EventT],
        now: Callable[[], Timestamp],
    ) -> None:
        self.run = run
        self.id = journal_id
        self._store = store
        self._owner = owner
        self._read_event = read_event
        self._now = now
        self._lock = Lock()
        self._clocks: dict[str, VectorClock] = {}
        self._recent: deque[Envelope[EventT]] = deque(maxlen=_RECENT)
        self._head = 0
        if owner is not None:
            self._rebuild()

    @property
    def head(self) -> int:
        """How many records there are."""
        if self._owner is None:
            with store_errors(self.run):
                self._head = self._store.head(self.run)
        return self._head

    def append(self, event: EventT, parent: Envelope[EventT] | None = None) -> Envelope[EventT]:
        """Append an event that the one in ``parent`` caused; return it with its clock."""
        (envelope,) = self._append((event,), parent, None)
        return envelope

    def append_group(
        self, group_id: str, events: Sequence[EventT], parent: Envelope[EventT] | None = None
    ) -> list[Envelope[EventT]]:
        """Append all of ``events``, or none, also across a crash; a single one is appended as by itself."""
        return self._append(events, parent, group_id if len(events) > 1 else None)

    def reader(self, start: int = 0) -> JournalReader[EventT]:
        """A cursor in append order that begins behind the first ``start`` records."""
        return JournalReader(self, start)

    def read_all_unordered(self) -> list[Envelope[EventT]]:
        """All records in append order."""
        return list(self._scan(0))

    def read_causally_ordered(self) -> list[Envelope[EventT]]:
        """All records, causes before effects (H-3)."""
        return causally_ordered(self._scan(0))

    def read_causally_after(self, event_id: str) -> list[Envelope[EventT]]:
        """The records behind an event in causal order; none if the id is unknown."""
        ordered = self.read_causally_ordered()
        found = [position for position, envelope in enumerate(ordered, 1) if envelope.event_id == event_id]
        return ordered[found[0] :] if found else []

    def read_after_position(self, position: int) -> list[Envelope[EventT]]:
        """The records behind the first ``position`` ones, in append order (H-2)."""
        return list(self._scan(position))

    def read_event(self, event_id: str) -> Envelope[EventT] | None:
        """The record of an event, or None."""
        return next((envelope for envelope in self._scan(0) if envelope.event_id == event_id), None)

    def read_last_n(self, count: int) -> list[Envelope[EventT]]:
        """The last ``count`` records, the most recent first."""
        return list(self._scan(max(self.head - count, 0)))[::-1] if count > 0 else []

    def records_from(self, position: int) -> Sequence[Envelope[EventT] | str]:
        """The next records, some of them at a time; empty at the end. Those appended just now need no decoding."""
        if position >= self._head and position >= self.head:
            return ()
        with self._lock:  # a thread that appends changes both
            oldest = self._head - len(self._recent)
            if position >= oldest and self._recent:
                return list(islice(self._recent, position - oldest, None))
        with store_errors(self.run):
            return [text for _, text in self._store.scan(self.run, position + 1, position + _RECENT)]

    def decoded(self, position: int, text: str) -> Envelope[EventT] | None:
        """The record at a position; None where its event is not known."""
        with damage_named(self.run, position + 1):
            return read_record(text, self._read_event)

    def _append(
        self, events: Sequence[EventT], parent: Envelope[EventT] | None, group_id: str | None
    ) -> list[Envelope[EventT]]:
        if self._owner is None:
            raise JournalError(
                "pipeline.journal_ownerless", "nothing may be appended to a journal without an owner", where=self.run
            )
        with self._lock:
            clocks = dict(self._clocks)
            envelopes: list[Envelope[EventT]] = []
            for index, event in enumerate(events):
                writer = event.writer_id.display
                clock = clocks.get(writer, NEVER).ticked(writer, None if parent is None else parent.vector_clock)
                clocks[writer] = clock
                member = None if group_id is None else GroupMember(index, len(events))
                envelopes.append(Envelope(self.id, clock, self._now(), event, group_id, member))
            texts = [self._text(envelope) for envelope in envelopes]
            try:
                self._head = self._store.append(self.run, texts, self._head)
            except StoreError as error:
                raise journal_error(error, place(self.run, self._head + 1)) from error
            self._recent.extend(envelopes)
            self._clocks = clocks
        return envelopes

    def _text(self, envelope: Envelope[EventT]) -> str:
        try:
            return record_text(envelope)
        except NotCanonicalError as error:
            message = f"the event '{envelope.event.type_name}' cannot be recorded{error.place}: {error}"
            raise UnfitRecord("pipeline.not_canonical", message, where=self.run) from error

    def _scan(self, start: int) -> Iterator[Envelope[EventT]]:
        with store_errors(self.run):
            for seq, text in self._store.scan(self.run, start + 1):
                envelope = self.decoded(seq - 1, text)
                if envelope is not None:
                    yield envelope

    def _rebuild(self) -> None:
        """Take the clocks, the head and the id from the records that are there."""
        with store_errors(self.run):
            for seq, text in self._store.scan(self.run):
                with damage_named(self.run, seq):
                    head = read_head(text)
                if seq > 1 and head.journal_id != self.id:
                    message = f"record {seq} of journal '{self.run}' belongs to another journal, {head.journal_id}"
                    raise JournalError("pipeline.journal_foreign", message, where=place(self.run, seq))
                self.id = head.journal_id
                self._clocks[head.writer_id.display] = head.vector_clock
                self._head = seq


class JournalReader(Generic[EventT]):
    """A cursor through a journal in append order; ``position`` records stand before the next one."""

    def __init__(self, journal: Journal[EventT], position: int) -> None:
        self._journal = journal
        self._ahead: deque[Envelope[EventT] | str] = deque()
        self.position = position
        self.unknown = 0
        """How many records were passed over because their events are not known."""

    @property
    def is_at_end(self) -> bool:
        """Whether there is no next record yet."""
        return not self._ahead and self.position >= self._journal.head

    def next(self) -> Envelope[EventT] | None:
        """The next record; None at the end, until more are appended. Raises JournalError."""
        while True:
            if not self._ahead:
                self._ahead.extend(self._journal.records_from(self.position))
            if not self._ahead:
                return None
            record = self._ahead[0]
            envelope = self._journal.decoded(self.position, record) if isinstance(record, str) else record
            self._ahead.popleft()
            self.position += 1
            if envelope is not None:
                return envelope
            self.unknown += 1


@contextmanager
def damage_named(run: str, seq: int) -> Generator[None]:
    """Raise as JournalError, naming the record, that a text does not hold one (H-5)."""
    try:
        yield
    except (WireError, JsonError) as error:
        message = f"record {seq} of journal '{run}' is damaged: {error}"
        raise JournalError("pipeline.journal_corrupt", message, where=place(run, seq)) from error


@contextmanager
def store_errors(run: str | None = None) -> Generator[None]:
    """Raise a store's error as JournalError."""
    try:
        yield
    except StoreError as error:
        raise journal_error(error, run) from error


def journal_error(error: StoreError, at: str | None = None) -> JournalError:
    """A store's error under the pipelines' own code where there is one (spec 00 §13.8).

    ``at`` is its place in the flow, unless the store names the record itself; other places of the store follow.
    """
    code = _OWN_CODES.get(error.code, error.code)
    fix = None if code != error.code else error.fix
    named = error.where or ""
    where = named if named.startswith("run '") else ", ".join(part for part in (at or "", named) if part)
    return JournalError(code, error.message, where=where or None, fix=fix)
