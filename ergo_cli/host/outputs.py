"""Keep the records of a run: in a bundle, a crash journal, both or neither (spec 00 §13.1, §13.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from ergo_cli.bundle.schema import BundleSink, DecisionRecord, EventRecord, JournalEntry, artifact_text
from ergo_cli.bundle.writer import BundleWriter
from ergo_cli.core.diagnostics import Notice
from ergo_cli.errors import ErgoError, StepError
from ergo_cli.host.crash_journal import CrashJournal, EpisodeSink, JournaledSink
from ergo_cli.host.effects import OnIntent
from ergo_cli.host.failures import Failures
from ergo_cli.supervisor.journals import EpisodeJournal, StatefulInvoker, ended_as
from ergo_cli.supervisor.seam import DecidedEffects, Decision, Failed


class StoreFailure(StepError):
    """The store of the runs failed: the step cannot be committed, nor any later one; ``error`` is the store's."""

    def __init__(self, error: ErgoError) -> None:
        message = f"the run cannot go on, its store failed: {error.message}"
        super().__init__("StoreFailed", message, where=error.where, fix=error.fix, causes=(error,))
        self.error = error


class JournalSink:
    """A bundle sink that adds to every Invoke decision the journals of its episode.

    A step whose store failed is not passed on. ``failures`` is given the failure of closing the program.
    """

    def __init__(
        self,
        invoker: StatefulInvoker,
        sink: BundleSink,
        episodes: EpisodeSink | None,
        failures: Failures | None = None,
    ) -> None:
        self._invoker = invoker
        self._sink = sink
        self._episodes = episodes
        self._failures = failures
        self._event: EventRecord | None = None

    def event(self, record: EventRecord) -> None:
        """Hold an event until its step is known to be kept."""
        self._event = record

    def decision(self, record: DecisionRecord) -> None:
        """Pass a step on, with its journals between event and decision. Raises StoreFailure."""
        journals = self._invoker.drain_journals() if record.decision is Decision.INVOKE else ()
        _check_stores(journals)
        if self._event is not None:
            self._sink.event(self._event)
        self._pass_on(record.episode_id, journals)
        self._sink.decision(record)

    def close(self, interrupted: bool) -> None:
        """Close the program and pass on the entries that this recorded. Raises StoreFailure."""
        journals = self._invoker.close(interrupted)
        _check_stores(journals)
        self._pass_on(None, journals)
        for ended in map(ended_as, journals):
            if self._failures is not None and isinstance(ended, Failed):
                self._failures.note_closing(ended, getattr(self._invoker, "last_error", None))

    def _pass_on(self, episode_id: int | None, journals: Sequence[EpisodeJournal]) -> None:
        if journals and self._episodes is not None:
            entries = [JournalEntry(episode_id, journal.run_id, journal.records) for journal in journals]
            self._episodes.episode(entries, _artifacts(journals))


def _check_stores(journals: Iterable[EpisodeJournal]) -> None:
    for journal in journals:
        if journal.failure is not None:
            raise StoreFailure(journal.failure)


def _artifacts(journals: Iterable[EpisodeJournal]) -> dict[str, bytes]:
    return {name: data for journal in journals for name, data in journal.artifacts.items()}


class Kept(Struct, frozen=True):
    """What a run left: the path of its bundle, if it wrote one, and notices."""

    bundle: str | None
    notices: tuple[Notice, ...]


def beside_notices(destination: str, bundle: str) -> tuple[Notice, ...]:
    """A notice if a partial ``bundle`` was written beside its ``destination``."""
    if bundle == destination:
        return ()
    message = f"the events were not run to their end: '{destination}' is left as it was, the bundle is '{bundle}'"
    return (Notice(message, bundle),)


class Outputs:
    """Takes the records of a run through ``sink`` and keeps them once the run has ended.

    If no bundle is written, they go to ``other``, if given.
    """

    def __init__(self, writer: BundleWriter | None, journal: CrashJournal | None, other: BundleSink | None) -> None:
        self._writer = writer
        self._journal = journal
        self._artifacts: dict[str, bytes] = {}
        sink = writer or other or _Nowhere()
        journaled = None if journal is None else JournaledSink(sink, journal, self)
        self.sink: BundleSink = journaled or sink
        self.episodes: EpisodeSink = journaled or self
        self.on_intent: OnIntent | None = None if journal is None else journal.intent

    def episode(self, entries: Sequence[JournalEntry], artifacts: Mapping[str, bytes]) -> None:
        """Keep the entries of an episode, or of closing the program."""
        if self._writer is None:
            return
        for entry in entries:
            self._writer.journal(entry.encode())
        for name, data in artifacts.items():
            self._artifacts.setdefault(name, artifact_text(data))

    def keep(self, egress_provenance: str | None, *, is_broken: bool, is_stopped: bool, is_beside: bool) -> Kept:
        """Write the bundle, then remove the crash journal; without a bundle, a broken run's journal stays.

        The bundle of a run that broke or was stopped replaces no other; one that ``is_beside`` replaces none in any
        case. Raises CaptureWriteError.
        """
        path, notices = None, ()
        is_partial = is_broken or is_stopped
        if self._writer is not None:
            path = self._writer.commit(egress_provenance, self._artifacts, is_partial=is_partial, is_beside=is_beside)
            notices = beside_notices(self._writer.destination, path) if is_partial else ()
        if self._journal is not None and not (self._writer is None and is_broken):
            notices += self._journal.discard()
        notices += () if self._journal is None else self._journal.notices
        return Kept(path, notices)


class _Nowhere:
    """A sink that keeps nothing."""

    def event(self, record: EventRecord) -> None:
        """Drop the record."""

    def decision(self, record: DecisionRecord) -> None:
        """Drop the record."""

    def steps(self, decided: Sequence[DecidedEffects]) -> None:
        """Drop the steps."""
