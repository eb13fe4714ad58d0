"""Whether the records of a flow, and the ends of its calls, can follow one another.

A writer counts its records in a journal one by one, so that one which is missing in between leaves a gap. Its last ones
leave none. So what a flow must have said by its end is asked for: that every stage has completed, that it was asked to
stop, how it ended, and last of all ``drained`` (spec 60 §17.4, §23.2).
"""

from __future__ import annotations

from collections.abc import Mapping

from ergo_cli.programs.pipeline.build import data_label
from ergo_cli.programs.pipeline.effects import EffectRecord
from ergo_cli.programs.pipeline.fact_order import FactOrder, name_of
from ergo_cli.programs.pipeline.flow_manifest import FlowManifest
from ergo_cli.programs.pipeline.lifecycle import Drained, Failed
from ergo_cli.programs.pipeline.record_forms import RecordHead
from ergo_cli.programs.pipeline.system_events import (
    PipelineCancelled,
    PipelineCompleted,
    PipelineDrained,
    PipelineFailed,
    PipelineLifecycle,
    PipelineStopRequested,
    StageCompleted,
    StageLifecycle,
    SystemEvent,
    SystemFact,
)
from ergo_cli.programs.pipeline.terminal_facts import TerminalFact
from ergo_cli.supervisor.journals import End
from ergo_cli.supervisor.seam import ErrKind, Outcome, RunTermination
from ergo_cli.supervisor.seam import Failed as EpisodeFailed

_DRAINED, _FAILED = Drained.__name__, Failed.__name__
_STORE_FAILED = EpisodeFailed(ErrKind.ADAPTER_UNAVAILABLE)
_REFUSED = EpisodeFailed(ErrKind.VALIDATION_FAILED)
_STUCK = EpisodeFailed(ErrKind.SEMANTIC_ERROR)

_TERMINATIONS: Mapping[type[TerminalFact], tuple[RunTermination, ...]] = {
    PipelineCompleted: (Outcome.COMPLETED, Outcome.TIMED_OUT),
    PipelineCancelled: (Outcome.ABORTED, Outcome.TIMED_OUT),
    PipelineFailed: (_STUCK, _REFUSED, Outcome.TIMED_OUT),
}
"""How the call may end in which a flow says this; its time may also be over just then."""


