"""The frames between the host and its channel processes: one JSON object per line (spec 30 §15.1, §18.1)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Raw, Struct

from ergo_cli.core.document_fields import shown
from ergo_cli.core.json import JsonError, check_nesting, decode
from ergo_cli.core.numbers import Numbers
from ergo_cli.core.values import Intent, NativeValue
from ergo_cli.events.exact_reader import Member, RecordFault, known_members, members_at
from ergo_cli.events.external import HostedEvent, json_type
from ergo_cli.events.records import read_hosted

DRIVER_PROTOCOL = "ergo-driver.v0"
EGRESS_PROTOCOL = "ergo-egress.v1"


class FrameError(ValueError):
    """A line that is not a frame; its text is the reason, for egress channels that of the JSON decoder."""


class Hello(Struct, frozen=True):
    """A driver's first frame: the protocol it speaks."""

    protocol: str


class DriverEnd(Struct, frozen=True):
    """A driver's last frame."""


DriverFrame = Hello | HostedEvent | DriverEnd
"""What a driver may send; an event frame is decoded as the event that it carries."""


class _EventFrame(Struct, frozen=True, gc=False, tag_field="type", tag="event"):
    event: Raw


_decode_event = msgspec.json.Decoder(_EventFrame).decode
_decode_raw_members = msgspec.json.Decoder(dict[str, Raw]).decode


def driver_frame_type(frame: DriverFrame) -> str:
    """The ``type`` member of the frame."""
    match frame:
        case Hello():
            return "hello"
        case DriverEnd():
            return "end"
        case HostedEvent():
            return "event"


def decode_driver_frame(line: bytes, numbers: Numbers) -> DriverFrame:
    """Decode a line of a driver; the numbers of an event's payload are read under the profile ``numbers``.

    Unknown members are ignored, known ones may occur once (spec 00 §12.4). Raises FrameError.
    """
    try:
        event = _usual_event(line, numbers)
    except ValueError:
        event = None  # invalid, or valid in an unusual form: the exact reader decides
    return event or _read_exactly(line, numbers)


def _usual_event(line: bytes, numbers: Numbers) -> HostedEvent | None:
    """The event of a frame without other members; None where members may be repeated or unknown."""
    check_nesting(line)
    event = bytes(_decode_event(line).event)
    if line.count(b":") != 2 + event.count(b":"):
        return None
    return read_hosted(event, numbers)


def _read_exactly(line: bytes, numbers: Numbers) -> DriverFrame:
    members = _members(line, numbers)
    kind = _text(_only(members, "type"))
    match kind:
        case "hello":
            return Hello(_text(_only(members, "protocol")))
        case "event":
            return _event_of(_only(members, "event"), line, numbers)
        case "end":
            return DriverEnd()
        case _:
            raise FrameError(f"unknown frame type '{shown(kind)}', expected hello, event or end")


def _members(line: bytes, numbers: Numbers) -> list[Member]:
    """The members of the object in a line, repeated ones included."""
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise FrameError(f"invalid UTF-8 at byte {error.start + 1} of the line") from error
    if not text.strip(" \t\r\n"):
        raise FrameError("a blank line")
    try:
        frame = decode(line, numbers)
    except JsonError as error:
        raise FrameError(f"not JSON at byte {error.offset + 1} of the line: {error}") from error
    if not isinstance(frame, dict):
        raise FrameError(f"a frame must be a JSON object, got {json_type(frame)}")
    return list(members_at(text, text.index("{"), numbers))


def _only(members: Iterable[Member], name: str) -> Member:
    """The member of that name, which must occur once; others count as unknown."""
    try:
        found = known_members((member for member in members if member.name == name), (name,), closed=False)
    except RecordFault as fault:
        raise FrameError(str(fault)) from fault
    if name not in found:
        raise FrameError(f"missing field `{name}`")
    return found[name]


def _text(member: Member) -> str:
    if not isinstance(member.value, str):
        raise FrameError(f"`{member.name}` must be a string, got {json_type(member.value)}")
    return member.value


def _event_of(member: Member, line: bytes, numbers: Numbers) -> HostedEvent:
    if not isinstance(member.value, dict):
        raise FrameError(f"`event` must be an object, got {json_type(member.value)}")
    try:
        return read_hosted(bytes(_decode_raw_members(line)["event"]), numbers)
    except RecordFault as fault:
        raise FrameError(f"invalid event: {fault}") from fault


class Ready(Struct, frozen=True, tag="ready"):
    """A channel's first frame: the protocol it speaks and the intent kinds it takes."""

    protocol: str
    handled_kinds: list[str]


class Ack(Struct, frozen=True, tag="intent_ack"):
    """A channel's answer to one intent; the host does not interpret ``egress_ref``."""

    intent_id: str
    status: str
    acceptance: str
    egress_ref: str | None = None


class _Intent(Struct, frozen=True, tag="intent"):
    intent_id: str
    kind: str
    fields: dict[str, NativeValue]


class _End(Struct, frozen=True, tag="end"):
    pass


EgressFrame = Ready | Ack

_KNOWN = ("type", *dict.fromkeys((*Ready.__struct_fields__, *Ack.__struct_fields__)))
_encode = msgspec.json.Encoder().encode

EGRESS_END = _encode(_End())
"""The host's last frame to a channel."""


def encode_intent(intent: Intent) -> bytes:
    """Encode an intent without line end: fields ascending by name, the last of a repeated name.

    A number that is not finite is written as null.
    """
    fields = {field.name: field.value.native for field in intent.fields}
    return _encode(_Intent(intent.intent_id, intent.kind, dict(sorted(fields.items()))))


def decode_egress_frame(line: bytes) -> EgressFrame:
    """Decode a line of an egress channel.

    Unknown members are ignored, known ones may occur once (spec 00 §12.4). Raises UnicodeDecodeError for bytes
    that are not UTF-8, FrameError for any other line.
    """
    text = line.decode()
    try:
        if not isinstance(decode(line), dict):
            raise FrameError("expected an object")
        members = known_members(members_at(text, text.index("{"), Numbers.EXACT), _KNOWN, closed=False)
        return msgspec.convert({name: member.value for name, member in members.items()}, EgressFrame)
    except ValueError as error:
        raise FrameError(str(error)) from error
