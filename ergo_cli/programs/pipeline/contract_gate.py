"""What a ``contract_status`` does to the pipeline: abort it, end its sources, or nothing (spec 60 §14.5)."""

from __future__ import annotations

from msgspec.structs import replace

from ergo_cli.programs.pipeline.completion import EdgeStatus
from ergo_cli.programs.pipeline.context import PipelineContext
from ergo_cli.programs.pipeline.ids import StageId
from ergo_cli.programs.pipeline.lifecycle import Abort, Draining, Running, Shutdown
from ergo_cli.programs.pipeline.system_events import ContractStatus

Judged = tuple[PipelineContext, Abort | Shutdown | None]
"""The next context, and the event for the lifecycle."""


def judge(state: Running | Draining, context: PipelineContext, status: ContractStatus) -> Judged:
    """Take the status of an edge in.

    A failure on a gating edge aborts. While running, a final status of the last open source, passed or failed without
    gating (H-15), ends them all; one that is not final says nothing about the end of a source.
    """
    upstream = status.upstream
    edge = EdgeStatus.of(status)
    context = replace(context, evidence=context.evidence.with_status((upstream, status.reader), edge))
    if not edge.passed and context.evidence.is_gating(upstream):
        return context, Abort(edge.cause, upstream)
    if isinstance(state, Draining):
        return _settle(context, upstream), None
    sources = context.topology.expected_sources
    if not edge.is_final or upstream not in sources:
        return context, None
    context = _settle(context, upstream)
    return context, Shutdown() if context.settled.issuperset(sources) else None


def _settle(context: PipelineContext, upstream: StageId) -> PipelineContext:
    return replace(context, settled=context.settled | {upstream})
