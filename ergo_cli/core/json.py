"""Exact JSON: reading, canonical writing, and places inside a tree (spec 10 §4, 40 §2, 00 §12.3, §12.7)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec import Struct

from ergo_cli.core.numbers import I64_MIN, U64_MAX, Numbers, exact_float, exact_integer, original_float, original_number

if TYPE_CHECKING:
    JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
else:
    JsonValue = Any  # a decoder of structs cannot take a type that holds itself
"""A decoded JSON value; objects keep the order of the text."""

NESTING_LIMIT = 127
"""How many arrays and objects may be open at once."""

_SHALLOW = 2 * NESTING_LIMIT + 1  # a text of so many bytes cannot both nest deeper and close what it opened
_EXACT = Numbers.EXACT  # bound locally: an enum lookup costs as much as decoding a small text
_NEGATIVE_ZERO = re.compile(rb"-0(?![.eE0-9])")
_BEFORE_NUMBER = b":,[ \t\n\r"
_MINUS = ord("-")  # a byte is found much faster than a string of one
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
_NINETEEN_DIGITS = b"0" * 19
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_BRACKETS_AS_SQUARE = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_BRACKET = re.compile(rb"[\[\]{}]")
_NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)
_LARGE = re.compile(rb"[0-9]e[0-9]")
_STRING_OR_LARGE = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|(?<=[0-9])e(?=[0-9])')
_OFFSET = re.compile(r" ?\(byte ([0-9]+)\)")

_decode_exact = msgspec.json.Decoder().decode
_decode_lines = msgspec.json.Decoder().decode_lines
_decode_original = msgspec.json.Decoder(float_hook=original_float).decode
_encode_free = msgspec.json.Encoder(order="sorted").encode
_encode_record = msgspec.json.Encoder(order="deterministic").encode


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
    """Decode several objects under exact numbers, much faster than ``decode``, with equal results.

    None where the texts must be decoded one by one: one is not an object, spans several lines, has blanks around it, or
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
    """Whether the text may hold an integer that msgspec misreads: ``-0``, or one beyond 64 bits."""
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
    brackets = _STRING.sub(b"", text).translate(_BRACKETS_AS_SQUARE, _NO_BRACKETS)
    for _ in range(NESTING_LIMIT):
        before = len(brackets)
        brackets = brackets.replace(b"[]", b"")
        if len(brackets) in (0, before):
            break
    return not brackets


def _blank_strings(text: bytes) -> bytes:
    return _STRING.sub(lambda match: b" " * len(match[0]), text)


def _located(text: bytes, error: Exception, read_float: Callable[[str], float]) -> JsonError:
    """Convert msgspec's exception to a JsonError with an offset."""
    message = str(error)
    if isinstance(error, UnicodeDecodeError) or "UTF-8" in message:  # the first before msgspec 0.23
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
    """The offset of the first number that no binary64 can hold."""
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


class NotCanonicalError(ValueError):
    """A value that canonical JSON cannot hold; ``place`` is a JSON pointer into it."""

    def __init__(self, message: str, place: str) -> None:
        super().__init__(message)
        self.place = place


def free_text(value: object) -> bytes:
    """The text of a free value: members ascending by name at every depth (40 §2 rule 3).

    Raises NotCanonicalError for NaN, infinities, integers beyond 64 bits, lone surrogates, more than 127 levels, and
    for anything that is not a JSON value.
    """
    return _checked(value, _encode_free)


def record_text(value: object) -> bytes:
    """The text of a typed record: fields in declared order, free values inside it sorted (40 §2 rule 2).

    Raises NotCanonicalError as ``free_text`` does.
    """
    return _checked(value, _encode_record)


def newer_numbers(text: bytes) -> bytes:
    """Canonical JSON with the numbers from 1e16 on as a newer serde_json writes them: ``1e+300`` for ``1e300``."""
    if not _LARGE.search(text):
        return text
    return _STRING_OR_LARGE.sub(lambda match: b"e+" if match[0] == b"e" else match[0], text)


_CONTROLS = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]")
"""DEL, C1, and the characters that change the direction or the lines of a text, in UTF-8."""


def without_controls(text: bytes) -> bytes:
    """JSON with the characters that could control a terminal as escapes."""
    return _CONTROLS.sub(lambda control: b"\\u%04x" % ord(control[0].decode()), text)


