"""The differences of two recordings of a pipeline, by what its stages made (spec 60 §22, 00 §13.7).

Compared are, journal by journal, the rows of data with their status, watermarks, and the evidence of EOFs. Ids,
writers, clocks, times, receipts, observations and all other signals take no part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

import msgspec
from msgspec import Struct

from ergo_cli.core import wire
from ergo_cli.core.json import Item, JsonValue, Location, Member, decode
from ergo_cli.core.tree_differences import first_leaf
from ergo_cli.programs.pipeline.build import SYSTEM
from ergo_cli.programs.pipeline.chain_events import ChainEvent, Data, FlowSignal
from ergo_cli.programs.pipeline.record_lines import record_line
from ergo_cli.programs.pipeline.recorded import JournalRecord, PipelineCall, PipelineEpisode
from ergo_cli.programs.pipeline.signals import Eof, Watermark
from ergo_cli.programs.recorded import JournalDifference, LogDifference
from ergo_cli.stores.artifacts import artifact_id


class Row(Struct, frozen=True):
    """A record that is compared: its place in the call, and what is compared of it, by path into the record."""

    place: int
    record: JournalRecord
    kind: str
    parts: Mapping[str, tuple[Location, JsonValue]]


_CONTENT = (Member("record"), Member("event"), Member("content"))


def rows_of(call: PipelineCall) -> dict[str, list[Row]]:
    """The rows of a call, by journal: data journals and error journals in the order of their first records."""
    rows: dict[str, list[Row]] = {}
    for place, record in enumerate(call.records):
        event = record.chain_event
        row = None if event is None or record.label == SYSTEM else _row(place, record, event)
        if row is not None:
            rows.setdefault(record.label, []).append(row)
    return rows


def call_differences(
    entry: int, here: PipelineCall, there: PipelineCall, *, is_prefix: bool = False
) -> Iterator[JournalDifference]:
    """The rows that differ, placed in the entry of ``here``; ``is_prefix``: ``here`` may have come less far."""
    expected, actual = rows_of(here), rows_of(there)
    for label in sorted({**expected, **actual}, key=_order):
        pairs = zip_longest(expected.get(label, ()), actual.get(label, ()))
        for number, (one, other) in enumerate(pairs):
            if one is None and is_prefix:
                break
            difference = _row_difference(entry, here, label, number, one, other)
            if difference is not None:
                yield difference


def journal_differences(a: PipelineEpisode, b: PipelineEpisode) -> Iterator[JournalDifference]:
    """The differences of two episodes, or of two closing entries, call by call, placed in A."""
    for here, there in zip(a.calls, b.calls, strict=False):
        yield from call_differences(a.entry.index, here, there)
        if (here is not a.calls[-1] or a.entry.episode_id is None) and here.end.termination != there.end.termination:
            yield end_difference(a.entry.index, here, there)


def end_difference(entry: int, here: PipelineCall, there: PipelineCall) -> JournalDifference:
    """The difference of how two calls ended."""
    location = (*_record(entry, here.end_place), Member("end"), Member("termination"))
    ends = (msgspec.to_builtins(call.end.termination) for call in (here, there))
    return JournalDifference(location, *ends)


def _order(label: str) -> tuple[bool, str]:
    """Data journals first."""
    return label.startswith("error:"), label


def _row(place: int, record: JournalRecord, event: ChainEvent) -> Row | None:
    match event.content:
        case Data(event_type, payload):
            parts: dict[str, tuple[Location, JsonValue]] = {
                "kind": ((*_CONTENT, Member("event_type")), event_type),
                "payload": ((*_CONTENT, Member("payload")), payload),
                "status": (
                    (Member("record"), Member("event"), Member("processing_info"), Member("status")),
                    decode(wire.encode(event.processing_info.status)),
                ),
            }
            return Row(place, record, "data", parts)
        case FlowSignal(Watermark(timestamp=timestamp)):
            return Row(place, record, "watermark", {"payload": ((*_CONTENT, Member("timestamp")), timestamp)})
        case FlowSignal(Eof() as eof):
            return Row(place, record, "eof", {"payload": ((*_CONTENT, Member("writer_seq")), eof.writer_seq)})
        case _:
            return None


def _row_difference(
    entry: int, here: PipelineCall, label: str, number: int, one: Row | None, other: Row | None
) -> JournalDifference | None:
    found = _first_part(one, other)
    if found is None:
        return None
    cause, location, expected, actual = found
    stage = label.partition(":")[2]
    at = _record(entry, here.end_place if one is None else here.place(one.place))
    sides = [None if row is None else decode(row.record.text) for row in (one, other)]
    digests = [None if row is None else artifact_id(row.record.text) for row in (one, other)]
    lines = tuple(None if row is None else record_line(row.record) for row in (one, other))
    log = LogDifference(
        label, number + 1, number, sides[0], sides[1], digests[0], digests[1], lines=(lines[0], lines[1])
    )
    return JournalDifference((*at, *location), expected, actual, node=stage, cause=cause, log=log)


def _first_part(one: Row | None, other: Row | None) -> tuple[str, Location, JsonValue, JsonValue] | None:
    """The first part in which two rows differ: its name, its place in the record, and both values."""
    if one is None or other is None:
        return "missing_row", (), _told(one), _told(other)
    if one.kind != other.kind:
        return "kind", (), one.kind, other.kind
    for name, (location, value) in one.parts.items():
        counterpart = other.parts[name][1]
        if value != counterpart or type(value) is not type(counterpart):
            return name, *first_leaf(value, counterpart, location)
    return None


def _told(row: Row | None) -> JsonValue:
    return None if row is None else decode(row.record.text)


def _record(entry: int, place: int) -> Location:
    return Member("journals"), Item(entry), Member("records"), Item(place)


def manifests_differ(recorded: bytes | None, today: bytes) -> Sequence[str]:
    """The members of two manifests that differ, by their names."""
    if recorded is None or recorded == today:
        return ()
    sides = [decode(recorded), decode(today)]
    return [name for name in sorted({*sides[0], *sides[1]}) if sides[0].get(name) != sides[1].get(name)]
