"""Text reports: their blocks, plain rendering, error blocks, shortening of long values (spec 00 §6, 30 §23.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import assert_never

import msgspec
from msgspec import Struct

from ergo_cli.core.json import JsonValue
from ergo_cli.errors import ErgoError


class Tone(Enum):
    """The meaning of a line; a terminal shows it as a colour."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    FAINT = "faint"
    STRONG = "strong"


class Line(Struct, frozen=True):
    """One line of text."""

    text: str = ""
    tone: Tone = Tone.PLAIN


class Table(Struct, frozen=True):
    """Rows under column names; ``numeric`` names the columns that are aligned to the right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[str] = frozenset()


class Fields(Struct, frozen=True):
    """Names and values, one pair per line; ``indent`` is in characters."""

    pairs: tuple[tuple[str, str], ...]
    indent: int = 0


Block = Line | Table | Fields
"""A part of a text report."""


def fields(pairs: Iterable[tuple[str, object | None]], indent: int = 0) -> Fields:
    """A block of the pairs that have a value."""
    return Fields(tuple((name, str(value)) for name, value in pairs if value is not None), indent)


def plain_lines(blocks: Iterable[Block]) -> Iterator[str]:
    """The lines of ``blocks`` for pipes and files: without colour, frames, wrapping and line ends."""
    for block in blocks:
        match block:
            case Line():
                yield printable(block.text)
            case Table():
                yield from _table_lines(block)
            case Fields():
                yield from _field_lines(block)
            case _:
                assert_never(block)


def _table_lines(table: Table) -> Iterator[str]:
    rows = [table.columns, *(tuple(printable(cell) for cell in row) for row in table.rows)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(table.columns))]
    for row in rows:
        cells = (
            cell.rjust(width) if name in table.numeric else cell.ljust(width)
            for name, cell, width in zip(table.columns, row, widths, strict=True)
        )
        yield "  ".join(cells).rstrip()


def _field_lines(block: Fields) -> Iterator[str]:
    width = max((len(name) for name, _ in block.pairs), default=0)
    for name, value in block.pairs:
        yield f"{'':{block.indent}}{name:{width}}  {printable(value)}".rstrip()


_LONGEST = 2000


def error_block(error: ErgoError) -> Iterator[str]:
    """The lines of one error without its absent parts; its causes follow as ``detail`` lines.

    A cause that only repeats the headline, as the cause of a stage's error does, is left out.
    """
    yield f"error: {fitting(error.message)}"
    yield f"code: {error.code}"
    for name, part in (("rule", error.rule), ("where", error.where), ("fix", error.fix)):
        if part is not None:
            yield f"{name}: {fitting(part)}"
    for detail in (*error.details, *_further(error, error)):
        yield f"detail: {fitting(detail)}"


def fitting(text: str) -> str:
    """``text`` as one printable line; the middle of a long one is left out."""
    return printable(shorten(text, _LONGEST))


def printable(text: str) -> str:
    """``text`` with control characters, line ends included, as escapes: input must not control the terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _further(error: ErgoError, headline: ErgoError) -> Iterator[str]:
    for cause in error.causes:
        is_repeated = any(cause.message in text for text in (headline.message, *headline.details))
        if not is_repeated or (cause.where is not None and cause.where != headline.where):
            place = "" if cause.where is None else f"{cause.where}: "
            yield f"{place}{cause.message} ({cause.code})"
        yield from _further(cause, headline)


GAP = "…"
_ENDS = 16
_AROUND = 12


def shorten(text: str, width: int) -> str:
    """At most ``width`` characters of ``text``: its beginning and its end."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return text[:head] + GAP + text[len(text) - (width - 1 - head) :]


def shorten_pair(expected: str, actual: str, width: int) -> tuple[str, str]:
    """Both texts; if one is longer than ``width``, the common beginning and end are shortened, not the rest."""
    if max(len(expected), len(actual)) <= width:
        return expected, actual
    prefix = _common(expected, actual)
    suffix = _common(expected[prefix:][::-1], actual[prefix:][::-1])
    return _around(expected, prefix, suffix), _around(actual, prefix, suffix)


def value_text(value: JsonValue) -> str:
    """A value as compact JSON."""
    return msgspec.json.encode(value).decode()


def value_texts(expected: JsonValue, actual: JsonValue, width: int) -> tuple[str, str]:
    """Both sides of a difference as compact JSON, shortened together; an absent side is ``-``.

    If one side is absent, its presence is the difference: the other is shortened in its middle.
    """
    if expected is None or actual is None:
        return _alone(expected, width), _alone(actual, width)
    return shorten_pair(value_text(expected), value_text(actual), width)


def _alone(value: JsonValue, width: int) -> str:
    return "-" if value is None else shorten(value_text(value), width)


def _around(text: str, prefix: int, suffix: int) -> str:
    end = len(text) - suffix
    head, tail = text[:prefix], text[end:]
    if len(head) > _ENDS + _AROUND + len(GAP):
        head = head[:_ENDS] + GAP + head[-_AROUND:]
    if len(tail) > _ENDS + _AROUND + len(GAP):
        tail = tail[:_AROUND] + GAP + tail[-_ENDS:]
    return head + text[prefix:end] + tail


def _common(one: str, other: str) -> int:
    """The length of the common beginning."""
    length = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        length += 1
    return length
