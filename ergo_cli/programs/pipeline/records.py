"""Events as journals keep them, and the text of such a record (spec 60 §5.2, §5.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar, cast

from msgspec import Struct

from ergo_cli.core import wire
from ergo_cli.core.json import JsonError, NotCanonicalError, check_nesting, decode
from ergo_cli.core.wire import Timestamp, WireError
from ergo_cli.programs.pipeline.chain_events import ChainEvent
from ergo_cli.programs.pipeline.clocks import VectorClock
from ergo_cli.programs.pipeline.counters import Count
from ergo_cli.programs.pipeline.ids import EventId, JournalId, WriterId
from ergo_cli.programs.pipeline.system_events import SystemEvent

EventT = TypeVar("EventT", bound=ChainEvent | SystemEvent)

EventReader = Callable[[object], EventT | None]
"""Makes an event of decoded JSON; None for one that readers pass over. Raises WireError."""


class GroupMember(Struct, frozen=True):
    """The place of a record among those that were appended together, from 0."""

    index: Count
    size: Count


class Envelope(Struct, Generic[EventT], frozen=True):
    """An event in its journal: when it happened, by its vector clock and by the wall, and with which others."""

    journal_id: JournalId
    vector_clock: VectorClock
    timestamp: Timestamp
    event: EventT
    group_id: str | None = None
    group_member: GroupMember | None = None

    @property
    def event_id(self) -> EventId:
        """The event's id."""
        return self.event.id


class RecordHead(Struct, frozen=True, omit_defaults=True):
    """The members of a record before its event; the last two stand only in records of a group."""

    event_id: EventId
    writer_id: WriterId
    journal_id: JournalId
    vector_clock: VectorClock
    timestamp: str
    journal_group_id: str | None = None
    journal_group_member: GroupMember | None = None


def record_text(envelope: Envelope[EventT]) -> str:
    """The text of a record. Raises NotCanonicalError, also where the text, as a bundle holds it, nests too deep."""
    event = envelope.event
    head = RecordHead(
        event.id,
        event.writer_id,
        envelope.journal_id,
        envelope.vector_clock,
        envelope.timestamp.to_wire(),
        envelope.group_id,
        envelope.group_member,
    )
    text = wire.encode(head)[:-1] + b',"event":' + wire.encode(event) + b"}"
    try:
        check_nesting(b"[" + text + b"]")
    except JsonError as error:
        raise NotCanonicalError(str(error), "") from error
    return text.decode()


def read_head(text: str) -> RecordHead:
    """The head of a record. Raises WireError and JsonError."""
    return wire.decode(text.encode(), RecordHead)


def read_record(text: str, read_event: EventReader[EventT]) -> Envelope[EventT] | None:
    """The record that a text holds; None where its event is to be passed over. Raises WireError and JsonError."""
    value = decode(text.encode())
    head: RecordHead = wire.read(value, RecordHead)
    members = cast("dict[str, object]", value)
    if "event" not in members:
        raise WireError("missing field `event` of a record")
    event = read_event(members["event"])
    if event is None:
        return None
    return Envelope(
        head.journal_id,
        head.vector_clock,
        wire.read(head.timestamp, Timestamp),
        event,
        head.journal_group_id,
        head.journal_group_member,
    )
