"""The stages of a pipeline, the edges between them, and what follows from these (spec 60 §3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import cached_property

from msgspec import Struct, field

from ergo_cli.programs.pipeline.ids import StageId


class Role(Enum):
    """What a stage does with data: it makes it, passes it on, or consumes it."""

    PRODUCER = "producer"
    PROCESSOR = "processor"
    CONSUMER = "consumer"


class StageType(Enum):
    """What a stage is; the value is its JSON form."""

    FINITE_SOURCE = "FiniteSource"
    INFINITE_SOURCE = "InfiniteSource"
    TRANSFORM = "Transform"
    STATEFUL = "Stateful"
    JOIN = "Join"
    SINK = "Sink"

    @property
    def display(self) -> str:
        """The form of texts: ``finite_source``."""
        return self.name.lower()

    @property
    def role(self) -> Role:
        """The role of stages of this type."""
        match self:
            case StageType.FINITE_SOURCE | StageType.INFINITE_SOURCE:
                return Role.PRODUCER
            case StageType.SINK:
                return Role.CONSUMER
            case _:
                return Role.PROCESSOR


class EdgeKind(Enum):
    """Whether an edge carries data on, or back to a stage before."""

    FORWARD = "forward"
    BACKWARD = "backward"


class JoinInputs(Struct, frozen=True):
    """The two upstream stages of a join."""

    reference: StageId
    stream: StageId


class Stage(Struct, frozen=True):
    """A stage; its name is its key in manifests. ``inputs`` are those of a join."""

    id: StageId
    name: str
    type: StageType
    inputs: JoinInputs | None = None


class Edge(Struct, frozen=True):
    """A reader of a stage's data journal."""

    upstream: StageId = field(name="from")
    reader: StageId = field(name="to")
    kind: EdgeKind = EdgeKind.FORWARD

    @property
    def pair(self) -> tuple[StageId, StageId]:
        """Upstream and reader, the key of the edge's contract."""
        return self.upstream, self.reader


class Topology(Struct, frozen=True, dict=True):
    """Stages, in the order in which everything visits them (H-7), and the edges between them.

    Any stages and edges make one; ``topology_rules.validate`` says whether they are a pipeline.
    """

    stages: tuple[Stage, ...]
    edges: tuple[Edge, ...]

    @cached_property
    def by_id(self) -> Mapping[StageId, Stage]:
        """The stages by their ids."""
        return {stage.id: stage for stage in self.stages}

    @cached_property
    def order(self) -> Mapping[StageId, int]:
        """The position of every stage."""
        return {stage.id: position for position, stage in enumerate(self.stages)}

    def name_of(self, stage: StageId) -> str:
        """A stage's name; ``unknown`` for one of another pipeline."""
        found = self.by_id.get(stage)
        return "unknown" if found is None else found.name

    def upstream_stages(self, stage: StageId) -> tuple[StageId, ...]:
        """The stages that a stage reads, in the order of the edges, of both kinds."""
        return self._upstream.get(stage, ())

    def downstream_stages(self, stage: StageId) -> tuple[StageId, ...]:
        """The stages that read a stage, in the order of the edges, of both kinds."""
        return self._downstream.get(stage, ())

    @cached_property
    def expected_sources(self) -> tuple[StageId, ...]:
        """The stages without upstream stages, in order: what the supervisor takes for sources."""
        return tuple(stage.id for stage in self.stages if not self.upstream_stages(stage.id))

    @cached_property
    def expected_contract_pairs(self) -> tuple[tuple[StageId, StageId], ...]:
        """Upstream and reader of every edge, once each, in the order of the upstream stages, then of the readers."""
        return tuple(
            sorted({edge.pair for edge in self.edges}, key=lambda pair: tuple(map(self.order.__getitem__, pair)))
        )

    def contract_names(self, edge: Edge) -> tuple[str, ...]:
        """The contracts of an edge, as they are displayed."""
        into_sink = edge.kind is EdgeKind.FORWARD and self.by_id[edge.reader].type is StageType.SINK
        in_cycle = any(edge.upstream in cycle and edge.reader in cycle for cycle in self.cycles)
        names = {
            "TransportContract": True,
            "SourceContract": edge.upstream in self.expected_sources,
            "DeliveryContract": into_sink,
            "DivergenceContract": in_cycle,
        }
        return tuple(name for name, applies in names.items() if applies)

    @cached_property
    def cycles(self) -> tuple[tuple[StageId, ...], ...]:
        """The strongly connected components of several stages, members and components in order."""
        reached = {stage.id: reached_from((stage.id,), self.downstream_stages) for stage in self.stages}
        components = {
            tuple(other.id for other in self.stages if other.id in reached[stage.id] and stage.id in reached[other.id])
            for stage in self.stages
        }
        several = [component for component in components if len(component) > 1]
        return tuple(sorted(several, key=lambda component: self.order[component[0]]))

    @cached_property
    def _upstream(self) -> Mapping[StageId, tuple[StageId, ...]]:
        return _grouped((edge.reader, edge.upstream) for edge in self.edges)

    @cached_property
    def _downstream(self) -> Mapping[StageId, tuple[StageId, ...]]:
        return _grouped(edge.pair for edge in self.edges)


def reached_from(starts: Iterable[StageId], steps: Callable[[StageId], Iterable[StageId]]) -> frozenset[StageId]:
    """The stages that a walk from ``starts`` meets, these included."""
    reached: set[StageId] = set()
    waiting = list(starts)
    while waiting:
        stage = waiting.pop()
        if stage not in reached:
            reached.add(stage)
            waiting += steps(stage)
    return frozenset(reached)


def _grouped(pairs: Iterable[tuple[StageId, StageId]]) -> dict[StageId, tuple[StageId, ...]]:
    grouped: dict[StageId, tuple[StageId, ...]] = {}
    for key, value in pairs:
        grouped[key] = (*grouped.get(key, ()), value)
    return grouped
