"""A run's stream and artifacts, over the stores of the house (spec 50 §9, §10.5)."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Protocol, cast

from ergo_cli.core.json import JsonError
from ergo_cli.core.wire import WireError
from ergo_cli.errors import StoreError
from ergo_cli.programs.plan.errors import (
    Concurrency,
    Corruption,
    NotFound,
    Other,
    PlanError,
    StorageError,
    storage_info,
)
from ergo_cli.programs.plan.events import Domain, DomainEvent, Envelope, Kernel, KernelEvent, line, read_line
from ergo_cli.programs.plan.ids import RunId, is_run_id
from ergo_cli.stores.artifacts import ArtifactStore, DifferenceStore, artifact_id
from ergo_cli.stores.journals import EventJournal

_FORMS = {
    "store.conflict": Concurrency,
    "store.run_busy": Concurrency,
    "store.not_found": NotFound,
    "store.corrupt": Corruption,
}
_JOURNAL_CODES = {
    "store.conflict": "event_store_concurrency",
    "store.corrupt": "event_stream_corrupt",
    "store.run_busy": "run_busy",
}
_ARTIFACT_CODES = {"store.not_found": "artifact_not_found", "store.corrupt": "artifact_corruption"}


class Artifacts:
    """Artifacts whose bytes are verified in both directions. Raises StorageError."""

    def __init__(self, store: ArtifactStore) -> None:
        self.store = store

    def put(self, data: bytes, near: str | None = None) -> str:
        """Keep bytes and return their id; ``artifact_put_id_mismatch`` if the store gives another.

        ``near`` is an artifact that they are like: a store may keep the difference from it.
        """
        store = self.store
        try:
            if near is not None and _keeps_differences(type(store)):
                given = cast(DifferenceStore, store).put_near(data, near)
            else:
                given = store.put(data)
        except StoreError as error:
            raise _artifact_error(error) from error
        if given != artifact_id(data):
            message = f"the store calls the artifact {artifact_id(data)} '{given}'"
            raise StorageError(Corruption(storage_info("artifact_put_id_mismatch", message)))
        return given

    def read(self, artifact: str) -> bytes:
        """The bytes of an artifact, verified by the store alone."""
        try:
            return self.store.get(artifact)
        except StoreError as error:
            raise _artifact_error(error) from error

    def get(self, artifact: str) -> bytes:
        """The bytes of an artifact; ``artifact_content_address_mismatch`` if their digest is another."""
        data = self.read(artifact)
        if artifact_id(data) != artifact:
            message = f"the bytes of the artifact {artifact} have another digest"
            raise StorageError(
                Corruption(storage_info("artifact_content_address_mismatch", message)), where=f"artifact {artifact}"
            )
        return data

    def exists(self, artifact: str) -> bool:
        """Whether there is an artifact of this id."""
        try:
            return self.store.exists(artifact)
        except StoreError as error:
            raise _artifact_error(error) from error


@cache
def _keeps_differences(kind: type[ArtifactStore]) -> bool:
    return issubclass(kind, DifferenceStore)


class Streams:
    """The streams of all runs of a store. Raises StorageError."""

    def __init__(self, journal: EventJournal) -> None:
        self._journal = journal

    def head(self, run_id: str) -> int:
        """The number of the last event; 0 for an unknown run."""
        try:
            return self._journal.head(run_id)
        except StoreError as error:
            raise journal_error(error) from error

    def read(self, run_id: str, start: int = 1, to: int | None = None) -> list[Envelope]:
        """The events of a run in order, all of them or those from ``start`` to ``to``."""
        return list(self._scan(run_id, start, to))

    def runs(self) -> list[str]:
        """The ids of all runs, ascending; what is kept beside them has other names."""
        try:
            return list(filter(is_run_id, self._journal.runs()))
        except StoreError as error:
            raise journal_error(error) from error

    def append(self, run_id: str, events: Sequence[Envelope], expected_head: int) -> int:
        """Append events, all or none, if the head is the expected one; returns the new head.

        Refuses ``event_sequence_invalid`` for events of another run, and numbers that do not follow the head.
        """
        for seq, event in enumerate(events, expected_head + 1):
            _check_place(event, run_id, seq)
        texts = [line(event).decode() for event in events]
        try:
            return self._journal.append(run_id, texts, expected_head)
        except StoreError as error:
            raise journal_error(error) from error

    def _scan(self, run_id: str, start: int, to: int | None) -> Iterator[Envelope]:
        try:
            for seq, text in self._journal.scan(run_id, start, to):
                yield self._event(run_id, seq, text)
        except StoreError as error:
            raise journal_error(error) from error

    def _event(self, run_id: str, seq: int, text: str) -> Envelope:
        try:
            event = read_line(text.encode())
        except (JsonError, WireError) as error:
            message = f"record {seq} of run '{run_id}' is not an event of a plan run: {error}"
            raise _corrupt("event_stream_corrupt", message, run_id, seq) from error
        if event.seq != seq:
            message = f"record {seq} of run '{run_id}' holds the event {event.seq}"
            raise _corrupt("event_stream_corrupt", message, run_id, seq)
        return event


Turn = AbstractContextManager[object]
"""What a record is made in: the gate of an attempt with a time limit, or nothing at all."""


class Writer:
    """Appends to one run; its first append fails if another process has written since it was made.

    ``turn`` is what each append is made in: the attempt of a parent run may be over.
    """

    def __init__(self, streams: Streams, run_id: RunId, turn: Turn = nullcontext()) -> None:
        self._streams = streams
        self._turn = turn
        self.run_id = run_id
        self.head = streams.head(run_id)

    def append(self, *events: KernelEvent | DomainEvent) -> int:
        """Append events and return the head; after a failure the next append expects the same head."""
        if events:
            envelopes = [
                Envelope(self.run_id, seq, None, Domain(event) if isinstance(event, DomainEvent) else Kernel(event))
                for seq, event in enumerate(events, self.head + 1)
            ]
            with self._turn:
                self.head = self._streams.append(self.run_id, envelopes, self.head)
        return self.head


class Appender(Protocol):
    """Where the events of a handler go."""

    @property
    def run_id(self) -> RunId:
        """The run."""
        ...

    def append(self, *events: DomainEvent) -> int:
        """Append events and return the head. Raises StorageError."""
        ...


class LimitedWriter:
    """A run as the handler of an attempt with a time limit appends to it."""

    def __init__(self, writer: Appender, turn: Turn) -> None:
        self._writer = writer
        self._turn = turn
        self.run_id = writer.run_id

    def append(self, *events: DomainEvent) -> int:
        """As ``Writer``."""
        with self._turn:
            return self._writer.append(*events)


class StoreFailed(BaseException):
    """A store failed under a handler: the run stops here and can be resumed.

    No Exception: a handler must not catch it, and its state has not failed.
    """

    def __init__(self, error: PlanError) -> None:
        super().__init__(error.message)
        self.error = error


class HandlersArtifacts(Artifacts):
    """Artifacts as handlers under a supervisor reach them. Raises StoreFailed."""

    def __init__(self, artifacts: Artifacts) -> None:
        super().__init__(artifacts.store)

    def put(self, data: bytes, near: str | None = None) -> str:
        """As ``Artifacts``."""
        with _stopping():
            return super().put(data, near)

    def get(self, artifact: str) -> bytes:
        """As ``Artifacts``."""
        with _stopping():
            return super().get(artifact)


class HandlersWriter:
    """A run as handlers under a supervisor append to it. Raises StoreFailed."""

    def __init__(self, writer: Appender) -> None:
        self._writer = writer
        self.run_id = writer.run_id

    def append(self, *events: DomainEvent) -> int:
        """As ``Writer``."""
        with _stopping():
            return self._writer.append(*events)


@contextmanager
def _stopping() -> Generator[None]:
    try:
        yield
    except StorageError as error:
        raise StoreFailed(error) from error


def _check_place(event: Envelope, run_id: str, seq: int) -> None:
    if (event.run_id, event.seq) != (run_id, seq):
        message = f"the event {event.seq} of run '{event.run_id}' was to become event {seq} of run '{run_id}'"
        raise _corrupt("event_sequence_invalid", message, run_id, seq)


def _corrupt(code: str, message: str, run_id: str, seq: int) -> StorageError:
    return StorageError(Corruption(storage_info(code, message)), where=f"run '{run_id}' seq {seq}")


def _artifact_error(error: StoreError) -> StorageError:
    form = _FORMS.get(error.code, Other)
    code = _ARTIFACT_CODES.get(error.code, "artifact_store_io")
    own = error.code if form is Other else None
    return StorageError(form(storage_info(code, error.message)), where=error.where, fix=error.fix, code=own)


def journal_error(error: StoreError) -> StorageError:
    """The error of a plan for one of the store of its stream."""
    form = _FORMS.get(error.code, Other)
    code = _JOURNAL_CODES.get(error.code, "event_store_io")
    own = error.code if form is Other else None
    return StorageError(form(storage_info(code, error.message)), where=error.where, fix=error.fix, code=own)
