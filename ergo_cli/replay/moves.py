"""Which events stand at another place: the fewest that explain the order of the others."""

from __future__ import annotations

from bisect import bisect_left
from itertools import count

from ergo_cli.replay.joining import Key


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
