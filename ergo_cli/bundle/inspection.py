"""Count what a bundle holds in one walk (spec 00 §12.8)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from msgspec import UNSET, Struct, UnsetType

from ergo_cli.bundle.journals import BundleJournals
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.bundle.record_forms import WireConstraints
from ergo_cli.bundle.schema import DecisionRecord, Version, termination_name
from ergo_cli.core.time import Duration
from ergo_cli.stores.files import compression_of
from ergo_cli.supervisor.seam import Decision

_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}


class ProgramName(Struct, frozen=True):
    """The program that a v4 bundle names."""

    kind: str
    ref: str


class DecisionCounts(Struct, frozen=True):
    """Decisions by kind."""

    invoke: int
    skip: int
    defer: int


class JournalCounts(Struct, frozen=True):
    """Counts of the journals of a stateful program: records by kind, without frames."""

    entries: int
    calls: int
    runs: int
    records: Mapping[str, int]


class Inspection(Struct, frozen=True):
    """What a bundle holds; also the wire form, so times are ``{"secs","nanos"}``. Maps ascend by name.

    ``program`` is None for v3; ``first_at`` and ``last_at`` are the earliest and the latest instant of an event;
    ``found_by`` is the rule that would find the program; callers that have a project fill it in.
    """

    path: str
    capture_version: str
    style: str
    compression: str | None
    size_bytes: int
    graph_id: str
    program: ProgramName | None
    config: WireConstraints
    adapter_provenance: str
    runtime_provenance: str
    egress_provenance: str | None
    events: int
    event_kinds: Mapping[str, int]
    payload_bytes: int
    decisions: DecisionCounts
    terminations: Mapping[str, int]
    retries: int
    effects: Mapping[str, int]
    intents: Mapping[str, int]
    acks: int
    interruptions: int
    first_at: Duration | None
    last_at: Duration | None
    found_by: str | None = None
    journals: JournalCounts | UnsetType = UNSET


def inspect_bundle(reader: BundleReader) -> Inspection:
    """Count what a bundle holds, with one record in memory at a time. Raises BundleError."""
    path = reader.path
    events, decisions = _EventCounts(reader), _DecisionTally(reader)
    program = reader.program
    return Inspection(
        path=path,
        capture_version=reader.capture_version,
        style=reader.style.value,
        compression=_COMPRESSIONS.get(compression_of(path) or ""),
        size_bytes=reader.size_bytes,
        graph_id=reader.graph_id,
        program=None if program is None else ProgramName(program.kind, program.ref),
        config=WireConstraints.of(reader.header.constraints),
        adapter_provenance=reader.adapter_provenance,
        runtime_provenance=reader.runtime_provenance,
        egress_provenance=reader.egress_provenance,
        events=events.count,
        event_kinds=_ascending(events.kinds),
        payload_bytes=events.payload_bytes,
        decisions=DecisionCounts(*(decisions.kinds[kind] for kind in (Decision.INVOKE, Decision.SKIP, Decision.DEFER))),
        terminations=_ascending(decisions.terminations),
        retries=decisions.retries,
        effects=_ascending(decisions.effects),
        intents=_ascending(decisions.intents),
        acks=decisions.acks,
        interruptions=decisions.interruptions,
        first_at=None if events.first is None else Duration.of(events.first),
        last_at=None if events.last is None else Duration.of(events.last),
        journals=_journals(reader),
    )


def _journals(reader: BundleReader) -> JournalCounts | UnsetType:
    journals = BundleJournals(reader)
    acting = None if reader.version is Version.V3 else reader.kind.acting
    if acting is None:
        journals.check()
        return UNSET
    entries, calls, records = 0, 0, Counter[str]()
    runs: set[str] = set()
    for entry in (entry for episode in journals.recorded() for entry in episode.entries):
        entries, calls = entries + 1, calls + len(entry.calls)
        runs.add(entry.run_id)
        held = [record for call in entry.calls for record in call.records] or entry.records
        records.update(acting.line(record).impl for record in held)
    return JournalCounts(entries, calls, len(runs - {""}), _ascending(records))


class _EventCounts:
    """Counts of one walk over the events."""

    def __init__(self, reader: BundleReader) -> None:
        self.count = self.payload_bytes = 0
        self.kinds: Counter[str] = Counter()
        self.first: int | None = None
        self.last: int | None = None
        for record in reader.events():
            self.count += 1
            self.kinds[record.kind.value] += 1
            self.payload_bytes += len(record.payload)
            at = record.event_time
            self.first = at if self.first is None else min(self.first, at)
            self.last = at if self.last is None else max(self.last, at)


class _DecisionTally:
    """Counts of one walk over the decisions."""

    def __init__(self, reader: BundleReader) -> None:
        self.kinds: Counter[Decision] = Counter()
        self.terminations: Counter[str] = Counter()
        self.effects: Counter[str] = Counter()
        self.intents: Counter[str] = Counter()
        self.retries = self.acks = self.interruptions = 0
        for record in reader.decisions():
            self._add(record)

    def _add(self, record: DecisionRecord) -> None:
        self.kinds[record.decision] += 1
        if record.termination is not None:
            self.terminations[termination_name(record.termination)] += 1
        self.retries += record.retry_count
        self.acks += len(record.intent_acks)
        self.interruptions += record.interruption is not None
        for captured in record.effects:
            self.effects[captured.effect.kind] += 1
            self.intents.update(intent.kind for intent in captured.effect.intents)


def _ascending(counter: Counter[str]) -> dict[str, int]:
    return dict(sorted(counter.items()))
