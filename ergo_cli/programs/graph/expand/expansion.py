"""From a cluster definition to a flat graph of primitives (spec 20 §7)."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.check.catalog import Catalog
from ergo_cli.programs.graph.expand.boundary import check_declared, infer_signature
from ergo_cli.programs.graph.expand.instances import (
    AuthoringPath,
    BoundValues,
    SelectorError,
    Site,
    bind_cluster,
    bind_primitive,
    bind_unknown_primitive,
    check_definition,
    resolve_version,
)
from ergo_cli.programs.graph.model import (
    COMPOSITION,
    BoundaryInput,
    BoundaryOutput,
    ClusterDefinition,
    ClusterKey,
    ClusterNode,
    Edge,
    Endpoint,
    ExpandedEdge,
    ExpandedGraph,
    ExpandedNode,
    ExternalInput,
    GraphAssets,
    ImplNode,
    NodePort,
    OutputPort,
    PortRef,
    raise_headline,
)

NODE_LIMIT = 100_000
"""How many primitives a graph may expand to: clusters that double at each level grow exponentially."""

DEPTH_LIMIT = 127
"""How many clusters may lie inside each other."""


FAULT_LIMIT = 100
"""After this many faults no further cluster is entered."""


def expand(assets: GraphAssets, catalog: Catalog, *, with_unknown: bool = False) -> ExpandedGraph:
    """The flat graph of ``assets.root``. Runtime ids and edges depend on node ids, nesting and edge order alone.

    ``with_unknown`` keeps primitives that the catalog lacks, whatever version of them is wanted. Raises RuleError: the
    first violation that §7.4 meets, with what else was found in its ``causes``.
    """
    return _Expansion(assets, catalog, with_unknown=with_unknown).run()


class _Instance(Struct, frozen=True):
    """A nested cluster in place: the keys of its inputs, and what its outputs come from."""

    cluster_id: str
    inputs: dict[str, str]
    outputs: dict[str, NodePort]


_Member = str | _Instance
"""What a node became: a primitive's runtime id, or a cluster in place."""


class _Scope(Struct, frozen=True):
    """One definition in place. Endpoints are looked up here and nowhere else: nested names do not leak."""

    site: Site
    members: dict[str, _Member]
    wiring: Wiring


