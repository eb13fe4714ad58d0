"""What is compared of the records of two runs, and how rows are compared (spec 60 §22.4, §22.5).

Compared are rows of data, watermarks, and, regardless of their order, the evidence of EOFs. Ids, writers, clocks,
times, replay contexts, receipts, observations and all other signals take no part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from msgspec import Struct

from ergo_cli.core import wire
from ergo_cli.core.json import JsonValue, Location, Member, canonical, decode
from ergo_cli.core.tree_differences import first_leaf
from ergo_cli.programs.pipeline.chain_events import ChainEvent, Data, FlowSignal
from ergo_cli.programs.pipeline.effects import EFFECT_EVENTS, EffectRecord
from ergo_cli.programs.pipeline.signals import Eof, Watermark

_CONTENT = (Member("content"),)
_TYPE = (*_CONTENT, Member("event_type"))
_PAYLOAD = (*_CONTENT, Member("payload"))
_STATUS = (Member("processing_info"), Member("status"))


class Part(Struct, frozen=True):
    """A part of a row: its value, and where in the event that stands."""

    value: JsonValue
    place: Location


class Row(Struct, frozen=True):
    """What is compared of an event, part by part. ``lineage`` is the flow whose effect it records.

    ``is_time``: it says how far time has come, and nothing else.
    """

    kind: Part
    payload: Part
    status: Part = Part(None, _STATUS)
    effect_identity: Part = Part(None, _PAYLOAD)
    lineage: str | None = None
    is_time: bool = False


class PartDifference(Struct, frozen=True):
    """The first part in which two rows differ, by its name, down to the first leaf; ``place`` is one in an event."""

    name: str
    place: Location
    expected: JsonValue
    actual: JsonValue


def row_of(event: ChainEvent) -> Row | None:
    """The row that an event is; None for one that is not compared in order. Raises WireError."""
    match event.content:
        case Data(event_type) if event_type in EFFECT_EVENTS:
            return _effect_row(event, event.content)
        case Data(event_type, payload):
            return Row(Part(event_type, _TYPE), Part(payload, _PAYLOAD), _status(event))
        case FlowSignal(Watermark() as watermark):
            name = Part(watermark.name, (*_CONTENT, Member("flow_control_type")))
            return Row(name, Part(watermark.timestamp, (*_CONTENT, Member("timestamp"))), is_time=True)
        case _:
            return None


def evidence_of(event: ChainEvent) -> Part | None:
    """What an EOF says of its writer, which is compared regardless of the order; None for another event."""
    match event.content:
        case FlowSignal(Eof(natural=natural, writer_seq=writer_seq)):
            return Part({"natural": natural, "writer_seq": writer_seq}, _CONTENT)
        case _:
            return None


def difference_of(expected: Row, actual: Row) -> PartDifference | None:
    """The first part in which two rows differ: ``kind``, ``payload``, ``status`` or ``effect_identity``.

    The last of them counts only where both rows belong to one flow.
    """
    for name in ("kind", "payload", "status", "effect_identity"):
        here, there = cast("Part", getattr(expected, name)), cast("Part", getattr(actual, name))
        if name == "effect_identity" and expected.lineage != actual.lineage:
            return None
        if canonical(here.value) != canonical(there.value):
            place, *values = first_leaf(here.value, there.value, here.place)
            return PartDifference(name, place, *values)
    return None


def unmatched(expected: Sequence[Part], actual: Sequence[Part]) -> Iterator[tuple[int | None, int | None]]:
    """The evidence that one side alone has, paired in order, by its index on each side; None where there is none."""
    remaining = list(range(len(actual)))
    lacking: list[int] = []
    for index, part in enumerate(expected):
        same = next((other for other in remaining if canonical(actual[other].value) == canonical(part.value)), None)
        if same is None:
            lacking.append(index)
        else:
            remaining.remove(same)
    for number in range(max(len(lacking), len(remaining))):
        yield (
            lacking[number] if number < len(lacking) else None,
            remaining[number] if number < len(remaining) else None,
        )


def _effect_row(event: ChainEvent, data: Data) -> Row:
    record: EffectRecord = wire.read(data.payload, EffectRecord)
    payload = cast("dict[str, JsonValue]", data.payload)
    cursor = dict(cast("dict[str, JsonValue]", payload["cursor"]))
    del cursor["recorded_flow_id"]
    return Row(
        Part(data.event_type, _TYPE),
        Part(payload["outcome"], (*_PAYLOAD, Member("outcome"))),
        _status(event),
        Part({"cursor": cursor, "descriptor": payload["descriptor"]}, _PAYLOAD),
        record.cursor.recorded_flow_id,
    )


def _status(event: ChainEvent) -> Part:
    return Part(decode(wire.encode(event.processing_info.status)), _STATUS)
