"""One bundle against one program, decision by decision (spec 11 §13, 00 §12.7)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Set
from itertools import islice

from ergo_cli.bundle.codec import decode_decision, encode_decision
from ergo_cli.bundle.inspection import termination_name
from ergo_cli.bundle.schema import DecisionRecord, EventRecord
from ergo_cli.core.notices import Notice
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import ReplayError, StepError
from ergo_cli.events.adapter import adapter_provenance
from ergo_cli.replay.attribution import Attribution, Blame
from ergo_cli.replay.compare import Difference, compare_decisions
from ergo_cli.replay.divergence import Divergence, DivergenceKind, Divergences, replay_code
from ergo_cli.replay.joining import Key, Keys, Occurrences, Row, join, rows
from ergo_cli.replay.options import ReplayOptions, Target
from ergo_cli.replay.paths import Location, all_matched, render
from ergo_cli.replay.playing import Played, play
from ergo_cli.replay.rereading import Rereading
from ergo_cli.replay.result import BundleResult, DecisionCounts, Episode, Outcome
from ergo_cli.replay.scan import Scan
from ergo_cli.replay.trees import Tree, decision_tree
from ergo_cli.supervisor.log import Decision

CONTEXT_EPISODES = 3
"""How many episodes before the first divergence a report shows."""


class Comparison:
    """One bundle against one program, decision by decision."""

    def __init__(self, scan: Scan, target: Target, options: ReplayOptions, on_event: Callable[[], None] | None) -> None:
        self._scan = scan
        self._target = target
        self._options = options
        self._on_event = on_event
        self._found = Divergences(options.max_divergences)
        self._attribution = Attribution(target.program, target.recorded)
        self._rereading = Rereading(target.program, scan.reader.header.constraints.deadline)
        self._before: deque[Episode] = deque(maxlen=CONTEXT_EPISODES)
        self._counts = dict.fromkeys(Decision, 0)
        self._cause = _cause(scan, target, options)

    def run(self, warnings: list[Notice]) -> BundleResult:
        """Compare to the end, or to the first event that cannot be replayed."""
        error: ReplayError | None = None
        try:
            for recorded, played in self._pairs():
                self._compare(recorded, played)
        except ReplayError as fault:
            error = fault
        except StepError as fault:
            warnings.append(self._broke_off(fault))
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

    def _pairs(self) -> Iterator[tuple[Row[bytes] | None, Row[Played] | None]]:
        """Decision i against decision i while there are as many; else joined by event id and occurrence."""
        played, recorded = self._played(), self._scan.reader.decision_texts()
        if self._scan.events == self._scan.decisions:
            occurrences = Occurrences() if self._scan.duplicate is not None else None
            for seq, (text, now) in enumerate(zip(recorded, played, strict=True)):
                event_id = now.record.event_id
                key = occurrences.key(event_id) if occurrences is not None else (event_id, 0)
                yield Row(seq, key, text), Row(seq, key, now)
            return
        recorded_keys = Keys(record.event_id for record in self._scan.reader.decisions())
        played_keys = Keys(record.event_id for record in self._scan.reader.events())
        recorded_rows = rows(recorded, lambda text: decode_decision(text, self._scan.reader.version).event_id)
        played_rows = rows(played, lambda now: now.record.event_id)
        yield from join(recorded_rows, played_rows, recorded_keys, played_keys)

    def _played(self) -> Iterator[Played]:
        for now in play(self._scan, self._target.program, self._target.adapter, self._options.numbers):
            self._counts[now.record.decision] += 1
            yield now
            if self._on_event is not None:
                self._on_event()

    def _compare(self, recorded: Row[bytes] | None, played: Row[Played] | None) -> None:
        if recorded is None or played is None:
            self._one_sided(recorded, played)
            return
        text, now = recorded.record, played.record
        if encode_decision(now.record) != text or not all_matched(self._options.ignore):
            self._compare_records(recorded, decode_decision(text, self._scan.reader.version), now)
        self._remember(recorded.seq, now.record)

    def _compare_records(self, at: Row[bytes], was: DecisionRecord, now: Played) -> None:
        expected = decision_tree(was, self._options.ignore)
        differences = list(compare_decisions(expected, decision_tree(now.record, self._options.ignore)))
        if not differences or self._found.full:
            self._found.count += len(differences)
            return
        blames = self._attribution.blame(differences, now.event_id, now.context)
        remaining = self._not_of_numbers(expected, differences, now)
        for difference, blame in zip(differences, blames, strict=True):
            number = (difference.kind, difference.location) not in remaining
            self._add(at.seq, at.key, was.episode_id, difference, blame, number)

    def _not_of_numbers(
        self, expected: Tree, differences: list[Difference], now: Played
    ) -> Set[tuple[DivergenceKind, Location]]:
        """The differences that stay where numbers are read as the original misreads them."""
        reread = self._rereading.decision(now) if self._options.numbers is Numbers.EXACT else None
        if reread is not None:
            differences = list(compare_decisions(expected, decision_tree(reread, self._options.ignore)))
        return {(difference.kind, difference.location) for difference in differences}

    def _one_sided(self, recorded: Row[bytes] | None, played: Row[Played] | None) -> None:
        if recorded is not None:
            record = decode_decision(recorded.record, self._scan.reader.version)
            missing = Difference(DivergenceKind.DECISION_MISSING, (), record.decision.value, None)
            self._add(recorded.seq, recorded.key, record.episode_id, missing)
        elif played is not None:
            record = played.record.record
            extra = Difference(DivergenceKind.DECISION_EXTRA, (), None, record.decision.value)
            self._add(played.seq, played.key, record.episode_id, extra)

    def _broke_off(self, fault: StepError) -> Notice:
        """The program could not be stepped on: the last divergence, and a warning that the rest was not compared."""
        events = rows(self._scan.reader.events(), lambda record: record.event_id)
        at = next(islice(events, sum(self._counts.values()), None))
        recorded = self._recorded_for(at)
        expected = None if recorded is None else _termination(recorded)
        actual = f"{fault.message} ({', '.join(fault.details) or fault.name})"
        broken = Difference(DivergenceKind.PROGRAM, (), expected, actual)
        self._add(at.seq, at.key, None if recorded is None else recorded.episode_id, broken)
        return Notice(
            f"the program could not be stepped at event '{at.key[0]}'; the rest of the bundle was not compared"
        )

    def _add(
        self,
        seq: int,
        key: Key,
        episode_id: int | None,
        difference: Difference,
        blame: Blame = Blame(),
        number: bool = False,
    ) -> None:
        self._found.add(
            Divergence(
                seq,
                key[0],
                episode_id,
                difference.kind,
                render(difference.location),
                difference.expected,
                difference.actual,
                key[1],
                replay_code(difference.kind),
                blame.node,
                blame.origin,
                "numbers" if number else self._cause,
            )
        )

    def _recorded_for(self, event: Row[EventRecord]) -> DecisionRecord | None:
        """The decision that an event is compared with."""
        decisions = self._scan.reader.decisions()
        if self._scan.events == self._scan.decisions:
            return next(islice(decisions, event.seq, None))
        recorded = rows(decisions, lambda record: record.event_id)
        return next((row.record for row in recorded if row.key == event.key), None)

    def _remember(self, seq: int, record: DecisionRecord) -> None:
        if not self._found.count:
            effects = len(record.effects)
            termination = _termination(record)
            self._before.append(
                Episode(seq, record.event_id, record.episode_id, record.decision.value, termination, effects)
            )


def _termination(record: DecisionRecord) -> str | None:
    return None if record.termination is None else termination_name(record.termination)


def _cause(scan: Scan, target: Target, options: ReplayOptions) -> str | None:
    """Without ``--strict`` a changed provenance is the reason to name."""
    if options.strict:
        return None
    if scan.reader.runtime_provenance != target.program.provenance:
        return "program_changed"
    return "adapter_changed" if scan.reader.adapter_provenance != adapter_provenance(target.adapter) else None
