"""One run's events in a journal: typed, contiguous from 1, canonical (spec 40 §4, §16 K-5, K-6)."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager

from msgspec import Struct

from ergo_cli.errors import StoreError
from ergo_cli.programs.kernel.errors import Category, KernelError, at, driver_error
from ergo_cli.programs.kernel.events import SequencedEvent, decode_event, encode_event
from ergo_cli.stores.journals import EventJournal

_OWN_CODES = {"store.conflict": "kernel.seq_conflict", "store.corrupt": "kernel.corrupt_log"}


class Batch(Struct, frozen=True):
    """Events that go into the log together: their texts, and what every reader will make of these."""

    texts: list[bytes]
    events: list[SequencedEvent]


class RunLog:
    """The log of one run. Errors of the store are told as KernelError of category EventStore, their own as cause."""

    def __init__(self, journal: EventJournal, run_id: str) -> None:
        self._journal = journal
        self.run_id = run_id

    def head(self) -> int:
        """The last seq, 0 for a run without events."""
        with store_errors(Category.EVENT_STORE, self.run_id):
            return self._journal.head(self.run_id)

    def batch(self, events: Iterable[object], head: int) -> Batch:
        """Events as they would stand behind ``head``. Raises KernelError ``kernel.not_canonical`` and others."""
        texts = [encode_event(event, at(self.run_id, seq)) for seq, event in enumerate(events, head + 1)]
        return Batch(texts, [self._read_back(seq, text) for seq, text in enumerate(texts, head + 1)])

    def append(self, batch: Batch, head: int) -> None:
        """Append all events of a batch, or none, behind ``head``.

        Raises KernelError ``kernel.seq_conflict`` if the run has gone on meanwhile.
        """
        with store_errors(Category.EVENT_STORE, self.run_id):
            self._journal.append(self.run_id, [text.decode() for text in batch.texts], head)

    def scan(self, start: int = 1, to: int | None = None) -> Iterator[SequencedEvent]:
        """The events from ``start`` to ``to``, inclusive. Raises KernelError: ``kernel.corrupt_log`` and others."""
        with store_errors(Category.EVENT_STORE, self.run_id):
            for seq, text in self._journal.scan(self.run_id, start, to):
                yield self._sequenced(seq, text.encode())

    def _read_back(self, seq: int, text: bytes) -> SequencedEvent:
        """An event of the program's own; one that nobody could read is the program's fault, not the store's."""
        try:
            return self._sequenced(seq, text)
        except KernelError as error:
            raise driver_error(f"an event that cannot be read again: {error.text}", where=error.where) from error

    def _sequenced(self, seq: int, text: bytes) -> SequencedEvent:
        return SequencedEvent(seq, decode_event(text, self.run_id, seq))


@contextmanager
def store_errors(category: Category, run_id: str) -> Generator[None]:
    """Tell a store's error as the kernel's, under the kernel's own code where it has one (spec 00 §13.8)."""
    try:
        yield
    except StoreError as error:
        code = _OWN_CODES.get(error.code, error.code) if category is Category.EVENT_STORE else error.code
        own = code != error.code
        fix, where = None if own else error.fix, error.where or at(run_id)
        raise KernelError(category, error.message, code=code, where=where, fix=fix) from error
