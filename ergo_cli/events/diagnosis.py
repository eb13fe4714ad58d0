"""The slow reading of a line, which is always right and knows where every fault stands (spec 10 §5, 30 §2–3).

``records`` reads the usual line faster and comes here with every other: odd but good, or bad.
"""

from __future__ import annotations

from collections.abc import Iterable

from ergo_cli.core.json import JsonError, decode
from ergo_cli.core.numbers import Numbers
from ergo_cli.events.external import EventKind, json_type
from ergo_cli.events.hosted import EpisodeStart, HostedEvent, automatic_id
from ergo_cli.events.instants import fixture_instant, hosted_instant
from ergo_cli.events.members import Member, RecordFault, known_members, members_at

_WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_FIXTURE_MEMBERS = ("type", "id", "at", "semantic_kind", "payload")
_HOSTED_MEMBERS = ("event_id", "kind", "at", "semantic_kind", "payload")


class UnreadableLine(RecordFault):
    """A line that is not UTF-8."""


def read_record_exactly(line: bytes, ordinal: int, numbers: Numbers) -> EpisodeStart | HostedEvent | None:
    """The record of one line of a stream, None for a blank one; arguments as ``records.read_record`` has them.

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
