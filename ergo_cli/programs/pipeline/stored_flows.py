"""Where a store keeps a flow: the runs of its journals, the record of its manifest, and how it ended (spec 00 §13.3).

The journals of a flow are the runs ``<flow id>/<label>``, ``system``, ``data:<stage>`` and ``error:<stage>``; the run
``<flow id>/manifest`` has one record, the flow's manifest as bundles hold it.
"""

from __future__ import annotations

from collections.abc import Iterator

from ergo_cli.programs.pipeline.build import SYSTEM
from ergo_cli.programs.pipeline.flow_manifest import FlowManifest
from ergo_cli.programs.pipeline.journal import damage_named, store_errors
from ergo_cli.programs.pipeline.records import read_record
from ergo_cli.programs.pipeline.system_events import (
    PipelineCancelled,
    PipelineCompleted,
    PipelineDrained,
    PipelineFact,
    PipelineFailed,
    PipelineLifecycle,
    SystemEvent,
    read_system_event,
)
from ergo_cli.programs.pipeline.terminal_facts import TerminalFact
from ergo_cli.stores.database import RunTables
from ergo_cli.stores.journals import EventJournal

MANIFEST = "manifest"
"""The label of the run that holds the manifest."""

_TAIL = 64  # records: behind its terminal fact, a flow appends only that its supervisor is done


def journal_run(flow_id: str, label: str) -> str:
    """The run of one journal of a flow."""
    return f"{flow_id}/{label}"


def flow_of(run: str) -> str:
    """The flow that a run is a part of."""
    return run.partition("/")[0]


def label_of(run: str) -> str:
    """The label of the journal that a run is."""
    return run.partition("/")[2]


FLOW_TABLES = RunTables(events="pipeline_records", lease_of=flow_of)
"""The table of a database that flows are kept in; a journal is a run, and a flow is driven as one."""


def stored_flows(journal: EventJournal) -> list[str]:
    """The ids of all flows of a store, ascending. Raises JournalError."""
    with store_errors():
        return [flow_of(run) for run in journal.runs() if label_of(run) == MANIFEST]


def keep_manifest(journal: EventJournal, flow_id: str, manifest: bytes) -> None:
    """Begin a flow: write its manifest. Raises JournalError, also where the flow has one."""
    with store_errors():
        journal.append(journal_run(flow_id, MANIFEST), [manifest.decode()], 0)


def kept_manifest(journal: EventJournal, flow_id: str) -> FlowManifest | None:
    """The manifest of a flow; None for one that was never begun. Raises JournalError."""
    run = journal_run(flow_id, MANIFEST)
    with store_errors():
        text = next((text for _, text in journal.scan(run, to=1)), None)
    if text is None:
        return None
    with damage_named(run, 1):
        return FlowManifest.of(text.encode())


def end_of(journal: EventJournal, flow_id: str) -> TerminalFact | None:
    """How a flow ended; None for one that has not. Raises JournalError."""
    ended: TerminalFact | None = None
    for fact in _last_facts(journal, flow_id):
        if isinstance(fact, PipelineCompleted | PipelineFailed | PipelineCancelled):
            ended = fact
    return ended


def is_over(journal: EventJournal, flow_id: str) -> bool:
    """Whether nothing is left to do for a flow: its supervisor is done, or it was cancelled. Raises JournalError."""
    return any(isinstance(fact, PipelineDrained | PipelineCancelled) for fact in _last_facts(journal, flow_id))


def _last_facts(journal: EventJournal, flow_id: str) -> Iterator[PipelineFact]:
    """What the supervisor says at the end of the system journal."""
    run = journal_run(flow_id, SYSTEM)
    with store_errors():
        for seq, text in journal.scan(run, journal.head(run) - _TAIL + 1):
            with damage_named(run, seq):
                record = read_record(text, read_system_event)
            match record and record.event:
                case SystemEvent(event=PipelineLifecycle(fact=fact)):
                    yield fact
                case _:
                    pass
