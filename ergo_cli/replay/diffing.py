"""Two bundles compared without running anything, joined by event id: an insertion is one difference (spec 00 §12.7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from ergo_cli.bundle.codec import decode_decision, decode_event
from ergo_cli.bundle.faults import RecordFault
from ergo_cli.bundle.schema import EventRecord
from ergo_cli.core.json import JsonValue
from ergo_cli.errors import BundleError, ReplayError
from ergo_cli.replay.compare import Difference, Leaf, compare_decisions, leaves
from ergo_cli.replay.divergence import Divergence, DivergenceKind, Divergences
from ergo_cli.replay.joining import Key, Row, join
from ergo_cli.replay.moves import moved
from ergo_cli.replay.paths import Location, Member, Pattern, all_matched, render
from ergo_cli.replay.result import BundleResult, DecisionCounts, Outcome
from ergo_cli.replay.sides import Entry, Side
from ergo_cli.replay.trees import Tree, decision_tree, event_fields, event_tree, header_tree

if TYPE_CHECKING:
    from ergo_cli.bundle.kernel_journals import KernelEpisode
    from ergo_cli.replay.kernel.differences import JournalDifference

_MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecordFault)
_EVIDENCE = ("intent_acks", "interruption")


def diff_bundles(path_a: str, path_b: str, ignore: Sequence[Pattern] = (), max_divergences: int = 1000) -> BundleResult:
    """Every difference of B from A.

    Raises BundleError where one of them cannot be read, ReplayError ``replay.unsupported_capture_version``. Records
    that are equal on both sides to the letter are not looked into.
    """
    if not ignore:  # a pattern remembers what it met on a way that led nowhere
        with suppress(BundleError, ReplayError, RecursionError, *_MALFORMED):  # told by the long way
            return _Diff(Side(path_a, quick=True), Side(path_b, quick=True), (), max_divergences).run()
    a, b = Side(path_a), Side(path_b)
    try:
        return _Diff(a, b, ignore, max_divergences).run()
    except _MALFORMED:
        for side in (a, b):
            side.check()
        raise


class _Diff:
    """The comparison of two sides."""

    def __init__(self, a: Side, b: Side, ignore: Sequence[Pattern], limit: int) -> None:
        self._a, self._b, self._ignore = a, b, ignore
        self._found = Divergences(limit)
        self._seen_all = False

    def run(self) -> BundleResult:
        """Header, then events and decisions in the order of A."""
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
        counts = b.counts
        return BundleResult(
            b.reader.path,
            Outcome.DIVERGED if self._found.count else Outcome.MATCH,
            events=len(b.events),
            decisions=DecisionCounts(counts["Invoke"], counts["Skip"], counts["Defer"]),
            divergence_count=self._found.count,
            divergences=tuple(self._found.kept),
            graph_id=b.reader.graph_id,
            base=a.reader.path,
        )

    def _compare_headers(self) -> None:
        here, there = (header_tree(side.reader, self._ignore) for side in (self._a, self._b))
        for location, expected, actual in leaves(dict(here), dict(there), (Member("header"),)):
            self._found.add(Divergence(0, None, None, DivergenceKind.HEADER, render(location), expected, actual))

    def _compare(self, left: Row[Entry] | None, right: Row[Entry] | None, elsewhere: Set[Key]) -> None:
        if not self._seen_all:
            self._look(left, right)
        if left is None or right is None:
            self._one_sided(left, right)
            return
        if left.key in elsewhere:
            self._add(left, DivergenceKind.EVENT_MOVED, (), left.seq, right.seq)
        here, there = left.record, right.record
        if here.event != there.event:
            self._compare_events(left, right)
        if not here.decides_as(there):
            self._compare_decisions(left, right)
        if here.journal is not None and there.journal is not None:
            self._compare_journals(left, here.journal, there.journal)

    def _compare_lone_decisions(self, left: Row[Entry] | None, right: Row[Entry] | None) -> None:
        """A decision whose event is on one side only was told with its event."""
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
        """Show records to the patterns that have found nothing yet, whether or not the records differ."""
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

    def _compare_events(self, left: Row[Entry], right: Row[Entry]) -> None:
        here, there = (event_tree(_event(row.record), self._ignore) for row in (left, right))
        for location, expected, actual in _event_leaves(here, there):
            self._add(left, DivergenceKind.EVENT_CHANGED, (Member("event"), *location), expected, actual)

    def _compare_decisions(self, left: Row[Entry], right: Row[Entry]) -> None:
        for difference in self._decision_differences(left.record, right.record):
            self._add(left, difference.kind, difference.location, difference.expected, difference.actual)

    def _compare_journals(self, left: Row[Entry], here: KernelEpisode, there: KernelEpisode) -> None:
        from ergo_cli.replay.kernel.diffing import journal_differences  # other bundles need not pay for it

        graphs = self._a.reader.graph_id, self._b.reader.graph_id
        for found in journal_differences(here, there, (f"{graphs[0]}/{left.key[0]}", f"{graphs[1]}/{left.key[0]}")):
            self._add_journal(left, found)

    def _decision_differences(self, here: Entry, there: Entry) -> Iterator[Difference]:
        trees = [self._decision(entry) for entry in (here, there)]
        if "episode_id" in trees[0]:
            for tree, number in zip(trees, _episodes(here, there), strict=True):
                tree["episode_id"] = number
        yield from compare_decisions(trees[0], trees[1])
        evidence = [{name: tree[name] for name in _EVIDENCE if name in tree} for tree in trees]
        for location, expected, actual in leaves(evidence[0], evidence[1], ()):
            yield Difference(DivergenceKind.EVIDENCE, location, expected, actual)

    def _decision(self, entry: Entry) -> dict[str, JsonValue]:
        assert entry.decision is not None
        return dict(decision_tree(decode_decision(entry.decision, entry.version), self._ignore))

    def _add(
        self, at: Row[Entry], kind: DivergenceKind, location: Location, expected: JsonValue, actual: JsonValue
    ) -> None:
        path, (event_id, occurrence) = render(location), at.key
        self._found.add(Divergence(at.seq, event_id, at.record.episode_id, kind, path, expected, actual, occurrence))

    def _add_journal(self, at: Row[Entry], found: JournalDifference) -> None:
        self._found.add(
            Divergence(
                at.seq,
                at.key[0],
                at.record.episode_id,
                DivergenceKind.JOURNAL,
                render(found.location),
                found.expected,
                found.actual,
                at.key[1],
                node=found.node,
                cause=found.cause,
                log=found.log,
            )
        )


def _episodes(here: Entry, there: Entry) -> tuple[JsonValue, JsonValue]:
    """What to compare for ``episode_id``: nothing where both stand for the same event, else their numbers.

    Equal numbers that stand for different events are told as those events.
    """
    if here.episode == there.episode:
        return None, None
    if here.episode_id != there.episode_id:
        return here.episode_id, there.episode_id
    return _event_id(here.episode), _event_id(there.episode)


def _event_id(key: Key | None) -> JsonValue:
    """The id; with its occurrence where it came before."""
    return None if key is None else list(key) if key[1] else key[0]


def _event(entry: Entry) -> EventRecord:
    assert entry.event is not None
    return decode_event(bytes(entry.event), entry.version)


def _event_leaves(here: Tree, there: Tree) -> Iterator[Leaf]:
    """Time and kind are one leaf each; the hash counts only where the payload itself is equal."""
    for name in ("event_time", "kind"):
        if here.get(name) != there.get(name):
            yield (Member(name),), here.get(name), there.get(name)
    payloads = list(leaves(here.get("payload"), there.get("payload"), (Member("payload"),)))
    yield from payloads
    hashes = here.get("payload_hash"), there.get("payload_hash")
    if not payloads and None not in hashes and hashes[0] != hashes[1]:
        yield (Member("payload_hash"),), *hashes
