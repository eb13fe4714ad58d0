"""Paths into decisions: what ``--ignore`` leaves out (spec 00 §12.5, §12.7).

::

    path = step { "." step | "[" sel "]" }
    step = name | "*" | "**" | JSON string            name = [A-Za-z0-9_-]+
    sel  = digits | "*" | name "=" ( text without "]" | JSON string )
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, cast

from msgspec import Struct

from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.json import NAME, Item, JsonValue, Member, Step
from ergo_cli.errors import UsageError
from ergo_cli.project.project_file import locate_project

_DIGITS = re.compile(r"[0-9]{1,18}")
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*+"')
_QUOTED_SELECTOR = re.compile(r'\[[A-Za-z0-9_-]+="(?:[^"\\]|\\.)*+"\]')


class Ignored(Enum):
    """Stands in an array for an item that was left out, so that the items behind it keep their index."""

    ITEM = "ignored"


class _AnyMember(Struct, frozen=True):
    """``*``: one member of any name."""


class _AnyDepth(Struct, frozen=True):
    """``**``: any number of steps."""


class _AnyItem(Struct, frozen=True):
    """``[*]``: any item."""


class _Where(Struct, frozen=True):
    """``[key=price]``: the items whose member ``name`` is ``text``."""

    name: str
    text: str


_Matcher = Member | Item | _AnyMember | _AnyDepth | _AnyItem | _Where


class Pattern:
    """An ``--ignore`` pattern; ``matched`` tells whether it ever found something."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.matched = False
        self._steps = tuple(_steps(text))

    def prune(self, tree: JsonValue) -> JsonValue:
        """``tree`` without everything at or below a match; the same object where nothing matched.

        A member that matched is gone, an item that matched is ``Ignored.ITEM``.
        """
        return _prune(self, tree, frozenset({0}))

    def advance(self, states: frozenset[int], step: Step, child: JsonValue) -> tuple[frozenset[int], bool]:
        """The states behind ``step``, and whether the pattern ends there."""
        reached = _closure(self._steps, states)
        after: set[int] = set()
        for state in reached:
            if state < len(self._steps):
                matcher = self._steps[state]
                if isinstance(matcher, _AnyDepth):
                    after.add(state)
                elif _takes(matcher, step, child):
                    after.add(state + 1)
        ended = len(self._steps) in _closure(self._steps, frozenset(after))
        return frozenset(after), ended

    def covers(self, path: str) -> bool:
        """Whether a path without wildcards is at or below a match; ``[key=price]`` covers none, it needs the item."""
        states = frozenset({0})
        if len(self._steps) in _closure(self._steps, states):
            return True
        for step in _parse(path) if path else ():
            if not isinstance(step, Member | Item):
                return False
            states, ended = self.advance(states, step, None)
            if ended:
                return True
        return False


def prune(patterns: Iterable[Pattern], tree: JsonValue) -> JsonValue:
    """``tree`` without what any of the patterns matches. What one takes away, another has matched all the same."""
    pruned = tree
    for pattern in patterns:
        if pruned is not tree and not pattern.matched:
            pattern.prune(tree)
        pruned = pattern.prune(pruned)
    return pruned


def without_ignored(value: JsonValue) -> JsonValue:
    """A pruned value as a report shows it: without the items that were left out."""
    match value:
        case list():
            return [without_ignored(item) for item in value if item is not Ignored.ITEM]
        case dict():
            return {name: without_ignored(member) for name, member in value.items()}
        case _:
            return value


def all_matched(patterns: Iterable[Pattern]) -> bool:
    """Whether every pattern found something, so that equal records need not be looked at on their behalf."""
    return all(pattern.matched for pattern in patterns)


def parse_patterns(texts: Sequence[str]) -> tuple[Pattern, ...]:
    """Patterns of ``--ignore`` texts. Raises UsageError ``cli.invalid_option_value`` for one that is not a path."""
    return tuple(Pattern(text) for text in texts)


def _closure(steps: tuple[_Matcher, ...], states: frozenset[int]) -> frozenset[int]:
    """``**`` may stand for no step at all."""
    reached = set(states)
    for state in sorted(states):
        while state < len(steps) and isinstance(steps[state], _AnyDepth):
            state += 1
            reached.add(state)
    return frozenset(reached)


