"""Find the smallest part of a list that still fails, in few tries.

``fails`` is asked of parts of the list, in its order. It may be anything; the result always fails, and none of its
items can go. Where every part that holds the items that matter fails, these are the result, after about
``log2(n / k) + 3`` tries for each of ``k`` of ``n``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

T = TypeVar("T")

Fails = Callable[[list[T]], bool]
"""Whether a part of the list, never an empty one, fails."""

MOST_GROUPS = 8
"""How many groups are left out one by one; each costs a try of nearly the whole list."""

_SHARE = 8
"""The least part of the list that such a group has, as a divisor."""


def smallest(items: Sequence[T], fails: Fails[T], groupings: Sequence[Callable[[T], Hashable]] = ()) -> list[T]:
    """The items that matter, of which none can go; the whole of ``items`` is known to fail.

    ``groupings`` give the group of an item, each in its way: groups of which only one matters go in one try.
    """
    if fails([items[-1]]):
        return [items[-1]]
    kept = shortest_prefix(items, fails)
    kept = without_groups(kept, fails, groupings)
    kept = needed_from_the_right(kept, fails)
    return one_minimal(kept, fails)


def shortest_prefix(items: Sequence[T], fails: Fails[T]) -> list[T]:
    """The items up to one without which those before it do not fail, by binary search."""
    if len(items) == 1 or not fails(list(items[:-1])):
        return list(items)
    return list(items[: _boundary(0, len(items) - 1, lambda end: fails(list(items[:end])))])


def without_groups(
    items: list[T], fails: Fails[T], groupings: Sequence[Callable[[T], Hashable]], most: int = MOST_GROUPS
) -> list[T]:
    """The items without groups that do not matter: all but that of the last item at once, else the largest singly."""
    for group_of in groupings:
        own, sizes = group_of(items[-1]), Counter(map(group_of, items))
        if len(sizes) == 1:
            continue
        alone = [item for item in items if group_of(item) == own]
        if fails(alone):
            items = alone
            continue
        for group, size in sizes.most_common(most):
            if group == own or size * _SHARE < len(items):
                continue
            most -= 1
            others = [item for item in items if group_of(item) != group]
            items = others if fails(others) else items
    return items


def needed_from_the_right(items: Sequence[T], fails: Fails[T]) -> list[T]:
    """The items that matter, found one by one from the last on; what lies between two of them goes in chunks.

    A chunk is about as long as what went between two of them so far, twice as long after each that can go, and is
    halved down to the item that matters in it.
    """
    rest, needed, chunk = list(items), list[T](), 1
    while rest:
        kept = _end_of_needed(rest, needed, fails, chunk)
        if kept == 0:
            return needed
        needed = [rest[kept - 1], *needed]
        rest = rest[: kept - 1]
        chunk = _usual_chunk(len(items), len(rest), len(needed))
    return needed


def _usual_chunk(whole: int, rest: int, needed: int) -> int:
    """A little less than the mean distance of those found; of the first one nothing is known."""
    return max(1, rest // 16 if needed == 1 else (whole - rest) * 2 // (3 * needed))


def one_minimal(items: Sequence[T], fails: Fails[T]) -> list[T]:
    """The items, from the right without each that can go by itself, until none of those that are left can."""
    kept = list(items)
    at, tried = len(kept) - 1, 0
    while tried < len(kept) > 1:
        fewer = kept[:at] + kept[at + 1 :]
        kept, tried = (fewer, 0) if fails(fewer) else (kept, tried + 1)
        at = (at or len(kept)) - 1
    return kept


def _end_of_needed(rest: list[T], needed: list[T], fails: Fails[T], chunk: int) -> int:
    """How many of ``rest`` must stay so that they fail with ``needed``: the last of them cannot go. 0 if none must."""

    def stays_failing(end: int) -> bool:
        part = rest[:end] + needed
        return bool(part) and fails(part)

    if len(needed) == 1 and stays_failing(0):
        return 0
    end = len(rest)
    while end:
        shorter = max(end - chunk, 0)
        if not stays_failing(shorter):
            return _boundary(shorter, end, stays_failing)
        end, chunk = shorter, 2 * chunk
    return 0


def _boundary(passing: int, failing: int, fails: Callable[[int], bool]) -> int:
    """A place that fails and whose neighbour below does not, between one that does not fail and one that does."""
    while failing - passing > 1:
        middle = (passing + failing) // 2
        passing, failing = (passing, middle) if fails(middle) else (middle, failing)
    return failing
