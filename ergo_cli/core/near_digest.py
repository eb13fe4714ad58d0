"""Find the JSON value that a digest is of, near a value that is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import islice

import msgspec

from ergo_cli.core.json import JsonValue, Location, Member, canonical, decode
from ergo_cli.core.members import members, value_at, with_value, without

_MOST_TRIES = 5000
_MOST_BYTES = 10_000_000
_MOST_BESIDE = 10
_MOST_PLACES = 6
_encode = msgspec.json.Encoder().encode

Literal = tuple[JsonValue, JsonValue]
"""A constant as it was, and as it is."""


def value_of_digest(
    near: bytes, digest: str, literals: Sequence[Literal] = (), earlier: Sequence[bytes] = ()
) -> bytes | None:
    """The compact JSON text whose SHA-256 in hex is ``digest``, where it differs in little from ``near``; else None.

    Tried are the values in which constants are as they were, at one place, at several or at all; those without one
    member; those with one member as it is in an ``earlier`` text; those with one member of another value, or with one
    more, of values and names that stand in the texts. What is found is certain, since it has the digest.
    """
    tree = decode(near)
    if _encode(tree) != near:
        return None
    most = min(_MOST_TRIES, _MOST_BYTES // len(near))
    tried = islice(_near(tree, literals, [decode(text) for text in earlier]), most)
    return next((text for text in map(_encode, tried) if sha256(text).hexdigest() == digest), None)


def _near(tree: JsonValue, literals: Sequence[Literal], earlier: Sequence[JsonValue]) -> Iterator[JsonValue]:
    every = tree
    for literal in literals:
        yield _renamed(tree, literal)
        yield from _with_literal(tree, literal)
        every = _with_all(every, _places_of(every, literal))
    yield every
    for place, _ in members(tree):
        yield without(tree, place)
    for place, value in members(tree):
        olds = {canonical(old): old for old in (value_at(state, place) for state in earlier)}
        yield from (with_value(tree, place, old) for text, old in olds.items() if text != canonical(value))
    yield from _with_another(tree, earlier)


def _with_another(tree: JsonValue, earlier: Sequence[JsonValue]) -> Iterator[JsonValue]:
    """The value with one member that is another, or with one more."""
    inside = [each for state in (tree, *earlier) for each in members(state)]
    values = {canonical(value): value for _, value in inside}
    names = dict.fromkeys(place[-1].name for place, _ in inside if isinstance(place[-1], Member))
    for place, value in members(tree):
        others = (*_beside(value), *values.values()) if not isinstance(value, dict | list) else ()
        yield from (with_value(tree, place, other) for other in others)
    objects = [((), tree), *members(tree)]
    for place, value in objects:
        if isinstance(value, dict):
            new = ((name, more) for name in names if name not in value for more in values.values())
            yield from (with_value(tree, place, _ordered({**value, name: more}, value)) for name, more in new)


def _beside(value: JsonValue) -> Sequence[JsonValue]:
    """The values that a small change of code gives in place of one."""
    if isinstance(value, bool):
        return (not value, None)
    if isinstance(value, int):
        return tuple(value + each for each in range(-_MOST_BESIDE, _MOST_BESIDE + 1))
    return (None,)


def _ordered(named: dict[str, JsonValue], like: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """An object in the order of its names, if that is how another one is written."""
    return dict(sorted(named.items())) if list(like) == sorted(like) else named


_Place = tuple[Location, JsonValue]
"""A place and the value that it had."""


def _with_literal(tree: JsonValue, literal: Literal) -> Iterator[JsonValue]:
    """The value with a constant as it was: everywhere, at each place, at every choice of few places."""
    places = _places_of(tree, literal)
    yield _with_all(tree, places)
    yield from (_with_all(tree, [place]) for place in places)
    if len(places) <= _MOST_PLACES:
        for chosen in range(1 << len(places)):
            yield _with_all(tree, [place for index, place in enumerate(places) if chosen >> index & 1])


def _places_of(tree: JsonValue, literal: Literal) -> list[_Place]:
    """Where a constant is in a value: a whole member, or a part of its text."""
    was, now = literal
    found: list[_Place] = []
    for place, value in members(tree):
        if canonical(value) == canonical(now):
            found.append((place, was))
        elif isinstance(value, str) and isinstance(now, str) and isinstance(was, str) and now and now in value:
            found.append((place, value.replace(now, was)))
    return found


def _with_all(tree: JsonValue, places: Sequence[_Place]) -> JsonValue:
    for place, value in places:
        tree = with_value(tree, place, value)
    return tree


def _renamed(tree: JsonValue, literal: Literal) -> JsonValue:
    """The value with the members of a name called as they were; in the order of the names, if they were in it."""
    was, now = literal
    if isinstance(tree, list):
        return [_renamed(part, literal) for part in tree]
    if not isinstance(tree, dict):
        return tree
    old = {now: was} if isinstance(now, str) and isinstance(was, str) else {}
    named = {old.get(name, name): _renamed(part, literal) for name, part in tree.items()}
    return _ordered(named, tree)
