"""Pair the effects of two decisions by what they are about: writes by their key, intents by their kind.

Divergences are paired by position (spec 00 §12.7), so that an effect which one side alone has shifts what follows it.
A reader asks which keys and intents differ: here one new effect is one difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import TypeVar

from msgspec import Struct

from ergo_cli.core.json import Item, JsonValue, Leaf, Location, Member, canonical
from ergo_cli.replay.compare import (
    Difference,
    Numbered,
    Tree,
    common_prefix,
    effect_at,
    effects_of,
    kept,
    leaves,
    order_difference,
    without_hash,
)
from ergo_cli.replay.paths import without_ignored
from ergo_cli.replay.results import DivergenceKind

_NAMES = (("writes", "key"), ("intents", "kind"))

_T = TypeVar("_T")


class _Part(Struct, frozen=True):
    """A write, an intent, or an effect that has neither: its effect, its place in it, what it is about, its value."""

    effect: int
    below: Location
    about: Hashable
    value: JsonValue

    @property
    def location(self) -> Location:
        return *effect_at(self.effect), *self.below


_Pairs = Sequence[tuple[_T | None, _T | None]]


def compare_by_key(expected: Tree, actual: Tree) -> list[Difference] | None:
    """The differences of the effects of two decisions by key and kind; None where pairing by position does as well.

    That is so where both lists are about the same in the same order, or differ in their order only.
    """
    here, there = (list(_parts(effects_of(tree))) for tree in (expected, actual))
    if [part.about for part in here] == [part.about for part in there] or _texts(here) == _texts(there):
        return None
    pairs = _paired_between_equal_ends(here, there)
    sides = effects_of(expected), effects_of(actual)
    found = list(_differences(pairs, *sides))
    if found and _is_reordered(pairs, there):
        found.append(order_difference(kept(sides[0]), kept(sides[1])))
    return found or None


def _texts(parts: Iterable[_Part]) -> Counter[tuple[Hashable, bytes]]:
    return Counter((part.about, canonical(part.value)) for part in parts)


def _paired_between_equal_ends(here: Sequence[_Part], there: Sequence[_Part]) -> _Pairs[_Part]:
    """Pair the parts that are about the same; equal ones at both ends of the lists are each other's."""
    texts = [[(part.about, canonical(part.value)) for part in side] for side in (here, there)]
    start = common_prefix(*texts)
    end = common_prefix(texts[0][start:][::-1], texts[1][start:][::-1])
    one, other = len(here) - end, len(there) - end
    between = _paired(here[start:one], there[start:other], lambda part: part.about, lambda part: part.value)
    ends = (zip(here[:start], there[:start], strict=True), zip(here[one:], there[other:], strict=True))
    return [*ends[0], *between, *ends[1]]


def _is_reordered(pairs: _Pairs[_Part], there: Sequence[_Part]) -> bool:
    """Whether parts that both sides have follow one another differently."""
    places = {part.location: place for place, part in enumerate(there)}
    order = [places[other.location] for one, other in pairs if one is not None and other is not None]
    return order != sorted(order)


def _parts(effects: Sequence[JsonValue]) -> Iterator[_Part]:
    for number, effect in kept(effects):
        members = effect if isinstance(effect, dict) else {}
        kind, found = members.get("kind"), False
        for name, named_by in _NAMES:
            items = members.get(name)
            for index, item in kept(items) if isinstance(items, list) else ():
                about = item.get(named_by) if isinstance(item, dict) else None
                yield _Part(number, (Member(name), Item(index)), (kind, name, about), item)
                found = True
        if not found:
            yield _Part(number, (), (kind,), without_hash(effect))


