"""Errors of pipelines: what cannot be built, and what cannot go on (spec 60 §3.2).

::

    PipelineError         pipeline.*: a pipeline that cannot be built, or cannot go on
    └── TopologyError     stages and edges that are no pipeline
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
