"""How far a writer may be ahead of its readers (spec 60 §19.3)."""

from __future__ import annotations

from collections.abc import Mapping

from ergo_cli.programs.pipeline.ids import StageId


class Credit:
    """The credit of one writer; ``windows`` says for each limited reader how many events it may lag behind.

    ``written`` counts events, ``reserved`` those that are about to be written. The slowest reader governs (C-87).
    """

    def __init__(self, windows: Mapping[StageId, int] = {}) -> None:
        self._limits = dict(windows)
        self.written = 0
        self.reserved = 0

    def reserve(self, count: int = 1) -> bool:
        """Reserve room for events, if all readers leave it."""
        wanted = self.written + self.reserved + count
        if any(wanted > limit for limit in self._limits.values()):
            return False
        self.reserved += count
        return True

    def commit(self, count: int = 1) -> None:
        """Events that were reserved are written."""
        self.written += count
        self.reserved -= count

    def release(self, count: int = 1) -> None:
        """Events that were reserved will not be written."""
        self.reserved -= count

    def acknowledge(self, reader: StageId, count: int = 1) -> None:
        """A reader is done with events."""
        if reader in self._limits:
            self._limits[reader] += count

    def lift(self, reader: StageId | None = None) -> None:
        """Let a reader that has ended limit nothing any more; without one, lift all limits (the bypass)."""
        if reader is None:
            self._limits.clear()
        else:
            self._limits.pop(reader, None)
