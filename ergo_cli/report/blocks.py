"""What a text report is made of, whatever draws it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from msgspec import Struct


class Tone(Enum):
    """How a line is meant; a terminal shows it as a colour."""

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
    """Rows under column names; ``numeric`` names the columns that are set to the right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[str] = frozenset()


class Fields(Struct, frozen=True):
    """Names and values, one pair a line; ``indent`` is in characters."""

    pairs: tuple[tuple[str, str], ...]
    indent: int = 0


Block = Line | Table | Fields


def fields(pairs: Iterable[tuple[str, object | None]], indent: int = 0) -> Fields:
    """The pairs that have a value."""
    return Fields(tuple((name, str(value)) for name, value in pairs if value is not None), indent)
