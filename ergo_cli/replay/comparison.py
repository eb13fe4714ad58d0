"""Compare one bundle with one program: decisions, effects, journals (spec 11 §13, 00 §12.7)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from msgspec.structs import replace

from ergo_cli.bundle.journals import BundleJournals
from ergo_cli.bundle.schema import (
    NO_ADAPTER,
    CapturedEffect,
    DecisionRecord,
    EventRecord,
    rehydrate_for_replay,
    termination_name,
)
from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.json import Member, render
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import BundleError, ErgoError, StepError
from ergo_cli.events.adapter import adapter_provenance, context_rule
from ergo_cli.host.effects import ApplyEffects, EffectSink, IgnoreEffects, StepEvidence, replay_owned_kinds
from ergo_cli.host.failures import Failures
from ergo_cli.programs.kind import Blame, EffectPlace, Finding, SaysWhy, SideEffectReached
from ergo_cli.programs.recorded import JournalDifference
from ergo_cli.replay.attempts import Pair, Played, Recorded, Witness
from ergo_cli.replay.by_key import compare_by_key
from ergo_cli.replay.compare import (
    Difference,
    Tree,
    compare_decisions,
    decision_tree,
    edited_effects,
    is_of_effects,
)
from ergo_cli.replay.excused import Excused
from ergo_cli.replay.first_chains import with_chains
from ergo_cli.replay.joining import Key, Keys, Occurrences, Row, join, rows
from ergo_cli.replay.paths import all_matched
from ergo_cli.replay.preflight import Scan
from ergo_cli.replay.results import (
    BUNDLE_EDITED,
    PRIMITIVE_CODE,
    BundleResult,
    DecisionCounts,
    Divergence,
    DivergenceKind,
    Divergences,
    Episode,
    Outcome,
    ReplayOptions,
    Target,
    replay_code,
    with_pairs_by_key,
)
from ergo_cli.supervisor.journals import Warns
from ergo_cli.supervisor.seam import Decision, RunTermination
from ergo_cli.supervisor.seam import Outcome as Completion
from ergo_cli.supervisor.supervisor import Decider

CONTEXT_EPISODES = 3
"""The number of episodes that a report shows before the first divergence."""

_NO_CHANNELS = StepEvidence(None)
_COMPLETED = Completion.COMPLETED
_RESULTS = ((Member("effects"),), (Member("termination"),))
"""The members of a decision that the code of a program makes."""


class Comparison:
    """Steps the events of a bundle through today's program and compares the results."""

    def __init__(
        self,
        scan: Scan,
        journals: BundleJournals,
        target: Target,
        options: ReplayOptions,
        on_event: Callable[[], None] | None,
    ) -> None:
        program, header = target.program, scan.reader.header
        self._scan = scan
        self._journals = journals
        self._options = options
        self._target = target
        self._on_event = on_event
        self._acts = program.kind.acting is not None
        self._says_why = isinstance(program.kind.acting, SaysWhy)
        recorded = None if target.recorded is None else target.recorded.value
        self._referee = program.kind.referee(program.value, recorded, header.constraints.deadline)
        self._witness = Witness(self._referee)
        # Intent ids derive from today's graph id, run ids of a stateful program from the recorded one.
        graph_id = header.graph_id if self._acts else program.graph_id
        self._decider = Decider(graph_id, header.constraints, self._witness)
        self._effects = _effect_sink(scan, target)
        self._context_rule = context_rule(target.adapter)
        self._newer = target.newer_numbers
        self._captured = CapturedEffect.newer if self._newer else CapturedEffect.rendered
        self._found = Divergences(options.max_divergences)
        self._failures = Failures()
        self._excused = Excused()
        self._before: deque[tuple[int, DecisionRecord]] = deque(maxlen=CONTEXT_EPISODES)
        self._counts = dict.fromkeys(Decision, 0)
        self._cause = _cause(scan, target, options)
        self._cause_in_code = _cause_in_code(target)

    def run(self, warnings: list[Notice]) -> BundleResult:
        """Compare to the end, or to the first event that cannot be replayed.

        Journals are checked as they are read, and to their end where the comparison ends before: one that is invalid
        refuses the bundle, whatever else was found.
        """
        try:
            error = self._compared(warnings)
        except BundleError as fault:
            return BundleResult(self._scan.reader.path, Outcome.REFUSED, fault, graph_id=self._scan.reader.graph_id)
        warnings += self._excused.notices()
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
            differing=self._found.decisions,
            before_first=tuple(_episode(*each) for each in self._before) if self._found.count else (),
            failures=self._failures.summary(),
            window=self._options.window,
            levels=self._found.levels,
            says_why=self._says_why,
        )

    def _compared(self, warnings: list[Notice]) -> ErgoError | None:
        """Compare, and add to the warnings; returns what ended it. Raises BundleError for journals that are invalid."""
        error: ErgoError | None = None
        try:
            for recorded, played in self._pairs():
                self._compare(recorded, played)
            if self._options.window.last is None:
                self._compare_closing()
            else:
                self._journals.check()
            warnings += self._referee.notices() if isinstance(self._referee, Warns) else ()
            return None
        except BundleError:
            raise
        except _BrokenOff as broken:
            warnings.append(self._broke_off(broken))
        except ErgoError as fault:
            error = fault
        self._journals.check()
        return error

    def _pairs(self) -> Iterator[Pair]:
        """Pair decisions by position if both sides have equally many, else join them by event id and occurrence."""
        if self._scan.events != self._scan.decisions:
            yield from self._joined()
            return
        occurrences = Occurrences() if self._scan.duplicate is not None else None
        for seq, (event, was) in enumerate(zip(self._scan.reader.events(), self._recorded(), strict=True)):
            key = (event.event_id, 0) if occurrences is None else occurrences.key(event.event_id)
            row = Row(seq, key, was)
            yield row, self._step(Row(seq, key, event), row)
            if seq == self._options.window.last:
                break

    def _joined(self) -> Iterator[Pair]:
        reader = self._scan.reader
        recorded = rows(self._recorded(), lambda was: was.record.event_id)
        by_key: dict[Key, Row[Recorded]] = {}
        if self._acts:  # a journal must be served before its event is stepped, wherever its decision is
            held = list(recorded)
            recorded, by_key = iter(held), {row.key: row for row in held}
        events = rows(reader.events(), lambda event: event.event_id)
        played = (self._step(event, by_key.get(event.key)) for event in events)
        recorded_keys = Keys(record.event_id for record in reader.decisions())
        played_keys = Keys(record.event_id for record in reader.events())
        yield from join(recorded, played, recorded_keys, played_keys)

    def _recorded(self) -> Iterator[Recorded]:
        version = self._scan.reader.version
        if not self._acts:
            return (Recorded(text, version) for text in self._scan.reader.decision_texts())
        return (Recorded(b"", version, each.decision, each.episode) for each in self._journals.episodes())

    def _step(self, event: Row[EventRecord], recorded: Row[Recorded] | None) -> Row[Played]:
        """Step an event through today's program. Raises _BrokenOff, and ReplayError as ``rehydrate_for_replay``."""
        was = None if recorded is None else recorded.record
        self._referee.serve(None if was is None else was.episode)
        self._witness.ran = None
        try:
            rehydrated = rehydrate_for_replay(event.record, self._options.numbers, self._context_rule)
            entry, effects = self._decider.decide(rehydrated)
            if effects:
                self._effects.realise(effects, _NO_CHANNELS)
        except SideEffectReached as reached:
            raise _BrokenOff(event, recorded, f"{reached.code}: {reached.message}") from reached
        except StepError as fault:
            why = f"{fault.message} ({', '.join(fault.details) or fault.name})"
            raise _BrokenOff(event, recorded, why) from fault
        if self._options.window.holds(event.seq):
            self._counts[entry.decision] += 1
        if self._on_event is not None:
            self._on_event()
        captured = tuple([self._captured(effect.text) for effect in effects])
        record, finding = DecisionRecord.of(entry, captured), Finding()
        if was is not None and was.episode is not None:
            finding = self._referee.finding(was.record.termination, strict=self._options.strict)
            record = replace(
                record,
                termination=record.termination if finding.termination is None else finding.termination,
                effects=record.effects if finding.effects_known else was.record.effects,
            )
        differs = entry.termination is not _COMPLETED or finding.differences
        error = getattr(self._referee, "last_error", None) if differs else None
        return Row(event.seq, event.key, Played(record, finding, self._witness.ran, error))

    def _compare(self, recorded: Row[Recorded] | None, played: Row[Played] | None) -> None:
        at = recorded or played
        if at is None or not self._options.window.holds(at.seq):
            self._remember(played)
            return
        if recorded is None or played is None:
            self._one_sided(recorded, played)
            return
        was, now = recorded.record, played.record
        if now.error is not None:
            self._note_failure(was.record.termination, now, now.error)
        self._excused.add(now.record.event_id, now.finding.excused)
        for difference in now.finding.differences:
            self._add_journal(recorded.seq, recorded.key, was.record.episode_id, difference)
        if not was.is_same(now.record) or not all_matched(self._options.ignore):
            self._compare_records(recorded, was.record, now)
        self._remember(played)

    def _remember(self, played: Row[Played] | None) -> None:
        """Keep a decision as what came before the first that differs."""
        if played is not None and not self._found.count:
            self._before.append((played.seq, played.record.record))

    def _note_failure(self, recorded: RunTermination | None, now: Played, error: BaseException) -> None:
        """Remember why today's episode failed, where that is not how the recorded one ended."""
        ended = now.finding.failed or now.record.termination
        if ended is not None and (ended != recorded or now.finding.differences):
            self._failures.note(now.record.event_id, ended, error)

    def _compare_records(self, at: Row[Recorded], was: DecisionRecord, now: Played) -> None:
        expected, actual = (decision_tree(record, self._options.ignore) for record in (was, now.record))
        differences = list(compare_decisions(expected, actual))
        if not differences or self._found.full:
            self._found.only_count(at.key, [each.level for each in differences])
            return
        again = self._reread_tree(now)
        misread = None if again is None else list(compare_decisions(expected, again))
        found = self._explained(at, was, now, differences, misread)
        by_key, pairs = compare_by_key(expected, actual), None
        if by_key is not None:
            misread = None if again is None else compare_by_key(expected, again) or misread
            pairs = self._explained(at, was, now, by_key, misread)
        for divergence in with_pairs_by_key(found, pairs):
            self._found.add(divergence)

    def _explained(
        self,
        at: Row[Recorded],
        was: DecisionRecord,
        now: Played,
        differences: Sequence[Difference],
        misread: Sequence[Difference] | None,
    ) -> list[Divergence]:
        """The differences, each with what made it; ``misread`` are those if numbers are read as the original does."""
        edited = edited_effects(was, newer=self._newer)
        blames = self._referee.blame([_place(difference) for difference in differences], now.ran)
        remaining = {(each.kind, each.location) for each in (differences if misread is None else misread)}
        found: list[Divergence] = []
        for difference, blame in zip(differences, blames, strict=True):
            if is_of_effects(difference, edited):
                found.append(_divergence(at.seq, at.key, was.episode_id, difference, cause=BUNDLE_EDITED))
                continue
            number = (difference.kind, difference.location) not in remaining
            of_code = self._cause_in_code if difference.location[:1] in _RESULTS else None
            cause = "numbers" if number else self._cause or of_code
            found.append(_divergence(at.seq, at.key, was.episode_id, difference, blame, cause=cause))
        return found if self._found.kept else with_chains(found, now.ran, self._target)

    def _reread_tree(self, now: Played) -> Tree | None:
        """Today's decision if numbers are read as the original misreads them; None where that changes nothing."""
        if self._options.numbers is not Numbers.EXACT or now.ran is None:
            return None
        again = self._referee.reread(now.ran)
        if again is None:
            return None
        effects = tuple(map(self._captured, again.effects))
        return decision_tree(replace(now.record, termination=again.termination, effects=effects), self._options.ignore)

    def _one_sided(self, recorded: Row[Recorded] | None, played: Row[Played] | None) -> None:
        if recorded is not None:
            record = recorded.record.record
            missing = Difference(DivergenceKind.DECISION_MISSING, (), record.decision.value, None)
            self._found.add(_divergence(recorded.seq, recorded.key, record.episode_id, missing, cause=self._cause))
        elif played is not None:
            record = played.record.record
            extra = Difference(DivergenceKind.DECISION_EXTRA, (), None, record.decision.value)
            self._found.add(_divergence(played.seq, played.key, record.episode_id, extra, cause=self._cause))

    def _compare_closing(self) -> None:
        """Compare the entry of closing the program, which follows the last decision (spec 00 §13.7)."""
        seq = self._scan.decisions
        try:
            for difference in self._referee.close(self._journals.closing):
                self._add_journal(seq, (None, 0), None, difference)
        except SideEffectReached as reached:
            broken = Difference(DivergenceKind.PROGRAM, (), None, f"{reached.code}: {reached.message}")
            self._found.add(_divergence(seq, (None, 0), None, broken, cause=self._cause))

    def _broke_off(self, broken: _BrokenOff) -> Notice:
        """Add the divergence at which stepping stopped; returns a warning that the rest was not compared."""
        at = broken.event
        recorded = self._recorded_for(at) if broken.recorded is None else broken.recorded.record.record
        expected = None if recorded is None else _termination(recorded)
        difference = Difference(DivergenceKind.PROGRAM, (), expected, broken.why)
        episode_id = None if recorded is None else recorded.episode_id
        self._found.add(_divergence(at.seq, at.key, episode_id, difference, cause=self._cause))
        return Notice(
            f"the program could not be stepped at event '{at.key[0]}'; the rest of the bundle was not compared"
        )

    def _recorded_for(self, event: Row[EventRecord]) -> DecisionRecord | None:
        """The recorded decision of an event, if it was not known when the event was stepped."""
        recorded = rows(self._scan.reader.decisions(), lambda record: record.event_id)
        return next((row.record for row in recorded if row.key == event.key), None)

    def _add_journal(
        self, seq: int, key: tuple[str | None, int], episode_id: int | None, difference: JournalDifference
    ) -> None:
        self._found.add(
            Divergence(
                seq,
                key[0],
                episode_id,
                DivergenceKind.JOURNAL,
                render(difference.location),
                difference.expected,
                difference.actual,
                key[1],
                replay_code(DivergenceKind.JOURNAL),
                node=difference.node,
                origin=difference.origin,
                cause=difference.cause or self._cause,
                log=difference.log,
                journal=difference,
                level=difference.level,
            )
        )