def template_pieces(text: bytes, *sentinels: bytes) -> tuple[bytes, ...]:
    """What stands before, between and after the sentinels in the text of a sentinel record.

    A fast encoder puts its own texts between the pieces, so that only the record's struct writes the names and the
    order of its members. Raises ValueError unless each sentinel occurs once, in the order given.
    """
    pieces: list[bytes] = []
    rest = text
    for sentinel in sentinels:
        if (occurrences := text.count(sentinel)) != 1:
            raise ValueError(f"the sentinel {sentinel!r} occurs {occurrences} times in {text!r}, expected once")
        piece, found, rest = rest.partition(sentinel)
        if not found:
            raise ValueError(f"the sentinel {sentinel!r} is out of order in {text!r}, expected {sentinels!r}")
        pieces.append(piece)
    return (*pieces, rest)


def record_opening(record: type[Struct]) -> bytes:
    """The compact text of a record as far as its first member's name, ``{"name"``; that member is never omitted."""
    return b"{" + _encode_record(record.__struct_encode_fields__[0])


def _checked(value: object, encode: Callable[[object], bytes]) -> bytes:
    try:
        text = encode(value)
        check_nesting(text)
    except (TypeError, ValueError, RecursionError) as error:
        _refuse_fault(value, "", 0)
        place = f" (byte {error.offset})" if isinstance(error, JsonError) else ""
        raise NotCanonicalError(f"{error}{place}", "") from error
    if b"null" in text or text.translate(_DIGITS_TO_ZERO).find(_NINETEEN_DIGITS) >= 0:
        _refuse_fault(value, "", 0)
    return text


def _refuse_fault(value: object, place: str, depth: int) -> None:
    """Raise NotCanonicalError for the first fault in ``value``; return if there is none."""
    if depth > NESTING_LIMIT:
        raise NotCanonicalError(f"nesting deeper than {NESTING_LIMIT} levels", place)
    match value:
        case None | bool():
            return
        case float() if not isfinite(value):
            raise NotCanonicalError(f"{value} is no JSON number", place)
        case int() if not I64_MIN <= value <= U64_MAX:
            raise NotCanonicalError(f"the integer {_shortened(value)} is beyond 64 bits", place)
        case str() if not _is_utf8(value):
            raise NotCanonicalError("a string holds a lone surrogate", place)
        case int() | float() | str():
            return
        case Mapping():
            _refuse_members(cast("Mapping[object, object]", value), place, depth)
        case Struct():
            _refuse_members({name: getattr(value, name) for name in value.__struct_fields__}, place, depth)
        case Sequence() if not isinstance(value, bytes | bytearray | memoryview):
            for index, item in enumerate(cast("Sequence[object]", value)):
                _refuse_fault(item, f"{place}/{index}", depth + 1)
        case _:
            _refuse_foreign(value, place, depth)


def _refuse_members(members: Mapping[object, object], place: str, depth: int) -> None:
    for name, member in members.items():
        if not isinstance(name, str):
            raise NotCanonicalError(f"the name of a member is {name!r}, not a string", place)
        if not _is_utf8(name):
            raise NotCanonicalError("the name of a member holds a lone surrogate", place)
        _refuse_fault(member, f"{place}/{name.replace('~', '~0').replace('/', '~1')}", depth + 1)


def _refuse_foreign(value: object, place: str, depth: int) -> None:
    """Values that msgspec turns into JSON by itself: times, enumerations, dataclasses; anything else is a fault."""
    try:
        plain = msgspec.to_builtins(value)
    except TypeError as error:
        raise NotCanonicalError(f"a {type(value).__name__} is no JSON value", place) from error
    _refuse_fault(plain, place, depth)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shortened(value: int) -> str:
    return hex(value) if value.bit_length() < 256 else f"of {value.bit_length()} bits"


NAME = re.compile(r"[A-Za-z0-9_-]+")
"""A member's name that is written without quotes."""


class Member(Struct, tag=True, frozen=True):
    """A step into an object."""

    name: str


class Item(Struct, tag=True, frozen=True):
    """A step into an array."""

    index: int


Step = Member | Item
Location = tuple[Step, ...]

Leaf = tuple[Location, JsonValue, JsonValue]
"""A location where two trees differ, and the value on each side."""


def render(location: Location) -> str:
    """The text of a location: ``effects[0].writes[1].value.Number``."""
    text = ""
    for step in location:
        match step:
            case Item(index):
                text += f"[{index}]"
            case Member(name):
                written = name if NAME.fullmatch(name) else json.dumps(name, ensure_ascii=False)
                text += f".{written}" if text else written
    return text
