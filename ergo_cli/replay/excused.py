"""Differences that count under ``--strict`` alone: without it they are a warning (spec 00 §13.7)."""

from __future__ import annotations

from collections.abc import Sequence

from ergo_cli.core.diagnostics import Notice, counted
from ergo_cli.core.json import render
from ergo_cli.programs.recorded import JournalDifference


class Excused:
    """Counts those of one bundle, and remembers the first."""

    def __init__(self) -> None:
        self._count = 0
        self._first: tuple[str, JournalDifference] | None = None

    def add(self, event_id: str, differences: Sequence[JournalDifference]) -> None:
        """Take note of those of one event."""
        self._count += len(differences)
        if differences and self._first is None:
            self._first = event_id, differences[0]

    def notices(self) -> list[Notice]:
        """One warning that says how many there are and names the first; none where there are none."""
        if self._first is None:
            return []
        event_id, first = self._first
        what = " at ".join(filter(None, (first.cause, first.node)))
        message = f"{counted(self._count, 'difference')} that only --strict counts, the first {what}"
        return [Notice(message, f"event '{event_id}' {render(first.location)}")]