def _divergence(
    seq: int,
    key: tuple[str | None, int],
    episode_id: int | None,
    difference: Difference,
    blame: Blame = Blame(),
    *,
    cause: str | None,
) -> Divergence:
    return Divergence(
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
        cause,
        level=difference.level,
        effect=difference.within,
    )


class _BrokenOff(Exception):
    """The program could not step an event."""

    def __init__(self, event: Row[EventRecord], recorded: Row[Recorded] | None, why: str) -> None:
        super().__init__(why)
        self.event = event
        self.recorded = recorded
        self.why = why


def _effect_sink(scan: Scan, target: Target) -> EffectSink:
    """The sink of effects: ignores them for stateful programs and where the adapter of the capture is missing."""
    computing, adapter = target.program.kind.computing, target.adapter
    if computing is None or (adapter is None and scan.reader.adapter_provenance != NO_ADAPTER):
        return IgnoreEffects()
    return ApplyEffects(adapter, replay_owned_kinds(computing.emits(target.program.value), adapter))


def _place(difference: Difference) -> EffectPlace | None:
    match difference:
        case Difference(kind=DivergenceKind.EFFECT_ORDER, effect=int(first)):
            return EffectPlace(first, is_moved=True)
        case Difference(kind=DivergenceKind.EFFECT_MISSING, effect=int(index)):
            return EffectPlace(index, difference.expected, is_missing=True)
        case Difference(effect=int(index)):
            return EffectPlace(index)
        case _:
            return None


def _episode(seq: int, record: DecisionRecord) -> Episode:
    texts = tuple(effect.text for effect in record.effects)
    ended = _termination(record)
    return Episode(seq, record.event_id, record.episode_id, record.decision.value, ended, len(texts), texts)


def _termination(record: DecisionRecord) -> str | None:
    return None if record.termination is None else termination_name(record.termination)


def _cause(scan: Scan, target: Target, options: ReplayOptions) -> str | None:
    """The cause of differences to report: without ``--strict``, a changed provenance."""
    if options.strict:
        return None
    if scan.reader.runtime_provenance != target.program.provenance:
        return "program_changed"
    return "adapter_changed" if scan.reader.adapter_provenance != adapter_provenance(target.adapter) else None


def _cause_in_code(target: Target) -> str | None:
    """The cause of results that differ though no provenance does: code that the provenance does not cover."""
    has_own_code = target.program.has_own_code
    return PRIMITIVE_CODE if has_own_code is not None and has_own_code() else None
