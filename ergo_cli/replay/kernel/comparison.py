"""One kernel bundle against one program: decisions as ever, and every journal record by record (spec 00 §13.7)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.bundle.inspection import DecisionCounts, termination_name
from ergo_cli.bundle.kernel_journals import KernelEpisode, KernelJournals
from ergo_cli.bundle.schema import DecisionRecord, EventRecord
from ergo_cli.core.notices import Notice
from ergo_cli.errors import ErgoError
from ergo_cli.events.adapter import Adapter, adapter_provenance
from ergo_cli.programs.kernel.program import KernelProgram
from ergo_cli.replay.compare import Difference, compare_decisions
from ergo_cli.replay.comparison import CONTEXT_EPISODES
from ergo_cli.replay.divergence import Divergence, DivergenceKind, Divergences, replay_code
from ergo_cli.replay.joining import Keys, Occurrences, Row, join, rows
from ergo_cli.replay.kernel.differences import JournalDifference, Spot
from ergo_cli.replay.kernel.judging import Judge, SideEffectReached
from ergo_cli.replay.kernel.orphans import orphans
from ergo_cli.replay.kernel.playing import KernelReplay, Played
from ergo_cli.replay.options import ReplayOptions
from ergo_cli.replay.paths import all_matched, render
from ergo_cli.replay.result import BundleResult, Episode, Outcome
from ergo_cli.replay.scan import Scan
from ergo_cli.replay.trees import decision_tree
from ergo_cli.supervisor.log import Decision


class KernelTarget(Struct, frozen=True):
    """The kernel program that a bundle is replayed with; its ``execute`` is never looked at."""

    program: KernelProgram[Any]
    provenance: str
    adapter: Adapter | None = None

    @property
    def graph_id(self) -> str:
        """The program's name."""
        return self.program.name


class Recorded(Struct, frozen=True):
    """A decision as it was recorded, and the journal of its episode; None where none ran."""

    record: DecisionRecord
    episode: KernelEpisode | None


