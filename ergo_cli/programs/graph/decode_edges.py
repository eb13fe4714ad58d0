"""Edges and outputs of a cluster document, shorthand and structured (spec 21 §4.2)."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.core.documents import Mapping, Node
from ergo_cli.core.nearest import did_you_mean
from ergo_cli.core.reading import Fields, Reading, raw_text, shown, string
from ergo_cli.errors import DocumentError
from ergo_cli.programs.graph.decode_names import check_identifier, check_port
from ergo_cli.programs.graph.definition import Edge, PortRef


class Scope(Struct, frozen=True):
    """The names that edges may use; ``nodes`` is None where the nodes could not be read at all."""

    nodes: frozenset[str] | None
    inputs: frozenset[str]


class External(Struct, frozen=True):
    """An edge's source that is an input of the cluster."""

    name: str


Source = PortRef | External


def edge(reading: Reading, node: Node, path: str, scope: Scope) -> Edge:
    """One edge: the shape of both ends is looked at first, then what they name. Raises DEC-EDGE and its kin."""
    source, target = _structured(reading, node, path) if isinstance(node, Mapping) else _short(reading, node, path)
    declared = _declared_source(reading, source, node, path, scope)
    _check_node(reading, target, "target", node, path, scope)
    return Edge(declared, target)


def output_target(reading: Reading, node: Node, path: str) -> PortRef:
    """The ``node.port`` that an output is taken from. Raises DEC-TYPE, DEC-OUTPUT."""
    text = raw_text(reading, node, path)
    parts = text.split(".")
    if len(parts) != 2 or not all(parts) or " " in text:
        message = f"invalid output target '{shown(text)}': expected 'node.port'"
        raise reading.error("DEC-OUTPUT", message, node, path, fix="write node.port")
    return PortRef(*parts)


def _short(reading: Reading, node: Node, path: str) -> tuple[Source, PortRef]:
    text = raw_text(reading, node, path)
    left, arrow, right = (part.strip() for part in text.partition("->"))
    if not arrow:
        message = f"invalid edge '{shown(text)}': expected 'from -> to'"
        raise reading.error("DEC-EDGE", message, node, path, fix="write node.port -> node.port")
    source = _external(reading, left[1:].strip(), node, path) if left.startswith("$") else None
    source = source or _node_port(reading, left, "source", node, path)
    if right.startswith("$"):
        raise _external_target(reading, right[1:].strip(), node, path)
    return source, _node_port(reading, right, "target", node, path)


def _node_port(reading: Reading, text: str, side: str, at: Node, path: str) -> PortRef:
    parts = text.split(".")
    if len(parts) != 2 or not all(parts):
        message = f"invalid edge {side} '{shown(text)}': expected 'node.port'"
        raise reading.error("DEC-EDGE", message, at, path, fix="write node.port -> node.port")
    return _port_ref(reading, parts[0], parts[1], side, at, path)


def _port_ref(reading: Reading, node_id: str, port: str, side: str, at: Node, path: str) -> PortRef:
    check_identifier(reading, node_id, f"edge {side} node", at, path)
    check_port(reading, port, f"edge {side} port", at, path)
    return PortRef(node_id, port)


def _structured(reading: Reading, node: Mapping, path: str) -> tuple[Source, PortRef]:
    fields = Fields(node, reading, path)
    source = _structured_source(reading, fields.fields("from"))
    target = fields.fields("to")
    if "external" in target:
        name = string(reading, target.node("external"), target.path_of("external"))
        raise _external_target(reading, name, target.at, target.path)
    fields.finish()
    return source, _structured_port(reading, target, "target")


def _structured_source(reading: Reading, fields: Fields) -> Source:
    if "external" not in fields:
        return _structured_port(reading, fields, "source")
    if "node" in fields or "port" in fields:
        message = "expected 'node.port' as {node, port}, or {external}, not both"
        raise reading.error("DEC-EDGE", message, fields.at, fields.path, fix="leave one of the two out")
    name = fields.string("external")
    fields.finish()
    return _external(reading, name, fields.at, fields.path)


def _structured_port(reading: Reading, fields: Fields, side: str) -> PortRef:
    node_id, port = fields.string("node"), fields.string("port")
    fields.finish()
    return _port_ref(reading, node_id, port, side, fields.at, fields.path)


def _external(reading: Reading, name: str, at: Node, path: str) -> External:
    return External(check_identifier(reading, name, "external input name", at, path))


def _external_target(reading: Reading, name: str, at: Node, path: str) -> DocumentError:
    message = (
        f"external input '${shown(name)}' cannot appear as an edge target: "
        "external inputs can only appear on the source side"
    )
    return reading.error("DEC-EDGE-EXT-TARGET", message, at, path, fix="write a node's port behind the arrow")


def _declared_source(reading: Reading, source: Source, at: Node, path: str, scope: Scope) -> PortRef:
    """The source as a port, once it is known to be declared."""
    match source:
        case External(name=name) if name in scope.inputs:
            return PortRef(name, name)
        case External(name=name):
            message = f"edge uses external input '${name}' that is not declared in inputs"
            fix = did_you_mean(name, scope.inputs) or f"declare '{name}' in inputs"
            raise reading.error("DEC-EDGE-EXT-UNDECLARED", message, at, path, fix)
        case PortRef():
            _check_node(reading, source, "source", at, path, scope)
            return source


def _check_node(reading: Reading, port: PortRef, side: str, at: Node, path: str, scope: Scope) -> None:
    name = port.node_id
    if scope.nodes is None or name in scope.nodes:
        return
    if side == "source" and name in scope.inputs:
        message = f"edge source '{name}' is an input of the cluster: must use '${name}' syntax for external inputs"
        raise reading.error("DEC-EDGE-EXT-SYNTAX", message, at, path, fix=f"write ${name}")
    message = f"edge {side} node '{name}' is not declared in nodes"
    fix = did_you_mean(name, scope.nodes) or f"declare '{name}' in nodes"
    raise reading.error("DEC-EDGE-NODE", message, at, path, fix)
