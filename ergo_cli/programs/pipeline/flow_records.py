"""The records of a flow of a store, journal by journal (spec 60 §5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from ergo_cli.programs.pipeline.build import SYSTEM
from ergo_cli.programs.pipeline.chain_events import read_chain_event
from ergo_cli.programs.pipeline.errors import JournalError
from ergo_cli.programs.pipeline.flow_manifest import FlowManifest
from ergo_cli.programs.pipeline.flow_summary import SystemHistory
from ergo_cli.programs.pipeline.ids import FlowId, IdError
from ergo_cli.programs.pipeline.journal import damage_named, store_errors
from ergo_cli.programs.pipeline.recorded import JournalRecord
from ergo_cli.programs.pipeline.records import read_record
from ergo_cli.programs.pipeline.stored_flows import MANIFEST, flow_of, journal_run, kept_manifest, label_of
from ergo_cli.programs.pipeline.system_events import SystemEvent, read_system_event
from ergo_cli.stores.journals import EventJournal, place

CausalPlace = tuple[int, str, str, int]
"""Where a record stands among those of a flow, causes before effects (H-3); copies of one event stand by journal."""


class StoredRecord(Struct, frozen=True):
    """A record of a flow: its number in its journal, and what it is."""

    seq: int
    record: JournalRecord

    @property
    def causal_place(self) -> CausalPlace:
        """Its place among the records of all journals."""
        envelope = self.record.envelope
        return envelope.vector_clock.rank, envelope.event_id, self.record.label, self.seq


class StoredFlow(Struct, frozen=True):
    """One flow of a store, by the labels of its journals. Every method raises JournalError."""

    journal: EventJournal
    id: str
    labels: Sequence[str]

    @property
    def count(self) -> int:
        """How many records all journals have."""
        with store_errors():
            return sum(self.journal.head(journal_run(self.id, label)) for label in self.labels)

    @property
    def manifest(self) -> FlowManifest:
        """What the flow is made of."""
        where = place(journal_run(self.id, MANIFEST), 1)
        manifest = kept_manifest(self.journal, self.id)
        if manifest is None:
            raise JournalError("pipeline.journal_corrupt", f"the flow '{self.id}' has no manifest", where=where)
        if manifest.flow_id != self.id:
            message = f"the manifest of the flow '{self.id}' is that of '{manifest.flow_id}'"
            raise JournalError("pipeline.journal_foreign", message, where=where)
        return manifest

    @property
    def history(self) -> SystemHistory:
        """What its system journal says, read to its end."""
        return SystemHistory(self.manifest, self.system_events())

    def records(self, label: str, start: int = 1) -> Iterator[StoredRecord]:
        """The records of a journal; system events that are not known are passed over."""
        run = journal_run(self.id, label)
        read_event = read_system_event if label == SYSTEM else read_chain_event
        with store_errors(run):
            for seq, text in self.journal.scan(run, start):
                with damage_named(run, seq):
                    envelope = read_record(text, read_event)
                if envelope is not None:
                    yield StoredRecord(seq, JournalRecord(label, envelope))

    def last_records(self) -> Iterator[StoredRecord]:
        """The last record of each journal, that of the system first."""
        for label in sorted(self.labels, key=lambda label: (label != SYSTEM, label)):
            with store_errors():
                head = self.journal.head(journal_run(self.id, label))
            yield from self.records(label, head)

    def system_events(self) -> Iterator[SystemEvent]:
        """What stands in the system journal."""
        for each in self.records(SYSTEM):
            event: object = each.record.envelope.event
            assert isinstance(event, SystemEvent)
            yield event


def every_flow(journal: EventJournal) -> Sequence[StoredFlow]:
    """All flows of a store, ascending by id, also those whose manifest is missing. Raises JournalError."""
    labels: dict[str, list[str]] = {}
    with store_errors():
        for run in journal.runs():
            if is_flow_id(flow_of(run)):
                labels.setdefault(flow_of(run), []).append(label_of(run))
    return [StoredFlow(journal, flow_id, _journals(found)) for flow_id, found in labels.items()]


def is_flow_id(text: str) -> bool:
    """Whether a text is the id of a flow, as lists and records spell it."""
    try:
        return FlowId.parse(text).display == text
    except IdError:
        return False


def _journals(labels: Sequence[str]) -> Sequence[str]:
    return [label for label in labels if label != MANIFEST]
