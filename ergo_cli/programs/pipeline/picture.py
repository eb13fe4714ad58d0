"""The picture of a pipeline: its stages and edges, and what the records of a flow say became of them (spec 60 §3)."""

from __future__ import annotations

from ergo_cli.core.diagnostics import counted
from ergo_cli.programs.pictures import Delivered, Edge, Node, NodeRun, Picture, Role
from ergo_cli.programs.pipeline.flow_manifest import FlowManifest
from ergo_cli.programs.pipeline.flow_tally import FlowTally
from ergo_cli.programs.pipeline.topology import StageType

_ROLES = {
    StageType.FINITE_SOURCE: Role.SOURCE,
    StageType.INFINITE_SOURCE: Role.SOURCE,
    StageType.TRANSFORM: Role.COMPUTE,
    StageType.STATEFUL: Role.STATE,
    StageType.JOIN: Role.JOIN,
    StageType.SINK: Role.ACTION,
}


def picture_of(manifest: FlowManifest, tally: FlowTally | None = None) -> Picture:
    """The picture of the flow of a manifest, each stage behind those that lead to it; with ``tally``, of its run.

    The ids of its nodes are numbers: a name may be a word of the languages that pictures are written in.
    """
    digits = len(str(len(manifest.stages)))
    ids = {name: f"s{number:0{digits}}" for number, name in enumerate(manifest.order)}
    title = manifest.flow_name if tally is None else f"{manifest.flow_name}: {tally.outcome.value}"
    parts = f"{counted(len(manifest.stages), 'stage')}, {counted(len(manifest.edges), 'edge')}"
    return Picture(
        graph_id=manifest.flow_name,
        title=title,
        headline=f"pipeline {title}{':' if tally is None else ','} {parts}",
        headings=("stage", "type", "reads"),
        nodes=tuple(_node(name, id_, manifest, tally) for name, id_ in ids.items()),
        edges=tuple(
            Edge(ids[edge.upstream], ids[edge.reader], delivered=_delivered(edge.upstream, edge.reader, tally))
            for edge in manifest.edges
        ),
    )


def _node(name: str, node_id: str, manifest: FlowManifest, tally: FlowTally | None) -> Node:
    stage = manifest.stages[name]
    return Node(
        id=node_id,
        path=(name,),
        role=_ROLES[stage.stage_type],
        type=stage.stage_type.display,
        impl=f"{stage.stage_type.display}@{stage.stage_logic_version}",
        runtime_id=stage.stage_id,
        run=None if tally is None else _run(name, tally),
    )


def _run(name: str, tally: FlowTally) -> NodeRun:
    stage = tally.stages[name]
    counts = {
        "wrote": stage.wrote,
        "marked": stage.marked,
        "undelivered": stage.undelivered,
        "error rows": stage.error_rows,
    }
    return NodeRun(
        tally.outcome_of(name), counts, has_errors=bool(stage.marked or stage.undelivered or stage.error_rows)
    )


def _delivered(upstream: str, reader: str, tally: FlowTally | None) -> Delivered | None:
    return None if tally is None else Delivered(tally.edges[upstream, reader].read, tally.stages[upstream].wrote)
