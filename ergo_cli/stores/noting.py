"""A journal that takes note of what a call appends to it (spec 00 §13.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ergo_cli.stores.journals import EventJournal


class NotingJournal:
    """An EventJournal over another one; ``take`` tells what was appended through this one."""

    def __init__(self, journal: EventJournal) -> None:
        self._journal = journal
        self._noted: list[tuple[int, str]] = []

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        """Append to the journal behind and take note of it."""
        head = self._journal.append(run, texts, expected_head)
        self._noted += enumerate(texts, head - len(texts) + 1)
        return head

    def scan(self, run: str, start: int = 1, to: int | None = None) -> Iterator[tuple[int, str]]:
        """What the journal behind holds."""
        return self._journal.scan(run, start, to)

    def head(self, run: str) -> int:
        """The head that the journal behind knows."""
        return self._journal.head(run)

    def runs(self) -> list[str]:
        """The runs of the journal behind."""
        return self._journal.runs()

    def take(self) -> list[tuple[int, str]]:
        """Numbers and texts appended since the last call of this method."""
        noted, self._noted = self._noted, []
        return noted
