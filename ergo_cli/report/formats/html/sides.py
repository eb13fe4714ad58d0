"""Both sides of a difference beside each other: the lines of two JSON values, aligned where they are equal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any, NamedTuple, cast

import msgspec

from ergo_cli.core.json import JsonValue
from ergo_cli.core.values import ValueType
from ergo_cli.replay.results import Divergence
from ergo_cli.report.formats.html.texts import shown
from ergo_cli.report.text import shorten_pair

MOST_LINES = 60
"""Of either side."""

_MOST_ALONE = 24
"""Of a side that has no other beside it."""

_CONTEXT = 6
_WIDTH = 240
_TAGS = frozenset(each.value for each in ValueType)


class Pair(NamedTuple):
    """A line of each side, None where a side has none.

    ``mark`` is ``same``, ``changed``, ``removed`` or ``added``; ``cut`` where the lines say how many are left out.
    """

    mark: str
    left: str | None
    right: str | None


def sides_of(divergence: Divergence) -> list[Pair]:
    """Both sides of a divergence: of a state the members that differ, of a record the whole, else the value."""
    log = divergence.log
    if log is not None and log.state:
        return side_by_side({path: was for path, was, _ in log.state}, {path: now for path, _, now in log.state})
    if log is not None and (log.expected is not None or log.actual is not None):
        return side_by_side(log.expected, log.actual)
    return side_by_side(divergence.expected, divergence.actual)


def side_by_side(expected: JsonValue, actual: JsonValue) -> list[Pair]:
    """The lines of both values from shortly before the first that differs; what is left out is named."""
    left, right = _lines(expected), _lines(actual)
    most = MOST_LINES if left and right else _MOST_ALONE
    same = next((at for at, pair in enumerate(zip(left, right, strict=False)) if pair[0] != pair[1]), 0)
    start = max(0, same - _CONTEXT) if max(len(left), len(right)) > most else 0
    end = start + most
    pairs = [*_left_out(start, start), *_aligned(left[start:end], right[start:end])]
    return [*pairs, *_left_out(max(0, len(left) - end), max(0, len(right) - end))]


def _lines(value: JsonValue) -> Sequence[str]:
    if value is None:
        return ()
    return msgspec.json.format(msgspec.json.encode(_opened(value)), indent=2).decode().split("\n")


def _opened(value: Any) -> Any:
    """A value without hashes of effects, in which texts that hold an object or a list as JSON are what they hold."""
    if isinstance(value, list):
        return [_opened(each) for each in cast(list[Any], value)]
    if not isinstance(value, dict):
        return value
    members = cast(dict[str, Any], value)
    if len(members) == 1 and members.keys() <= _TAGS:
        (inner,) = members.values()
        return _held(inner)
    return {name: _opened(each) for name, each in members.items() if name != "effect_hash"}


def _held(inner: Any) -> Any:
    if not (isinstance(inner, str) and inner.startswith(("{", "["))):
        return inner
    try:
        return msgspec.json.decode(inner)
    except msgspec.DecodeError:
        return inner


def _aligned(left: Sequence[str], right: Sequence[str]) -> Iterator[Pair]:
    for tag, at, end, there, until in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        for one, other in _pairs(left[at:end], right[there:until]):
            if one is not None and other is not None:
                here, now = shorten_pair(one, other, _WIDTH)
                yield Pair("same" if tag == "equal" else "changed", shown(here, _WIDTH), shown(now, _WIDTH))
            elif one is not None:
                yield Pair("removed", shown(one, _WIDTH), None)
            elif other is not None:
                yield Pair("added", None, shown(other, _WIDTH))


def _pairs(left: Sequence[str], right: Sequence[str]) -> Iterator[tuple[str | None, str | None]]:
    return zip_longest(left, right)


def _left_out(left: int, right: int) -> Iterator[Pair]:
    if left or right:
        yield Pair("cut", *(f"… {number:,} lines left out" if number else None for number in (left, right)))