class RecordedFlow:
    """Takes the records of a flow in order, and the ends of its calls.

    Keeps of every journal its id and the last count of each of its writers, and how far the flow has come.
    """

    def __init__(self, manifest: FlowManifest) -> None:
        self.manifest = manifest
        self._journals: dict[str, str] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self._working = {stage.stage_id: name for name, stage in manifest.stages.items()}
        self._facts = FactOrder(manifest)
        self._is_asked_to_stop = False
        self._terminal: TerminalFact | None = None
        self._has_ended = False
        self._has_store_failed = False
        self._had_ended_before = False

    def append(self, head: RecordHead, event: object = None) -> str | None:
        """Take a record, with its event where it may be a fact of the lifecycle; returns why it cannot stand there."""
        fact = event.event if isinstance(event, SystemEvent) else None
        return self._late(fact) or self._misplaced(head) or self._said(fact) or self._facts.take(fact)

    def foreign(self, label: str, effect: EffectRecord) -> str | None:
        """Why an effect that stands in this journal is not one of the flow, or not the one that it says it is."""
        cursor = effect.cursor
        if cursor.recorded_flow_id != self.manifest.flow_id:
            return f"its effect is one of flow '{cursor.recorded_flow_id}'"
        if label != data_label(cursor.stage_key):
            return f"its effect is one of stage '{cursor.stage_key}'"
        if effect.descriptor_hash != effect.descriptor.hash:
            return "its `descriptor_hash` is not that of its descriptor"
        return None

    def _late(self, fact: SystemFact | None) -> str | None:
        """Why nothing but `drained` can be said, or nothing any more."""
        if self._has_ended:
            return "the flow has ended with `drained` before it"
        if self._terminal is None or (isinstance(fact, PipelineLifecycle) and isinstance(fact.fact, PipelineDrained)):
            return None
        return f"the flow has said `{name_of(type(self._terminal))}` before it, which only `drained` follows"

    def _misplaced(self, head: RecordHead) -> str | None:
        """Why a record cannot be the next one of its journal, or of its writer."""
        stage = head.label.partition(":")[2] or None
        if stage is not None and stage not in self.manifest.stages:
            return f"the flow has no stage '{stage}'"
        known = self._journals.setdefault(head.label, head.journal_id)
        if known != head.journal_id:
            return f"it is of journal {head.journal_id}, those before it of {known}"
        key = head.label, head.writer
        last = self._counts.get(key, 0)
        if head.count <= last:
            return f"its writer counts {head.count} there, and counted {last} before"
        if head.count != last + 1 and self._is_own(stage, head.writer):
            return f"its writer counts {head.count} there, and counted only {last} before: records are missing"
        self._counts[key] = head.count
        return None

    def _is_own(self, stage: str | None, writer: str) -> bool:
        """Whether a writer owns the journal of a stage, or writes to the system's: there it counts one by one."""
        return stage is None or writer == f"writer_{self.manifest.stages[stage].stage_id}"

    def _said(self, fact: SystemFact | None) -> str | None:
        """Take a fact of the lifecycle; returns what is missing before it."""
        match fact:
            case StageLifecycle(stage_id=stage, fact=StageCompleted()):
                self._working.pop(stage.display, None)
            case PipelineLifecycle(fact=PipelineStopRequested()):
                self._is_asked_to_stop = True
            case PipelineLifecycle(fact=PipelineCompleted() | PipelineFailed() | PipelineCancelled() as terminal):
                self._terminal = terminal
                return self._early(terminal)
            case PipelineLifecycle(fact=PipelineDrained()):
                self._has_ended = True
                if self._terminal is None:
                    return "the flow says `drained`, but not before whether it completed, failed or was cancelled"
            case _:
                pass
        return None

    def end(self, end: End, status: str, *, is_idle: bool, is_closing: bool) -> str | None:
        """Take the end of a call, of which nothing is recorded if ``is_idle``; returns why the flow cannot have it."""
        had_ended, self._had_ended_before = self._had_ended_before, self._has_ended
        self._has_store_failed = self._has_store_failed or end.termination == _STORE_FAILED
        if self._has_store_failed:
            return None
        return self._unended(status, is_closing=is_closing) or self._unfit(end, had_ended=had_ended, is_idle=is_idle)

    def _early(self, fact: TerminalFact) -> str | None:
        """Why a flow that has said no more than this cannot have ended so."""
        if isinstance(fact, PipelineCompleted) and self._working:
            return f"the flow has completed, but its stage '{min(self._working.values())}' has not: records are missing"
        if isinstance(fact, PipelineCancelled) and not self._is_asked_to_stop:
            return "the flow was cancelled, but not asked to stop: records are missing"
        return None

    def _unended(self, status: str, *, is_closing: bool) -> str | None:
        """Why the facts so far are not those of a flow of this status."""
        is_terminal = status in (_DRAINED, _FAILED)
        if is_terminal and not self._has_ended:
            return f"its status is '{status}', but the flow has not ended with `drained`: records are missing"
        if not is_terminal and (self._has_ended or is_closing):
            return f"its status is '{status}', but the flow has ended"
        if is_terminal and isinstance(self._terminal, PipelineCompleted if status == _FAILED else PipelineFailed):
            return f"its status is '{status}', but the flow said `{name_of(type(self._terminal))}`"
        return None

    def _unfit(self, end: End, *, had_ended: bool, is_idle: bool) -> str | None:
        """Why a call cannot have ended with this termination."""
        if is_idle and end.termination is Outcome.ABORTED:
            return None
        if had_ended:
            return "the flow had ended before it: such a call is aborted, and nothing is recorded"
        if self._terminal is not None and end.termination not in _TERMINATIONS[type(self._terminal)]:
            return f"its termination is not that of a flow that said `{name_of(type(self._terminal))}`"
        if self._terminal is None and not (end.termination is Outcome.COMPLETED or _is_refusal(end)):
            return "its termination is that of a flow that ended, but the flow has not"
        return None


def _is_refusal(end: End) -> bool:
    """Whether a call says that no source took its event, which ends nothing."""
    return end.termination == _REFUSED and end.error is not None
