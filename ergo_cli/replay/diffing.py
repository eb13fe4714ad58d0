"""Compare two bundles without running a program, joined by event id: an insertion is one difference (spec 00 §12.7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from functools import cached_property
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from ergo_cli.bundle.decoding import decode_decision, decode_event
from ergo_cli.bundle.schema import DecisionRecord, EventRecord, RecordFault
from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.json import Item, JsonValue, Leaf, Location, Member, render
from ergo_cli.core.levels import FailOn
from ergo_cli.errors import BundleError, ReplayError
from ergo_cli.programs.kind import Acting
from ergo_cli.programs.recorded import Episode, JournalDifference
from ergo_cli.project.store import ProgramStore
from ergo_cli.replay.by_key import compare_by_key
from ergo_cli.replay.compare import (
    Difference,
    Tree,
    compare_decisions,
    decision_tree,
    effects_of,
    event_fields,
    event_tree,
    header_tree,
    leaves,
)
from ergo_cli.replay.diff_reader import Entry, Side
from ergo_cli.replay.differing_memory import DifferingMemory
from ergo_cli.replay.joining import Key, Row, join, moved
from ergo_cli.replay.paths import Pattern, all_matched
from ergo_cli.replay.results import (
    MEMORY,
    BundleResult,
    Changes,
    DecisionCounts,
    Divergence,
    DivergenceKind,
    Divergences,
    MemorySince,
    Outcome,
    with_pairs_by_key,
)

if TYPE_CHECKING:
    from ergo_cli.replay.capture_layers import CaptureLayers

_MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecordFault)
_EVIDENCE = ("intent_acks", "interruption")


def diff_bundles(
    path_a: str | PathLike[str],
    path_b: str | PathLike[str],
    ignore: Sequence[Pattern] = (),
    max_divergences: int = 1000,
    fail_on: FailOn = FailOn.ANY,
) -> BundleResult:
    """List every difference of B from A; ``fail_on`` says which of them fail the comparison.

    Raises BundleError for an unreadable bundle, ReplayError ``replay.unsupported_capture_version``. Records with equal
    texts on both sides are not decoded.
    """
    return diff_with_changes(path_a, path_b, ignore, max_divergences, fail_on, None)


def diff_with_changes(
    path_a: str | PathLike[str],
    path_b: str | PathLike[str],
    ignore: Sequence[Pattern],
    max_divergences: int,
    fail_on: FailOn,
    store: ProgramStore | None,
) -> BundleResult:
    """As ``diff_bundles``; with a store also what changed between the captures, as far as their texts are known."""
    path_a, path_b = fspath(path_a), fspath(path_b)
    if not ignore:  # patterns remember matches, so an abandoned quick attempt would leave some behind
        with suppress(BundleError, ReplayError, RecursionError, *_MALFORMED):  # the full path reports the fault
            sides = Side(path_a, quick=True), Side(path_b, quick=True)
            return _Diff(*sides, (), max_divergences, fail_on, store).run()
    a, b = Side(path_a), Side(path_b)
    try:
        return _Diff(a, b, ignore, max_divergences, fail_on, store).run()
    except _MALFORMED:
        for side in (a, b):
            side.check()
        raise


class _Diff:
    """The comparison of two sides."""

    def __init__(
        self,
        a: Side,
        b: Side,
        ignore: Sequence[Pattern],
        limit: int,
        fail_on: FailOn,
        store: ProgramStore | None,
    ) -> None:
        self._a, self._b, self._ignore, self._fail_on, self._store = a, b, ignore, fail_on, store
        self._found = Divergences(limit)
        self._memory = DifferingMemory()
        self._seen_all = False

    def run(self) -> BundleResult:
        """Compare the headers, then events and decisions in the order of A."""
        self._compare_headers()
        self._seen_all = all_matched(self._ignore)
        a, b = self._a, self._b
        elsewhere = moved(a.events, b.events)
        if a.paired and b.paired:
            for left, right in join(a.pairs(), b.pairs(), a.event_keys, b.event_keys, Entry.kept):
                self._compare(left, right, elsewhere)
        else:
            for left, right in join(a.lone_events(), b.lone_events(), a.event_keys, b.event_keys, Entry.kept):
                self._compare(left, right, elsewhere)
            keys = set(a.decisions), set(b.decisions)
            for left, right in join(a.lone_decisions(), b.lone_decisions(), *keys, Entry.kept):
                self._compare_lone_decisions(left, right)
        self._compare_closing(a.closing, b.closing)
        return self._with_changes(self._result(b.counts))

    def _result(self, counts: Mapping[str, int]) -> BundleResult:
        a, b = self._a, self._b
        return BundleResult(
            b.reader.path,
            Outcome.DIVERGED if self._found.count else Outcome.MATCH,
            events=len(b.events),
            decisions=DecisionCounts(counts["Invoke"], counts["Skip"], counts["Defer"]),
            divergence_count=self._found.count,
            divergences=tuple(self._found.kept),
            graph_id=b.reader.graph_id,
            base=a.reader.path,
            differing=self._found.decisions,
            warnings=self._uncompared(),
            levels=self._found.levels,
            fail_on=self._fail_on,
        )

    def _with_changes(self, result: BundleResult) -> BundleResult:
        if self._store is None or not self._found.count:
            return result
        from ergo_cli.replay.reaching import with_changes  # imported here: a match does not need it

        return with_changes(result, self._layers.changes, self._layers.after)

    @cached_property
    def _layers(self) -> CaptureLayers:
        from ergo_cli.replay.capture_layers import CaptureLayers, capture_layers  # as above

        if self._store is None:
            return CaptureLayers(Changes())
        return capture_layers(self._a.reader, self._b.reader, self._store)

    def _uncompared(self) -> tuple[Notice, ...]:
        """Warn that journals were left out, because the bundles are of programs of different kinds."""
        a, b = self._a.reader, self._b.reader
        if a.kind_name == b.kind_name or (a.kind.acting is None and b.kind.acting is None):
            return ()
        kinds = f"'{a.path}' is of a {a.kind_name} program, '{b.path}' of a {b.kind_name} program"
        return (Notice(f"the journals were not compared: {kinds}"),)

    def _compare_headers(self) -> None:
        here, there = (header_tree(side.reader, self._ignore) for side in (self._a, self._b))
        for location, expected, actual in leaves(dict(here), dict(there), (Member("header"),)):
            found = Difference(DivergenceKind.HEADER, location, expected, actual)
            self._found.add(_divergence(0, (None, 0), None, found))

    def _compare(self, left: Row[Entry] | None, right: Row[Entry] | None, elsewhere: Set[Key]) -> None:
        if not self._seen_all:
            self._look(left, right)
        if left is None or right is None:
            self._one_sided(left, right)
            return
        if left.key in elsewhere:
            self._add(left, DivergenceKind.EVENT_MOVED, (), left.seq, right.seq)
        here, there = left.record, right.record
        memory: Sequence[MemorySince] = ()
        if here.event != there.event:
            memory = self._compare_events(left, right)
        if not here.decides_as(there):
            self._compare_decisions(left, right, memory)
        elif self._memory.differs and self._memory.may_be_written(here.decision):
            self._remember(left, right)
        if here.journal is not None and there.journal is not None:
            self._compare_journals(left, here.journal, there.journal)

    def _compare_lone_decisions(self, left: Row[Entry] | None, right: Row[Entry] | None) -> None:
        """Compare two decisions; one whose event is on one side only was reported with its event."""
        if left is not None and right is not None:
            self._compare(left, right, frozenset())
            return
        if not self._seen_all:
            self._look(left, right)
        if left is not None and (left.key in self._b.event_keys or left.key not in self._a.event_keys):
            self._add(left, DivergenceKind.DECISION_MISSING, (), left.record.kind, None)
        elif right is not None and (right.key in self._a.event_keys or right.key not in self._b.event_keys):
            self._add(right, DivergenceKind.DECISION_EXTRA, (), None, right.record.kind)

    def _look(self, left: Row[Entry] | None, right: Row[Entry] | None) -> None:
        """Match the records against patterns that have matched nothing yet, even if the records are equal."""
        for row in (left, right):
            if row is not None and row.record.event is not None:
                event_tree(_event(row.record), self._ignore)
            if row is not None and row.record.decision is not None:
                decision_tree(decode_decision(row.record.decision, row.record.version), self._ignore)
        self._seen_all = all_matched(self._ignore)

    def _one_sided(self, left: Row[Entry] | None, right: Row[Entry] | None) -> None:
        if left is not None:
            self._add(left, DivergenceKind.EVENT_MISSING, (), event_fields(_event(left.record)), None)
        elif right is not None:
            self._add(right, DivergenceKind.EVENT_EXTRA, (), None, event_fields(_event(right.record)))
        self._remember(left, right)

    def _compare_events(self, left: Row[Entry], right: Row[Entry]) -> Sequence[MemorySince]:
        """Compare two events; returns the memory that they read with other values."""
        events = _event(left.record), _event(right.record)
        here, there = (event_tree(event, self._ignore) for event in events)
        whole = map(event_fields, events) if self._ignore and self._memory.differs else (here, there)
        memory = tuple(self._memory.read(*(tree.get("payload") for tree in whole)))
        for location, expected, actual in _event_leaves(here, there):
            difference = Difference(DivergenceKind.EVENT_CHANGED, (Member("event"), *location), expected, actual)
            member = location[1] if location[0] == Member("payload") and len(location) > 1 else None
            own = [each for each in memory if member == Member(each.key)]
            self._found.add(_read_from(own, _divergence_at(left, difference)))
        return memory

    def _compare_decisions(self, left: Row[Entry], right: Row[Entry], memory: Sequence[MemorySince]) -> None:
        here, there = self._decision_trees(left.record, right.record)
        found = [*compare_decisions(here, there), *_evidence(here, there)]
        by_key = compare_by_key(here, there) if found and not self._found.full else None
        pairs = None if by_key is None else [_read_from(memory, self._made(left, each, here, there)) for each in by_key]
        divergences = (_read_from(memory, self._made(left, each, here, there)) for each in found)
        for divergence in with_pairs_by_key(divergences, pairs):
            self._found.add(divergence)
        self._remember(left, right)

    def _remember(self, left: Row[Entry] | None, right: Row[Entry] | None) -> None:
        """Take over what the effects of two decisions, or of one, leave behind for later events."""
        at = left or right
        if at is not None and at.record.decision is not None:
            here, there = (None if row is None else _recorded(row.record) for row in (left, right))
            self._memory.note(at.key, here, there)

    def _made(self, at: Row[Entry], found: Difference, here: Tree, there: Tree) -> Divergence:
        """A difference of two decisions, with the node that made the effect, as far as that matters and is known."""
        divergence = _divergence_at(at, found)
        if self._store is None or self._found.full or found.effect is None or not self._layers.changes.found:
            return divergence
        is_missing = found.kind is DivergenceKind.EFFECT_MISSING
        effect = effects_of(here if is_missing else there)[found.effect]
        return replace(divergence, node=self._layers.maker(effect, is_missing=is_missing))

    @cached_property
    def _acting(self) -> Acting[Any] | None:
        """The kind's comparison of journals; None where the bundles are of different kinds or have no journals."""
        a, b = self._a.reader, self._b.reader
        return a.kind.acting if a.kind_name == b.kind_name else None

    def _compare_journals(self, left: Row[Entry], here: Episode, there: Episode) -> None:
        if self._acting is None:
            return
        graphs = self._a.reader.graph_id, self._b.reader.graph_id
        own_runs = f"{graphs[0]}/{left.key[0]}", f"{graphs[1]}/{left.key[0]}"
        for found in self._acting.compare(here, there, own_runs):
            self._add_journal(left.seq, left.key, left.record.episode_id, found)

    def _compare_closing(self, here: Episode | None, there: Episode | None) -> None:
        """Compare the entries of closing the programs, which follow the last decision of A."""
        if here is not None and there is not None:
            differences = () if self._acting is None else self._acting.compare(here, there, ("", ""))
        else:
            differences = (_one_closing(each, is_a=each is here) for each in (here, there) if each is not None)
        for found in differences:
            self._add_journal(len(self._a.decisions), (None, 0), None, found)

    def _decision_trees(self, here: Entry, there: Entry) -> tuple[Tree, Tree]:
        """Both decisions, their episodes numbered by what they stand for."""
        trees = self._decision(here), self._decision(there)
        if "episode_id" in trees[0]:
            for tree, number in zip(trees, _episodes(here, there), strict=True):
                tree["episode_id"] = number
        return trees

    def _decision(self, entry: Entry) -> dict[str, JsonValue]:
        return dict(decision_tree(_recorded(entry), self._ignore))

    def _add(
        self, at: Row[Entry], kind: DivergenceKind, location: Location, expected: JsonValue, actual: JsonValue
    ) -> None:
        self._found.add(_divergence_at(at, Difference(kind, location, expected, actual)))

    def _add_journal(
        self, seq: int, key: tuple[str | None, int], episode_id: int | None, found: JournalDifference
    ) -> None:
        self._found.add(
            Divergence(
                seq,
                key[0],
                episode_id,
                DivergenceKind.JOURNAL,
                render(found.location),
                found.expected,
                found.actual,
                key[1],
                node=found.node,
                origin=found.origin,
                cause=found.cause,
                log=found.log,
                level=found.level,
            )
        )


