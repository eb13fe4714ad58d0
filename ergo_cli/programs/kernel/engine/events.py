"""The events of a run, the log that holds them, and where the log or a call for the run ends.

Spec 40 §3.2–3.3 (events), §4 and §16 K-5, K-6 (log), §10.1 and §19.1 (its end), §3.8 (status).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, get_args

from msgspec import Meta, Struct

from ergo_cli.core import wire
from ergo_cli.core.json import JsonError, NotCanonicalError
from ergo_cli.core.json import decode as decode_json
from ergo_cli.core.wire import FreeValue, Variant
from ergo_cli.errors import StoreError
from ergo_cli.programs.kernel.engine.errors import Category, KernelError, at, driver_error
from ergo_cli.stores.journals import EventJournal

Seq = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""A position in a run: 1, 2, 3 …; 0 stands for "no events"."""


class StateUpdated(Variant, frozen=True):
    """A new state, or a change of it as the reducer defines; emitted by step functions."""

    step_id: str | None
    payload: FreeValue


class ActionRequested(Variant, frozen=True):
    """An action is about to be executed; ``payload`` is the action as a free value."""

    action_id: str
    payload: FreeValue


class ActionSucceeded(Variant, frozen=True):
    """An action's result."""

    action_id: str
    output: FreeValue


class ActionFailed(Variant, frozen=True):
    """An action failed for good; ``error`` is the text of the last error."""

    action_id: str
    error: str


class Interrupted(Variant, frozen=True):
    """The run waits to be resumed."""

    value: FreeValue


class Resumed(Variant, frozen=True):
    """The run continues with this value."""

    value: FreeValue


class Completed(Variant, frozen=True):
    """The run is done."""


Event = StateUpdated | ActionRequested | ActionSucceeded | ActionFailed | Interrupted | Resumed | Completed


class SequencedEvent(Struct, frozen=True):
    """An event and its place in the run; in text ``{"seq":1,"event":"Completed"}``."""

    seq: Seq
    event: Event

    @property
    def kind(self) -> str:
        """The event's tag."""
        return type(self.event).__name__


_EVENTS = get_args(Event)


def encode_event(event: object, run_id: str | None = None, seq: int | None = None) -> bytes:
    """The canonical text of an event, without its seq. Raises KernelError ``kernel.not_canonical`` with the place."""
    if not isinstance(event, _EVENTS):
        raise driver_error(f"{event!r:.100} is no event", where=None if run_id is None else at(run_id, seq))
    try:
        return wire.encode(event)
    except NotCanonicalError as error:
        where = None if run_id is None else at(run_id, seq)
        message = f"{type(event).__name__}{error.place}: {error}"
        raise driver_error(message, code="kernel.not_canonical", where=where) from error


def decode_event(text: bytes, run_id: str, seq: int) -> Event:
    """The event that a text holds; lenient as spec 40 §3.2 defines.

    Raises KernelError ``kernel.unknown_event`` for a tag that is none of the seven, else ``kernel.corrupt_log``.
    """
    try:
        return wire.read(decode_json(text), Event)
    except (wire.WireError, JsonError) as error:
        unknown = isinstance(error, wire.WireError) and error.tag is not None
        code = "kernel.unknown_event" if unknown else "kernel.corrupt_log"
        message = f"row decode: {error}"
        raise KernelError(Category.EVENT_STORE, message, code=code, where=at(run_id, seq)) from error


_OWN_CODES = {
    "store.conflict": "kernel.seq_conflict",
    "store.corrupt": "kernel.corrupt_log",
    "store.run_busy": "kernel.run_busy",
}


class Batch(Struct, frozen=True):
    """Events that are appended together: their texts, and the events that a reader decodes from these."""

    texts: list[bytes]
    events: list[SequencedEvent]


