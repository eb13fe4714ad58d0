"""Read recorded journals of pipeline programs: the records of one flow, call by call (spec 00 §13.4, 60 §23.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, get_args

import msgspec
from msgspec import Raw, Struct

from ergo_cli.core.diagnostics import counted
from ergo_cli.core.json import JsonError, NotCanonicalError, free_text
from ergo_cli.core.json import decode as decode_json
from ergo_cli.core.wire import WireError
from ergo_cli.programs.pipeline.build import SYSTEM
from ergo_cli.programs.pipeline.chain_events import ChainEvent, read_chain_event
from ergo_cli.programs.pipeline.effects import EffectRecord, effect_of
from ergo_cli.programs.pipeline.flow_manifest import FlowManifest
from ergo_cli.programs.pipeline.ids import JournalId
from ergo_cli.programs.pipeline.lifecycle import State
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


class PipelineCall(Struct, frozen=True):
    """One call of a pipeline program, its records also as texts.

    ``first`` is the place of its ``begin`` frame among the records of its entry.
    """

    begin: Begin
    records: Sequence[JournalRecord]
    end: End
    first: int
    texts: Sequence[bytes]

    def place(self, record: int) -> int:
        """The index in the entry of the call's ``record``-th record, counted from 0."""
        return self.first + 1 + record

    @property
    def end_place(self) -> int:
        """The index in the entry of the call's ``end`` frame."""
        return self.place(len(self.records))


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
    def effects(self) -> list[EffectRecord]:
        """The records of effects, in order."""
        found = (record.effect for call in self.calls for record in call.records)
        return [effect for effect in found if effect is not None]


class PipelineReader:
    """Reads the journals of one bundle, which are of one flow. Raises JournalFault.

    Keeps of every journal its id and the last count of each of its writers.
    """

    def __init__(self, artifacts: Mapping[str, bytes]) -> None:
        self._artifacts = artifacts
        self._head = 0
        self._manifest: FlowManifest | None = None
        self._journals: dict[str, JournalId] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self.named: set[str] = set()

    def episode(self, entries: Sequence[RecordedEntry]) -> PipelineEpisode:
        """The next episode, which has one entry."""
        entry, *others = entries
        if others:
            raise JournalFault("it belongs to no decision", others[0].index)
        calls = [self._call(entry, call) for call in entry.calls]
        assert self._manifest is not None, "every entry has a call"
        if entry.run_id != self._manifest.flow_id:
            raise JournalFault(f"it is of run '{entry.run_id}', the flow is '{self._manifest.flow_id}'", entry.index)
        return PipelineEpisode(entry, tuple(calls), self._manifest)

    def close(self, entry: RecordedEntry | None) -> PipelineEpisode | None:
        """What closing the program recorded, in one call; None where nothing was."""
        if entry is None:
            return None
        if len(entry.calls) != 1:
            raise JournalFault(f"it has {counted(len(entry.calls), 'call')}, a pipeline is closed in one", entry.index)
        return self.episode([entry])

    def _call(self, entry: RecordedEntry, call: RecordedCall) -> PipelineCall:
        self._begin(entry, call)
        records = tuple(self._record(entry, call.first + 1 + place, text) for place, text in enumerate(call.records))
        self._head += len(records)
        self._check_end(entry, call)
        return PipelineCall(call.begin, records, call.end, call.first, call.records)

    def _begin(self, entry: RecordedEntry, call: RecordedCall) -> None:
        begin = call.begin
        if begin.prior is not None:
            raise JournalFault("a pipeline's `begin` frame names no prior records", entry.index, call.first)
        if begin.head != self._head:
            why = f"the flow has {counted(self._head, 'record')} there, the frame tells of {begin.head}"
            raise JournalFault(why, entry.index, call.first)
        if (begin.initial is None) is (self._manifest is None):
            why = "the first `begin` frame of the bundle names the flow's manifest, and no other does"
            raise JournalFault(why, entry.index, call.first)
        if begin.initial is not None:
            self._manifest = self._read_manifest(entry, call.first, begin.initial)

    def _read_manifest(self, entry: RecordedEntry, place: int, name: str) -> FlowManifest:
        if name not in self._artifacts:
            raise JournalFault(f"there is no artifact '{name}'", entry.index, place)
        self.named.add(name)
        try:
            return FlowManifest.of(self._artifacts[name])
        except (JsonError, WireError) as error:
            raise JournalFault(f"it is not the manifest of a flow: {error}", artifact=name) from error

    def _record(self, entry: RecordedEntry, place: int, text: bytes) -> JournalRecord:
        try:
            record = JournalRecord.of(text)
            if record.text != text:
                raise JournalFault("it is not in canonical form", entry.index, place)
            _ = record.effect
        except (JsonError, WireError, NotCanonicalError) as error:
            raise JournalFault(f"it is not a record of a pipeline: {error}", entry.index, place) from error
        fault = self._fault_of(record)
        if fault is not None:
            raise JournalFault(fault, entry.index, place)
        return record

    def _fault_of(self, record: JournalRecord) -> str | None:
        """Why no flow with this manifest can have appended a record; None if one can."""
        envelope, manifest = record.envelope, self._manifest
        if manifest is not None and record.stage is not None and record.stage not in manifest.stages:
            return f"the flow has no stage '{record.stage}'"
        known = self._journals.setdefault(record.label, envelope.journal_id)
        if known != envelope.journal_id:
            return f"it is of journal {envelope.journal_id}, those before it of {known}"
        writer = envelope.event.writer_id.display
        count, last = envelope.vector_clock.clocks.get(writer, 0), self._counts.get((record.label, writer), 0)
        if count <= last:
            return f"its writer counts {count} there, and counted {last} before"
        if count != last + 1 and self._is_own(record.stage, writer):
            return f"its writer counts {count} there, and counted only {last} before: records are missing"
        self._counts[record.label, writer] = count
        return None

    def _is_own(self, stage: str | None, writer: str) -> bool:
        """Whether a writer owns the journal of a stage, or writes to the system's: there it counts one by one."""
        if stage is None or self._manifest is None:
            return stage is None
        return writer == f"writer_{self._manifest.stages[stage].stage_id}"

    def _check_end(self, entry: RecordedEntry, call: RecordedCall) -> None:
        place = call.first + 1 + len(call.records)
        try:
            status = decode_json(bytes(call.end.status))
        except JsonError as error:
            raise JournalFault(f"its status cannot be read: {error}", entry.index, place) from error
        if not isinstance(status, str) or status not in STATES:
            raise JournalFault(f"its status {status!r} is no state of a pipeline", entry.index, place)
        if call.end.state is not None:
            raise JournalFault("a pipeline has no digest of a state", entry.index, place)


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
