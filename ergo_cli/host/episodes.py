"""The records of stateful programs on their way from the invoker to the bundle (spec 00 §13.1, §13.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ergo_cli.bundle.entries import JournalEntry
from ergo_cli.bundle.schema import DecisionRecord, EventRecord
from ergo_cli.bundle.sink import BundleSink
from ergo_cli.errors import ErgoError, StepError
from ergo_cli.supervisor.journals import EpisodeJournal, StatefulInvoker
from ergo_cli.supervisor.log import Decision


class EpisodeSink(Protocol):
    """Takes what was recorded of each episode, between its event and its decision."""

    def episode(self, entry: JournalEntry, artifacts: Mapping[str, bytes]) -> None:
        """Keep an entry and the artifacts that it names."""
        ...


class StoreFailure(StepError):
    """The store of the runs failed: the step cannot be committed, nor any later one; ``error`` is the store's."""

    def __init__(self, error: ErgoError) -> None:
        message = f"the run cannot go on, its store failed: {error.message}"
        super().__init__("StoreFailed", message, where=error.where, fix=error.fix, causes=(error,))
        self.error = error


class EpisodeRecorder:
    """A bundle sink that gives every Invoke decision the records of its episode, by position.

    Nothing of a step whose store failed is passed on.
    """

    def __init__(self, invoker: StatefulInvoker, sink: BundleSink, episodes: EpisodeSink | None) -> None:
        self._invoker = invoker
        self._sink = sink
        self._episodes = episodes
        self._event: EventRecord | None = None

    def event(self, record: EventRecord) -> None:
        """Hold an event back until it is known that its step can be kept."""
        self._event = record

    def decision(self, record: DecisionRecord) -> None:
        """Pass a step on, its records between event and decision. Raises StoreFailure."""
        journal = self._invoker.drain_journal() if record.decision is Decision.INVOKE else None
        if journal is not None and journal.failure is not None:
            raise StoreFailure(journal.failure)
        if self._event is not None:
            self._sink.event(self._event)
        if journal is not None and self._episodes is not None:
            self._episodes.episode(_entry(record, journal), journal.artifacts)
        self._sink.decision(record)


def _entry(record: DecisionRecord, journal: EpisodeJournal) -> JournalEntry:
    return JournalEntry(record.episode_id, journal.run_id, journal.records)
