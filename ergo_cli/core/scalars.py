"""What plain scalars mean: YAML 1.2 for authored files, and JSON literals (spec 21 §3)."""

from __future__ import annotations

import re
from math import isfinite

from ergo_cli.core.documents import Mapping, Mark, Node, Scalar, Sequence, Style
from ergo_cli.core.json import JsonValue
from ergo_cli.core.numbers import I64_MIN, U64_MAX

ScalarValue = None | bool | int | float | str
"""A resolved scalar: ints lie within 64 signed bits, floats are finite."""

I64_MAX = -I64_MIN - 1

_INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]*)")
_LEADING_ZERO = re.compile(r"[+-]?0[0-9]+")
_RADIX = re.compile(r"([+-]?)0(?:x([0-9a-fA-F]+)|o([0-7]+)|b([01]+))")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_LONGEST_INTEGER = 21
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class ScalarError(ValueError):
    """A scalar that stands for a number which no value can hold; ``mark`` is its place."""

    def __init__(self, message: str, mark: Mark) -> None:
        super().__init__(message)
        self.mark = mark


def resolve(scalar: Scalar) -> ScalarValue:
    """The value of a scalar by the table of spec 21 §3; JSON literals by JSON's rules.

    Raises ScalarError for an integer beyond 64 bits and for a number that is infinite or not a number.
    """
    if scalar.quoted:
        return scalar.text
    if scalar.text in _WORDS:
        return _WORDS[scalar.text]
    if scalar.style is Style.JSON:
        return _json_number(scalar)
    return _plain(scalar)


def to_value(node: Node) -> JsonValue:
    """The plain JSON value of a whole tree; unlike parameters, integers up to 2**64-1 stay integers (spec 10 §15).

    Raises ScalarError where ``resolve`` does.
    """
    match node:
        case Scalar():
            value = resolve(node)
            return _unsigned(node.text, value) if isinstance(value, float) else value
        case Sequence():
            return [to_value(item) for item in node.items]
        case Mapping():
            return {key.text: to_value(value) for key, value in node.entries}


def _unsigned(text: str, value: float) -> int | float:
    if value >= 0 and len(text) < _LONGEST_INTEGER and _INTEGER.fullmatch(text) and int(text) <= U64_MAX:
        return int(text)
    return value


def _plain(scalar: Scalar) -> int | float | str:
    text = scalar.text
    if _INTEGER.fullmatch(text):
        return _integer(scalar, int(text)) if len(text) <= _LONGEST_INTEGER else _too_large(scalar)
    if _LEADING_ZERO.fullmatch(text):
        return text
    if match := _RADIX.fullmatch(text):
        return _integer(scalar, _radix_integer(match))
    if _DECIMAL.fullmatch(text):
        number = float(text)
        return number if isfinite(number) else text
    if _NOT_FINITE.fullmatch(text):
        raise ScalarError(f"'{text}' is not a finite number", scalar.mark)
    return text


def _radix_integer(match: re.Match[str]) -> int:
    sign, hexadecimal, octal, binary = match.groups()
    magnitude = int(hexadecimal or octal or binary, 16 if hexadecimal else 8 if octal else 2)
    return -magnitude if sign == "-" else magnitude


def _integer(scalar: Scalar, number: int) -> int | float:
    if I64_MIN <= number <= I64_MAX:
        return number
    if 0 < number <= U64_MAX:
        return float(number)
    return _too_large(scalar)


def _too_large(scalar: Scalar) -> int:
    raise ScalarError(f"integer '{scalar.text[:40]}' does not fit 64 bits", scalar.mark)


def _json_number(scalar: Scalar) -> int | float:
    text = scalar.text
    if len(text) < _LONGEST_INTEGER and _INTEGER.fullmatch(text) and I64_MIN <= int(text) <= I64_MAX:
        return int(text)
    number = float(text)
    if not isfinite(number):
        raise ScalarError(f"number out of range: {text[:40]}", scalar.mark)
    return number
