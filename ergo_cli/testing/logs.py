"""A readable decision log; that of the supervisor is write-only (SUP-7)."""

from __future__ import annotations

from ergo_cli.supervisor.seam import LogEntry


class RecordingLog:
    """Keeps every decision, in order."""

    def __init__(self) -> None:
        self.entries: list[LogEntry] = []

    def log(self, entry: LogEntry) -> None:
        """Append one decision."""
        self.entries.append(entry)
