"""Two trees, leaf by leaf: what differs and where (spec 11 §13, 00 §12.7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

from msgspec import Struct

from ergo_cli.core.effects import effect_hash
from ergo_cli.core.json import JsonValue, canonical
from ergo_cli.core.values import ValueType
from ergo_cli.replay.divergence import DivergenceKind
from ergo_cli.replay.paths import Ignored, Item, Location, Member
from ergo_cli.replay.trees import Tree, without_hash

_FIELDS = ("event_id", "decision", "schedule_at", "episode_id", "deadline", "termination", "retry_count")
_TAGS = frozenset(kind.value for kind in ValueType)
_NOTHING = (0, None)

Leaf = tuple[Location, JsonValue, JsonValue]
"""Where two trees differ, and what stands there on either side."""

_Numbered = tuple[int, JsonValue]


class Difference(Struct, frozen=True):
    """One leaf that differs; ``effect`` is the index of the effect it lies in, on the actual side if that has it."""

    kind: DivergenceKind
    location: Location
    expected: JsonValue
    actual: JsonValue
    effect: int | None = None


def compare_decisions(expected: Tree, actual: Tree) -> Iterator[Difference]:
    """Every difference of a pair, fields before effects; ignored fields are in neither tree. Passes over evidence."""
    for name in _FIELDS:
        here, there = expected.get(name), actual.get(name)
        if name in expected and name in actual and here != there:
            kind = DivergenceKind.TERMINATION if name == "termination" else DivergenceKind.DECISION
            yield Difference(kind, (Member(name),), here, there)
    yield from compare_effects(_effects(expected), _effects(actual))


def compare_effects(expected: Sequence[JsonValue], actual: Sequence[JsonValue]) -> Iterator[Difference]:
    """The differences of two effect lists: one for a mere reordering, else by position between the equal ends."""
    here, there = _kept(expected), _kept(actual)
    keys = [canonical(effect) for _, effect in here], [canonical(effect) for _, effect in there]
    if keys[0] == keys[1]:
        return
    if Counter(keys[0]) == Counter(keys[1]):
        hashes = [_hash(effect) for _, effect in here], [_hash(effect) for _, effect in there]
        yield Difference(DivergenceKind.EFFECT_ORDER, (Member("effects"),), hashes[0], hashes[1])
        return
    start = _common_prefix(keys[0], keys[1])
    end = _common_prefix(keys[0][start:][::-1], keys[1][start:][::-1])
    for one, other in zip_longest(here[start : len(here) - end], there[start : len(there) - end]):
        yield from _compare_pair(one, other)


def leaves(expected: JsonValue, actual: JsonValue, at: Location) -> Iterator[Leaf]:
    """Each leaf that differs, with its location; a value of another type and a series of another length are one.

    Items are paired by position once those left out are gone; their numbers are those of the expected side.
    """
    if _same(expected, actual):
        return
    if isinstance(expected, dict) and isinstance(actual, dict) and _alike(expected, actual):
        for name in [*expected, *(name for name in actual if name not in expected)]:
            yield from leaves(expected.get(name), actual.get(name), (*at, Member(name)))
    elif isinstance(expected, list) and isinstance(actual, list) and not _is_series(expected, actual):
        for one, other in zip_longest(_kept(expected), _kept(actual)):
            index, _ = one or other or _NOTHING
            yield from leaves((one or _NOTHING)[1], (other or _NOTHING)[1], (*at, Item(index)))
    else:
        yield at, expected, actual


def _compare_pair(one: _Numbered | None, other: _Numbered | None) -> Iterator[Difference]:
    if one is not None and other is not None:
        yield from _compare_effect(one, other)
    elif one is not None:
        yield Difference(DivergenceKind.EFFECT_MISSING, _effect_at(one[0]), one[1], None, one[0])
    elif other is not None:
        yield Difference(DivergenceKind.EFFECT_EXTRA, _effect_at(other[0]), None, other[1], other[0])


def _compare_effect(one: _Numbered, other: _Numbered) -> Iterator[Difference]:
    (index, expected), (made, actual) = one, other
    found = list(leaves(without_hash(expected), without_hash(actual), _effect_at(index)))
    hashes = _recorded_hash(expected), _recorded_hash(actual)
    if not found and None not in hashes and hashes[0] != hashes[1]:
        found = [((*_effect_at(index), Member("effect_hash")), hashes[0], hashes[1])]
    for location, here, there in found:
        yield Difference(DivergenceKind.EFFECT_CHANGED, location, here, there, made)


def _kept(items: Sequence[JsonValue]) -> list[_Numbered]:
    """The items that were not left out, each with its index."""
    return [(index, item) for index, item in enumerate(items) if item is not Ignored.ITEM]


def _effects(tree: Tree) -> list[JsonValue]:
    effects = tree.get("effects", [])
    assert isinstance(effects, list)
    return effects


def _alike(expected: Mapping[str, JsonValue], actual: Mapping[str, JsonValue]) -> bool:
    """Whether two objects are to be compared member by member: a value of another type is one leaf."""
    return expected.keys() == actual.keys() or not (_is_tagged(expected) and _is_tagged(actual))


def _is_tagged(value: Mapping[str, JsonValue]) -> bool:
    return len(value) == 1 and value.keys() <= _TAGS


def _is_series(expected: list[JsonValue], actual: list[JsonValue]) -> bool:
    if len(expected) == len(actual):
        return False
    return all(isinstance(item, int | float) for item in (*expected, *actual))


def _same(expected: JsonValue, actual: JsonValue) -> bool:
    """Equal when rendered: 0.0 and -0.0 differ."""
    return canonical(expected) == canonical(actual)


def _recorded_hash(effect: JsonValue) -> JsonValue:
    return effect.get("effect_hash") if isinstance(effect, dict) else None


def _hash(effect: JsonValue) -> JsonValue:
    """The recorded hash; that of what is left where something of the effect was left out."""
    return _recorded_hash(effect) or effect_hash(canonical(effect))


def _effect_at(index: int) -> Location:
    return Member("effects"), Item(index)


def _common_prefix(here: Sequence[bytes], there: Sequence[bytes]) -> int:
    length = 0
    for one, other in zip(here, there, strict=False):
        if one != other:
            break
        length += 1
    return length
