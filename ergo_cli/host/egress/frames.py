"""The frames of ``ergo-egress.v1``: one JSON object a line (spec 30 §18.1)."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec import Struct

from ergo_cli.core.effects import Intent
from ergo_cli.core.json import decode
from ergo_cli.core.numbers import Numbers
from ergo_cli.core.values import NativeValue
from ergo_cli.events.members import known_members, members_at

PROTOCOL = "ergo-egress.v1"
END = b'{"type":"end"}'
"""Told to a channel when nothing more will come."""


class FrameError(ValueError):
    """A line that is no frame of a channel; the text says why, in the decoder's words."""


class Ready(Struct, frozen=True, tag="ready"):
    """A channel's first frame: the protocol it speaks and the intent kinds it takes."""

    protocol: str
    handled_kinds: list[str]


class Ack(Struct, frozen=True, tag="intent_ack"):
    """A channel's answer to one intent; ``egress_ref`` means something to the channel alone."""

    intent_id: str
    status: str
    acceptance: str
    egress_ref: str | None = None


class _Intent(Struct, frozen=True, tag="intent"):
    intent_id: str
    kind: str
    fields: dict[str, NativeValue]


Frame = Ready | Ack

_KNOWN = ("type", *dict.fromkeys((*Ready.__struct_fields__, *Ack.__struct_fields__)))
_encode = msgspec.json.Encoder().encode
_T = TypeVar("_T")


def encode_intent(intent: Intent) -> bytes:
    """The host's frame for an intent: fields ascending by name, the last of a repeated name; no line end.

    A number that is not finite is written as null.
    """
    fields = {field.name: field.value.native for field in intent.fields}
    return _encode(_Intent(intent.intent_id, intent.kind, dict(sorted(fields.items()))))


def decode_frame(line: bytes) -> Frame:
    """The frame in a line of a channel.

    Unknown members are ignored, known ones may stand there once (spec 00 §12.4). Raises UnicodeDecodeError for bytes
    that are not UTF-8, FrameError for any other line.
    """
    text = line.decode()
    try:
        if not isinstance(decode(line), dict):
            raise FrameError("expected an object")
        members = known_members(members_at(text, text.index("{"), Numbers.EXACT), _KNOWN, closed=False)
        return msgspec.convert({name: member.value for name, member in members.items()}, Frame)
    except ValueError as error:
        raise FrameError(str(error)) from error
