"""The tree of a row as columns: the leaves by the paths that lead to them (spec 00 §12.7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Flag, auto

from ergo_cli.core.json import JsonValue, Member, render
from ergo_cli.core.numbers import I64_MAX, I64_MIN
from ergo_cli.errors import UsageError
from ergo_cli.tools.export.rows import WHOLE, Holds, Tree

Row = dict[str, JsonValue]
"""The values of a row by their columns."""

Rows = Callable[[], Iterator[Row]]
"""Gives the same rows every time."""

MOST_COLUMNS = 4096
"""How many columns a table may have: rows of another form have any number of names."""

_EXACT_FLOAT = 2**53


def flat(tree: Tree) -> Row:
    """The leaves of a row by their columns, such as ``payload.order.total``; a name that is no word is in quotes.

    An array and an empty object is a leaf.
    """
    row: Row = {}
    for name, value in tree.items():
        if isinstance(value, dict) and value and name not in WHOLE:
            _spread(value, render((Member(name),)), row)
        else:
            row[render((Member(name),))] = value
    return row


def _spread(members: Mapping[str, JsonValue], before: str, row: Row) -> None:
    for name, value in members.items():
        column = f"{before}.{render((Member(name),))}"
        if isinstance(value, dict) and value:
            _spread(value, column, row)
        else:
            row[column] = value


class Content(Flag):
    """What the values of a column are."""

    NONE = 0
    BOOLEAN = auto()
    INTEGER = auto()
    LARGE = auto()
    """Integers that a binary64 or 64 bits with a sign do not hold exactly."""
    FLOAT = auto()
    TEXT = auto()
    NESTED = auto()


_FIXED = {Holds.INTEGER: Content.INTEGER, Holds.TEXT: Content.TEXT, Holds.ANY: Content.NESTED}


def columns_of(rows: Iterable[Row], fixed: Mapping[str, Holds]) -> dict[str, Content]:
    """The columns of a table, ``fixed`` first, then as they come, and what is in them.

    Raises UsageError ``cli.too_many_columns``.
    """
    columns = {name: _FIXED[holds] for name, holds in fixed.items()}
    for row in rows:
        for name, value in row.items():
            columns[name] = columns.get(name, Content.NONE) | _content(value)
        if len(columns) > MOST_COLUMNS:
            raise _too_many()
    return columns


def _content(value: JsonValue) -> Content:
    match value:
        case None:
            return Content.NONE
        case bool():
            return Content.BOOLEAN
        case int() if not I64_MIN <= value <= I64_MAX:
            return Content.LARGE | Content.NESTED
        case int():
            return Content.INTEGER if abs(value) <= _EXACT_FLOAT else Content.INTEGER | Content.LARGE
        case float():
            return Content.FLOAT
        case str():
            return Content.TEXT
        case _:
            return Content.NESTED


def _too_many() -> UsageError:
    message = f"the rows have more than {MOST_COLUMNS:,} columns together, which no table holds"
    fix = "export them as jsonl, where each row has its own members, or fewer of them with --where"
    return UsageError("cli.too_many_columns", message, where="option --as", fix=fix)
