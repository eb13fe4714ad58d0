"""A graph as data: clusters as authored, the flat graph made of them, and errors about either (spec 20 §7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum

from msgspec import Struct

from ergo_cli.core.values import ValueType
from ergo_cli.errors import RuleError, headline
from ergo_cli.programs.graph.primitives.primitive import Cardinality, ParameterType, ParameterValue

ClusterKey = tuple[str, str]
"""Cluster id and version (canonical semver text)."""


class Literal(Struct, frozen=True):
    """A parameter bound to a value."""

    value: ParameterValue


class Exposed(Struct, frozen=True):
    """A parameter bound to a parameter of the enclosing cluster."""

    parameter: str


Binding = Literal | Exposed


class ImplNode(Struct, frozen=True):
    """A node that is a primitive; ``selector`` is canonical if exact, else as written."""

    id: str
    impl_id: str
    selector: str
    bindings: dict[str, Binding]


class ClusterNode(Struct, frozen=True):
    """A node that is an instance of another cluster."""

    id: str
    cluster_id: str
    selector: str
    bindings: dict[str, Binding]


Node = ImplNode | ClusterNode


class PortRef(Struct, frozen=True):
    """A port of a node. The source of an edge from a cluster input ``x`` is ``PortRef("x", "x")``."""

    node_id: str
    port: str


class Edge(Struct, frozen=True):
    """A wire from an output to an input."""

    source: PortRef
    target: PortRef


class InputPort(Struct, frozen=True):
    """An input of the cluster."""

    name: str
    type: ValueType
    required: bool = True


class OutputPort(Struct, frozen=True):
    """An output of the cluster, taken from a node's port."""

    name: str
    source: PortRef


class DeriveKey(Struct, frozen=True):
    """A default that is a context key derived from where the cluster is instantiated."""

    slot: str


class ClusterParameter(Struct, frozen=True):
    """A parameter of the cluster."""

    name: str
    type: ParameterType
    default: ParameterValue | DeriveKey | None
    required: bool


class BoundaryFamily(Enum):
    """Which family a cluster resembles from outside."""

    SOURCE_LIKE = "SourceLike"
    COMPUTE_LIKE = "ComputeLike"
    TRIGGER_LIKE = "TriggerLike"
    ACTION_LIKE = "ActionLike"


class SignaturePort(Struct, frozen=True):
    """A port of a signature."""

    name: str
    type: ValueType
    cardinality: Cardinality
    wireable: bool


class Signature(Struct, frozen=True):
    """What a cluster looks like from outside (spec 20 §8.1)."""

    kind: BoundaryFamily
    inputs: tuple[SignaturePort, ...]
    outputs: tuple[SignaturePort, ...]
    has_side_effects: bool
    is_origin: bool


class ClusterDefinition(Struct, frozen=True):
    """One authored cluster. ``nodes`` keeps the authored order; semantics never depend on it."""

    id: str
    version: str
    nodes: dict[str, Node]
    edges: tuple[Edge, ...]
    inputs: tuple[InputPort, ...] = ()
    outputs: tuple[OutputPort, ...] = ()
    parameters: tuple[ClusterParameter, ...] = ()
    signature: Signature | None = None

    @property
    def key(self) -> ClusterKey:
        """Id and version."""
        return self.id, self.version


class GraphAssets(Struct, frozen=True):
    """A root definition with every cluster that discovery recorded, the root included.

    ``labels`` name each definition's file or in-memory label for people; ``texts`` are the authored texts; ``places``
    map an authored path of a definition (``nodes.hot``, ``edges[3]``) to ``file:line:column``.
    """

    root: ClusterDefinition
    clusters: Mapping[ClusterKey, ClusterDefinition]
    labels: Mapping[ClusterKey, str] = {}
    texts: Mapping[ClusterKey, str] = {}
    places: Mapping[ClusterKey, Mapping[str, str]] = {}


class NodePort(Struct, frozen=True):
    """A port of a node, by runtime id."""

    node_id: str
    port: str


class ExternalInput(Struct, frozen=True):
    """An input of a cluster that nothing feeds; ``why`` says what is wrong with it in the author's words."""

    name: str
    why: str | None = None


Endpoint = NodePort | ExternalInput


class ExpandedEdge(Struct, frozen=True):
    """A wire of the flat graph; ``place`` is where its outermost part is authored (``file:line:column edges[3]``)."""

    source: Endpoint
    target: Endpoint
    place: str | None = None


class ExpandedNode(Struct, frozen=True):
    """One primitive in place; ``authoring_path`` is the (cluster id, node id) pairs that lead to it from the root.

    ``place`` is where it is authored (``file:line:column nodes.over``), if that is known.
    """

    runtime_id: str
    authoring_path: tuple[tuple[str, str], ...]
    impl_id: str
    requested_version: str
    version: str
    parameters: dict[str, ParameterValue]
    place: str | None = None

    @property
    def path(self) -> str:
        """The authored node ids, joined: ``hot/check/over``."""
        return "/".join(node_id for _, node_id in self.authoring_path)


class BoundaryInput(Struct, frozen=True):
    """An input of the root."""

    name: str
    type: ValueType


class BoundaryOutput(Struct, frozen=True):
    """An output of the root, by runtime id."""

    name: str
    source: NodePort
    place: str | None = None


class ExpandedGraph(Struct, frozen=True):
    """The flat graph; ``nodes`` in the order of their runtime ids' numbers."""

    graph_id: str
    nodes: dict[str, ExpandedNode]
    edges: tuple[ExpandedEdge, ...]
    boundary_inputs: tuple[BoundaryInput, ...] = ()
    boundary_outputs: tuple[BoundaryOutput, ...] = ()


COMPOSITION = "composition"
EXECUTION = "execution"


def raise_headline(faults: Iterable[RuleError]) -> None:
    """Raise the first fault with all others as its causes, each once; do nothing if there is none."""
    distinct: dict[tuple[str | None, str], RuleError] = {}
    for fault in faults:
        distinct.setdefault((fault.rule, fault.message), fault)
    if distinct:
        raise headline(distinct.values())


def authored(path: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """An authoring path as errors carry it: ``("plant/hot", "guarded_alarm/check")``."""
    return tuple(f"{cluster_id}/{node_id}" for cluster_id, node_id in path)


def node_fault(
    rule: str,
    message: str,
    node: ExpandedNode,
    *,
    path: str | None = None,
    place: str | None = None,
    fix: str | None = None,
) -> RuleError:
    """The composition error of a node of the flat graph; ``place`` where the fault is not at the node's place."""
    return RuleError(
        rule,
        message,
        phase=COMPOSITION,
        path=path,
        fix=fix,
        where=place or node.place,
        node=node.runtime_id,
        authoring_path=authored(node.authoring_path),
    )


def execution_fault(
    rule: str,
    message: str,
    node: ExpandedNode | None = None,
    *,
    path: str | None = None,
    fix: str | None = None,
    details: Iterable[str] = (),
) -> RuleError:
    """The error that ends a pass, at ``node`` if one is to blame."""
    return RuleError(
        rule,
        message,
        phase=EXECUTION,
        path=path,
        fix=fix,
        where=node.place if node else None,
        node=node.runtime_id if node else None,
        authoring_path=authored(node.authoring_path) if node else (),
        details=details,
    )
