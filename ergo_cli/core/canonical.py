"""Canonical JSON of values that a user's code made: written exactly, or refused with the place at fault (spec 40 §2).

msgspec writes the very text that the spec describes, but lets pass what that text cannot say: it turns NaN into
``null`` and writes integers that no reader reads back. Such values are looked for only where the text raises the
suspicion, which is cheaper than walking every value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import cast

import msgspec
from msgspec import Struct

from ergo_cli.core.json import NESTING_LIMIT, JsonError, check_nesting
from ergo_cli.core.numbers import I64_MIN, U64_MAX

_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
_NINETEEN_DIGITS = b"0" * 19

_encode_free = msgspec.json.Encoder(order="sorted").encode
_encode_record = msgspec.json.Encoder(order="deterministic").encode


class NotCanonicalError(ValueError):
    """A value that canonical JSON cannot hold; ``place`` is a JSON pointer into it."""

    def __init__(self, message: str, place: str) -> None:
        super().__init__(message)
        self.place = place


def free_text(value: object) -> bytes:
    """The text of a free value: members ascending by name at every depth (40 §2 rule 3).

    Raises NotCanonicalError for NaN, infinities, integers beyond 64 bits, lone surrogates, more than 127 levels, and
    for what is no JSON value at all.
    """
    return _checked(value, _encode_free)


def record_text(value: object) -> bytes:
    """The text of a typed record: fields in declared order, free values inside it sorted (40 §2 rule 2).

    Raises NotCanonicalError as ``free_text`` does.
    """
    return _checked(value, _encode_record)


def _checked(value: object, encode: Callable[[object], bytes]) -> bytes:
    try:
        text = encode(value)
        check_nesting(text)
    except (TypeError, ValueError, RecursionError) as error:
        _refuse(value, "", 0)
        place = f" (byte {error.offset})" if isinstance(error, JsonError) else ""
        raise NotCanonicalError(f"{error}{place}", "") from error
    if b"null" in text or text.translate(_DIGITS_TO_ZERO).find(_NINETEEN_DIGITS) >= 0:
        _refuse(value, "", 0)
    return text


def _refuse(value: object, place: str, depth: int) -> None:
    """Raise NotCanonicalError for the first fault in ``value``, if there is one."""
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
                _refuse(item, f"{place}/{index}", depth + 1)
        case _:
            _refuse_foreign(value, place, depth)


def _refuse_members(members: Mapping[object, object], place: str, depth: int) -> None:
    for name, member in members.items():
        if not isinstance(name, str):
            raise NotCanonicalError(f"the name of a member is {name!r}, not a string", place)
        if not _is_utf8(name):
            raise NotCanonicalError("the name of a member holds a lone surrogate", place)
        _refuse(member, f"{place}/{name.replace('~', '~0').replace('/', '~1')}", depth + 1)


def _refuse_foreign(value: object, place: str, depth: int) -> None:
    """Values that msgspec turns into JSON by itself: times, enumerations, dataclasses; anything else is a fault."""
    try:
        plain = msgspec.to_builtins(value)
    except TypeError as error:
        raise NotCanonicalError(f"a {type(value).__name__} is no JSON value", place) from error
    _refuse(plain, place, depth)


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _shortened(value: int) -> str:
    return hex(value) if value.bit_length() < 256 else f"of {value.bit_length()} bits"
