"""Cluster definitions as authored, and the libraries they are looked up in (spec 20 §7.1)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from msgspec import Struct

from ergo_cli.core.values import ValueType
from ergo_cli.programs.graph.manifest import Cardinality
from ergo_cli.programs.graph.parameters import ParameterType, ParameterValue

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


class BoundaryKind(Enum):
    """Which family a cluster resembles from outside."""

    SOURCE_LIKE = "SourceLike"
    COMPUTE_LIKE = "ComputeLike"
    TRIGGER_LIKE = "TriggerLike"
    ACTION_LIKE = "ActionLike"


class SignaturePort(Struct, frozen=True):
    """A port as a signature tells it."""

    name: str
    type: ValueType
    cardinality: Cardinality
    wireable: bool


class Signature(Struct, frozen=True):
    """What a cluster looks like from outside (spec 20 §8.1)."""

    kind: BoundaryKind
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