class _Expansion:
    """One expansion: a counter of runtime ids, and the faults met so far."""

    def __init__(self, assets: GraphAssets, catalog: Catalog, *, with_unknown: bool) -> None:
        self._assets = assets
        self._with_unknown = with_unknown
        self._catalog = catalog
        self._versions: dict[str, list[str]] = {}
        for cluster_id, version in assets.clusters:
            self._versions.setdefault(cluster_id, []).append(version)
        self._nodes: dict[str, ExpandedNode] = {}
        self._faults: list[RuleError] = []
        self._open: list[ClusterKey] = []

    def run(self) -> ExpandedGraph:
        """Expand the root; §7.4 steps 5 to 7 come after all its nodes and edges."""
        root = self._assets.root
        site = self._site(root, ())
        scope = self._expand_cluster(site, {})
        raise_headline(self._faults)
        outputs = self._boundary_outputs(scope)
        self._faults += [_sink_fault(edge) for edge in scope.wiring.edges if isinstance(edge.target, ExternalInput)]
        raise_headline(self._faults)
        inputs = tuple(BoundaryInput(port.name, port.type) for port in root.inputs)
        graph = ExpandedGraph(root.id, self._nodes, tuple(scope.wiring.edges), inputs, outputs)
        if root.signature is not None:
            check_declared(root.signature, infer_signature(graph, self._catalog), site.place("signature"))
        return graph

    def _site(self, definition: ClusterDefinition, prefix: AuthoringPath) -> Site:
        key = definition.key
        return Site(definition, prefix, self._assets.places.get(key, {}), self._assets.labels.get(key))

    def _expand_cluster(self, site: Site, resolved: BoundValues) -> _Scope:
        """Steps 1 to 4: nodes by ascending id, then the edges of the definition itself."""
        definition, scope = site.definition, _Scope(site, {}, Wiring())
        self._faults += check_definition(site)
        if not definition.nodes:
            message = f"'{definition.id}' has no nodes"
            self._faults.append(site.fault("D.1", message, "$.nodes", at="nodes", fix="give it at least one node"))
        self._open.append(definition.key)
        for _, node in sorted(definition.nodes.items()):
            if isinstance(node, ImplNode):
                self._place_primitive(scope, node, resolved)
            elif len(self._faults) < FAULT_LIMIT:
                self._place_cluster(scope, node, resolved)
        self._open.pop()
        if not self._faults:
            for index, edge in enumerate(definition.edges):
                _connect(scope, edge, site.place(f"edges[{index}]"))
        return scope

    def _place_primitive(self, scope: _Scope, node: ImplNode, resolved: BoundValues) -> None:
        site, available = scope.site, self._catalog.available_versions(node.impl_id)
        version = self._resolve(site, node, f"primitive '{node.impl_id}'", available, self._with_unknown)
        if version is None:
            return
        metadata = self._catalog.get(node.impl_id, version)
        if metadata is None:
            parameters = bind_unknown_primitive(node, resolved)
        else:
            parameters = bind_primitive(site, node, metadata, resolved, self._faults)
        runtime_id = f"n{len(self._nodes)}"
        scope.members[node.id] = runtime_id
        self._nodes[runtime_id] = ExpandedNode(
            runtime_id,
            site.path_to(node.id),
            node.impl_id,
            node.selector,
            version,
            parameters,
            site.place(f"nodes.{node.id}"),
        )

    def _place_cluster(self, scope: _Scope, node: ClusterNode, resolved: BoundValues) -> None:
        site, available = scope.site, self._versions.get(node.cluster_id, [])
        version = self._resolve(site, node, f"cluster '{node.cluster_id}'", available)
        if version is None:
            return
        key = (node.cluster_id, version)
        nested = self._assets.clusters.get(key)
        obstacle = "it was not found" if nested is None else self._obstacle(key)
        if nested is None or obstacle is not None:
            message = f"cluster '{node.cluster_id}@{version}' of '{site.name_of(node.id)}' cannot be loaded: {obstacle}"
            fix = "correct the reference, or put the cluster's file where clusters are searched for"
            self._faults.append(site.node_fault("E.9", message, node.id, fix=fix))
            return
        earlier = len(self._faults)
        values = bind_cluster(site, node, nested, resolved, self._faults)
        if len(self._faults) > earlier:
            return  # inside, every parameter would seem to lack its value
        inner = self._site(nested, site.path_to(node.id))
        inside = self._expand_cluster(inner, values)
        if self._faults:
            return
        scope.wiring.extend(inside.wiring)
        inputs = {port.name: inner.input_key(port.name) for port in nested.inputs}
        scope.members[node.id] = _Instance(nested.id, inputs, self._nested_outputs(scope, node, inside))

    def _resolve(
        self,
        site: Site,
        node: ImplNode | ClusterNode,
        what: str,
        available: Sequence[str],
        may_be_unknown: bool = False,
    ) -> str | None:
        try:
            return resolve_version(node.selector, available, may_be_unknown=may_be_unknown)
        except SelectorError as error:
            message = f"{what} of '{site.name_of(node.id)}': {error}"
            fix = "select an available version, or register the one that is wanted"
            self._faults.append(site.node_fault("I.6", message, node.id, fix=fix))
            return None

    def _obstacle(self, key: ClusterKey) -> str | None:
        """Why no instance of this cluster can be placed here: it is inside itself, too deep, or one too many."""
        if key in self._open:
            circle = (*self._open[self._open.index(key) :], key)
            return "circular: " + " -> ".join(f"{cluster_id}@{version}" for cluster_id, version in circle)
        if len(self._open) >= DEPTH_LIMIT:
            return f"clusters lie more than {DEPTH_LIMIT} levels deep"
        if len(self._nodes) >= NODE_LIMIT:
            return f"the graph expands to more than {NODE_LIMIT} primitives"
        return None

    def _nested_outputs(self, scope: _Scope, node: ClusterNode, inside: _Scope) -> dict[str, NodePort]:
        outputs: dict[str, NodePort] = {}
        for port in inside.site.definition.outputs:
            source = _output_of(inside, port.source)
            if source is None:
                self._faults.append(_unmapped(inside, port, scope.site.name_of(node.id)))
            else:
                outputs[port.name] = source
        return outputs

    def _boundary_outputs(self, scope: _Scope) -> tuple[BoundaryOutput, ...]:
        outputs: list[BoundaryOutput] = []
        for port in scope.site.definition.outputs:
            source = _output_of(scope, port.source)
            if source is None:
                self._faults.append(_unmapped(scope, port, None))
            else:
                outputs.append(BoundaryOutput(port.name, source, scope.site.place(f"outputs.{port.name}")))
        return tuple(outputs)


