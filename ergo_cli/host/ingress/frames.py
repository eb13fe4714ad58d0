"""The frames of ``ergo-driver.v0``: one JSON object a line (spec 30 §15.1)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Raw, Struct

from ergo_cli.core.json import JsonError, check_nesting, decode
from ergo_cli.core.numbers import Numbers
from ergo_cli.core.reading import shown
from ergo_cli.events.external import json_type
from ergo_cli.events.hosted import HostedEvent
from ergo_cli.events.members import Member, RecordFault, known_members, members_at
from ergo_cli.events.records import read_hosted

PROTOCOL = "ergo-driver.v0"


class FrameError(ValueError):
    """A line that is no frame of a driver."""


class Hello(Struct, frozen=True):
    """A driver's first frame: the protocol it speaks."""

    protocol: str


class End(Struct, frozen=True):
    """A driver's last frame."""


Frame = Hello | HostedEvent | End
"""What a driver can say; an event frame is the event that it carries."""


class _EventFrame(Struct, frozen=True, gc=False, tag_field="type", tag="event"):
    event: Raw


_decode_event = msgspec.json.Decoder(_EventFrame).decode
_decode_raw_members = msgspec.json.Decoder(dict[str, Raw]).decode


def frame_type(frame: Frame) -> str:
    """The ``type`` that the frame has on the wire."""
    match frame:
        case Hello():
            return "hello"
        case End():
            return "end"
        case HostedEvent():
            return "event"


def decode_frame(line: bytes, numbers: Numbers) -> Frame:
    """The frame in a line; the numbers of an event's payload are read under the profile ``numbers``.

    Unknown members are ignored, known ones may stand there once (spec 00 §12.4). Raises FrameError.
    """
    try:
        event = _usual_event(line, numbers)
    except ValueError:
        event = None  # bad, or good in an unusual way: the exact reading tells which
    return event or _read_exactly(line, numbers)


def _usual_event(line: bytes, numbers: Numbers) -> HostedEvent | None:
    """The event of a frame that holds nothing else; None where members may be repeated or unknown."""
    check_nesting(line)
    event = bytes(_decode_event(line).event)
    if line.count(b":") != 2 + event.count(b":"):
        return None
    return read_hosted(event, numbers)


def _read_exactly(line: bytes, numbers: Numbers) -> Frame:
    members = _members(line, numbers)
    kind = _text(_only(members, "type"))
    match kind:
        case "hello":
            return Hello(_text(_only(members, "protocol")))
        case "event":
            return _event(_only(members, "event"), line, numbers)
        case "end":
            return End()
        case _:
            raise FrameError(f"unknown frame type '{shown(kind)}', expected hello, event or end")


def _members(line: bytes, numbers: Numbers) -> list[Member]:
    """The members of the one object in a line, repeated ones too."""
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
    """The member of that name, which must stand there once; others count as unknown."""
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


def _event(member: Member, line: bytes, numbers: Numbers) -> HostedEvent:
    if not isinstance(member.value, dict):
        raise FrameError(f"`event` must be an object, got {json_type(member.value)}")
    try:
        return read_hosted(bytes(_decode_raw_members(line)["event"]), numbers)
    except RecordFault as fault:
        raise FrameError(f"invalid event: {fault}") from fault
