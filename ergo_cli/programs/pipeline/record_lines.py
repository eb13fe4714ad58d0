"""Records of pipelines in words for readers: names and fields."""

from __future__ import annotations

from typing import cast

from ergo_cli.core import wire
from ergo_cli.core.json import JsonValue, decode
from ergo_cli.programs.pipeline.chain_events import ChainEvent, Data
from ergo_cli.programs.pipeline.effects import EffectRecord
from ergo_cli.programs.pipeline.recorded import JournalRecord
from ergo_cli.programs.pipeline.status import Error
from ergo_cli.programs.recorded import RecordLine

_TAGS = ("content_type", "flow_control_type", "system_event_type", "lifecycle_event", "pipeline_event", "event_type")
_OF_EVERY_FACT = ("id", "writer_id", "timestamp")
_STAGES = ("stage_id", "upstream", "reader")  # ids, which say least to people


def record_line(record: JournalRecord) -> RecordLine:
    """The name of a record behind that of its stage, and its fields: of a row its payload, of an effect its outcome."""
    name, fields = parts_of(record)
    effect, event = record.effect, record.chain_event
    stage = " ".join(filter(None, (record.stage, "error" if record.label.startswith("error:") else "")))
    if effect is not None:
        outcome = {member: value for member, value in fields.items() if member != "effect"}
        return RecordLine(f"{stage} effect {effect.descriptor.effect_type}", outcome)
    if event is not None and isinstance(event.content, Data) and fields.keys() == {"payload"}:
        return RecordLine(f"{stage} {name}", fields["payload"])
    return RecordLine(f"{stage} {name}", fields or None)


def name_of(record: JournalRecord) -> str:
    """The name of an event."""
    event = record.chain_event
    return record.envelope.event.type_name if event is None else event.event_type


def parts_of(record: JournalRecord) -> tuple[str, dict[str, JsonValue]]:
    """The name of an event and what it says, without its tags; of an event marked as failed, first how it failed.

    The ids of stages that a fact names come last.
    """
    event = record.chain_event
    if event is None:
        said = _untagged(decode(wire.encode(record.envelope.event)), *_OF_EVERY_FACT)
        return name_of(record), dict(sorted(said.items(), key=lambda member: member[0] in _STAGES))
    effect = record.effect
    return name_of(record), {**_failure(event), **(_said(event) if effect is None else _of_effect(effect))}


def _said(event: ChainEvent) -> dict[str, JsonValue]:
    return _untagged(decode(wire.encode(event.content)))


def _failure(event: ChainEvent) -> dict[str, JsonValue]:
    status = event.processing_info.status
    return {"error": status.message} if isinstance(status, Error) else {}


def _of_effect(effect: EffectRecord) -> dict[str, JsonValue]:
    """The effect's type, its outcome, and the call that it was asked for in."""
    cursor = effect.cursor
    return {
        "effect": effect.descriptor.effect_type,
        "outcome": decode(wire.encode(effect.outcome)),
        "input_seq": cursor.input_seq,
        "effect_ordinal": cursor.effect_ordinal,
    }


def _untagged(value: JsonValue, *others: str) -> dict[str, JsonValue]:
    members = cast("dict[str, JsonValue]", value)
    return {name: member for name, member in members.items() if name not in _TAGS and name not in others}
