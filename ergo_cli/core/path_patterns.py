"""The path language: paths with wildcards into JSON values (spec 00 §12.7).

::

    path = step { "." step | "[" sel "]" }
    step = name | "*" | "**" | JSON string            name = [A-Za-z0-9_-]+
    sel  = digits | "*" | name "=" ( text without "]" | JSON string )
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from msgspec import Struct

from ergo_cli.core.json import NAME, Item, JsonValue, Member, Step

_DIGITS = re.compile(r"[0-9]{1,18}")
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*+"')
_QUOTED_SELECTOR = re.compile(r'\[[A-Za-z0-9_-]+="(?:[^"\\]|\\.)*+"\]')

START = frozenset({0})
"""The states of a walk before its first step."""


class PathFault(ValueError):
    """A text that is not a path: it cannot be read from character ``position`` on, counted from 0."""

    def __init__(self, text: str, position: int) -> None:
        super().__init__(f"'{text}' is not a path: it cannot be read from character {position + 1} on")


class AnyMember(Struct, frozen=True):
    """``*``: one member of any name."""


class AnyDepth(Struct, frozen=True):
    """``**``: any number of steps."""


class AnyItem(Struct, frozen=True):
    """``[*]``: any item."""


class Where(Struct, frozen=True):
    """``[key=price]``: the items whose member ``name`` is ``text``."""

    name: str
    text: str


Matcher = Member | Item | AnyMember | AnyDepth | AnyItem | Where


class PathSteps:
    """The steps of a path, followed through a tree: a walk begins with ``START`` and takes one step after the other.

    Raises PathFault for a text that is not a path.
    """

    def __init__(self, text: str) -> None:
        self._steps = tuple(_without_repeats(parse_path(text)))

    def advance(self, states: frozenset[int], step: Step, child: JsonValue) -> tuple[frozenset[int], bool]:
        """The states behind ``step``, and whether the path ends there."""
        after: set[int] = set()
        for state in self._closure(states):
            if state < len(self._steps):
                matcher = self._steps[state]
                if isinstance(matcher, AnyDepth):
                    after.add(state)
                elif _takes(matcher, step, child):
                    after.add(state + 1)
        behind = frozenset(after)
        return behind, self.has_ended(behind)

    def has_ended(self, states: frozenset[int]) -> bool:
        """Whether the path ends where a walk has come to."""
        return len(self._steps) in self._closure(states)

    def _closure(self, states: frozenset[int]) -> frozenset[int]:
        """``**`` may stand for no step at all."""
        reached = set(states)
        for state in sorted(states):
            while state < len(self._steps) and isinstance(self._steps[state], AnyDepth):
                state += 1
                reached.add(state)
        return frozenset(reached)


def _takes(matcher: Matcher, step: Step, child: JsonValue) -> bool:
    match matcher, step:
        case AnyMember(), Member():
            return True
        case AnyItem(), Item():
            return True
        case Where(name, text), Item():
            return isinstance(child, dict) and child.get(name) == text
        case _:
            return matcher == step


def _without_repeats(steps: Iterator[Matcher]) -> Iterator[Matcher]:
    """The steps of a path; ``**.**`` says no more than ``**``, which is what keeps matching quick."""
    before: Matcher | None = None
    for matcher in steps:
        if not (isinstance(matcher, AnyDepth) and isinstance(before, AnyDepth)):
            yield matcher
        before = matcher


def parse_path(text: str) -> Iterator[Matcher]:
    """The steps of a path as written. Raises PathFault."""
    position, first = 0, True
    while position < len(text):
        if text[position] == "[" and not first:
            end = _selector_end(text, position)
            yield _selector(text, text[position + 1 : end])
            position = end + 1
        else:
            if not first and text[position] != ".":
                raise PathFault(text, position)
            position += 0 if first else 1
            matcher, position = _step(text, position)
            yield matcher
        first = False
    if first:
        raise PathFault(text, 0)


def _step(text: str, position: int) -> tuple[Matcher, int]:
    if text.startswith("**", position):
        return AnyDepth(), position + 2
    if text.startswith("*", position):
        return AnyMember(), position + 1
    quoted = _TEXT.match(text, position)
    if quoted:
        return Member(_unquote(text, quoted[0])), quoted.end()
    name = NAME.match(text, position)
    if name is None:
        raise PathFault(text, position)
    return Member(name[0]), name.end()


def _selector_end(text: str, position: int) -> int:
    quoted = _QUOTED_SELECTOR.match(text, position)
    end = quoted.end() - 1 if quoted else text.find("]", position)
    if end < 0:
        raise PathFault(text, position)
    return end


def _selector(text: str, selector: str) -> Matcher:
    if selector == "*":
        return AnyItem()
    if _DIGITS.fullmatch(selector):
        return Item(int(selector))
    name, equals, value = selector.partition("=")
    if not equals or not NAME.fullmatch(name):
        raise PathFault(text, text.find(selector))
    return Where(name, _unquote(text, value) if _TEXT.fullmatch(value) else value)


def _unquote(text: str, quoted: str) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError:
        raise PathFault(text, text.find(quoted)) from None
