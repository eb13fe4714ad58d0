"""Where two JSON values differ: at the first leaf, or member by member."""

from __future__ import annotations

from itertools import zip_longest

from ergo_cli.core.json import Item, JsonValue, Leaf, Location, Member, canonical, decode, render

_MOST_MEMBERS = 20


def first_leaf(expected: JsonValue, actual: JsonValue, at: Location) -> Leaf:
    """The first leaf at which two differing values differ; the whole values if their tags differ."""
    if isinstance(expected, dict) and isinstance(actual, dict) and not _tagged_otherwise(expected, actual):
        for name in [*expected, *(name for name in actual if name not in expected)]:
            if name not in expected or name not in actual:
                return (*at, Member(name)), expected.get(name), actual.get(name)
            if canonical(expected[name]) != canonical(actual[name]):
                return first_leaf(expected[name], actual[name], (*at, Member(name)))
    if isinstance(expected, list) and isinstance(actual, list):
        for index, (one, other) in enumerate(zip_longest(expected, actual)):
            if index >= min(len(expected), len(actual)) or canonical(one) != canonical(other):
                return first_leaf(one, other, (*at, Item(index)))
    return at, expected, actual


def differing_members(
    expected: bytes | None, actual: bytes | None, whole: str = "state"
) -> tuple[tuple[str, JsonValue, JsonValue], ...]:
    """The members in which two values differ, given as JSON texts: each with both values; at most twenty.

    Where the values differ as wholes, ``whole`` stands in the place of a member's path.
    """
    if expected is None or actual is None:
        return ()
    found: list[Leaf] = []
    _compare(decode(expected), decode(actual), (), found)
    return tuple((render(at) or whole, one, other) for at, one, other in found[:_MOST_MEMBERS])


def _tagged_otherwise(expected: dict[str, JsonValue], actual: dict[str, JsonValue]) -> bool:
    return len(expected) == len(actual) == 1 and expected.keys() != actual.keys()


def _compare(expected: JsonValue, actual: JsonValue, at: Location, found: list[Leaf]) -> None:
    if canonical(expected) == canonical(actual):
        return
    if isinstance(expected, dict) and isinstance(actual, dict):
        for name in [*expected, *(name for name in actual if name not in expected)]:
            _compare(expected.get(name), actual.get(name), (*at, Member(name)), found)
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for index, (one, other) in enumerate(zip(expected, actual, strict=True)):
            _compare(one, other, (*at, Item(index)), found)
    else:
        found.append((at, expected, actual))
