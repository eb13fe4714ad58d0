"""``--where PATH=VALUE``: which rows are exported or imported."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from msgspec import UNSET, UnsetType

from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.json import Item, JsonValue, Member, Step, decode
from ergo_cli.core.path_patterns import START, PathFault, PathSteps
from ergo_cli.errors import UsageError

_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_SELECTOR = rf"\[[A-Za-z0-9_-]+={_QUOTED}\]|\[[^\]]*+\]"
_CONDITION = re.compile(rf'(?P<path>(?:{_SELECTOR}|{_QUOTED}|[^\["=])+)=(?P<value>.*)', re.DOTALL)


class Condition:
    """A path and the value that a row has there. Raises UsageError ``cli.invalid_option_value``.

    ``is_met`` says whether any row had something at the path, of whatever value.
    """

    def __init__(self, text: str) -> None:
        parts = _CONDITION.fullmatch(text)
        if parts is None:
            raise _invalid(f"'{text}' is not PATH=VALUE")
        self.text = text
        self.path, written = parts["path"], parts["value"]
        try:
            self._steps = PathSteps(self.path)
        except PathFault as fault:
            raise _invalid(str(fault)) from None
        self.is_met = False
        self._value = _value(written)
        self._text = None if isinstance(self._value, str) else written  # in quotes it stands for no number

    def holds(self, tree: Mapping[str, JsonValue]) -> bool:
        """Whether a row has the value at the path, or at one of its matches."""
        found = False
        for value in self._matches(tree, START):
            self.is_met = True
            found = found or self._is_wanted(value)
        return found

    def _matches(self, tree: JsonValue | Mapping[str, JsonValue], states: frozenset[int]) -> Iterator[JsonValue]:
        for step, child in _children(tree):
            after, ended = self._steps.advance(states, step, child)
            if ended:
                yield child
            if after:
                yield from self._matches(child, after)

    def _is_wanted(self, value: JsonValue) -> bool:
        if isinstance(value, str) and value == self._text:
            return True
        return value == self._value and isinstance(value, bool) is isinstance(self._value, bool)


def conditions_of(texts: Sequence[str]) -> tuple[Condition, ...]:
    """The conditions of ``--where`` texts, which must all hold. Raises UsageError."""
    return tuple(map(Condition, texts))


def unmet(conditions: Sequence[Condition]) -> tuple[Notice, ...]:
    """A warning for each condition whose path leads nowhere in any row."""
    return tuple(
        Notice(f"the path '{condition.path}' of --where matched nothing")
        for condition in conditions
        if not condition.is_met
    )


def _value(written: str) -> JsonValue | UnsetType:
    """The JSON value that is written; UNSET where it is a text without quotes."""
    try:
        return decode(written.encode())
    except ValueError:  # no JSON, or no Unicode, as an argument may be
        return UNSET


def _children(tree: JsonValue | Mapping[str, JsonValue]) -> Iterator[tuple[Step, JsonValue]]:
    if isinstance(tree, dict):
        for name, child in tree.items():
            yield Member(name), child
    elif isinstance(tree, list):
        for index, child in enumerate(tree):
            yield Item(index), child


def _invalid(message: str) -> UsageError:
    fix = "write a path and a value such as effect.kind=place_order or payload.items[*].sku=A-1"
    return UsageError("cli.invalid_option_value", message, where="arg '--where'", fix=fix)
