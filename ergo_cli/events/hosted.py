"""What a line of an event stream, or a frame of an ingress process, can say (spec 10 §5.2, 30 §2)."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from ergo_cli.core.json import JsonValue
from ergo_cli.core.time import Duration
from ergo_cli.events.external import EventKind


class HostedEvent(Struct, frozen=True, gc=False):
    """One event as the outside told it, before an adapter binds it.

    ``at`` is an instant in ns. ``payload`` is the decoded JSON value, integers staying integers; None means no payload.
    A line of a stream never holds another payload than an object; a frame may, and is refused when it is stepped.
    """

    event_id: str
    kind: EventKind
    at: int
    semantic_kind: str | None = None
    payload: JsonValue = None


class EpisodeStart(Struct, frozen=True, gc=False):
    """The events that follow belong to a group of their own; None means that it is to be called by its number."""

    label: str | None


def automatic_id(ordinal: int) -> str:
    """The id of an event that was given none: the ``ordinal``-th event of its stream, from 1 (spec 10 §6)."""
    return f"fixture_evt_{ordinal}"


class _Wire(Struct, frozen=True, gc=False):
    event_id: str
    kind: EventKind
    at: Duration
    semantic_kind: str | None
    payload: JsonValue


_encode = msgspec.json.Encoder().encode


def encode_hosted(event: HostedEvent) -> bytes:
    """The event's one compact JSON object, members in declared order, nulls written out."""
    return _encode(_Wire(event.event_id, event.kind, Duration.of(event.at), event.semantic_kind, event.payload))
