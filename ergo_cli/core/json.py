"""Strict JSON in, canonical JSON out (spec 10 §3.2, 11 §3, 00 §12.3–4).

msgspec does the work; what it lets pass and the format does not (deep nesting, integers beyond 64 bits, ``-0``) is
looked for by checks that are cheaper than decoding, and read a second time only where they strike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ergo_cli.core.numbers import Numbers, exact_float, exact_integer, original_float, original_number

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
"""A decoded JSON value; objects keep the order of the text."""

NESTING_LIMIT = 127
"""How many arrays and objects may be open at once."""

_SHALLOW = 2 * NESTING_LIMIT + 1  # a text of so many bytes cannot both nest deeper and close what it opened
_EXACT = Numbers.EXACT  # looking up a member of an enumeration costs as much as decoding
_NEGATIVE_ZERO = re.compile(rb"-0(?![.eE0-9])")
_BEFORE_NUMBER = b":,[ \t\n\r"
_MINUS = ord("-")  # a byte is found much faster than a string of one
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
_NINETEEN_DIGITS = b"0" * 19
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_ONE_KIND_OF_BRACKET = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_BRACKET = re.compile(rb"[\[\]{}]")
_NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)
_OFFSET = re.compile(r" ?\(byte ([0-9]+)\)")

_decode_exact = msgspec.json.Decoder().decode
_decode_lines = msgspec.json.Decoder().decode_lines
_decode_original = msgspec.json.Decoder(float_hook=original_float).decode


canonical: Callable[[Any], bytes] = msgspec.json.Encoder(order="sorted").encode
"""Compact JSON with members ascending by name at every depth: the payload text of spec 11 §4.

The value is what ``decode`` returned, or floats, lists and strings made from it; floats must be finite.
"""


class JsonError(ValueError):
    """A text that is not the JSON it should be. ``offset`` is the byte at fault."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


def decode(text: bytes, numbers: Numbers = Numbers.EXACT) -> Any:
    """The value of one JSON document. The last of duplicate members wins.

    Raises JsonError for anything RFC 8259 does not allow, lone surrogates, more than 127 levels, numbers beyond the
    finite range.
    """
    if len(text) > _SHALLOW:
        check_nesting(text)
    exact = numbers is _EXACT
    try:
        value = _decode_exact(text) if exact else _decode_original(text)
        if has_careful_integer(text):
            integer, decimal = (exact_integer, exact_float) if exact else (original_number, original_float)
            value = json.loads(text, parse_int=integer, parse_float=decimal)
    except (ValueError, RecursionError) as error:
        raise _located(text, error, exact_float if exact else original_float) from error
    return value


def decode_objects(texts: Sequence[bytes]) -> list[dict[str, Any]] | None:
    """What ``decode`` gives for each of several objects, under exact numbers; much faster.

    None where a text must be looked at by itself: it is no object, goes over several lines, has blanks around it, or
    holds a number that needs care.
    """
    joined = b"\n".join(texts)
    if not joined.count(b"\n") == joined.count(b"}\n{") == len(texts) - 1 or has_careful_integer(joined):
        return None
    try:
        for text in texts:
            if len(text) > _SHALLOW:
                check_nesting(text)
        values = _decode_lines(joined)
    except (ValueError, RecursionError):
        return None
    return values if len(values) == len(texts) and set(map(type, values)) == {dict} else None


def check_nesting(text: bytes) -> None:
    """Raise JsonError where more than 127 arrays and objects are open at once."""
    if len(text) <= _SHALLOW or text.count(b"{") + text.count(b"[") <= NESTING_LIMIT:
        return
    if _closes_within_limit(text):
        return
    depth = 0
    for bracket in _BRACKET.finditer(_blank_strings(text)):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > NESTING_LIMIT:
            raise JsonError(f"nesting deeper than {NESTING_LIMIT} levels", bracket.start())


def has_careful_integer(text: bytes) -> bool:
    """Whether the text may hold an integer that msgspec alone misreads: ``-0``, or one beyond 64 bits."""
    if text.translate(_DIGITS_TO_ZERO).find(_NINETEEN_DIGITS) >= 0:
        return True
    if _MINUS not in text:
        return False
    at = text.find(b"-0")  # in an id as a rule: a look at each is cheaper than a pattern over the whole text
    while at >= 0:
        if (at == 0 or text[at - 1] in _BEFORE_NUMBER) and _NEGATIVE_ZERO.match(text, at):
            return True
        at = text.find(b"-0", at + 2)
    return False


def _closes_within_limit(text: bytes) -> bool:
    """Whether taking away all innermost brackets, 127 times, leaves none; False also where they do not match."""
    brackets = _STRING.sub(b"", text).translate(_ONE_KIND_OF_BRACKET, _NO_BRACKETS)
    for _ in range(NESTING_LIMIT):
        before = len(brackets)
        brackets = brackets.replace(b"[]", b"")
        if len(brackets) in (0, before):
            break
    return not brackets


def _blank_strings(text: bytes) -> bytes:
    return _STRING.sub(lambda match: b" " * len(match[0]), text)


def _located(text: bytes, error: Exception, read_float: Callable[[str], float]) -> JsonError:
    """What msgspec's exception says, as a JsonError that knows where."""
    message = str(error)
    if isinstance(error, UnicodeDecodeError):
        return _invalid_utf8(text)
    if isinstance(error, RecursionError):
        return JsonError(f"nesting deeper than {NESTING_LIMIT} levels", 0)
    if "out of range" in message:
        return JsonError("number out of range", _unreadable_number(text, read_float))
    offset = _OFFSET.search(message)
    if offset is None or "surrogate" in message:
        return _truncated(text)
    message = _OFFSET.sub("", message).removeprefix("JSON is malformed: ")
    past = message == "trailing characters"  # msgspec has already gone past the first of them
    return JsonError(message.replace("object keys must be strings", "key must be a string"), int(offset[1]) - past)


def _invalid_utf8(text: bytes) -> JsonError:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return JsonError("invalid UTF-8", error.start)
    raise AssertionError("msgspec refused the UTF-8 of a text that is UTF-8")


def _unreadable_number(text: bytes, read_float: Callable[[str], float]) -> int:
    """Where the first number stands that no binary64 can hold."""
    for number in _NUMBER.finditer(_blank_strings(text)):
        try:
            read_float(number[0].decode())
        except ValueError:
            return number.start()
    return 0


def _truncated(text: bytes) -> JsonError:
    """msgspec calls a text truncated that ends too soon, but also one whose last string holds a lone surrogate."""
    for escape in _ESCAPE.finditer(text):
        if escape["lone"]:
            return JsonError("lone surrogate in a string", escape.start())
    return JsonError("unexpected end of the text", len(text))
