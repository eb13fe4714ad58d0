"""Divergences of one cause, node and path, and bundles refused alike, each as one group (spec 70 §3)."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Sequence

from ergo_cli.core.diagnostics import counted
from ergo_cli.core.levels import Level
from ergo_cli.errors import ErgoError
from ergo_cli.replay.results import BundleResult, Divergence, MemorySince, Outcome, as_shown
from ergo_cli.report.consequences import independent
from ergo_cli.report.facts import SIGN_TONES, Fact, FactsOf, facts, pair_within, records
from ergo_cli.report.layout import WIDTH, cell_width
from ergo_cli.report.levels import level_mark
from ergo_cli.report.memory import memory_texts
from ergo_cli.report.text import GAP, MOST_OF_ID, Row, shorten

_NUMBERS = re.compile(r"\[\d+\]")
_WIDTH = 34
_LINE = WIDTH - 2
_LEAST = 12
_WEIGHTS = {level: place for place, level in enumerate(Level)}
_NAMED = 3
"""How many bundles a group names."""


Refused = tuple[ErgoError, Sequence[BundleResult]]
"""An error, and the bundles that are refused with it."""


def first_of(names: Sequence[str]) -> str:
    """The first of these names, and where there are more their number."""
    return ", ".join(names[:_NAMED]) + (f", {GAP} ({len(names):,} bundles)" if len(names) > _NAMED else "")


def refused_alike(results: Iterable[BundleResult]) -> list[Refused]:
    """The bundles that are refused, those with the same error together."""
    found: dict[tuple[object, ...], tuple[ErgoError, list[BundleResult]]] = {}
    for result in results:
        if result.outcome is Outcome.REFUSED and (error := result.error) is not None:
            key = (error.code, error.message, error.where, error.fix, error.details)
            found.setdefault(key, (error, []))[1].append(result)
    return list(found.values())


class Group:
    """Divergences that differ in their values only; ``fact`` is the first of them."""

    def __init__(self, fact: Fact, node: str, level: Level) -> None:
        self.fact = fact
        self.node = node
        self.level = level
        self.count = 0
        self.first: str | None = None
        self.last: str | None = None
        self.bundles: list[str] = []
        self._memory: tuple[MemorySince, ...] | None = None
        self._parts = _parts(fact)

    def add(self, bundle: str, divergence: Divergence, fact: Fact) -> None:
        """Count one more."""
        self.count += 1
        event = None if divergence.event_id is None else shorten(divergence.event_id, MOST_OF_ID)
        self.first, self.last = self.first or event, event or self.last
        if bundle not in self.bundles[-1:]:
            self.bundles.append(bundle)
        self._memory = divergence.memory if self._memory in (None, divergence.memory) else ()
        parts = _parts(fact)
        if parts != self._parts:
            self._parts = tuple(part for part in self._parts if part in parts)

    def what(self, room: int) -> str:
        """What all of them have in common, in ``room`` columns where that leaves enough of the values."""
        what, joint = f"{self.fact.sign} {self.fact.subject}", self.fact.joint
        parts = [part for part in self._parts if part]
        if len(parts) == 1 and len(self.fact.parts) <= 1:
            return what + joint + self._value(parts[0], room - cell_width(what + joint))
        shown = 0
        while shown < len(parts) and (not shown or cell_width(f"{what} {parts[shown]}") < _WIDTH):
            what += (" " if shown else joint) + parts[shown]
            shown += 1
        return f"{what} {GAP}" if shown < len(self.fact.parts) and shown else what

    def _value(self, text: str, room: int) -> str:
        if self.fact.is_name:
            return text
        return shorten(text, max(_LEAST, room)) if self.fact.pair is None else pair_within(*self.fact.pair, room)

    @property
    def events(self) -> str:
        """The first event and the last one, and the memory that all of them read."""
        if self.first is None or self.last is None:
            return ""
        events = self.first if self.count == 1 else f"first {self.first}, last {self.last}"
        return ", ".join((events, *memory_texts(self._memory or ())))


def groups(
    results: Iterable[BundleResult], names: Sequence[str], *, whole: bool = False, facts_of: FactsOf = facts
) -> list[Group]:
    """The groups of all kept divergences that follow from no other, the gravest first, then the largest.

    ``names`` are those of the bundles; ``whole``: also the records that follow from others.
    """
    found: dict[Hashable, Group] = {}
    for result, name in zip(results, names, strict=True):
        for divergence in as_shown(result.divergences) if whole else independent(result):
            for node, fact in _grouped(divergence, facts_of):
                key = _key(divergence, node, fact)
                found.setdefault(key, Group(fact, node, divergence.level)).add(name, divergence, fact)
    return sorted(found.values(), key=lambda group: (_WEIGHTS[group.level], -group.count))


def group_of(divergence: Divergence) -> Hashable:
    """What divergences of one group have in common."""
    return _key(divergence, *next(_grouped(divergence, facts)))


def _key(divergence: Divergence, node: str, fact: Fact) -> Hashable:
    path = _NUMBERS.sub("[]", divergence.path)
    memory = tuple(each.key for each in divergence.memory)
    return (divergence.cause, memory, node, divergence.kind, divergence.level, path, fact.sign, fact.subject)


def group_rows(found: Sequence[Group]) -> list[Row]:
    """One row a group of one bundle: how many, the level, the node, what, the first event and the last."""
    return _rows(found, [(f"{group.count:,}", group.events) for group in found])


def bundle_rows(found: Sequence[Group], *, listed: bool) -> list[Row]:
    """One row a group of several bundles: how many bundles, what, the names of the first ones, or of all."""
    ends: list[tuple[str, str]] = []
    for group in found:
        named = group.bundles if listed else group.bundles[:_NAMED]
        more = f", {GAP}" if len(named) < len(group.bundles) else ""
        ends.append((counted(len(group.bundles), "bundle"), ", ".join(named) + more))
    return _rows(found, ends)


def _rows(found: Sequence[Group], ends: Sequence[tuple[str, str]]) -> list[Row]:
    """The rows of groups between their first and last cells; values take the room that these leave on a line.

    A last cell that leaves too little of a line stands on a line of its own.
    """
    left = _LINE - _room(first for first, _ in ends)
    left -= _room(level_mark(group.level) for group in found) + _room(group.node for group in found)
    beside = left - _room(last for _, last in ends)
    rows: list[Row] = []
    for group, (first, last) in zip(found, ends, strict=True):
        what = group.what(beside if last and beside >= _WIDTH else left)
        rows.append(Row((first, level_mark(group.level), group.node, what, last), SIGN_TONES[group.fact.sign]))
    return rows


def _room(cells: Iterable[str]) -> int:
    """The columns of a line that these cells take, with the gap beside them."""
    width = max(map(cell_width, cells), default=0)
    return width + 2 if width else 0


def _parts(fact: Fact) -> tuple[str, ...]:
    return fact.parts or (fact.values if fact.pair is None else " -> ".join(fact.pair),)


def _grouped(divergence: Divergence, facts_of: FactsOf) -> Iterator[tuple[str, Fact]]:
    """The facts by which a divergence is grouped, with its node: records by their names, which stand for the node."""
    named = None if divergence.log is None else records(divergence.log)
    if named is not None:
        yield "", named
        return
    for fact in facts_of(divergence):
        yield divergence.node or "", fact
