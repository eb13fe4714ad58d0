"""Read recorded journals of pipeline programs: the records of one flow, call by call (spec 00 §13.4, 60 §23.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias, get_args

import msgspec
from msgspec import Raw, Struct

from ergo_cli.core.diagnostics import counted
from ergo_cli.core.json import JsonError, NotCanonicalError, free_text
from ergo_cli.core.json import decode as decode_json
from ergo_cli.core.wire import WireError
from ergo_cli.programs.pipeline.build import SYSTEM
from ergo_cli.programs.pipeline.chain_events import ChainEvent, read_chain_event
from ergo_cli.programs.pipeline.effects import EFFECT_EVENTS, EffectRecord, effect_of
from ergo_cli.programs.pipeline.flow_manifest import FlowManifest
from ergo_cli.programs.pipeline.lifecycle import State
from ergo_cli.programs.pipeline.record_forms import RecordHead, head_of
from ergo_cli.programs.pipeline.recorded_flow import RecordedFlow
from ergo_cli.programs.pipeline.records import Envelope, read_record, record_text
from ergo_cli.programs.pipeline.system_events import read_system_event
from ergo_cli.programs.recorded import JournalFault, RecordedCall, RecordedEntry
from ergo_cli.supervisor.journals import Begin, End

STATES = frozenset(state.__name__ for state in get_args(State))
"""The names of the states of a pipeline, of which an ``end`` frame has one."""

AnyRecord: TypeAlias = Envelope[Any]
"""An event of a stage's journal or of the system's."""


class _Line(Struct, frozen=True):
    """A record as an entry holds it."""

    journal: str
    record: Raw


_EFFECT_NAMES = [name.encode() for name in EFFECT_EVENTS]

_decode_line = msgspec.json.Decoder(_Line).decode


class JournalRecord(Struct, frozen=True):
    """A record of a flow: the label of its journal, and its event."""

    label: str
    envelope: AnyRecord

    @classmethod
    def of(cls, text: bytes) -> JournalRecord:
        """The record of a text ``{"journal":…,"record":…}``. Raises WireError and JsonError."""
        try:
            line = _decode_line(text)
        except msgspec.MsgspecError as error:
            raise WireError(str(error)) from error
        return cls.labelled(line.journal, bytes(line.record).decode())

    @classmethod
    def labelled(cls, label: str, text: str) -> JournalRecord:
        """The record of a text of this journal. Raises WireError and JsonError."""
        return cls(label, _read(label, text))

    @property
    def text(self) -> bytes:
        """The text of the record."""
        return b'{"journal":%s,"record":%s}' % (free_text(self.label), record_text(self.envelope).encode())

    @property
    def head(self) -> RecordHead:
        """Where it stands."""
        envelope = self.envelope
        writer = envelope.event.writer_id.display
        return RecordHead(self.label, envelope.journal_id, writer, envelope.vector_clock.clocks.get(writer, 0))

    @property
    def stage(self) -> str | None:
        """The stage whose journal it stands in; None for the system's."""
        return self.label.partition(":")[2] or None

    @property
    def chain_event(self) -> ChainEvent | None:
        """The event of a stage's journal; None for the system's."""
        event: object = self.envelope.event
        return event if isinstance(event, ChainEvent) else None

    @property
    def effect(self) -> EffectRecord | None:
        """The record of an effect, if it is one. Raises WireError."""
        event = self.chain_event
        return None if event is None else effect_of(event)


class PipelineCall(Struct, frozen=True, dict=True):
    """One call of a pipeline program, its records as texts, and read where they are asked for.

    ``first`` is the place of its ``begin`` frame among the records of its entry.
    """

    begin: Begin
    texts: Sequence[bytes]
    end: End
    first: int

    @cached_property
    def records(self) -> Sequence[JournalRecord]:
        """The records of the call."""
        return [JournalRecord.of(text) for text in self.texts]

    @property
    def effects(self) -> Iterator[EffectRecord]:
        """The records of effects, in order."""
        for text in self.texts:
            if any(name in text for name in _EFFECT_NAMES):
                effect = JournalRecord.of(text).effect
                if effect is not None:
                    yield effect

    def place(self, record: int) -> int:
        """The index in the entry of the call's ``record``-th record, counted from 0."""
        return self.first + 1 + record

    @property
    def end_place(self) -> int:
        """The index in the entry of the call's ``end`` frame."""
        return self.place(len(self.texts))


class PipelineEpisode(Struct, frozen=True):
    """What was recorded of one episode, attempt by attempt, or of closing the program; ``manifest`` is the flow's."""

    entry: RecordedEntry
    calls: tuple[PipelineCall, ...]
    manifest: FlowManifest

    @property
    def entries(self) -> Sequence[RecordedEntry]:
        """The one entry."""
        return (self.entry,)

    @property
    def effects(self) -> Iterator[EffectRecord]:
        """The records of effects, in order."""
        return (effect for call in self.calls for effect in call.effects)