def _read_from(memory: Sequence[MemorySince], divergence: Divergence) -> Divergence:
    """A divergence of an event that reads memory which differs."""
    return replace(divergence, cause=MEMORY, memory=tuple(memory)) if memory else divergence


def _divergence_at(at: Row[Entry], found: Difference) -> Divergence:
    return _divergence(at.seq, at.key, at.record.episode_id, found)


def _divergence(seq: int, key: tuple[str | None, int], episode_id: int | None, found: Difference) -> Divergence:
    path, sides = render(found.location), (found.expected, found.actual)
    return Divergence(seq, key[0], episode_id, found.kind, path, *sides, key[1], level=found.level, effect=found.within)


def _evidence(here: Tree, there: Tree) -> Iterator[Difference]:
    sides = [{name: tree[name] for name in _EVIDENCE if name in tree} for tree in (here, there)]
    for location, expected, actual in leaves(sides[0], sides[1], ()):
        yield Difference(DivergenceKind.EVIDENCE, location, expected, actual)


def _one_closing(episode: Episode, *, is_a: bool) -> JournalDifference:
    """The difference of a closing entry that only one side has, named by its run."""
    entry = episode.entries[0]
    run: JsonValue = {"run_id": entry.run_id}
    return JournalDifference((Member("journals"), Item(entry.index)), run if is_a else None, None if is_a else run)


