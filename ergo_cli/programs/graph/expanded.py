"""A flat graph of implementations: what expansion makes and validation checks (spec 20 §7.2)."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.core.values import ValueType
from ergo_cli.programs.graph.parameters import ParameterValue


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