class KernelComparison:
    """Steps the events of a bundle and compares what comes out, event by event."""

    def __init__(
        self,
        scan: Scan,
        journals: KernelJournals,
        target: KernelTarget,
        options: ReplayOptions,
        on_event: Callable[[], None] | None,
    ) -> None:
        header = scan.reader.header
        self._scan = scan
        self._journals = journals
        self._options = options
        self._on_event = on_event
        self._replay = KernelReplay(Judge(target.program), header.graph_id, header.constraints)
        self._cause = _cause(scan, target, options)
        self._found = Divergences(options.max_divergences)
        self._before: deque[Episode] = deque(maxlen=CONTEXT_EPISODES)
        self._counts = dict.fromkeys(Decision, 0)

    def run(self, warnings: list[Notice]) -> BundleResult:
        """Compare to the end, or to the first event that cannot be replayed."""
        error: ErgoError | None = None
        try:
            for recorded, played in self._pairs():
                self._compare(recorded, played)
        except ErgoError as fault:
            error = fault
        except _BrokenOff as broken:
            warnings.append(self._broke_off(broken))
        outcome = Outcome.DIVERGED if self._found.count else Outcome.MATCH
        return BundleResult(
            self._scan.reader.path,
            Outcome.REFUSED if error is not None else outcome,
            error,
            events=sum(self._counts.values()),
            decisions=DecisionCounts(*self._counts.values()),
            warnings=tuple(warnings),
            divergence_count=self._found.count,
            divergences=tuple(self._found.kept),
            graph_id=self._scan.reader.graph_id,
            before_first=tuple(self._before),
        )

    def _pairs(self) -> Iterator[tuple[Row[Recorded] | None, Row[Played] | None]]:
        """Decision i against decision i while there are as many; else joined by event id and occurrence."""
        recorded = (Recorded(record, episode) for record, episode in self._journals.episodes())
        if self._scan.events != self._scan.decisions:
            yield from self._joined(list(rows(recorded, lambda was: was.record.event_id)))
            return
        occurrences = Occurrences()
        for seq, (event, was) in enumerate(zip(self._scan.reader.events(), recorded, strict=True)):
            row = Row(seq, occurrences.key(event.event_id), was)
            yield row, self._step(Row(seq, row.key, event), row)

    def _joined(self, recorded: list[Row[Recorded]]) -> Iterator[tuple[Row[Recorded] | None, Row[Played] | None]]:
        by_key = {row.key: row for row in recorded}
        events = rows(self._scan.reader.events(), lambda event: event.event_id)
        played = (self._step(event, by_key.get(event.key)) for event in events)
        yield from join(recorded, played, by_key, Keys(event.event_id for event in self._scan.reader.events()))

    def _step(self, event: Row[EventRecord], recorded: Row[Recorded] | None) -> Row[Played]:
        episode = None if recorded is None else recorded.record.episode
        try:
            now = self._replay.step(event.record, episode, self._options.numbers)
        except SideEffectReached as reached:
            raise _BrokenOff(event, recorded, reached.error) from reached
        self._counts[now.record.decision] += 1
        if self._on_event is not None:
            self._on_event()
        return Row(event.seq, event.key, now)

    def _compare(self, recorded: Row[Recorded] | None, played: Row[Played] | None) -> None:
        if recorded is None or played is None:
            self._one_sided(recorded, played)
            return
        was, now = recorded.record.record, played.record
        for difference in self._in_journal(recorded.record, now):
            self._add_journal(recorded, difference)
        for difference in _in_decision(was, now, self._options):
            self._add(recorded, was.episode_id, difference)
        if not self._found.count:
            self._before.append(_episode(recorded.seq, now.record))

    def _in_journal(self, was: Recorded, now: Played) -> Iterator[JournalDifference]:
        if was.episode is None:
            return
        for call, verdict in zip(was.episode.calls, now.verdicts, strict=False):
            yield from verdict.differences
            is_last = call is was.episode.calls[-1]
            if verdict.ended is not None and not (is_last and was.record.termination != verdict.termination):
                yield verdict.ended  # else it is told of the decision
            if self._options.strict:
                yield from orphans(Spot(was.episode.entry.index, was.episode.run_id, call))

    def _one_sided(self, recorded: Row[Recorded] | None, played: Row[Played] | None) -> None:
        if recorded is not None:
            record = recorded.record.record
            missing = Difference(DivergenceKind.DECISION_MISSING, (), record.decision.value, None)
            self._add(recorded, record.episode_id, missing)
        elif played is not None:
            record = played.record.record
            extra = Difference(DivergenceKind.DECISION_EXTRA, (), None, record.decision.value)
            self._add(played, record.episode_id, extra)

    def _broke_off(self, broken: _BrokenOff) -> Notice:
        """The last divergence, and a warning that the rest was not compared."""
        was = None if broken.recorded is None else broken.recorded.record.record
        expected = None if was is None or was.termination is None else termination_name(was.termination)
        difference = Difference(DivergenceKind.PROGRAM, (), expected, f"{broken.error.code}: {broken.error.message}")
        self._add(broken.event, None if was is None else was.episode_id, difference)
        event_id = broken.event.record.event_id
        return Notice(
            f"the program could not be stepped at event '{event_id}'; the rest of the bundle was not compared"
        )

    def _add(self, at: Row[Any], episode_id: int | None, difference: Difference) -> None:
        self._found.add(
            Divergence(
                at.seq,
                at.key[0],
                episode_id,
                difference.kind,
                render(difference.location),
                difference.expected,
                difference.actual,
                at.key[1],
                replay_code(difference.kind),
                cause=self._cause,
            )
        )

    def _add_journal(self, at: Row[Recorded], difference: JournalDifference) -> None:
        kind = DivergenceKind.JOURNAL
        self._found.add(
            Divergence(
                at.seq,
                at.key[0],
                at.record.record.episode_id,
                kind,
                render(difference.location),
                difference.expected,
                difference.actual,
                at.key[1],
                replay_code(kind),
                node=difference.node,
                cause=difference.cause or self._cause,
                log=difference.log,
            )
        )


class _BrokenOff(Exception):
    """The program reached for the world at an event."""

    def __init__(self, event: Row[EventRecord], recorded: Row[Recorded] | None, error: ErgoError) -> None:
        super().__init__()
        self.event = event
        self.recorded = recorded
        self.error = error


def _in_decision(was: DecisionRecord, now: Played, options: ReplayOptions) -> Iterator[Difference]:
    """What differs of a decision; of an episode whose last call parted from its records nothing can be said."""
    record = now.record
    if now.verdicts and now.verdicts[-1].parted:
        record = replace(record, effects=was.effects)
    if record == was and all_matched(options.ignore):
        return
    yield from compare_decisions(decision_tree(was, options.ignore), decision_tree(record, options.ignore))


def _episode(seq: int, record: DecisionRecord) -> Episode:
    termination = None if record.termination is None else termination_name(record.termination)
    return Episode(seq, record.event_id, record.episode_id, record.decision.value, termination, len(record.effects))


def _cause(scan: Scan, target: KernelTarget, options: ReplayOptions) -> str | None:
    """Without ``--strict`` a changed provenance is the reason to name."""
    if options.strict:
        return None
    if scan.reader.runtime_provenance != target.provenance:
        return "program_changed"
    return "adapter_changed" if scan.reader.adapter_provenance != adapter_provenance(target.adapter) else None