def _paired(
    here: Sequence[_T], there: Sequence[_T], about: Callable[[_T], Hashable], value: Callable[[_T], JsonValue]
) -> _Pairs[_T]:
    """Pair the items that are about the same: equal ones at both ends, the rest by position among themselves.

    Those of ``here`` come first, in their order.
    """
    groups: dict[Hashable, tuple[list[int], list[int]]] = {}
    for side, items in enumerate((here, there)):
        for index, item in enumerate(items):
            groups.setdefault(about(item), ([], []))[side].append(index)
    pairs: list[tuple[int | None, int | None]] = []
    for ones, others in groups.values():
        texts = [canonical(value(here[one])) for one in ones], [canonical(value(there[other])) for other in others]
        end = common_prefix(texts[0][::-1], texts[1][::-1])
        pairs += zip_longest(ones[: len(ones) - end], others[: len(others) - end])
        pairs += zip(ones[len(ones) - end :], others[len(others) - end :], strict=True)
    pairs.sort(key=lambda pair: (pair[0] is None, pair[0] or 0, pair[1] or 0))
    return [(None if one is None else here[one], None if other is None else there[other]) for one, other in pairs]


def _differences(
    pairs: _Pairs[_Part], expected: Sequence[JsonValue], actual: Sequence[JsonValue]
) -> Iterator[Difference]:
    """An effect with no part on the other side is one difference; else each of its parts is by itself."""
    partners = {one.effect: other.effect for one, other in pairs if one is not None and other is not None}
    whole: set[tuple[DivergenceKind, int]] = set()
    for one, other in pairs:
        if one is not None and other is not None:
            for location, was, now in _part_leaves(one, other):
                kind = DivergenceKind.EFFECT_CHANGED
                yield Difference(kind, location, was, now, other.effect, expected[one.effect])
        elif one is not None and one.effect in partners:
            made, gone = partners[one.effect], without_ignored(one.value)
            within = expected[one.effect]
            yield Difference(DivergenceKind.EFFECT_CHANGED, one.location, gone, None, made, within)
        elif other is not None and other.effect in partners.values():
            new, within = without_ignored(other.value), actual[other.effect]
            yield Difference(DivergenceKind.EFFECT_EXTRA, other.location, None, new, other.effect, within)
        else:
            yield from _whole(one, other, expected, actual, whole)


def _whole(
    one: _Part | None,
    other: _Part | None,
    expected: Sequence[JsonValue],
    actual: Sequence[JsonValue],
    seen: set[tuple[DivergenceKind, int]],
) -> Iterator[Difference]:
    """The difference of a whole effect, at the first of its parts."""
    kind = DivergenceKind.EFFECT_EXTRA if one is None else DivergenceKind.EFFECT_MISSING
    part = one or other
    if part is None or (kind, part.effect) in seen:
        return
    seen.add((kind, part.effect))
    effect = without_ignored((actual if one is None else expected)[part.effect])
    sides = (None, effect) if one is None else (effect, None)
    yield Difference(kind, effect_at(part.effect), *sides, part.effect)


def _part_leaves(one: _Part, other: _Part) -> Iterator[Leaf]:
    """The leaves of two writes or intents; the fields of intents are paired by their names."""
    here, there = one.value, other.value
    fields = [value.get("fields") if isinstance(value, dict) else None for value in (here, there)]
    if not (isinstance(fields[0], list) and isinstance(fields[1], list)):
        yield from leaves(here, there, one.location)
        return
    yield from leaves(_without_fields(here), _without_fields(there), one.location)
    for was, now in _paired(kept(fields[0]), kept(fields[1]), _name, lambda field: field[1]):
        index = (was or now or (0, None))[0]
        at = (*one.location, Member("fields"), Item(index))
        yield from leaves(None if was is None else was[1], None if now is None else now[1], at)


def _name(field: Numbered) -> Hashable:
    name = field[1].get("name") if isinstance(field[1], dict) else None
    return name if isinstance(name, str) else None


def _without_fields(intent: JsonValue) -> JsonValue:
    if not isinstance(intent, dict):
        return intent
    return {name: member for name, member in intent.items() if name != "fields"}
