"""The cells of a text table as values: numbers, truth values, texts, each column of one kind."""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import Enum

from msgspec import Struct

from ergo_cli.core.json import JsonValue
from ergo_cli.core.numbers import exact_float, exact_integer
from ergo_cli.errors import UsageError
from ergo_cli.tools.importing.faults import quoted, value_fault

_SEPARATED = re.compile(r"[+-]?(?:[0-9]{1,3}(?:[,.'  ’][0-9]{3})+(?:[.,][0-9]+)?|[0-9]+,[0-9]+)")
_SEPARATORS = "one character that is no digit, sign, letter or quote"
_NO_NUMBERS = ("nan", "inf", "infinity")
_TRUTHS = {"true": True, "false": False}


class Notation(Struct, frozen=True):
    """How a table writes numbers, nothing at all, and which of its columns are texts whatever they look like."""

    thousands: str | None = None
    decimal: str = "."
    nulls: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    identities: frozenset[str] = frozenset()
    """Columns that are part of an id: ``007`` and ``7`` are two ids."""

    def check(self) -> None:
        """Raise UsageError for separators that no number could be read with."""
        for option, mark in (("--thousands", self.thousands), ("--decimal", self.decimal)):
            if mark is not None and (len(mark) != 1 or mark.isalnum() or mark in '+-"\r\n\t'):
                message = f"{quoted(mark)} does not separate digits"
                raise UsageError(
                    "cli.invalid_option_value", message, where=f"option {option}", fix=f"give {_SEPARATORS}"
                )
        if self.thousands == self.decimal:
            message = f"{quoted(self.decimal)} cannot separate both thousands and decimals"
            fix = "give --thousands and --decimal different characters"
            raise UsageError("cli.conflicting_options", message, where="option --thousands", fix=fix)


class _Kind(Enum):
    NUMBER = "numbers"
    TRUTH = "truth values"
    TEXT = "texts"


class Cells:
    """Reads the cells of a table. The first value of a column says of what kind all others must be."""

    def __init__(self, notation: Notation) -> None:
        self._notation = notation
        whole = "[1-9][0-9]*|0"
        if notation.thousands is not None:
            whole = rf"[1-9][0-9]{{0,2}}(?:{re.escape(notation.thousands)}[0-9]{{3}})+|{whole}"
        mark = re.escape(notation.decimal)
        self._integer = re.compile(rf"[+-]?(?:{whole})")
        self._number = re.compile(rf"[+-]?(?:(?:{whole})(?:{mark}[0-9]*)?|{mark}[0-9]+)(?:[eE][+-]?[0-9]+)?")
        self._kinds: dict[str, _Kind] = {}

    def value(self, text: str, column: str, where: str) -> JsonValue:
        """The value of a cell; None for an empty one. Raises EventError ``import.value_invalid``."""
        if text == "" or text in self._notation.nulls:
            return None
        if column in self._notation.texts or column in self._notation.identities:
            return text
        value, kind = self._read(text, column, where)
        if self._kinds.setdefault(column, kind) is not kind:
            raise self._mixed(text, column, where)
        return value

    def _read(self, text: str, column: str, where: str) -> tuple[JsonValue, _Kind]:
        if self._number.fullmatch(text):
            read = exact_integer if self._integer.fullmatch(text) else exact_float
            try:
                return read(self._plain(text)), _Kind.NUMBER
            except ValueError:
                message = f"{quoted(text)} in column {quoted(column)} is beyond the range of numbers"
                raise value_fault(message, where, f"correct it, or read the column as texts: --text {column}") from None
        truth = _TRUTHS.get(text.lower())
        if truth is not None:
            return truth, _Kind.TRUTH
        if self._kinds.get(column) is not _Kind.TEXT:
            if _SEPARATED.fullmatch(text):
                raise self._separated(text, column, where)
            if text.lower().lstrip("+-") in _NO_NUMBERS:
                message = f"{quoted(text)} in column {quoted(column)} is no number that JSON has"
                fix = f"say that it stands for nothing, --null {text}, or read the column as texts: --text {column}"
                raise value_fault(message, where, fix)
        return text, _Kind.TEXT

    def _plain(self, text: str) -> str:
        """A number as JSON would have it, but for digits that it wants around the point."""
        if self._notation.thousands is not None:
            text = text.replace(self._notation.thousands, "")
        return text.replace(self._notation.decimal, ".").removeprefix("+")

    def _separated(self, text: str, column: str, where: str) -> Exception:
        message = (
            f"{quoted(text)} in column {quoted(column)} is a number with separators, which can be read in two ways"
        )
        fix = "say what they are, as in --thousands , or --decimal , (with --thousands . where there are both)"
        return value_fault(message, where, f"{fix}, or read the column as texts: --text {column}")

    def _mixed(self, text: str, column: str, where: str) -> Exception:
        message = f"column {quoted(column)} holds {self._kinds[column].value}, and {quoted(text)} is none of them"
        fix = "correct the cell, say that it stands for nothing with --null, or read the column as texts"
        return value_fault(message, where, f"{fix}: --text {column}")


def unknown_texts(texts: Collection[str], columns: Collection[str]) -> list[str]:
    """The columns of ``--text`` that a table does not have."""
    return sorted(set(texts) - set(columns))
