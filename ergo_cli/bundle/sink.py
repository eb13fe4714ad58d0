"""The seam that records leave a run by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ergo_cli.bundle.schema import DecisionRecord, EventRecord
from ergo_cli.supervisor.log import DecidedEffects


class BundleSink(Protocol):
    """Takes the records of one run: each event before its decision, decisions in the order of their events."""

    def event(self, record: EventRecord) -> None:
        """Keep one event record."""
        ...

    def decision(self, record: DecisionRecord) -> None:
        """Keep one decision record, complete with its effects."""
        ...


@runtime_checkable
class StepSink(BundleSink, Protocol):
    """Takes steps for which nobody made records, many at once."""

    def steps(self, decided: Sequence[DecidedEffects]) -> None:
        """Keep the events of decisions, and the decisions with the effects of each."""
        ...
