"""The facts that tell how a run was stopped and how it ended (spec 60 §17.4)."""

from __future__ import annotations

from ergo_cli.programs.pipeline.causes import OtherCause
from ergo_cli.programs.pipeline.context import PipelineContext, flow_metrics
from ergo_cli.programs.pipeline.lifecycle import Drained, Failed
from ergo_cli.programs.pipeline.stop_intent import Cancel, Graceful, StopMode
from ergo_cli.programs.pipeline.system_events import (
    PipelineCancelled,
    PipelineCompleted,
    PipelineFailed,
    PipelineStopRequested,
)
from ergo_cli.programs.pipeline.system_events import StopMode as StopModeName

NANOS_A_MS = 1_000_000

TerminalFact = PipelineCompleted | PipelineFailed | PipelineCancelled


def stop_requested(mode: StopMode) -> PipelineStopRequested:
    """The marker of a stop; a graceful one has its time."""
    match mode:
        case Cancel():
            return PipelineStopRequested(StopModeName.CANCEL)
        case Graceful(timeout_ms):
            return PipelineStopRequested(StopModeName.GRACEFUL, timeout_ms)


def terminal_fact(state: Drained | Failed, context: PipelineContext, now_ns: int) -> TerminalFact | None:
    """How the run ended; None where it drained without having been started or stopped.

    A run that was asked to stop is cancelled, whatever it still finished. The metrics are those of ``context``: tails
    are read before (§16).
    """
    duration_ms = 0 if context.started_ns is None else (now_ns - context.started_ns) // NANOS_A_MS
    metrics = flow_metrics(context)
    match state:
        case Drained() if context.stop.requested:
            reason = context.stop.label
        case Drained():
            return None if context.started_ns is None else PipelineCompleted(duration_ms, metrics)
        case Failed(reason=failed) if context.stop.requested:
            reason = failed if context.stop.reason is None else context.stop.reason
        case Failed(reason=failed, failure_cause=cause):
            return PipelineFailed(failed, duration_ms, metrics, cause)
    return PipelineCancelled(reason, duration_ms, metrics, OtherCause(reason))
