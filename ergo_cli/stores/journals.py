"""Append-only journals of runs: the one truth of every stateful program (spec 00 §13.3, 40 §4).

A journal holds any number of runs. The records of a run are texts, numbered from 1 without a gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from ergo_cli.errors import StoreError

HIGHEST_SEQ = 2**63 - 1
"""The highest sequence number that every store can hold."""

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
        or is no JSON. Whether records appended meanwhile are seen is up to the store.
        """
        ...

    def head(self, run: str) -> int:
        """The highest number of the run; 0 for an unknown one."""
        ...

    def runs(self) -> list[str]:
        """The ids of all runs that have records, ascending by code point."""
        ...


class JournalTable(StrEnum):
    """The journals that one database holds side by side, by the names of their tables (spec 00 §13.3)."""

    KERNEL = "kernel_events"
    PLAN = "plan_events"
    PIPELINE = "pipeline_records"
    ATTEMPTS = "kernel_attempts"
    """Failed tries of a kernel's actions: no part of any run's log (spec 40 §20)."""


def check_head(run: str, head: int, expected: int | None) -> None:
    """Raise StoreError ``store.conflict`` if a head was expected that is not the run's."""
    if expected is not None and head != expected:
        message = f"run '{run}' has {head} records where {expected} were expected: somebody else has written to it"
        raise StoreError("store.conflict", message, where=place(run, head), fix=_CONFLICT_FIX)


def check_texts(texts: Iterable[str]) -> None:
    """Raise ValueError if one of ``texts`` has no UTF-8: before anything is written."""
    for text in texts:
        text.encode()


def checked(run: str, expected: int, rows: Iterable[tuple[int, bytes | str]]) -> Iterator[tuple[int, str]]:
    """Stored rows as a scan gives them, the first of them numbered ``expected``.

    Raises StoreError ``store.corrupt`` at a gap, and at a text that is no JSON (spec 40 §13.2).
    """
    for seq, text in rows:
        if seq != expected:
            raise _corrupt(run, expected, f"it is missing, {seq} follows")
        yield seq, _checked_text(run, seq, text)
        expected += 1


def checked_head(run: str, highest: object) -> int:
    """The head of a run whose highest stored number is ``highest``, None without records.

    Raises StoreError ``store.corrupt`` if that is no number.
    """
    if highest is None:
        return 0
    if not isinstance(highest, int):
        raise _corrupt(run, 1, f"{highest!r} stands where a number should")
    return highest


def place(run: str, seq: int) -> str:
    """Where a record stands, as errors name it: ``run 'a/e1' seq 4``."""
    return f"run '{run}' seq {seq}"


def _checked_text(run: str, seq: int, text: bytes | str) -> str:
    try:
        _check_json(text)
        return text if isinstance(text, str) else text.decode()
    except ValueError as error:
        raise _corrupt(run, seq, f"row decode: {error}") from error


def _corrupt(run: str, seq: int, why: str) -> StoreError:
    message = f"record {seq} of run '{run}' is damaged: {why}"
    return StoreError("store.corrupt", message, where=place(run, seq), fix=_CORRUPT_FIX)
