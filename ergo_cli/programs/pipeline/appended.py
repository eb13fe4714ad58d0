"""What is appended to the journals of a flow, in order over all of them (spec 60 §23.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ergo_cli.core.json import free_text
from ergo_cli.stores.journals import EventJournal


class AppendOrder:
    """An EventJournal over another one that remembers the order of appends over all of its runs.

    ``count`` is how many records were appended in all.
    """

    def __init__(self, journal: EventJournal) -> None:
        self._journal = journal
        self._appended: list[tuple[str, str]] = []
        self.count = 0

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        """Append to the underlying journal and remember the records."""
        head = self._journal.append(run, texts, expected_head)
        self._appended += [(run, text) for text in texts]
        self.count += len(texts)
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

    def take(self) -> list[bytes]:
        """What was appended since the last call: ``{"journal":…,"record":…}``, the journal by its label."""
        appended, self._appended = self._appended, []
        return [b'{"journal":%s,"record":%s}' % (free_text(_label(run)), text.encode()) for run, text in appended]


def _label(run: str) -> str:
    return run.partition("/")[2]
