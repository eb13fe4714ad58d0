"""Why a flow has failed, as an error that names the stage, the edge or what is missing (spec 60 §23.2, 00 §13.8)."""

from __future__ import annotations

from collections.abc import Sequence

from ergo_cli.core.diagnostics import counted
from ergo_cli.errors import ErgoError
from ergo_cli.programs.pipeline import stage_machines as machines
from ergo_cli.programs.pipeline.causes import SeqDivergence, ViolationCause, cause_text
from ergo_cli.programs.pipeline.completion import Pair
from ergo_cli.programs.pipeline.dispatch import DRAIN_EVIDENCE_MISSING, barrier_text
from ergo_cli.programs.pipeline.errors import PipelineError
from ergo_cli.programs.pipeline.lifecycle import Failed
from ergo_cli.programs.pipeline.stages.supervisor import StageFault, StageSupervisor
from ergo_cli.programs.pipeline.stop_intent import stop_reason
from ergo_cli.programs.pipeline.supervisor import PipelineSupervisor


def failure_of(supervisor: PipelineSupervisor, stages: Sequence[StageSupervisor]) -> ErgoError | None:
    """The error of a flow that has failed by itself; None for one that has not, or that was asked to stop."""
    state, context = supervisor.state, supervisor.context
    if not isinstance(state, Failed) or context.stop.requested:
        return None
    broken = next((stage for stage in stages if _has_failed(stage)), None)
    if broken is not None:
        return _of_stage(broken)
    edge = context.evidence.first_failed_edge()
    if state.failure_cause is not None and edge is not None:
        return _of_contract(supervisor, edge, state.failure_cause)
    missing = f" ({barrier_text(context)})" if state.reason == DRAIN_EVIDENCE_MISSING else ""
    message = f"the pipeline failed: {state.reason}{missing}"
    return PipelineError("pipeline.failed", message, where=f"pipeline '{supervisor.flow.name}'")


def _has_failed(stage: StageSupervisor) -> bool:
    """Whether a stage has failed by itself; one that was shut down has been cancelled."""
    return isinstance(stage.state, machines.Failed) and stop_reason(stage.state.reason) is None


def _of_stage(stage: StageSupervisor) -> ErgoError:
    """The error of a stage: one with a code as it is, the exception of a handler as its cause."""
    if isinstance(stage.crash, ErgoError):
        return stage.crash
    assert isinstance(stage.state, machines.Failed)
    where = f"stage '{stage.stage.name}'"
    error = PipelineError("pipeline.stage_failed", f"the {where} failed: {stage.state.reason}", where=where)
    error.__cause__ = None if isinstance(stage.crash, StageFault) else stage.crash
    return error


def _of_contract(supervisor: PipelineSupervisor, edge: Pair, cause: ViolationCause) -> PipelineError:
    upstream, reader = map(supervisor.flow.topology.name_of, edge)
    match cause:
        case SeqDivergence(advertised, seen):
            written = "no number" if advertised is None else counted(advertised, "event")
            message = f"'{upstream}' says that it wrote {written}, '{reader}' read {seen:,}"
        case _:
            message = f"the contract of '{reader}' with '{upstream}' failed: {cause_text(cause)}"
    return PipelineError("pipeline.contract_failed", message, where=f"edge '{upstream}' -> '{reader}'")
