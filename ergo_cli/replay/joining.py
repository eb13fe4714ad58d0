"""Two streams joined by event id and occurrence; which events stand at another place (spec 00 §12.7)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Container, Iterable, Iterator
from itertools import count
from typing import Generic, TypeVar, cast

from msgspec import Struct

from ergo_cli.core.digest_set import DigestSet

T = TypeVar("T")
L = TypeVar("L")
R = TypeVar("R")

Key = tuple[str, int]
"""An event id and how many earlier records have the same."""


class Row(Struct, Generic[T], frozen=True, gc=False):
    """A record with its place in its stream, counted from 0, and its key."""

    seq: int
    key: Key
    record: T


class Occurrences:
    """Counts how often each id came before; ids that never repeat cost 16 bytes each."""

    def __init__(self) -> None:
        self._seen = DigestSet()
        self._repeats: dict[str, int] = {}

    def key(self, event_id: str) -> Key:
        """The key of the next record with this id."""
        if self._seen.add(event_id):
            return event_id, 0
        self._repeats[event_id] = self._repeats.get(event_id, 0) + 1
        return event_id, self._repeats[event_id]


class Keys(Container[Key]):
    """The keys of a stream: which events it has at all, and how often."""

    def __init__(self, event_ids: Iterable[str]) -> None:
        self._seen = DigestSet()
        self._repeats: dict[str, int] = {}
        for event_id in event_ids:
            if not self._seen.add(event_id):
                self._repeats[event_id] = self._repeats.get(event_id, 0) + 1

    def __contains__(self, key: object) -> bool:
        """Whether the stream has a record of this key."""
        event_id, occurrence = cast(Key, key)
        return event_id in self._seen if occurrence == 0 else self._repeats.get(event_id, 0) >= occurrence


def rows(records: Iterable[T], event_id: Callable[[T], str]) -> Iterator[Row[T]]:
    """The records of a stream with their places and keys."""
    occurrences = Occurrences()
    for seq, record in enumerate(records):
        yield Row(seq, occurrences.key(event_id(record)), record)


def join(
    left: Iterable[Row[L]],
    right: Iterable[Row[R]],
    left_keys: Container[Key],
    right_keys: Container[Key],
    keep: Callable[[R], R] | None = None,
) -> Iterator[tuple[Row[L] | None, Row[R] | None]]:
    """Every key of either stream once, with its record on each side; None on the side that lacks it.

    In the order of ``left``, what only ``right`` has where it stands there. Only records that stand in another order
    are held, as what ``keep`` makes of them, so two streams that differ by insertions and removals are joined in
    constant memory.
    """
    coming, held = iter(right), dict[Key, Row[R]]()
    for row in left:
        if row.key not in right_keys:
            yield row, None
            continue
        other = held.pop(row.key) if row.key in held else next(coming)
        while other.key != row.key:
            if other.key not in left_keys:
                yield None, other
            else:
                held[other.key] = Row(other.seq, other.key, keep(other.record)) if keep else other
            other = next(coming)
        yield row, other
    for other in coming:
        yield None, other


def moved(a: list[Key], b: list[Key]) -> set[Key]:
    """The fewest events that must be taken out for the rest to stand in the same order on both sides."""
    at = dict(zip(b, count(), strict=False))
    positions = [position for position in map(at.get, a) if position is not None]
    if positions == sorted(positions):
        return set()
    common = [b[position] for position in positions]
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
