"""What a graph looks like from outside (spec 20 §8)."""

from __future__ import annotations

from collections.abc import Sequence

from ergo_cli.core.values import ValueType
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.catalog import Catalog, Metadata
from ergo_cli.programs.graph.definition import BoundaryKind, Signature, SignaturePort
from ergo_cli.programs.graph.expanded import BoundaryOutput, ExpandedGraph, NodePort
from ergo_cli.programs.graph.faults import COMPOSITION
from ergo_cli.programs.graph.manifest import Cardinality, Family


def infer_signature(graph: ExpandedGraph, catalog: Catalog) -> Signature:
    """The signature of an expanded graph. Raises RuleError D.4 where a primitive, node or output is unknown."""
    primitives = _primitives(graph, catalog)
    inputs = tuple(SignaturePort(port.name, port.type, Cardinality.SINGLE, False) for port in graph.boundary_inputs)
    outputs = tuple(_output_port(port, primitives) for port in graph.boundary_outputs)
    return Signature(
        kind=_kind(bool(inputs), outputs),
        inputs=inputs,
        outputs=outputs,
        has_side_effects=any(primitive.family is Family.ACTION for primitive in primitives.values()),
        is_origin=not inputs and _begins_with_sources(graph, primitives),
    )


def check_declared(declared: Signature, inferred: Signature, place: str | None = None) -> None:
    """Raise RuleError D.10 (cause D.11) where a declared port is wireable and the inferred one is not (§8.3)."""
    actual = {port.name: port for port in (*reversed(inferred.inputs), *reversed(inferred.outputs))}
    granted = [port.name for port in (*declared.inputs, *declared.outputs) if port.wireable]
    exceeding = [name for name in granted if name in actual and not actual[name].wireable]
    if exceeding:
        causes = [_exceeds(name, place) for name in exceeding]
        raise RuleError(
            "D.10",
            f"the declared signature says that '{exceeding[0]}' is wireable, but it is not",
            phase=COMPOSITION,
            path="$.declared_signature",
            where=place,
            fix=f"declare 'wireable: false' for '{exceeding[0]}'",
            causes=causes,
        )


def disagreements(declared: Signature, inferred: Signature) -> list[str]:
    """What a declared signature says differently from the inferred one; wireability that exceeds is D.10's matter."""
    found: list[str] = []
    if declared.kind is not inferred.kind:
        found.append(f"signature kind is declared {declared.kind.value}, the graph is {inferred.kind.value}")
    if declared.has_side_effects is not inferred.has_side_effects:
        found.append(f"signature declares has_side_effects {declared.has_side_effects}, it is the opposite")
    if declared.is_origin is not inferred.is_origin:
        found.append(f"signature declares is_origin {declared.is_origin}, it is the opposite")
    found += _port_disagreements("input", declared.inputs, inferred.inputs)
    found += _port_disagreements("output", declared.outputs, inferred.outputs)
    return found


def _primitives(graph: ExpandedGraph, catalog: Catalog) -> dict[str, Metadata]:
    primitives: dict[str, Metadata] = {}
    for runtime_id, node in sorted(graph.nodes.items()):
        metadata = catalog.get(node.impl_id, node.version)
        if metadata is None:
            raise _not_inferable(f"primitive '{node.impl_id}@{node.version}' of '{node.path}' is unknown", node.place)
        primitives[runtime_id] = metadata
    return primitives


def _output_port(port: BoundaryOutput, primitives: dict[str, Metadata]) -> SignaturePort:
    primitive = primitives.get(port.source.node_id)
    if primitive is None:
        raise _not_inferable(f"output '{port.name}' comes from unknown node '{port.source.node_id}'", port.place)
    for output in primitive.outputs:
        if output.name == port.source.port:
            wireable = primitive.family is not Family.ACTION
            return SignaturePort(port.name, output.type, Cardinality.SINGLE, wireable)
    message = f"output '{port.name}' comes from '{port.source.port}', which {primitive.id} does not give"
    raise _not_inferable(message, port.place)


def _kind(has_inputs: bool, outputs: Sequence[SignaturePort]) -> BoundaryKind:
    types = {port.type for port in outputs if port.wireable}
    if not types:
        return BoundaryKind.ACTION_LIKE
    if not has_inputs and ValueType.EVENT not in types:
        return BoundaryKind.SOURCE_LIKE
    return BoundaryKind.TRIGGER_LIKE if ValueType.EVENT in types else BoundaryKind.COMPUTE_LIKE


def _begins_with_sources(graph: ExpandedGraph, primitives: dict[str, Metadata]) -> bool:
    fed = {
        edge.target.node_id
        for edge in graph.edges
        if isinstance(edge.source, NodePort) and isinstance(edge.target, NodePort)
    }
    return all(primitive.family is Family.SOURCE for node_id, primitive in primitives.items() if node_id not in fed)


def _port_disagreements(what: str, declared: Sequence[SignaturePort], inferred: Sequence[SignaturePort]) -> list[str]:
    actual = {port.name: port for port in inferred}
    found: list[str] = []
    for port in declared:
        real = actual.get(port.name)
        if real is None:
            found.append(f"signature declares {what} '{port.name}', which the graph does not have")
        elif (port.type, port.cardinality) != (real.type, real.cardinality):
            found.append(
                f"signature declares {what} '{port.name}' as {port.cardinality.value} {port.type.value}, "
                f"it is {real.cardinality.value} {real.type.value}"
            )
    return found


def _not_inferable(message: str, place: str | None) -> RuleError:
    return RuleError("D.4", f"no signature: {message}", phase=COMPOSITION, path="$.output_ports", where=place)


def _exceeds(name: str, place: str | None) -> RuleError:
    message = f"port '{name}' is declared wireable; inputs and outputs of actions never are"
    return RuleError("D.11", message, phase=COMPOSITION, path="$.declared_signature", where=place)