def _episodes(here: Entry, there: Entry) -> tuple[JsonValue, JsonValue]:
    """The values to compare for ``episode_id``: equal if both stand for the same event, else the ids.

    Equal ids that stand for different events are reported as those events.
    """
    if here.episode == there.episode:
        return None, None
    if here.episode_id != there.episode_id:
        return here.episode_id, there.episode_id
    return _event_id(here.episode), _event_id(there.episode)


def _event_id(key: Key | None) -> JsonValue:
    """The event id, with its occurrence if it is repeated."""
    return None if key is None else list(key) if key[1] else key[0]


def _recorded(entry: Entry) -> DecisionRecord:
    assert entry.decision is not None
    return decode_decision(entry.decision, entry.version)


def _event(entry: Entry) -> EventRecord:
    assert entry.event is not None
    return decode_event(bytes(entry.event), entry.version)


def _event_leaves(here: Tree, there: Tree) -> Iterator[Leaf]:
    """The leaves of two events: time and kind are one each; the hash counts only if the payloads are equal."""
    for name in ("event_time", "kind"):
        if here.get(name) != there.get(name):
            yield (Member(name),), here.get(name), there.get(name)
    payloads = list(leaves(here.get("payload"), there.get("payload"), (Member("payload"),)))
    yield from payloads
    hashes = here.get("payload_hash"), there.get("payload_hash")
    if not payloads and None not in hashes and hashes[0] != hashes[1]:
        yield (Member("payload_hash"),), *hashes
