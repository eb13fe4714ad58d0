"""The members and items of a JSON value: walk them, look one up, give one another value."""

from __future__ import annotations

from collections.abc import Iterator

from ergo_cli.core.json import Item, JsonValue, Location, Member, Step


def parts(value: JsonValue) -> Iterator[tuple[Step, JsonValue]]:
    """The members of an object or the items of an array, each with its step; none of any other value."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield Member(name), part
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield Item(index), part


def members(value: JsonValue, at: Location = ()) -> Iterator[tuple[Location, JsonValue]]:
    """Every value inside, a whole before its parts; the value itself is not one."""
    for step, part in parts(value):
        yield (*at, step), part
        yield from members(part, (*at, step))


def value_at(value: JsonValue, place: Location) -> JsonValue:
    """The value at a place; None where there is none."""
    for step in place:
        match value, step:
            case dict(), Member(name):
                value = value.get(name)
            case list(), Item(index) if index < len(value):
                value = value[index]
            case _:
                return None
    return value


def with_value(value: JsonValue, place: Location, part: JsonValue) -> JsonValue:
    """A copy in which a place that there is has this value."""
    if not place:
        return part
    step, *rest = place
    match value, step:
        case dict(), Member(name):
            return {**value, name: with_value(value[name], (*rest,), part)}
        case list(), Item(index):
            return [*value[:index], with_value(value[index], (*rest,), part), *value[index + 1 :]]
        case _:
            return value


def without(value: JsonValue, place: Location) -> JsonValue:
    """A copy without the value at a place, which is not the whole."""
    *above, step = place
    whole = value_at(value, (*above,))
    match whole, step:
        case dict(), Member(gone):
            return with_value(value, (*above,), {name: part for name, part in whole.items() if name != gone})
        case list(), Item(gone):
            return with_value(value, (*above,), [part for index, part in enumerate(whole) if index != gone])
        case _:
            return value
