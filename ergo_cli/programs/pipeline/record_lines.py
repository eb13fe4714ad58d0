"""Records of pipelines in words for readers: names and fields."""

from __future__ import annotations

from typing import cast

from ergo_cli.core import wire
from ergo_cli.core.json import JsonValue, decode
from ergo_cli.programs.pipeline.chain_events import ChainEvent
from ergo_cli.programs.pipeline.recorded import JournalRecord
from ergo_cli.programs.pipeline.status import Success
from ergo_cli.programs.recorded import RecordLine

_TAGS = ("content_type", "flow_control_type", "system_event_type", "lifecycle_event", "pipeline_event", "event_type")


def record_line(record: JournalRecord) -> RecordLine:
    """The name of a record, with its journal, and its fields."""
    name, fields = parts_of(record)
    return RecordLine(f"{record.label} {name}", fields or None)


def parts_of(record: JournalRecord) -> tuple[str, dict[str, JsonValue]]:
    """The name of an event, and what it says, without its tags."""
    event: object = record.envelope.event
    if not isinstance(event, ChainEvent):
        members = _members(decode(wire.encode(event)))
        dropped = ("id", "writer_id", "timestamp", *_TAGS)
        return record.envelope.event.type_name, {key: each for key, each in members.items() if key not in dropped}
    fields = {key: each for key, each in _members(decode(wire.encode(event.content))).items() if key not in _TAGS}
    status = event.processing_info.status
    if not isinstance(status, Success):
        fields["status"] = decode(wire.encode(status))
    return event.event_type, fields


def _members(value: JsonValue) -> dict[str, JsonValue]:
    return cast("dict[str, JsonValue]", value)
