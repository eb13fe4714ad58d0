"""Text reports: their blocks, and the shortening of long values (spec 00 §6, spec 70)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum

import msgspec
from msgspec import Struct

from ergo_cli.core.diagnostics import counted
from ergo_cli.core.json import JsonValue


class Tone(Enum):
    """The meaning of a line; a terminal shows it as a colour."""

    PLAIN = "plain"
    GOOD = "good"
    BAD = "bad"
    FAINT = "faint"
    STRONG = "strong"
    REMOVED = "removed"
    ADDED = "added"


class Line(Struct, frozen=True):
    """One line of text; one that is ``whole`` is left to the terminal to break, so that it can be copied."""

    text: str = ""
    tone: Tone = Tone.PLAIN
    whole: bool = False


class Table(Struct, frozen=True):
    """Rows under column names; ``numeric`` names the columns that are aligned to the right, ``tones`` are of the rows.

    Without ``tones`` all rows are plain.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[str] = frozenset()
    tones: tuple[Tone, ...] = ()

    @property
    def toned_rows(self) -> Iterator[tuple[tuple[str, ...], Tone]]:
        """The rows, each with its tone."""
        return zip(self.rows, self.tones or (Tone.PLAIN,) * len(self.rows), strict=True)


class Fields(Struct, frozen=True):
    """Names and values, one pair per line; ``indent`` is in characters."""

    pairs: tuple[tuple[str, str], ...]
    indent: int = 0


class Row(Struct, frozen=True):
    """One fact, in one or more cells."""

    cells: tuple[str, ...]
    tone: Tone = Tone.PLAIN


class Rows(Struct, frozen=True):
    """Facts without column names, cells below cells where all rows fit; ``indent`` is in characters.

    Where one row is too wide, the further cells of every row stand on lines of their own.
    """

    rows: tuple[Row, ...]
    indent: int = 0
    numeric: frozenset[int] = frozenset()
    """The indices of the columns that are aligned to the right."""
    hang: int = 4
    """How much further than the first cell the lines below it stand, in characters."""


Block = Line | Table | Fields | Rows
"""A part of a text report."""


def fields(pairs: Iterable[tuple[str, object | None]], indent: int = 0) -> Fields:
    """A block of the pairs that have a value."""
    return Fields(tuple((name, str(value)) for name, value in pairs if value is not None), indent)


def event_counts(events: int, counts: Iterable[tuple[int, str]]) -> str:
    """``8 events, 7 invoked, 1 skipped``: how many events, and of what there are any."""
    return ", ".join([counted(events, "event"), *(f"{number:,} {name}" for number, name in counts if number)])


def printable(text: str) -> str:
    """``text`` with control characters, line ends included, as escapes: input must not control the terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


GAP = "…"
_LEAST_CONTEXT = 24
"""How much of the common beginning and end of a pair is kept, however long that is which differs."""


MOST_OF_ID = 1000
"""The characters of an event's id that a text shows."""


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
    differing = max(len(expected), len(actual)) - prefix - suffix
    room = max(_LEAST_CONTEXT, width - differing)
    before = min(prefix, max(room // 2, room - suffix))
    behind = room - before
    return _around(expected, prefix, suffix, before, behind), _around(actual, prefix, suffix, before, behind)


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


def _around(text: str, prefix: int, suffix: int, before: int, behind: int) -> str:
    """``text`` with so many characters of what it has in common with another one before and behind what differs."""
    end = len(text) - suffix
    return shorten(text[:prefix], before) + text[prefix:end] + shorten(text[end:], behind)


def _common(one: str, other: str) -> int:
    """The length of the common beginning."""
    length = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        length += 1
    return length
