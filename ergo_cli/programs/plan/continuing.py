"""Runs that a store has already: how their records come into a bundle (spec 00 §13.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ergo_cli.errors import StepError
from ergo_cli.programs.plan.effects import queued_calls
from ergo_cli.programs.plan.errors import RunError
from ergo_cli.programs.plan.events import Envelope, RunCompleted, asked_keys, line, named_artifacts, read_line
from ergo_cli.programs.plan.facts import FactIndex
from ergo_cli.programs.plan.history import read_history
from ergo_cli.programs.plan.ids import child_run
from ergo_cli.programs.plan.stream import Artifacts, Streams
from ergo_cli.stores.journals import EventJournal, RememberingJournal
from ergo_cli.supervisor.journals import EpisodeJournal


class WatchedJournal(RememberingJournal):
    """A journal that remembers what is appended, and how far each run had come that was asked for."""

    def __init__(self, journal: EventJournal) -> None:
        super().__init__(journal)
        self._heads: dict[str, int] = {}

    def head(self, run: str) -> int:
        """The head of the underlying journal."""
        head = super().head(run)
        self._heads.setdefault(run, head)
        return head

    def taken(self) -> dict[str, list[Envelope]]:
        """The events appended since the last call of this method, by run in order of their first record."""
        return {run: [read_line(text.encode()) for _, text in rows] for run, rows in self.take().items()}

    def take_heads(self) -> dict[str, int]:
        """The heads of the runs asked for since the last call of this method, as they were then, in that order."""
        heads, self._heads = self._heads, {}
        return heads


class ChildEntries:
    """The entries of child runs, until they are drained.

    What a child had recorded before, and the bundle does not have, is an entry of its own ahead of what it adds.
    """

    def __init__(self, journal: WatchedJournal, artifacts: Artifacts) -> None:
        self._journal = journal
        self._artifacts = artifacts
        self._entries: list[EpisodeJournal] = []
        self._kept: dict[str, int] = {}

    def add(
        self, parent: str, appended: Mapping[str, Sequence[Envelope]], naming: Sequence[Envelope] | None = None
    ) -> None:
        """Take what a call of the run ``parent`` read and appended. Raises StorageError.

        States of a parallel run spawn children in any order, and some of these states may never be in its stream: their
        children are taken in the order in which the new events of the parent, ``naming``, name them.
        """
        heads = self._journal.take_heads()
        if naming is not None:
            self._add_named(parent, naming)
            return
        for run, head in heads.items():
            if run == parent:
                continue
            known, events = self._kept.get(run, 0), appended.get(run, ())
            if head > known:
                self._add(run, Streams(self._journal).read(run, known + 1, head))
            if events:
                self._add(run, events)

    def stream(self, run: str) -> Sequence[Envelope]:
        """A child from its beginning; if calls are queued in it, the bundle gets all of it. Raises StorageError."""
        events = Streams(self._journal).read(run)
        missing = events[self._kept.get(run, 0) :]
        if missing and any(queued_calls(events)):
            self._add(run, missing)
        return events

    def drain(self) -> Sequence[EpisodeJournal]:
        """The entries since the last drain."""
        entries, self._entries = self._entries, []
        return entries

    def _add_named(self, parent: str, naming: Sequence[Envelope]) -> None:
        streams = Streams(self._journal)
        for run in dict.fromkeys(child_run(parent, key) for key in asked_keys(naming)):
            events = streams.read(run, self._kept.get(run, 0) + 1)
            if events:
                self._add(run, events)

    def _add(self, run: str, events: Sequence[Envelope]) -> None:
        contents = named_contents(self._artifacts, events)
        self._entries.append(EpisodeJournal(str(run), tuple(map(line, events)), contents))
        self._kept[run] = events[-1].seq


def named_contents(artifacts: Artifacts, events: Iterable[Envelope]) -> dict[str, bytes]:
    """The artifacts that events name, by id. Raises StorageError."""
    return {name: artifacts.get(name) for name in dict.fromkeys(named_artifacts(events))}


def check_continuable(run_id: str, events: Sequence[Envelope]) -> bool:
    """Whether a run has ended. Raises StepError for a stream that no run can have written: a bundle cannot hold it."""
    try:
        history = read_history(run_id, events)
        FactIndex.of(run_id, events)
    except RunError as error:
        message = f"the run cannot be continued: {error.message}"
        refused = StepError("BrokenRun", message, where=error.where, fix=error.fix, causes=(error,))
        refused.code = error.code
        raise refused from error
    return history.completed is not None


def is_ended(streams: Streams, run_id: str) -> bool:
    """Whether a run has ended, by its last event. Raises StorageError."""
    return isinstance(last_event(streams, run_id).kernel, RunCompleted)


def last_event(streams: Streams, run_id: str) -> Envelope:
    """The last event of a run that has one. Raises StorageError."""
    head = streams.head(run_id)
    return streams.read(run_id, head, head)[0]
