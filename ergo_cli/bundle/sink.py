"""The seam that records leave a run by."""

from __future__ import annotations

from typing import Protocol

from ergo_cli.bundle.schema import DecisionRecord, EventRecord


class BundleSink(Protocol):
    """Takes the records of one run: each event before its decision, decisions in the order of their events."""

    def event(self, record: EventRecord) -> None:
        """Keep one event record."""
        ...

    def decision(self, record: DecisionRecord) -> None:
        """Keep one decision record, complete with its effects."""
        ...
