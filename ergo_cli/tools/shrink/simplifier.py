"""Find the simplest value that still fails: fewer members, shorter lists and texts, smaller numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import isfinite, trunc

from ergo_cli.core.json import JsonValue
from ergo_cli.tools.shrink.minimiser import needed_from_the_right, one_minimal

FailsWith = Callable[[JsonValue], bool]
"""Whether a value in the place of the one that is simplified fails."""


def simplest(value: JsonValue, fails: FailsWith) -> JsonValue:
    """A value no less simple than ``value``, which is known to fail, that fails too; types stay as they are.

    No single member or item of it can go.
    """
    match value:
        case dict():
            return _simplest_members(value, fails)
        case list():
            return _simplest_items(value, fails)
        case bool() | None:
            return value
        case int() | float():
            return _smallest_number(value, fails)
        case str():
            return _shortest_text(value, fails)


def fewest_members(members: dict[str, JsonValue], fails: Callable[[dict[str, JsonValue]], bool]) -> list[str]:
    """The names of the members of which none can go."""
    if not members or fails({}):
        return []

    def fail(names: list[str]) -> bool:
        return fails({name: members[name] for name in names})

    return one_minimal(needed_from_the_right(list(members), fail), fail)


def _simplest_members(members: dict[str, JsonValue], fails: FailsWith) -> dict[str, JsonValue]:
    kept = {name: members[name] for name in fewest_members(members, fails)}
    for name in kept:
        kept[name] = simplest(kept[name], lambda value, name=name: fails({**kept, name: value}))
    return kept


def _simplest_items(items: list[JsonValue], fails: FailsWith) -> list[JsonValue]:
    if not items or fails([]):
        return []

    def fail(places: list[int]) -> bool:
        return fails([items[place] for place in places])

    places = one_minimal(needed_from_the_right(range(len(items)), fail), fail)
    kept = [items[place] for place in places]
    for at in range(len(kept)):
        kept[at] = simplest(kept[at], lambda value, at=at: fails([*kept[:at], value, *kept[at + 1 :]]))
    return kept


def _smallest_number(number: float, fails: FailsWith) -> JsonValue:
    """0 or 1 if they fail, else with fewer digits and halved as long as that fails."""
    if not isfinite(number):
        return number
    for simpler in _rounded(number):
        if abs(simpler) <= abs(number) and repr(simpler) != repr(number) and fails(simpler):
            number = simpler
            break
    while abs(number) > 1:
        half = number // 2 if isinstance(number, int) and number > 0 else trunc(number / 2)
        half = half if isinstance(number, int) else float(half)
        if not fails(half):
            break
        number = half
    return number


def _rounded(number: float) -> Iterator[float]:
    """Simpler numbers of the same type and sign, the simplest first."""
    of_type = type(number)
    yield of_type(0)
    yield of_type(-1 if number < 0 else 1)
    if isinstance(number, float):
        yield float(trunc(number))
        yield round(number, 1)
        yield round(number, 2)


def _shortest_text(text: str, fails: FailsWith) -> str:
    """The empty text if it fails, else its first half as long as that fails."""
    if not text or fails(""):
        return ""
    while len(text) > 1 and fails(text[: len(text) // 2]):
        text = text[: len(text) // 2]
    return text