def _connect(scope: _Scope, edge: Edge, place: str | None) -> None:
    """Step 4 for one edge: to a port, into a nested cluster's input, or nowhere (E.3 at the root)."""
    source = _output_of(scope, edge.source) or _unfed(scope, edge.source)
    match scope.members.get(edge.target.node_id):
        case str() as runtime_id:
            scope.wiring.append(ExpandedEdge(source, NodePort(runtime_id, edge.target.port), place))
            return
        case _Instance(inputs=inputs) if edge.target.port in inputs:
            key = inputs[edge.target.port]
        case _:
            key = scope.site.input_key(edge.target.node_id)
    if not scope.wiring.feed(key, source, place):
        sink = ExternalInput(key, _why_no_sink(scope, edge.target, key))
        scope.wiring.append(ExpandedEdge(source, sink, place))


def _output_of(scope: _Scope, ref: PortRef) -> NodePort | None:
    match scope.members.get(ref.node_id):
        case str() as runtime_id:
            return NodePort(runtime_id, ref.port)
        case _Instance(outputs=outputs):
            return outputs.get(ref.port)
        case None:
            return None


def _unfed(scope: _Scope, ref: PortRef) -> Endpoint:
    return ExternalInput(scope.site.input_key(ref.node_id), _why_unfed(scope, ref))


def _why_unfed(scope: _Scope, ref: PortRef) -> str:
    site, member = scope.site, scope.members.get(ref.node_id)
    if isinstance(member, _Instance):
        return (
            f"'{site.name_of(ref.node_id)}' (cluster {member.cluster_id}) has no output '{ref.port}'; "
            f"{_choice('outputs', member.outputs)}"
        )
    if all(port.name != ref.node_id for port in site.definition.inputs):
        return f"an edge comes from '{site.name_of(ref.node_id)}', but there is no such node"
    if not site.prefix:
        return f"input '${ref.node_id}' of graph '{site.definition.id}' has nothing to feed it in a run"
    instance = "/".join(node_id for _, node_id in site.prefix)
    return f"input '{ref.node_id}' of '{instance}' (cluster {site.definition.id}) is not wired"


def _why_no_sink(scope: _Scope, ref: PortRef, key: str) -> str:
    name, member = scope.site.name_of(ref.node_id), scope.members.get(ref.node_id)
    if not isinstance(member, _Instance):
        return f"an edge leads to '{name}', but there is no such node"
    cluster = f"'{name}' (cluster {member.cluster_id})"
    if ref.port not in member.inputs:
        return f"{cluster} has no input '{ref.port}'; {_choice('inputs', member.inputs)}"
    if key in scope.wiring.fed:
        return f"input '{ref.port}' of {cluster} is wired twice"
    return f"input '{ref.port}' of {cluster} is wired, but nothing inside uses it"


def _choice(ports: str, names: dict[str, str] | dict[str, NodePort]) -> str:
    return f"its {ports} are {', '.join(names)}" if names else f"it has no {ports}"


def _sink_fault(edge: ExpandedEdge) -> RuleError:
    why = edge.target.why if isinstance(edge.target, ExternalInput) and edge.target.why else "an edge leads nowhere"
    fix = "remove the edge, or lead it to an input that takes it"
    return RuleError("E.3", why, phase=COMPOSITION, path="$.edges", where=edge.place, fix=fix)


def _unmapped(scope: _Scope, port: OutputPort, instance: str | None) -> RuleError:
    """D.4: an output of the root, or of the cluster at ``instance``, that no node gives."""
    target = f"{port.source.node_id}.{port.source.port}"
    at, fix = f"outputs.{port.name}", "name a port of one of the nodes"
    of_instance, path = ("", "$.output_ports") if instance is None else (f" of '{instance}'", "$.nodes")
    message = f"output '{port.name}'{of_instance} is '{target}', which no node gives"
    return scope.site.fault("D.4", message, path, at=at, fix=fix)


class Wiring:
    """Edges in the order of §7.4, indexed by the unfed input that they come from."""

    def __init__(self) -> None:
        self.edges: list[ExpandedEdge] = []
        self.fed: set[str] = set()
        self._waiting: dict[str, list[int]] = {}

    def append(self, edge: ExpandedEdge) -> None:
        """Add an edge at the end."""
        if isinstance(edge.source, ExternalInput):
            self._waiting.setdefault(edge.source.name, []).append(len(self.edges))
        self.edges.append(edge)

    def extend(self, nested: Wiring) -> None:
        """Add all edges of a nested cluster at the end."""
        for edge in nested.edges:
            self.append(edge)

    def feed(self, key: str, source: Endpoint, place: str | None) -> bool:
        """Let every edge that comes from the input ``key`` come from ``source``; False if there is none."""
        indexes = self._waiting.pop(key, [])
        for index in indexes:
            self.edges[index] = ExpandedEdge(source, self.edges[index].target, place)
        if indexes:
            self.fed.add(key)
        if indexes and isinstance(source, ExternalInput):
            self._waiting.setdefault(source.name, []).extend(indexes)
        return bool(indexes)
