"""What must hold of stages and edges before anything is made of them (spec 60 §3.2, §28)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ergo_cli.errors import headline
from ergo_cli.programs.pipeline.errors import TopologyError
from ergo_cli.programs.pipeline.ids import StageId
from ergo_cli.programs.pipeline.topology import Edge, EdgeKind, Role, Stage, StageType, Topology, reached_from

_ALLOWED = {
    EdgeKind.FORWARD: {
        (Role.PRODUCER, Role.PROCESSOR),
        (Role.PRODUCER, Role.CONSUMER),
        (Role.PROCESSOR, Role.PROCESSOR),
        (Role.PROCESSOR, Role.CONSUMER),
    },
    EdgeKind.BACKWARD: {(Role.PROCESSOR, Role.PROCESSOR), (Role.CONSUMER, Role.PROCESSOR)},
}
"""Roles of upstream and reader that an edge may connect."""


def validate(topology: Topology) -> None:
    """Raise TopologyError for stages and edges that are no pipeline: the first fault, the others as its causes.

    Structural and semantic test of sources then agree (H-1): a stage without upstream stages that is no producer is
    unreachable, and an edge into a producer has the wrong roles.
    """
    faults = list(_faults(topology))
    if faults:
        raise headline(faults)


def _faults(topology: Topology) -> Iterator[TopologyError]:
    """All faults, in the order in which they are looked for."""
    yield from _duplicate_names(topology)
    yield from _bad_ends(topology)
    yield from _self_cycles(topology)
    yield from _isolated(topology)
    yield from _bad_roles(topology)
    yield from _missing_roles(topology)
    yield from _unreachable(topology)
    yield from _unproductive(topology)
    yield from _bad_joins(topology)
    yield from _cycles(topology)


def _duplicate_names(topology: Topology) -> Iterator[TopologyError]:
    names = [stage.name for stage in topology.stages]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        message = f"{names.count(name)} stages are named '{name}'"
        yield TopologyError("pipeline.duplicate_name", message, where=f"stage '{name}'")


def _bad_ends(topology: Topology) -> Iterator[TopologyError]:
    seen: set[tuple[StageId, StageId]] = set()
    for edge in topology.edges:
        if not _is_known(topology, edge):
            yield _edge_fault(
                topology, edge, "pipeline.edge_unknown_stage", "an end of it is no stage of this pipeline"
            )
        elif edge.pair in seen:
            yield _edge_fault(topology, edge, "pipeline.edge_duplicate", "it stands more than once")
        seen.add(edge.pair)


def _self_cycles(topology: Topology) -> Iterator[TopologyError]:
    for edge in topology.edges:
        if edge.upstream == edge.reader:
            yield _edge_fault(topology, edge, "pipeline.self_cycle", "it leads from a stage to itself")


def _isolated(topology: Topology) -> Iterator[TopologyError]:
    isolated = [stage for stage in topology.stages if not _is_connected(topology, stage)]
    if isolated:
        yield _stages_fault("pipeline.disconnected", "no edge leads to or from", isolated)


def _bad_roles(topology: Topology) -> Iterator[TopologyError]:
    for edge in topology.edges:
        if not _is_known(topology, edge) or edge.upstream == edge.reader:
            continue
        upstream, reader = (topology.by_id[end].type.role for end in edge.pair)
        if (upstream, reader) not in _ALLOWED[edge.kind]:
            what = f"no {edge.kind.value} edge leads from a {upstream.value} to a {reader.value}"
            yield _edge_fault(topology, edge, "pipeline.edge_role", what)


def _missing_roles(topology: Topology) -> Iterator[TopologyError]:
    if not _of_role(topology, Role.PRODUCER):
        yield TopologyError("pipeline.no_source", "the pipeline has no source")
    if not _of_role(topology, Role.CONSUMER):
        yield TopologyError("pipeline.no_sink", "the pipeline has no sink")


def _unreachable(topology: Topology) -> Iterator[TopologyError]:
    sources = _of_role(topology, Role.PRODUCER)
    reached = reached_from(sources, topology.downstream_stages)
    lost = [each for each in topology.stages if each.id not in reached and _is_connected(topology, each)]
    if sources and lost:
        yield _stages_fault("pipeline.unreachable", "no source leads to", lost)


def _unproductive(topology: Topology) -> Iterator[TopologyError]:
    sinks = _of_role(topology, Role.CONSUMER)
    reaching = reached_from(sinks, topology.upstream_stages)
    lost = [each for each in topology.stages if each.id not in reaching and _is_connected(topology, each)]
    if sinks and lost:
        yield _stages_fault("pipeline.unproductive", "no way leads to a sink from", lost)


def _bad_joins(topology: Topology) -> Iterator[TopologyError]:
    for stage in topology.stages:
        if stage.type is not StageType.JOIN:
            continue
        inputs: set[StageId] = set()
        if stage.inputs is not None:
            inputs = {stage.inputs.reference, stage.inputs.stream}
        upstream = topology.upstream_stages(stage.id)
        if len(inputs) != 2 or inputs != set(upstream):
            fed = ", ".join(f"'{topology.name_of(each)}'" for each in upstream) or "no stage"
            message = f"the join '{stage.name}' is fed by {fed}, not by its reference and its stream"
            yield TopologyError("pipeline.join_arity", message, where=f"stage '{stage.name}'")


def _cycles(topology: Topology) -> Iterator[TopologyError]:
    for cycle in topology.cycles:
        stages = [topology.by_id[each] for each in cycle]
        yield _stages_fault("pipeline.cycles_unsupported", "events would go in a circle through", stages)
    circling = {stage for cycle in topology.cycles for stage in cycle}
    for edge in topology.edges:
        if edge.kind is EdgeKind.BACKWARD and not {*edge.pair} <= circling:
            yield _edge_fault(topology, edge, "pipeline.cycles_unsupported", "it leads backward")


def _is_known(topology: Topology, edge: Edge) -> bool:
    return {*edge.pair} <= topology.by_id.keys()


def _is_connected(topology: Topology, stage: Stage) -> bool:
    return bool(topology.upstream_stages(stage.id) or topology.downstream_stages(stage.id))


def _of_role(topology: Topology, role: Role) -> list[StageId]:
    return [stage.id for stage in topology.stages if stage.type.role is role]


def _edge_fault(topology: Topology, edge: Edge, code: str, what: str) -> TopologyError:
    upstream, reader = (topology.by_id[end].name if end in topology.by_id else end.display for end in edge.pair)
    place = f"edge '{upstream}' -> '{reader}'"
    return TopologyError(code, f"the {place} cannot be: {what}", where=place)


def _stages_fault(code: str, what: str, stages: Sequence[Stage]) -> TopologyError:
    names = ", ".join(f"'{stage.name}'" for stage in stages)
    return TopologyError(code, f"{what} {names}", where=f"stage {names}")