def _takes(matcher: _Matcher, step: Step, child: JsonValue) -> bool:
    match matcher, step:
        case _AnyMember(), Member():
            return True
        case _AnyItem(), Item():
            return True
        case _Where(name, text), Item():
            return isinstance(child, dict) and child.get(name) == text
        case _:
            return matcher == step


def _prune(pattern: Pattern, tree: JsonValue, states: frozenset[int]) -> JsonValue:
    kept: list[tuple[Step, JsonValue]] = []
    changed = False
    for step, child in _children(tree):
        after, ended = pattern.advance(states, step, child)
        if ended:
            pattern.matched = changed = True
            if isinstance(step, Item):
                kept.append((step, cast(JsonValue, Ignored.ITEM)))
            continue
        pruned = _prune(pattern, child, after) if after else child
        changed |= pruned is not child
        kept.append((step, pruned))
    if not changed:
        return tree
    if isinstance(tree, dict):
        return {step.name: child for step, child in kept if isinstance(step, Member)}
    return [child for _, child in kept]


def _children(tree: JsonValue) -> Iterator[tuple[Step, JsonValue]]:
    if isinstance(tree, dict):
        for name, child in cast(dict[str, Any], tree).items():
            yield Member(name), child
    elif isinstance(tree, list):
        for index, child in enumerate(cast(list[Any], tree)):
            yield Item(index), child


def _steps(text: str) -> Iterator[_Matcher]:
    """The steps of a pattern; ``**.**`` says no more than ``**``, which is what keeps matching quick."""
    before: _Matcher | None = None
    for matcher in _parse(text):
        if not (isinstance(matcher, _AnyDepth) and isinstance(before, _AnyDepth)):
            yield matcher
        before = matcher


def _parse(text: str) -> Iterator[_Matcher]:
    position, first = 0, True
    while position < len(text):
        if text[position] == "[" and not first:
            end = _selector_end(text, position)
            yield _selector(text, text[position + 1 : end])
            position = end + 1
        else:
            if not first and text[position] != ".":
                raise _invalid(text, position)
            position += 0 if first else 1
            matcher, position = _step(text, position)
            yield matcher
        first = False
    if first:
        raise _invalid(text, 0)


def _step(text: str, position: int) -> tuple[_Matcher, int]:
    if text.startswith("**", position):
        return _AnyDepth(), position + 2
    if text.startswith("*", position):
        return _AnyMember(), position + 1
    quoted = _TEXT.match(text, position)
    if quoted:
        return Member(_unquote(text, quoted[0])), quoted.end()
    name = NAME.match(text, position)
    if name is None:
        raise _invalid(text, position)
    return Member(name[0]), name.end()


def _selector_end(text: str, position: int) -> int:
    quoted = _QUOTED_SELECTOR.match(text, position)
    end = quoted.end() - 1 if quoted else text.find("]", position)
    if end < 0:
        raise _invalid(text, position)
    return end


def _selector(text: str, selector: str) -> _Matcher:
    if selector == "*":
        return _AnyItem()
    if _DIGITS.fullmatch(selector):
        return Item(int(selector))
    name, equals, value = selector.partition("=")
    if not equals or not NAME.fullmatch(name):
        raise _invalid(text, text.find(selector))
    return _Where(name, _unquote(text, value) if _TEXT.fullmatch(value) else value)


def _unquote(text: str, quoted: str) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError:
        raise _invalid(text, text.find(quoted)) from None


def _invalid(text: str, position: int) -> UsageError:
    return UsageError(
        "cli.invalid_option_value",
        f"'{text}' is not a path: it cannot be read from character {position + 1} on",
        where="arg '--ignore'",
        fix="write a path such as effects[*].writes[key=price].value or **.intent_id",
    )


def patterns_of_project(asked: Sequence[str] | None, bundle: Path, named: Path | None) -> tuple[Pattern, ...]:
    """The patterns of a comparison without program: those ``asked`` for, else the top-level ones of the project.

    Raises UsageError for a text that is not a path, ProjectError as ``locate_project``.
    """
    project = locate_project(bundle, named)
    if asked is not None:
        return parse_patterns(asked)
    return () if project is None else parse_patterns(project.ignore)


def unmatched(patterns: Iterable[Pattern]) -> tuple[Notice, ...]:
    """A warning for each pattern that matched nothing."""
    return tuple(
        Notice(f"the path '{pattern.text}' to ignore matched nothing") for pattern in patterns if not pattern.matched
    )
