"""Append-only journals of runs, the source of truth of stateful programs, and snapshots that shorten their replay.

A journal holds any number of runs. The records of a run are texts, numbered from 1 without a gap (spec 00 §13.3,
40 §4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import msgspec
from msgspec import Struct

from ergo_cli.core.diagnostics import counted
from ergo_cli.errors import StoreError

HIGHEST_SEQ = 2**63 - 1
"""The highest sequence number that all stores can hold."""

_CONFLICT_FIX = "another process drives this run: wait until it is done, then run again"
_CORRUPT_FIX = "restore the run from a copy, or fork it before this record"

_check_json = msgspec.json.Decoder(msgspec.Raw).decode


class EventJournal(Protocol):
    """Where the records of runs are kept. Every method raises StoreError.

    A text is the canonical JSON of one record, without its number.
    """

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        """Number and keep all of ``texts``, or none, and return the new head; without texts nothing is written.

        Raises StoreError ``store.conflict`` if ``expected_head`` is given and the run's head is another.
        """
        ...

    def scan(self, run: str, start: int = 1, to: int | None = None) -> Iterator[tuple[int, str]]:
        """Numbers and texts from ``start`` to ``to``, both inclusive, ascending; nothing for an unknown run.

        ``start`` below 1 is 1. Raises StoreError ``store.corrupt``, naming run and number, at a record that is missing
        or is not JSON. Whether records appended meanwhile are seen is up to the store.
        """
        ...

    def head(self, run: str) -> int:
        """The highest number of the run; 0 for an unknown one."""
        ...

    def runs(self) -> list[str]:
        """The ids of all runs that have records, ascending by code point."""
        ...


@runtime_checkable
class SyncedJournal(EventJournal, Protocol):
    """An EventJournal on a disk, whose appends wait until the disk has them."""

    def unsynced(self) -> EventJournal:
        """The same records; what is appended to these may be lost in a power cut until ``sync`` has returned."""
        ...

    def sync(self) -> None:
        """Wait until all that was appended is on the disk."""
        ...


def check_head(run: str, head: int, expected: int | None) -> None:
    """Raise StoreError ``store.conflict`` if ``expected`` is given and is not the run's head."""
    if expected is not None and head != expected:
        found = counted(head, "record")
        message = f"run '{run}' has {found} where {expected} were expected: another writer has appended to it"
        raise StoreError("store.conflict", message, where=place(run, head), fix=_CONFLICT_FIX)


def check_texts(texts: Iterable[str]) -> None:
    """Raise ValueError if one of ``texts`` cannot be UTF-8; called before anything is written."""
    for text in texts:
        text.encode()


def checked(run: str, expected: int, rows: Iterable[tuple[int, bytes | str]]) -> Iterator[tuple[int, str]]:
    """Stored rows as a scan gives them, the first of them numbered ``expected``.

    Raises StoreError ``store.corrupt`` at a gap, and at a text that is not JSON (spec 40 §13.2).
    """
    for seq, text in rows:
        if seq != expected:
            raise _corrupt(run, expected, f"it is missing, {seq} follows")
        yield seq, _checked_text(run, seq, text)
        expected += 1


def checked_head(run: str, highest: object) -> int:
    """The head of a run whose highest stored number is ``highest``, None without records.

    Raises StoreError ``store.corrupt`` if that is not a number.
    """
    if highest is None:
        return 0
    if not isinstance(highest, int):
        raise _corrupt(run, 1, f"{highest!r} stands where a number should")
    return highest


def checked_run(run: object) -> str:
    """The id of a run as a database gives it. Raises StoreError ``store.corrupt`` for what is no text."""
    if isinstance(run, bytes):
        return run.decode(errors="replace")
    if isinstance(run, str):
        return run
    message = f"a record belongs to the run {run!r}, which is no text"
    raise StoreError("store.corrupt", message, where="table of runs", fix="restore the store from a backup")


def place(run: str, seq: int) -> str:
    """The position of a record in errors: ``run 'a/e1' seq 4``."""
    return f"run '{run}' seq {seq}"


def _checked_text(run: str, seq: int, text: bytes | str) -> str:
    try:
        _check_json(text)
        return text if isinstance(text, str) else text.decode()
    except (ValueError, RecursionError) as error:
        reason = "it nests too deep" if isinstance(error, RecursionError) else error
        raise _corrupt(run, seq, f"row decode: {reason}") from error


def _corrupt(run: str, seq: int, why: str) -> StoreError:
    message = f"record {seq} of run '{run}' is damaged: {why}"
    return StoreError("store.corrupt", message, where=place(run, seq), fix=_CORRUPT_FIX)


class RememberingJournal:
    """An EventJournal over another one that remembers what is appended through it (spec 00 §13.4)."""

    def __init__(self, journal: EventJournal) -> None:
        self._journal = journal
        self._appended: dict[str, list[tuple[int, str]]] = {}

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        """Append to the underlying journal and remember the records."""
        head = self._journal.append(run, texts, expected_head)
        if texts:
            self._appended.setdefault(run, []).extend(enumerate(texts, head - len(texts) + 1))
        return head

    def scan(self, run: str, start: int = 1, to: int | None = None) -> Iterator[tuple[int, str]]:
        """The records of the underlying journal."""
        return self._journal.scan(run, start, to)

    def head(self, run: str) -> int:
        """The head of the underlying journal."""
        return self._journal.head(run)

    def runs(self) -> list[str]:
        """The runs of the underlying journal."""
        return self._journal.runs()

    def take(self) -> dict[str, list[tuple[int, str]]]:
        """Numbers and texts appended since the last call of this method, by run in order of their first record."""
        appended, self._appended = self._appended, {}
        return appended


class StoredSnapshot(Struct, frozen=True):
    """The state of a run after its record ``at_seq``, as canonical JSON; ``version`` is that of the state's schema."""

    run: str
    at_seq: int
    text: str
    version: int = 0


class SnapshotStore(Protocol):
    """Where snapshots are kept. Every method raises StoreError."""

    def load_latest(self, run: str) -> StoredSnapshot | None:
        """The snapshot with the highest ``at_seq``, whenever it was saved; None if there is none."""
        ...

    def save(self, run: str, at_seq: int, text: str, version: int = 0) -> None:
        """Keep a snapshot; one of the same run and ``at_seq`` is replaced."""
        ...

    def prune(self, run: str, keep: int) -> None:
        """Remove all snapshots of a run but the ``keep`` highest."""
        ...

    def drop(self, run: str) -> None:
        """Remove every snapshot of a run; nothing happens if there is none."""
        ...


def read_snapshot(run: str, at_seq: int, text: bytes, version: int) -> StoredSnapshot:
    """A snapshot from its stored bytes. Raises StoreError ``store.corrupt`` if they are not UTF-8."""
    try:
        return StoredSnapshot(run, at_seq, text.decode(), version)
    except UnicodeDecodeError as error:
        message = f"the snapshot of run '{run}' at {at_seq} is damaged: {error}"
        fix = "drop the run's snapshots: its state is folded anew from the log"
        raise StoreError("store.corrupt", message, where=f"run '{run}' seq {at_seq}", fix=fix) from error
