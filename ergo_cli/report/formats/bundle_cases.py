"""The case of one bundle: its verdict, every divergence in lines, and its findings at their places in the program."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from msgspec import UNSET

from ergo_cli.core.diagnostics import counted
from ergo_cli.core.levels import FailOn, Level
from ergo_cli.replay.level_counts import LevelCounts
from ergo_cli.report.document import BundleDocument, ChangeDocument, DivergenceDocument, ErrorDocument, Report
from ergo_cli.report.error_text import near, without_hashes
from ergo_cli.report.formats.error_cases import error_lines
from ergo_cli.report.formats.findings import NOT_LISTED, Case, Finding, Gravity, one_line, text_or_none
from ergo_cli.report.formats.places import Place, located, place_of_error
from ergo_cli.report.formats.registry import Around

_INDICES = re.compile(r"\[\d+\]")
_OF_LEVELS = {
    Level.DECISION.value: Gravity.DECISION,
    Level.EVIDENCE.value: Gravity.EVIDENCE,
    Level.TIMING.value: Gravity.TIMING,
}


class BundleCase:
    """The case of one bundle."""

    def __init__(self, report: Report, document: BundleDocument, around: Around) -> None:
        self._command = report.command or ""
        self._is_diff = document.base is not UNSET
        self._document, self._around = document, around
        self._fail_on = FailOn.ANY if report.fail_on is UNSET else FailOn(report.fail_on)
        self._name = one_line(near(document.path))
        self._file = located(document.path, around)
        self._reproduce = text_or_none(document.reproduce)
        self._changes = () if document.changes is UNSET else document.changes

    def case(self) -> Case:
        """The case, with a verdict that fits one line."""
        document = self._document
        findings, verdict, details, error = (), f"match  {self._name}", (), document.error
        if error is not None:
            findings = (self._refusal(error),)
            verdict = one_line(f"refused  {self._name}  {without_hashes(near(error.message))}")
            details = findings[0].reasons
        elif document.divergence_count:
            findings = tuple(self._findings())
            verdict = one_line(f"differs  {self._name}  {self._extent()}{_first_fact(document)}")
            details = (*self._change_lines(), *self._decision_lines(), *self._failure_lines())
        return Case(
            name=self._name,
            file=self._file,
            verdict=verdict,
            details=details,
            warnings=tuple(one_line(without_hashes(near(each))) for each in document.warnings),
            reproduce=self._reproduce,
            findings=findings,
            is_error=error is not None,
            fails=error is not None or any(each.fails for each in findings),
        )

    def _extent(self) -> str:
        return counted(self._document.divergence_count, "divergence")

    def _refusal(self, error: ErrorDocument) -> Finding:
        file, line = self._place_of_change(self._changes) or place_of_error(error, self._around) or self._default()
        reasons = (*self._change_lines(), *error_lines(error)[1:])
        return Finding(
            rule=error.code,
            gravity=Gravity.ERROR,
            fails=True,
            text=one_line(f"{self._name}: {without_hashes(near(error.message))}"),
            reasons=reasons,
            file=file,
            line=line,
            subject=self._file,
            reproduce=self._reproduce,
            identity=(self._command, self._file, error.code),
        )

    def _findings(self) -> Iterator[Finding]:
        document = self._document
        groups: dict[tuple[tuple[str, ...], bool], list[DivergenceDocument]] = {}
        for each in document.divergences:
            path = _INDICES.sub("[]", each.path)
            key = (each.kind, each.level, each.node or "", each.origin or "", each.cause or "", path)
            groups.setdefault((key, each.expected_by is not None), []).append(each)
        for (key, _), group in groups.items():
            yield self._finding(key, group)
        rest = document.divergence_count - len(document.divergences)
        if rest:
            yield self._unlisted(rest)

    def _finding(self, key: tuple[str, ...], group: Sequence[DivergenceDocument]) -> Finding:
        first = group[0]
        reached = [self._changes[number] for number in first.changes if number < len(self._changes)]
        file, line = (
            self._place_of_change(reached)
            or self._place_of_divergence(first)
            or self._place_of_change([each for each in self._changes if not each.idle and not each.without_effect])
            or self._default()
        )
        return Finding(
            rule=first.kind,
            gravity=_OF_LEVELS.get(first.level, Gravity.DECISION),
            fails=first.expected_by is None and self._fail_on.is_reached(Level(first.level)),
            text=one_line(f"{self._name}{_where(group)}: {'; '.join(first.facts) or first.path}"),
            reasons=tuple(f"because {change_line(each)}" for each in reached),
            file=file,
            line=line,
            node=first.origin or first.node,
            subject=self._file,
            reproduce=self._reproduce,
            count=len(group),
            identity=(self._command, self._file, *key, *(() if first.expected_by is None else ("expected",))),
        )

    def _unlisted(self, rest: int) -> Finding:
        """The divergences that are only counted, as grave as the gravest of all."""
        levels, expected = self._document.levels, self._document.expected
        left = LevelCounts() if levels is UNSET else levels if expected is UNSET else levels.without(expected)
        counts = (left.decision, left.evidence, left.timing)
        level = next((level for level, count in zip(Level, counts, strict=False) if count), Level.DECISION)
        file, line = self._place_of_change(self._changes) or self._default()
        return Finding(
            rule=NOT_LISTED,
            gravity=_OF_LEVELS[level.value],
            fails=(expected is UNSET or bool(left)) and self._fail_on.is_reached(level),
            text=one_line(f"{self._name}: {counted(rest, 'more divergence')}; --max-divergences lists them"),
            file=file,
            line=line,
            subject=self._file,
            reproduce=self._reproduce,
            count=rest,
            identity=(self._command, self._file, NOT_LISTED),
        )

    def _place_of_change(self, changes: Iterable[ChangeDocument]) -> Place | None:
        """Where a change is in today's files; those of a diff are texts that the captures kept."""
        if self._is_diff:
            return None
        file = next(((each.file, each.line) for each in changes if each.file is not None), None)
        return None if file is None else (located(file[0], self._around), file[1])

    def _place_of_divergence(self, first: DivergenceDocument) -> Place | None:
        """Where today's program makes the value, or where it raised."""
        if first.place is not None:
            return located(first.place.file, self._around), first.place.line
        failures = () if self._document.failures is UNSET else self._document.failures
        for each in failures:
            if each.place is not None and first.event_id in (each.event_id, each.last_event_id):
                return located(each.place.file, self._around), each.place.line
        return None

    def _default(self) -> Place:
        """The file of the program, else the bundle."""
        program = self._document.program
        return (self._file if program is UNSET else located(program, self._around)), None

    def _change_lines(self) -> tuple[str, ...]:
        return tuple(f"changed  {change_line(each)}" for each in self._changes)

    def _decision_lines(self) -> Iterator[str]:
        """Every listed divergence, below its decision, with the reasons of all behind them."""
        for at, group in groupby(self._document.divergences, lambda each: (each.seq, each.event_id)):
            found = list(group)
            seq, event_id = at
            yield one_line("at the end" if event_id is None else f"decision {seq}  event {event_id}")
            for each in found:
                level = "" if each.level == Level.DECISION.value else f"  {each.level}"
                yield from (f"  {one_line(fact)}{level}" for fact in each.facts)
            reached = dict.fromkeys(number for each in found for number in each.changes)
            yield from (f"  because  {change_line(self._changes[number])}" for number in reached)
        rest = self._document.divergence_count - len(self._document.divergences)
        if rest:
            yield f"and {rest:,} more; --max-divergences lists them"

    def _failure_lines(self) -> Iterator[str]:
        for each in () if self._document.failures is UNSET else self._document.failures:
            place = "" if each.place is None else f"  {each.place.file}:{each.place.line} in {each.place.function}"
            yield one_line(f"{each.count:,} failed  {each.error or each.termination}: {each.message or ''}{place}")


def change_line(change: ChangeDocument) -> str:
    """A change in one line: its place, its subject, both values."""
    place = "" if change.file is None else change.file + ("" if change.line is None else f":{change.line}") + "  "
    values = f"{change.before} -> {change.after}" if None not in (change.before, change.after) else change.change
    effect = "  without effect" if change.without_effect else ""
    return one_line(f"{place}{change.subject}  {values}{effect}")


def _where(group: Sequence[DivergenceDocument]) -> str:
    """The event of the first divergence, and of several how many there are and the last event."""
    first, last = group[0], group[-1]
    event = "" if first.event_id is None else f", event {first.event_id}"
    if len(group) == 1:
        return event
    until = "" if last.event_id is None else f", last {last.event_id}"
    return f"{event} (first of {len(group):,}{until})"


def _first_fact(document: BundleDocument) -> str:
    first = next(iter(document.divergences), None)
    if first is None:
        return ""
    event = "" if first.event_id is None else f"event {first.event_id}: "
    return f": {event}{'; '.join(first.facts) or first.path}"