class RunLog:
    """The log of one run: typed, contiguous from 1, canonical.

    Raises errors of the store as KernelError of category EventStore, chained.
    """

    def __init__(self, journal: EventJournal, run_id: str) -> None:
        self._journal = journal
        self.run_id = run_id

    def head(self) -> int:
        """The last seq, 0 for a run without events."""
        with store_errors(Category.EVENT_STORE, self.run_id):
            return self._journal.head(self.run_id)

    def batch(self, events: Iterable[object], head: int) -> Batch:
        """Encode events for the seqs after ``head``. Raises KernelError ``kernel.not_canonical`` and others."""
        texts = [encode_event(event, self.run_id, seq) for seq, event in enumerate(events, head + 1)]
        return Batch(texts, [self._read_back(seq, text) for seq, text in enumerate(texts, head + 1)])

    def append(self, batch: Batch, head: int) -> None:
        """Append all events of a batch, or none, after ``head``.

        Raises KernelError ``kernel.seq_conflict`` if another process has appended since.
        """
        with store_errors(Category.EVENT_STORE, self.run_id):
            self._journal.append(self.run_id, [text.decode() for text in batch.texts], head)

    def scan(self, start: int = 1, to: int | None = None) -> Iterator[SequencedEvent]:
        """The events from ``start`` to ``to``, inclusive. Raises KernelError: ``kernel.corrupt_log`` and others."""
        with store_errors(Category.EVENT_STORE, self.run_id):
            for seq, text in self._journal.scan(self.run_id, start, to):
                yield self._sequenced(seq, text.encode())

    def _read_back(self, seq: int, text: bytes) -> SequencedEvent:
        """Decode an event just encoded; one that cannot be read is the program's fault, not the store's."""
        try:
            return self._sequenced(seq, text)
        except KernelError as error:
            raise driver_error(f"an event that cannot be read again: {error.text}", where=error.where) from error

    def _sequenced(self, seq: int, text: bytes) -> SequencedEvent:
        return SequencedEvent(seq, decode_event(text, self.run_id, seq))


@contextmanager
def store_errors(category: Category, run_id: str) -> Generator[None]:
    """Raise a store's error as KernelError, under the kernel's own code where there is one (spec 00 §13.8)."""
    try:
        yield
    except StoreError as error:
        code = _OWN_CODES.get(error.code, error.code) if category is Category.EVENT_STORE else error.code
        own = code != error.code
        fix, where = None if own else error.fix, error.where or at(run_id)
        raise KernelError(category, error.message, code=code, where=where, fix=fix) from error


_TAIL = 64  # events; as a rule the last lifecycle event is among them


class LogEnd(Struct, frozen=True):
    """The end of a run's log.

    ``lifecycle`` is the last of Interrupted, Resumed and Completed; ``broken_off`` is set if an ActionFailed follows
    it, or if the log ends in a request without result.
    """

    head: int = 0
    lifecycle: Interrupted | Resumed | Completed | None = None
    last: Event | None = None
    broken_off: bool = False

    @property
    def is_interrupted(self) -> bool:
        """Whether the run waits to be resumed (§10.1)."""
        return isinstance(self.lifecycle, Interrupted)

    @property
    def is_completed(self) -> bool:
        """Whether the run is done."""
        return isinstance(self.lifecycle, Completed)


def log_end(events: Iterable[SequencedEvent]) -> LogEnd:
    """The end of a log, given whole or from an event at or before its last lifecycle event."""
    head, lifecycle, last, failed = 0, None, None, False
    for event in events:
        head, last = event.seq, event.event
        match last:
            case Interrupted() | Resumed() | Completed():
                lifecycle, failed = last, False
            case ActionFailed():
                failed = True
            case _:
                pass
    return LogEnd(head, lifecycle, last, failed or isinstance(last, ActionRequested))


def end_of_log(log: RunLog) -> LogEnd:
    """The end of a log, read backwards in growing chunks. Raises KernelError as ``RunLog.scan`` does."""
    head, length = log.head(), _TAIL
    while True:
        start = max(head - length + 1, 1)
        end = log_end(log.scan(start, head))
        if end.lifecycle is not None or start == 1:
            return end
        length *= 4


class InterruptInfo(Struct, frozen=True):
    """The value that an interrupted run asks with."""

    value: FreeValue


class BlockedInfo(Struct, frozen=True):
    """What a blocked run waits for: a resumption, or (with built-in waits only) a named signal."""

    interrupt: InterruptInfo | None = None
    wait_signal: str | None = None


class RunCompleted(Struct, frozen=True, tag_field="status", tag="Completed"):
    """The step function answered Complete: ``{"status":"Completed"}``."""


class RunBlocked(Struct, frozen=True, tag_field="status", tag="Blocked"):
    """The run waits to be resumed: ``{"status":"Blocked","blocked":{…}}``."""

    blocked: BlockedInfo


class RunFailed(Struct, frozen=True, tag_field="status", tag="Failed"):
    """An action failed for good: ``{"status":"Failed","recoverable":false}``."""

    recoverable: bool = False


RunStatus = RunCompleted | RunBlocked | RunFailed