class PipelineReader:
    """Reads the journals of one bundle, which are of one flow. Raises JournalFault."""

    def __init__(self, artifacts: Mapping[str, bytes]) -> None:
        self._artifacts = artifacts
        self._head = 0
        self._flow: RecordedFlow | None = None
        self.named: set[str] = set()

    def episode(self, entries: Sequence[RecordedEntry]) -> PipelineEpisode:
        """The next episode, which has one entry."""
        entry, *others = entries
        if others:
            raise JournalFault("it belongs to no decision", others[0].index)
        calls = [self._call(entry, call) for call in entry.calls]
        assert self._flow is not None, "every entry has a call"
        manifest = self._flow.manifest
        if entry.run_id != manifest.flow_id:
            raise JournalFault(f"it is of run '{entry.run_id}', the flow is '{manifest.flow_id}'", entry.index)
        return PipelineEpisode(entry, tuple(calls), manifest)

    def close(self, entry: RecordedEntry | None) -> PipelineEpisode | None:
        """What closing the program recorded, in one call; None where nothing was."""
        if entry is None:
            return None
        if len(entry.calls) != 1:
            raise JournalFault(f"it has {counted(len(entry.calls), 'call')}, a pipeline is closed in one", entry.index)
        return self.episode([entry])

    def _call(self, entry: RecordedEntry, call: RecordedCall) -> PipelineCall:
        flow = self._begin(entry, call)
        for place, text in enumerate(call.records, call.first + 1):
            fault = _fault_of(flow, text)
            if fault is not None:
                raise JournalFault(fault, entry.index, place)
        self._head += len(call.records)
        recorded = PipelineCall(call.begin, call.records, call.end, call.first)
        fault = _end_fault(flow, recorded, is_closing=entry.episode_id is None)
        if fault is not None:
            raise JournalFault(fault, entry.index, recorded.end_place)
        return recorded

    def _begin(self, entry: RecordedEntry, call: RecordedCall) -> RecordedFlow:
        """Check a `begin` frame; the flow whose records follow."""
        begin = call.begin
        if begin.prior is not None:
            raise JournalFault("a pipeline's `begin` frame names no prior records", entry.index, call.first)
        if begin.head != self._head:
            why = f"the flow has {counted(self._head, 'record')} there, the frame tells of {begin.head}"
            raise JournalFault(why, entry.index, call.first)
        if (begin.initial is None) is (self._flow is None):
            why = "the first `begin` frame of the bundle names the flow's manifest, and no other does"
            raise JournalFault(why, entry.index, call.first)
        if begin.initial is not None:
            self._flow = RecordedFlow(self._read_manifest(entry, call.first, begin.initial))
        assert self._flow is not None
        return self._flow

    def _read_manifest(self, entry: RecordedEntry, place: int, name: str) -> FlowManifest:
        if name not in self._artifacts:
            raise JournalFault(f"there is no artifact '{name}'", entry.index, place)
        self.named.add(name)
        try:
            return FlowManifest.of(self._artifacts[name])
        except (JsonError, WireError) as error:
            raise JournalFault(f"it is not the manifest of a flow: {error}", artifact=name) from error


def _fault_of(flow: RecordedFlow, text: bytes) -> str | None:
    """Why a flow cannot have appended a record with this text next; None if it can."""
    head = head_of(text)
    if head is not None:
        return flow.append(head)
    try:
        record = JournalRecord.of(text)
        if record.text != text:
            return "it is not in canonical form"
        effect = record.effect
    except (JsonError, WireError, NotCanonicalError) as error:
        return f"it is not a record of a pipeline: {error}"
    fault = flow.append(record.head, record.envelope.event)
    return fault if fault is not None or effect is None else flow.foreign(record.label, effect)


def _end_fault(flow: RecordedFlow, call: PipelineCall, *, is_closing: bool) -> str | None:
    """Why a flow cannot have ended a call so; None if it can."""
    try:
        status = decode_json(bytes(call.end.status))
    except JsonError as error:
        return f"its status cannot be read: {error}"
    if not isinstance(status, str) or status not in STATES:
        return f"its status {status!r} is no state of a pipeline"
    if call.end.state is not None:
        return "a pipeline has no digest of a state"
    return flow.end(call.end, status, is_idle=not call.texts, is_closing=is_closing)


def _read(label: str, text: str) -> AnyRecord:
    if label == SYSTEM:
        system = read_record(text, read_system_event)
        if system is None:
            raise WireError("its event is not known")
        return system
    if label.partition(":")[0] in ("data", "error") and label.partition(":")[2]:
        chain = read_record(text, read_chain_event)
        assert chain is not None
        return chain
    raise WireError(f"there is no journal '{label}'")
