"""Errors of pipelines: what cannot be built, and what cannot go on (spec 60 §3.2, §5).

::

    PipelineError         pipeline.*: a pipeline that cannot be built, or cannot go on
    ├── TopologyError     stages and edges that are no pipeline
    ├── JournalError      a journal that cannot be read or written, or does not hold what it should
    │   ├── FlowDiffers   the flow of a store is not the one that its records are of
    │   └── UnfitRecord   an event that no journal can hold
    └── ArchiveError      a run directory that cannot be read, or not be replayed
"""

from __future__ import annotations

from collections.abc import Iterable

from ergo_cli.errors import ErgoError

_FIXES = {
    "pipeline.duplicate_name": "give every stage a name of its own",
    "pipeline.edge_unknown_stage": "connect only stages of this pipeline",
    "pipeline.edge_duplicate": "connect the two stages once",
    "pipeline.self_cycle": "connect a stage to other stages only",
    "pipeline.disconnected": "connect the stages, or leave them out",
    "pipeline.edge_role": "let sources feed transforms, stateful stages, joins and sinks, and nothing follow a sink",
    "pipeline.no_source": "add a source",
    "pipeline.no_sink": "add a sink",
    "pipeline.unreachable": "feed the stages from a source",
    "pipeline.unproductive": "lead the stages to a sink",
    "pipeline.join_arity": "feed a join from its reference and from its stream, two different stages",
    "pipeline.cycles_unsupported": "lead events forward only",
    "pipeline.journal_corrupt": "restore the journal from a copy",
    "pipeline.journal_foreign": "restore the journal from a copy; one journal holds the records of one flow",
    "pipeline.journal_conflict": "another process writes to this flow: wait until it is done, then run again",
    "pipeline.run_busy": "wait until the process that the message names is done, or end it",
    "pipeline.journal_ownerless": "open the journal with the stage or the system that owns it",
    "pipeline.journal_format": "write files of format 2, which hold groups of records",
    "pipeline.archive_not_directory": "name the folder that holds run_manifest.json",
    "pipeline.missing_manifest": "name the folder that holds run_manifest.json",
    "pipeline.parse": "restore the archive from a copy",
    "pipeline.unsupported_manifest_version": "read it with the program that wrote it",
    "pipeline.version_mismatch": "read it with a newer ergo",
    "pipeline.incomplete_archive": "open it with allow_incomplete=True",
    "pipeline.missing_system_log": "restore the archive from a copy, or open it with allow_incomplete=True",
    "pipeline.stage_not_in_manifest": "replay the archive with the program that it was recorded with",
    "pipeline.stage_type_mismatch": "replay the archive with the program that it was recorded with",
    "pipeline.missing_journal": "restore the archive from a copy",
    "pipeline.corrupted_archive": "restore the archive from a copy",
    "pipeline.file_outside_archive": "use only archives whose files are plain files in their own folder",
    "pipeline.already_completed": "look at how it ended with ergo runs show; what runs next is another flow",
    "pipeline.not_resumable": "run ergo capture or ergo run again, with the same events and the same store",
    "pipeline.not_forkable": "capture the events that the other flow is to have, into another store",
    "pipeline.not_comparable": "capture again, or replay without --strict",
    "pipeline.stage_failed": "mend the handlers of the stage, then run again",
    "pipeline.contract_failed": "let no handler give an EOF with a number; a source's edge may only 'warn'",
    "pipeline.failed": "mend what the reason names, then run again",
    "pipeline.effect_out_of_turn": "perform effects in the handler that gets them, one after the other",
    "pipeline.not_canonical": "keep to finite floats, integers of 64 bits and valid text",
}


class PipelineError(ErgoError):
    """A pipeline cannot be built, or cannot go on."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        where: str | None = None,
        fix: str | None = None,
        causes: Iterable[ErgoError] = (),
    ) -> None:
        super().__init__(code, message, where=where, fix=fix or _FIXES.get(code), causes=causes)


class TopologyError(PipelineError):
    """Stages and edges that are no pipeline."""


class JournalError(PipelineError):
    """A journal cannot be read or written, or does not hold what it should; a store's error keeps its code."""


class FlowDiffers(JournalError):
    """A flow of a store that goes on comes to other records than it has."""

    def __init__(self, flow_id: str, why: str, where: str) -> None:
        message = f"the flow '{flow_id}' cannot go on: {why}"
        begun = "run with the program and the events that the flow was begun with"
        super().__init__(
            "pipeline.flow_differs", message, where=where, fix=f"{begun}, or end it with: ergo runs cancel {flow_id}"
        )


class UnfitRecord(JournalError):
    """An event holds what JSON cannot; where a handler gave it, its stage fails."""


class ArchiveError(PipelineError):
    """A run directory cannot be read, or not be replayed."""
