"""What is kept of a run: a bundle, a crash journal, both or neither."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ergo_cli.bundle.entries import JournalEntry, artifact_text
from ergo_cli.bundle.schema import DecisionRecord, EventRecord
from ergo_cli.bundle.sink import BundleSink
from ergo_cli.bundle.writer import BundleWriter
from ergo_cli.core.notices import Notice
from ergo_cli.host.enrichment import OnIntent
from ergo_cli.host.episodes import EpisodeSink
from ergo_cli.host.journaling import JournaledSink, RunJournal
from ergo_cli.host.running import RunEnd
from ergo_cli.supervisor.log import DecidedEffects


class Keeper:
    """Takes the records of a run in ``sink`` and keeps them once it has ended.

    Where no bundle is written, they go on to ``other``, if there is one.
    """

    def __init__(self, writer: BundleWriter | None, journal: RunJournal | None, other: BundleSink | None) -> None:
        self._writer = writer
        self._journal = journal
        self._artifacts: dict[str, bytes] = {}
        sink = writer or other or _Nowhere()
        journaled = None if journal is None else JournaledSink(sink, journal, self)
        self.sink: BundleSink = journaled or sink
        self.episodes: EpisodeSink = journaled or self
        self.on_intent: OnIntent | None = None if journal is None else journal.intent

    def episode(self, entry: JournalEntry, artifacts: Mapping[str, bytes]) -> None:
        """Keep what an episode recorded."""
        if self._writer is None:
            return
        self._writer.journal(entry.encode())
        for name, data in artifacts.items():
            self._artifacts.setdefault(name, artifact_text(data))

    def keep(self, end: RunEnd, egress_provenance: str | None) -> tuple[Notice, ...]:
        """Write the bundle, then remove the journal; without a bundle the journal of a broken run stays.

        Raises CaptureWriteError.
        """
        if self._writer is not None:
            self._writer.commit(egress_provenance, self._artifacts)
        if self._journal is None or (self._writer is None and end.error is not None):
            return ()
        return self._journal.discard()


class _Nowhere:
    """A bundle that is not kept."""

    def event(self, record: EventRecord) -> None:
        """Drop the record."""

    def decision(self, record: DecisionRecord) -> None:
        """Drop the record."""

    def steps(self, decided: Sequence[DecidedEffects]) -> None:
        """Drop the steps."""
