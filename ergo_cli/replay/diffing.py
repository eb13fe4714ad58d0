"""Two bundles compared without running anything, joined by event id: an insertion is one difference (spec 00 §12.7)."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, cast

import msgspec
from msgspec import Raw, Struct

from ergo_cli.bundle.codec import decode_decision, decode_event
from ergo_cli.bundle.reader import BundleReader, open_bundle
from ergo_cli.bundle.schema import Version
from ergo_cli.bundle.wire import WireConstraints
from ergo_cli.core.json import JsonError, JsonValue, decode
from ergo_cli.replay.compare import Difference, compare_decisions, decision_tree, duration_tree, leaves
from ergo_cli.replay.divergence import Divergence, DivergenceKind, Divergences
from ergo_cli.replay.joining import Key, Row, join
from ergo_cli.replay.paths import Location, Member, Pattern, render
from ergo_cli.replay.result import BundleResult, DecisionCounts, Outcome

_NULL = Raw(b"null")


class _Shallow(Struct, frozen=True):
    """A decision record read only as far as equality and the joining of episodes need it."""

    event_id: str
    episode_id: int
    decision: Raw
    effects: Raw
    retry_count: Raw
    schedule_at: Raw = _NULL
    deadline: Raw = _NULL
    termination: Raw = _NULL
    intent_acks: Raw = _NULL
    interruption: Raw = _NULL


class _Named(Struct, frozen=True):
    event_id: str


class _Entry(Struct, frozen=True):
    """What one side has for a key: the texts of its event and of its decision, and what its episode stands for."""

    version: Version
    event: bytes | None
    decision: bytes | None
    shallow: _Shallow | None
    episode: Key | None


_decode_shallow = msgspec.json.Decoder(_Shallow).decode
_decode_named = msgspec.json.Decoder(_Named).decode


class _Side:
    """One bundle of a diff: its reader, the keys of its events and decisions in order, its decisions by kind."""

    def __init__(self, path: str) -> None:
        self.reader: BundleReader = open_bundle(path)
        self.events = _keys(_decode_named(text).event_id for text in self.reader.event_texts())
        self.event_keys = frozenset(self.events)
        self.decisions = _keys(_decode_named(text).event_id for text in self.reader.decision_texts())
        self.counts: Counter[str] = Counter()

    @property
    def paired(self) -> bool:
        """Whether decision i can be taken for the one of event i, as every writer has it."""
        return len(self.events) == len(self.decisions)

    def pairs(self) -> Iterator[Row[_Entry]]:
        """Each event with its decision."""
        episodes: dict[int, Key] = {}
        texts = zip(self.events, self.reader.event_texts(), self.reader.decision_texts(), strict=True)
        for seq, (key, event, decision) in enumerate(texts):
            yield Row(seq, key, self._entry(key, event, decision, episodes))

    def lone_events(self) -> Iterator[Row[_Entry]]:
        """Each event by itself."""
        for seq, (key, event) in enumerate(zip(self.events, self.reader.event_texts(), strict=True)):
            yield Row(seq, key, _Entry(self.reader.version, event, None, None, None))

    def lone_decisions(self) -> Iterator[Row[_Entry]]:
        """Each decision by itself."""
        episodes: dict[int, Key] = {}
        for seq, (key, text) in enumerate(zip(self.decisions, self.reader.decision_texts(), strict=True)):
            yield Row(seq, key, self._entry(key, None, text, episodes))

    def _entry(self, key: Key, event: bytes | None, decision: bytes, episodes: dict[int, Key]) -> _Entry:
        shallow = _decode_shallow(decision)
        self.counts[bytes(shallow.decision).decode()] += 1
        return _Entry(self.reader.version, event, decision, shallow, episodes.setdefault(shallow.episode_id, key))


def diff_bundles(path_a: str, path_b: str, ignore: Sequence[Pattern] = (), max_divergences: int = 1000) -> BundleResult:
    """Every difference of B from A. Raises BundleError where one of them cannot be read."""
    return _Diff(_Side(path_a), _Side(path_b), ignore, max_divergences).run()


class _Diff:
    """The comparison of two sides."""

    def __init__(self, a: _Side, b: _Side, ignore: Sequence[Pattern], limit: int) -> None:
        self._a, self._b, self._ignore = a, b, ignore
        self._found = Divergences(limit)

    def run(self) -> BundleResult:
        """Header, then events and decisions in the order of A."""
        self._compare_headers()
        a, b = self._a, self._b
        moved = _moved(a.events, b.events)
        if a.paired and b.paired:
            for left, right in join(a.pairs(), b.pairs(), a.event_keys, b.event_keys):
                self._compare(left, right, moved)
        else:
            for left, right in join(a.lone_events(), b.lone_events(), a.event_keys, b.event_keys):
                self._compare(left, right, moved)
            for left, right in join(a.lone_decisions(), b.lone_decisions(), set(a.decisions), set(b.decisions)):
                self._compare_lone_decisions(left, right)
        counts = b.counts
        return BundleResult(
            b.reader.path,
            Outcome.DIVERGED if self._found.count else Outcome.MATCH,
            events=len(b.events),
            decisions=DecisionCounts(counts['"Invoke"'], counts['"Skip"'], counts['"Defer"']),
            divergence_count=self._found.count,
            divergences=tuple(self._found.kept),
            graph_id=b.reader.graph_id,
            base=a.reader.path,
        )

    def _compare_headers(self) -> None:
        here, there = self._pruned("header", _header(self._a.reader)), self._pruned("header", _header(self._b.reader))
        for location, expected, actual in leaves(here, there, (Member("header"),)):
            self._found.add(Divergence(0, None, None, DivergenceKind.HEADER, render(location), expected, actual))

    def _compare(self, left: Row[_Entry] | None, right: Row[_Entry] | None, moved: set[Key]) -> None:
        if left is None or right is None:
            self._one_sided(left, right)
            return
        if left.key in moved:
            self._add(left, DivergenceKind.EVENT_MOVED, (), left.seq, right.seq)
        if left.record.event != right.record.event:
            self._compare_events(left, right)
        if left.record.decision is not None:
            self._compare_decisions(left, right)

    def _compare_lone_decisions(self, left: Row[_Entry] | None, right: Row[_Entry] | None) -> None:
        """A decision whose event is on one side only was told with its event."""
        if left is not None and right is not None:
            self._compare_decisions(left, right)
        elif left is not None and left.key in self._b.event_keys:
            self._add(left, DivergenceKind.DECISION_MISSING, (), _kind(left.record), None)
        elif right is not None and right.key in self._a.event_keys:
            self._add(right, DivergenceKind.DECISION_EXTRA, (), None, _kind(right.record))

    def _one_sided(self, left: Row[_Entry] | None, right: Row[_Entry] | None) -> None:
        if left is not None:
            self._add(left, DivergenceKind.EVENT_MISSING, (), _event(left.record), None)
        elif right is not None:
            self._add(right, DivergenceKind.EVENT_EXTRA, (), None, _event(right.record))

    def _compare_events(self, left: Row[_Entry], right: Row[_Entry]) -> None:
        here, there = (self._pruned("event", _event(row.record)) for row in (left, right))
        for location, expected, actual in _event_differences(here, there):
            self._add(left, DivergenceKind.EVENT_CHANGED, (Member("event"), *location), expected, actual)

    def _compare_decisions(self, left: Row[_Entry], right: Row[_Entry]) -> None:
        here, there = left.record, right.record
        if here.decision == there.decision and here.episode == there.episode:
            return
        if _equal(here, there):
            return
        for difference in self._decision_differences(here, there):
            self._add(left, difference.kind, difference.location, difference.expected, difference.actual)

    def _decision_differences(self, here: _Entry, there: _Entry) -> Iterator[Difference]:
        assert here.decision is not None
        assert there.decision is not None
        records = decode_decision(here.decision), decode_decision(there.decision)
        trees = [dict(decision_tree(record, self._ignore)) for record in records]
        if here.episode == there.episode:
            for tree in trees:
                tree.pop("episode_id", None)
        yield from compare_decisions(trees[0], trees[1])
        evidence = [
            self._pruned_all({"intent_acks": _builtins(record.intent_acks), "interruption": record.interruption})
            for record in records
        ]
        for location, expected, actual in leaves(evidence[0], evidence[1], ()):
            yield Difference(DivergenceKind.EVIDENCE, location, expected, actual)

    def _pruned(self, name: str, tree: JsonValue) -> dict[str, JsonValue]:
        return cast(dict[str, JsonValue], self._pruned_all({name: tree}).get(name, {}))

    def _pruned_all(self, tree: JsonValue) -> dict[str, JsonValue]:
        for pattern in self._ignore:
            tree = pattern.prune(tree)
        return cast(dict[str, JsonValue], tree)

    def _add(
        self, at: Row[_Entry], kind: DivergenceKind, location: Location, expected: JsonValue, actual: JsonValue
    ) -> None:
        episode = at.record.shallow.episode_id if at.record.shallow is not None else None
        path = render(location)
        self._found.add(Divergence(at.seq, at.key[0], episode, kind, path, expected, actual, at.key[1]))


def _equal(here: _Entry, there: _Entry) -> bool:
    """Equal in everything but the number of the episode, which stands for the same event."""
    one, other = here.shallow, there.shallow
    assert one is not None
    assert other is not None
    same = msgspec.structs.replace(one, episode_id=other.episode_id) == other
    return same and here.episode == there.episode


def _keys(event_ids: Iterator[str]) -> list[Key]:
    seen: Counter[str] = Counter()
    keys: list[Key] = []
    for event_id in event_ids:
        keys.append((event_id, seen[event_id]))
        seen[event_id] += 1
    return keys


def _moved(a: list[Key], b: list[Key]) -> set[Key]:
    """The fewest events that must be taken out for the rest to stand in the same order on both sides."""
    at = {key: index for index, key in enumerate(b)}
    common = [key for key in a if key in at]
    positions = [at[key] for key in common]
    if positions == sorted(positions):
        return set()
    return set(common) - _longest_rising(common, positions)


def _longest_rising(keys: list[Key], positions: list[int]) -> set[Key]:
    """The keys of a longest rising subsequence of positions (patience sorting)."""
    tails: list[int] = []
    ends: list[int] = []
    before: list[int | None] = []
    for index, position in enumerate(positions):
        pile = bisect_left(tails, position)
        before.append(ends[pile - 1] if pile else None)
        tails[pile : pile + 1] = [position]
        ends[pile : pile + 1] = [index]
    rising: set[Key] = set()
    index = ends[-1] if ends else None
    while index is not None:
        rising.add(keys[index])
        index = before[index]
    return rising


def _header(reader: BundleReader) -> JsonValue:
    return {
        "graph_id": reader.graph_id,
        "config": _builtins(WireConstraints.of(reader.header.constraints)),
        "adapter_provenance": reader.adapter_provenance,
        "runtime_provenance": reader.runtime_provenance,
        "egress_provenance": reader.egress_provenance,
    }


def _event(entry: _Entry) -> JsonValue:
    """An event record as paths see it: its payload decoded where it is JSON, else as text."""
    assert entry.event is not None
    record = decode_event(entry.event, entry.version)
    try:
        payload: JsonValue = decode(record.payload) if record.payload else None
    except JsonError:
        payload = record.payload.decode(errors="backslashreplace")
    return {
        "event_id": record.event_id,
        "event_time": duration_tree(record.event_time),
        "kind": record.kind.value,
        "payload": payload,
        "payload_hash": record.payload_hash,
    }


def _event_differences(
    here: dict[str, JsonValue], there: dict[str, JsonValue]
) -> Iterator[tuple[Location, JsonValue, JsonValue]]:
    """Time and kind are one leaf each; the hash counts only where the payload itself is equal."""
    for name in ("event_time", "kind"):
        if here.get(name) != there.get(name):
            yield (Member(name),), here.get(name), there.get(name)
    payloads = list(leaves(here.get("payload"), there.get("payload"), (Member("payload"),)))
    yield from payloads
    if not payloads and here.get("payload_hash") != there.get("payload_hash"):
        yield (Member("payload_hash"),), here.get("payload_hash"), there.get("payload_hash")


def _kind(entry: _Entry) -> str:
    assert entry.shallow is not None
    return str(decode(bytes(entry.shallow.decision)))


def _builtins(value: object) -> Any:
    return msgspec.to_builtins(value)
