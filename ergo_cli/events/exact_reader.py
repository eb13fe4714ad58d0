"""Read a line exactly: slower than ``records``, complete, and with the place of every fault (spec 10 §2, §5, 30 §2–3).

``records`` reads usual lines and falls back to this module for all others, valid or not. Objects are read member by
member, each with its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from json import JSONDecoder

from msgspec import Struct

from ergo_cli.core.json import JsonError, JsonValue, decode
from ergo_cli.core.numbers import Numbers, exact_float, exact_integer, original_number
from ergo_cli.core.time import Duration, parse_duration
from ergo_cli.events.external import EpisodeStart, EventKind, HostedEvent, automatic_id, json_type

_BLANKS = re.compile(r"[ \t\n\r]*")
_SCAN = {
    Numbers.EXACT: JSONDecoder(parse_int=exact_integer, parse_float=exact_float).raw_decode,
    Numbers.ORIGINAL: JSONDecoder(parse_int=original_number, parse_float=original_number).raw_decode,
}


class RecordFault(ValueError):
    """A text that is not a record. ``offset`` is the character at fault, from 0; ``fix`` says how to correct it."""

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
    """The members, in order and with repeated ones, of the object whose ``{`` is character ``at`` of valid JSON."""
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


# what Unicode calls white space, without the separators U+001C to U+001F that str.strip removes too
_WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_FIXTURE_MEMBERS = ("type", "id", "at", "semantic_kind", "payload")
_HOSTED_MEMBERS = ("event_id", "kind", "at", "semantic_kind", "payload")


class UnreadableLine(RecordFault):
    """A line that is not UTF-8."""


def read_record_exactly(line: bytes, ordinal: int, numbers: Numbers) -> EpisodeStart | HostedEvent | None:
    """The record of one line of a stream, None for a blank one; arguments as of ``records.read_record``.

    Raises RecordFault, UnreadableLine if the line is not UTF-8.
    """
    text = _text(line)
    at = len(text) - len(text.lstrip(_WHITE_SPACE))
    if at == len(text):
        return None
    members = _members_of_document(text, at, numbers)
    kind = _named(members, "kind")
    match kind.value if kind else None:
        case "event":
            return _fixture_event(text, at, members, ordinal, numbers)
        case "episode_start":
            return _episode_start(members)
        case _ if _named(members, "event_id"):
            event, payload = _hosted(text, at, members, numbers)
            return _checked(event, payload)
        case _:
            raise _no_record_kind(kind, at)


def read_hosted_exactly(text: bytes, numbers: Numbers) -> HostedEvent:
    """A hosted event from its JSON text; its payload may be any JSON value. Raises RecordFault."""
    line = _text(text)
    at = len(line) - len(line.lstrip(_WHITE_SPACE))
    return _hosted(line, at, _members_of_document(line, at, numbers), numbers)[0]


def place_of(line: bytes, names: Iterable[str], numbers: Numbers) -> int:
    """The character of a good line where the value of the first of these members stands, or the event itself."""
    text = _text(line)
    at = len(text) - len(text.lstrip(_WHITE_SPACE))
    members = _members_of_document(text, at, numbers)
    kind, event = _named(members, "kind"), _named(members, "event")
    if event is not None and kind is not None and kind.value == "event":
        at = event.at
        members = list(members_at(text, at, numbers))
    places = (member.at for name in names if (member := _named(members, name)))
    return next(places, at)


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        offset = len(line[: error.start].decode())
        raise UnreadableLine("invalid UTF-8", offset, "save the events as UTF-8 text") from error


def _members_of_document(text: str, at: int, numbers: Numbers) -> list[Member]:
    """The members of the one object that is the text from ``at`` on."""
    if text.startswith("\ufeff", at):
        raise RecordFault("a byte order mark is not JSON", at, "save the events without a byte order mark")
    document = text[at:].rstrip(_WHITE_SPACE).encode()
    try:
        value = decode(document, numbers)
    except JsonError as error:
        raise RecordFault(str(error), at + len(document[: error.offset].decode(errors="ignore"))) from error
    if not isinstance(value, dict):
        raise RecordFault(f"a record must be a JSON object, got {json_type(value)}", at)
    return list(members_at(text, at, numbers))


def _named(members: Iterable[Member], name: str) -> Member | None:
    return next((member for member in members if member.name == name), None)


def _no_record_kind(kind: Member | None, at: int) -> RecordFault:
    fix = "give the line `kind`: `event` or `episode_start`; a hosted event also has `event_id`"
    if kind is None:
        return RecordFault("missing field `kind`", at, fix)
    if not isinstance(kind.value, str):
        return RecordFault(f"`kind` must be a string, got {json_type(kind.value)}", kind.at, fix)
    return RecordFault(f"unknown kind `{kind.value}`, expected `episode_start` or `event`", kind.at, fix)


def _episode_start(members: Iterable[Member]) -> EpisodeStart:
    found = known_members(members, ("kind", "id"), closed=True)
    return EpisodeStart(_optional_text(found, "id"))


def _fixture_event(text: str, at: int, members: Iterable[Member], ordinal: int, numbers: Numbers) -> HostedEvent:
    body = _required(known_members(members, ("kind", "event"), closed=True), "event", at)
    if not isinstance(body.value, dict):
        raise RecordFault(f"`event` must be an object, got {json_type(body.value)}", body.at)
    found = known_members(members_at(text, body.at, numbers), _FIXTURE_MEMBERS, closed=True)
    kind = _kind(_required(found, "type", body.at))
    event_id = _optional_text(found, "id")
    event = HostedEvent(
        event_id=automatic_id(ordinal) if event_id is None else event_id,
        kind=kind,
        at=fixture_instant(text, found.get("at")),
        semantic_kind=_optional_text(found, "semantic_kind"),
        payload=found["payload"].value if "payload" in found else None,
    )
    return _checked(event, found.get("payload"))


def _hosted(text: str, at: int, members: Iterable[Member], numbers: Numbers) -> tuple[HostedEvent, Member | None]:
    found = known_members(members, _HOSTED_MEMBERS, closed=False)
    payload = found.get("payload")
    event = HostedEvent(
        event_id=_string(_required(found, "event_id", at)),
        kind=_kind(_required(found, "kind", at)),
        at=hosted_instant(text, _required(found, "at", at)),
        semantic_kind=_optional_text(found, "semantic_kind"),
        payload=payload.value if payload else None,
    )
    return event, payload


def _checked(event: HostedEvent, payload: Member | None) -> HostedEvent:
    """The event, whose payload must be an object where it has one."""
    if payload is None or payload.value is None or isinstance(payload.value, dict):
        return event
    raise RecordFault(f"payload must be a JSON object, got {json_type(payload.value)}", payload.at)


def _required(found: dict[str, Member], name: str, at: int) -> Member:
    if name not in found:
        raise RecordFault(f"missing field `{name}`", at)
    return found[name]


def _string(member: Member) -> str:
    if not isinstance(member.value, str):
        raise RecordFault(f"`{member.name}` must be a string, got {json_type(member.value)}", member.at)
    return member.value


def _optional_text(found: dict[str, Member], name: str) -> str | None:
    member = found.get(name)
    return None if member is None or member.value is None else _string(member)


def _kind(member: Member) -> EventKind:
    spelling = _string(member)
    try:
        return EventKind.parse(spelling)
    except ValueError as error:
        raise RecordFault(str(error), member.at) from error


_OBJECT = '{"secs":5,"nanos":0}'
_FIXTURE_FIX = f'write {_OBJECT} or a duration such as "1500ms", "5s", "2m", "1h"'
_HOSTED_FIX = f"write {_OBJECT}"


def fixture_instant(text: str, at: Member | None) -> int:
    """Ns of a fixture record's ``at``: an object or a duration literal, zero if absent or null. Raises RecordFault."""
    if at is None or at.value is None:
        return 0
    if isinstance(at.value, str):
        return _literal(at.value, at)
    if isinstance(at.value, dict):
        return _object(text, at, _FIXTURE_FIX)
    raise RecordFault(f"`at` must be an object or a duration, got {json_type(at.value)}", at.at, _FIXTURE_FIX)


def hosted_instant(text: str, at: Member) -> int:
    """Ns of a hosted event's ``at``: an object or ``[secs, nanos]``. Raises RecordFault."""
    if isinstance(at.value, dict):
        return _object(text, at, _HOSTED_FIX)
    if isinstance(at.value, list) and len(at.value) == 2:
        return _instant(at.value[0], at.value[1], at, _HOSTED_FIX)
    raise RecordFault(f"`at` must be an object with `secs` and `nanos`, got {json_type(at.value)}", at.at, _HOSTED_FIX)


def _literal(literal: str, at: Member) -> int:
    try:
        return parse_duration(literal)
    except ValueError as error:
        raise RecordFault(f"`at`: {error}", at.at, _FIXTURE_FIX) from error


def _object(text: str, at: Member, fix: str) -> int:
    found = known_members(members_at(text, at.at, Numbers.EXACT), ("secs", "nanos"), closed=True)
    for name in ("secs", "nanos"):
        if name not in found:
            raise RecordFault(f"`at`: missing field `{name}`", at.at, fix)
    return _instant(found["secs"].value, found["nanos"].value, at, fix)


def _instant(secs: JsonValue, nanos: JsonValue, at: Member, fix: str) -> int:
    if type(secs) is not int or type(nanos) is not int:
        raise RecordFault("`at`: `secs` and `nanos` must be whole numbers of at least 0", at.at, fix)
    try:
        return Duration(secs, nanos).ns
    except ValueError as error:
        raise RecordFault(f"`at`: {error}", at.at, fix) from error
