"""A decision log that can be read, which the supervisor's own cannot (SUP-7)."""

from __future__ import annotations

from ergo_cli.supervisor.log import LogEntry


class RecordingLog:
    """Keeps every decision, in order."""

    def __init__(self) -> None:
        self.entries: list[LogEntry] = []

    def log(self, entry: LogEntry) -> None:
        """Append one decision."""
        self.entries.append(entry)
