"""The forms that most records of a flow have, told from their texts without making events of them.

Reading a record as an event and writing it again shows whether its text is canonical, and costs as much as recording
it. Data, progress, receipts and results of healthy contracts are all but a few of the records, and their forms are
such that msgspec reads and writes them as ``records`` does. What is of another form has to be read.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, MsgspecError, Raw, Struct, UnsetType

from ergo_cli.core import wire
from ergo_cli.core.json import (
    JsonError,
    NotCanonicalError,
    check_nesting,
    decode,
    free_text,
    has_careful_integer,
    record_opening,
)
from ergo_cli.core.wire import Timestamp, WireError
from ergo_cli.programs.pipeline.chain_events import FlowContext, ProcessingInfo
from ergo_cli.programs.pipeline.counters import Count
from ergo_cli.programs.pipeline.effects import EFFECT_EVENTS
from ergo_cli.programs.pipeline.ids import WriterId
from ergo_cli.programs.pipeline.receipts import DeliveryMethod, DeliveryResult

_REMEMBERED = 256  # texts of members that many records have in common


class RecordHead(Struct, frozen=True):
    """Where a record stands: the label and the id of its journal, its writer, and how many that has written there."""

    label: str
    journal_id: str
    writer: str
    count: int


_Id = Annotated[str, Meta(pattern=r"\A[0-7][0-9A-HJKMNP-TV-Z]{25}\Z")]


class _Form(Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a record whose members are all known, in the order in which they are written."""


class _Clock(_Form, frozen=True):
    clocks: dict[str, Count]


class _Data(_Form, frozen=True, tag_field="content_type", tag="data"):
    event_type: str
    payload: Raw


class _Progress(_Form, frozen=True, kw_only=True, tag_field="content_type", tag="flow_signal"):
    flow_control_type: Literal["consumption_progress"]
    reader_seq: Count
    last_event_id: _Id | UnsetType = UNSET
    vector_clock: _Clock | UnsetType = UNSET
    eof_seen: bool
    reader_path: str
    reader_index: Count


class _Receipt(_Form, frozen=True, tag_field="content_type", tag="delivery"):
    result: Raw
    destination: str
    delivery_method: Raw
    processing_duration: Count
    bytes_processed: Count | None
    processed_at: Raw


class _Causality(_Form, frozen=True):
    parent_ids: list[_Id]


class _Correlation(_Form, frozen=True):
    entry_time_ns: Count
    entry_stage: str
    entry_event_id: _Id


class _ChainEvent(_Form, frozen=True):
    id: _Id
    writer_id: Raw
    content: _Data | _Progress | _Receipt
    causality: _Causality
    flow_context: Raw
    processing_info: Raw
    intent: None
    correlation_id: _Id | UnsetType = UNSET
    correlation_payload: _Correlation | UnsetType = UNSET


class _ContractResult(_Form, frozen=True, kw_only=True):
    id: _Id
    writer_id: Raw
    system_event_type: Literal["contract_result"]
    upstream: _Id
    reader: _Id
    contract_name: str
    status: str
    reader_seq: Count | UnsetType = UNSET
    timestamp: Count


class _Record(_Form, frozen=True):
    event_id: _Id
    writer_id: Raw
    journal_id: _Id
    vector_clock: _Clock
    timestamp: Raw


class _ChainRecord(_Record, frozen=True):
    event: _ChainEvent


class _SystemRecord(_Record, frozen=True):
    event: _ContractResult


class _ChainLine(_Form, frozen=True):
    journal: str
    record: _ChainRecord


class _SystemLine(_Form, frozen=True):
    journal: str
    record: _SystemRecord


_SYSTEM = record_opening(_SystemLine) + b':"system",'
_decode_system = msgspec.json.Decoder(_SystemLine).decode
_decode_chain = msgspec.json.Decoder(_ChainLine).decode
_encode = msgspec.json.Encoder(order="deterministic").encode


def head_of(text: bytes) -> RecordHead | None:
    """The head of a record whose text is canonical; None for one that must be read to know."""
    try:
        line = _decode_system(text) if text.startswith(_SYSTEM) else _decode_chain(text)
        check_nesting(text)
    except (MsgspecError, UnicodeDecodeError, JsonError):
        return None
    record, event = line.record, line.record.event
    writer_text = bytes(record.writer_id)
    writer = _writer(writer_text)
    if (
        writer is None
        or _encode(line) != text
        or has_careful_integer(text)
        or event.id != record.event_id
        or bytes(event.writer_id) != writer_text
        or not _is_canonical(bytes(record.timestamp), Timestamp)
        or (isinstance(event, _ChainEvent) and not (_is_stages(line.journal) and _is_plain(event)))
    ):
        return None
    return RecordHead(line.journal, record.journal_id, writer, record.vector_clock.clocks.get(writer, 0))


def _is_stages(label: str) -> bool:
    kind, _, stage = label.partition(":")
    return kind in ("data", "error") and bool(stage)


def _is_plain(event: _ChainEvent) -> bool:
    """Whether the members that msgspec has not read are canonical too, and the event is no effect's."""
    if not _is_canonical(bytes(event.flow_context), FlowContext):
        return False
    if not _is_canonical(bytes(event.processing_info), ProcessingInfo):
        return False
    match event.content:
        case _Data(event_type=event_type, payload=payload):
            return event_type not in EFFECT_EVENTS and _is_free_text(bytes(payload))
        case _Receipt(result=result, delivery_method=method, processed_at=at):
            return (
                _is_canonical(bytes(result), DeliveryResult)
                and _is_canonical(bytes(method), DeliveryMethod)
                and _is_canonical(bytes(at), Timestamp)
            )
        case _Progress():
            return True


def _is_free_text(text: bytes) -> bool:
    try:
        return free_text(decode(text)) == text
    except (JsonError, NotCanonicalError):
        return False


@lru_cache(_REMEMBERED)
def _is_canonical(text: bytes, kind: Any) -> bool:
    try:
        return wire.write(wire.read(decode(text), kind), kind) == text
    except (JsonError, WireError, NotCanonicalError):
        return False


@lru_cache(_REMEMBERED)
def _writer(text: bytes) -> str | None:
    """The key of a writer in clocks; None where the text is not canonical."""
    if not _is_canonical(text, WriterId):
        return None
    writer: WriterId = wire.read(decode(text), WriterId)
    return writer.display
