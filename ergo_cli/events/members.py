"""An object of a line, member by member, each with its place (spec 10 §5.2, 00 §12.4)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from json import JSONDecoder

from msgspec import Struct

from ergo_cli.core.json import JsonValue
from ergo_cli.core.numbers import Numbers, exact_float, exact_integer, original_number

_BLANKS = re.compile(r"[ \t\n\r]*")
_SCAN = {
    Numbers.EXACT: JSONDecoder(parse_int=exact_integer, parse_float=exact_float).raw_decode,
    Numbers.ORIGINAL: JSONDecoder(parse_int=original_number, parse_float=original_number).raw_decode,
}


class RecordFault(ValueError):
    """A text that is no record. ``offset`` is the character at fault, from 0; ``fix`` says what would be one."""

    def __init__(self, detail: str, offset: int, fix: str | None = None) -> None:
        super().__init__(detail)
        self.offset = offset
        self.fix = fix


class Member(Struct, frozen=True):
    """A member of an object: its decoded value, and the characters where its name and its value begin."""

    name: str
    name_at: int
    value: JsonValue
    at: int


def members_at(text: str, at: int, numbers: Numbers) -> Iterator[Member]:
    """The members, in order and repeated ones too, of the object whose ``{`` is character ``at`` of a sound text."""
    scan = _SCAN[numbers]
    at = _past_blanks(text, at + 1)
    while text[at] != "}":
        name, end = scan(text, at)
        value_at = _past_blanks(text, _past_blanks(text, end) + 1)
        value, end = scan(text, value_at)
        yield Member(name, at, value, value_at)
        at = _past_blanks(text, end)
        if text[at] == ",":
            at = _past_blanks(text, at + 1)


def known_members(members: Iterable[Member], known: tuple[str, ...], *, closed: bool) -> dict[str, Member]:
    """The members named in ``known``. Raises RecordFault for one given twice and, if ``closed``, for any other."""
    found: dict[str, Member] = {}
    for member in members:
        if member.name in found:
            raise RecordFault(f"duplicate field `{member.name}`", member.name_at)
        if member.name in known:
            found[member.name] = member
        elif closed:
            expected = ", ".join(f"`{name}`" for name in known)
            raise RecordFault(f"unknown field `{member.name}`, expected one of {expected}", member.name_at)
    return found


def _past_blanks(text: str, at: int) -> int:
    match = _BLANKS.match(text, at)
    return match.end() if match else at
