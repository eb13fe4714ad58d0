"""The members of a cluster document, in the order of spec 21 §6; every fault of a document is collected."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from ergo_cli.core.documents import Mapping, Node, Scalar, Sequence
from ergo_cli.core.reading import Fields, Reading, shown
from ergo_cli.programs.graph.decode_edges import Scope, edge, output_target
from ergo_cli.programs.graph.decode_names import check_identifier, document_version, identifier, reference, word
from ergo_cli.programs.graph.decode_signature import VALUE_TYPES, signature
from ergo_cli.programs.graph.decode_values import binding, default
from ergo_cli.programs.graph.definition import (
    Binding,
    ClusterDefinition,
    ClusterNode,
    ClusterParameter,
    Edge,
    ImplNode,
    InputPort,
    OutputPort,
    Signature,
)
from ergo_cli.programs.graph.definition import Node as ClusterMember
from ergo_cli.programs.graph.parameters import ParameterType

_T = TypeVar("_T")

_PARAMETER_TYPES = {
    "int": ParameterType.INT,
    "number": ParameterType.NUMBER,
    "bool": ParameterType.BOOL,
    "boolean": ParameterType.BOOL,
    "string": ParameterType.STRING,
    "enum": ParameterType.ENUM,
}


class ClusterDecoder:
    """Decodes one document; ``places`` maps what it reads (``nodes.hot``, ``edges[3]``) to ``file:line:column``."""

    def __init__(self, root: Node, reading: Reading) -> None:
        """Raise DEC-TYPE unless the root is a mapping."""
        self.places: dict[str, str] = {}
        self._reading = reading
        self._fields = Fields(root, reading)

    def decode(self) -> ClusterDefinition:
        """The definition. Raises the first DocumentError, structural ones first, with all others in its causes."""
        attempt = self._reading.attempt
        attempt(self._check_kind)
        id_ = attempt(self._id) or ""
        version = attempt(partial(document_version, self._reading, self._fields)) or ""
        inputs = self._each("inputs", self._input)
        nodes = attempt(self._nodes) or {}
        edges = self._edges()
        outputs = tuple((attempt(self._outputs) or {}).values())
        parameters = self._each("parameters", self._parameter)
        declared = attempt(self._signature)
        self._fields.finish()
        self._reading.close()
        return ClusterDefinition(id_, version, nodes, edges, inputs, outputs, parameters, declared)

    def _check_kind(self) -> None:
        kind = self._fields.text("kind")
        if kind.lower() != "cluster":
            message = f"kind must be 'cluster', got '{shown(kind)}'"
            raise self._reading.error("DEC-KIND", message, self._fields.node("kind"), "kind", fix="write kind: cluster")

    def _id(self) -> str:
        return identifier(self._reading, self._fields.text("id"), "cluster id", self._fields.node("id"), "id")

    def _input(self, node: Node, path: str) -> InputPort:
        fields = Fields(node, self._reading, path)
        name = self._name(fields, "input name")
        type_ = word(self._reading, fields, "type", VALUE_TYPES, "value type")
        required = fields.optional_boolean("required")
        fields.finish()
        return InputPort(name, type_, required is not False)

    def _nodes(self) -> dict[str, ClusterMember]:
        return self._named(self._fields.fields("nodes"), self._node)

    def _node(self, key: Scalar, node: Node, path: str) -> ClusterMember:
        identifier(self._reading, key.text, "node id", key, path)
        fields = Fields(node, self._reading, path)
        impl, cluster = fields.optional_text("impl"), fields.optional_text("cluster")
        if (impl is None) == (cluster is None):
            message = f"node '{shown(key.text)}' must define exactly one of 'impl' or 'cluster'"
            fix = "leave one of them out" if impl is not None else "add impl: id@version or cluster: id@version"
            raise self._reading.error("DEC-NODE", message, key, path, fix)
        noun = "impl" if impl is not None else "cluster"
        name, selector = reference(self._reading, impl or cluster or "", noun, fields.node(noun), fields.path_of(noun))
        bindings = self._bindings(fields)
        fields.finish()
        kind = ImplNode if impl is not None else ClusterNode
        return kind(key.text, name, selector, bindings)

    def _bindings(self, fields: Fields) -> dict[str, Binding]:
        return self._named(fields.fields("params"), self._binding) if "params" in fields else {}

    def _binding(self, key: Scalar, node: Node, path: str) -> Binding:
        check_identifier(self._reading, key.text, "parameter binding name", key, path)
        return binding(self._reading, node, path)

    def _edges(self) -> tuple[Edge, ...]:
        return self._each("edges", partial(self._edge, self._scope()), self._fields.sequence)

    def _edge(self, scope: Scope, node: Node, path: str) -> Edge:
        return edge(self._reading, node, path, scope)

    def _scope(self) -> Scope:
        """The names that are written, whether or not what they name could be decoded: one fault, one error."""
        nodes = self._fields.node("nodes") if "nodes" in self._fields else None
        inputs = self._fields.optional_node("inputs")
        items = inputs.items if isinstance(inputs, Sequence) else ()
        names = (value for item in items for value in _values_of(item, "name"))
        return Scope(
            None if nodes is None else _keys_of(nodes),
            frozenset(name.text for name in names if isinstance(name, Scalar)),
        )

    def _outputs(self) -> dict[str, OutputPort]:
        return self._named(self._fields.fields("outputs"), self._output) if "outputs" in self._fields else {}

    def _output(self, key: Scalar, node: Node, path: str) -> OutputPort:
        name = identifier(self._reading, key.text, "output name", key, path)
        return OutputPort(name, output_target(self._reading, node, path))

    def _parameter(self, node: Node, path: str) -> ClusterParameter:
        fields = Fields(node, self._reading, path)
        name = self._name(fields, "parameter name")
        type_ = word(self._reading, fields, "type", _PARAMETER_TYPES, "parameter type")
        written = fields.optional_node("default")
        value = None if written is None else default(self._reading, written, type_, fields.path_of("default"))
        required = fields.optional_boolean("required")
        fields.finish()
        return ClusterParameter(name, type_, value, value is None if required is None else required)

    def _signature(self) -> Signature | None:
        names = [name for name in ("signature", "declared_signature") if name in self._fields]
        if len(names) == 2:
            at = self._fields.node(names[1])
            fix = "keep one of 'signature' and 'declared_signature'"
            raise self._reading.error("DEC-DUP", "duplicate field `signature`", at, names[1], fix)
        fields = self._fields.optional_fields(names[0]) if names else None
        if fields is None:
            return None
        self._places_at("signature", fields.at)
        return signature(self._reading, fields)

    def _name(self, fields: Fields, what: str) -> str:
        return identifier(self._reading, fields.text("name"), what, fields.node("name"), fields.path_of("name"))

    def _each(
        self,
        name: str,
        read: Callable[[Node, str], _T],
        sequence: Callable[[str], tuple[Node, ...]] | None = None,
    ) -> tuple[_T, ...]:
        """What ``read`` makes of every item of a sequence; faulty items are left out, their errors kept."""
        items = self._reading.attempt(partial(sequence or self._fields.sequence_or_empty, name)) or ()
        decoded: list[_T] = []
        for index, item in enumerate(items):
            path = f"{name}[{index}]"
            self._places_at(path, item)
            value = self._reading.attempt(partial(read, item, path))
            if value is not None:
                decoded.append(value)
        return tuple(decoded)

    def _named(self, fields: Fields, read: Callable[[Scalar, Node, str], _T]) -> dict[str, _T]:
        """The same for every entry of a mapping, by its key."""
        decoded: dict[str, _T] = {}
        for key, node in fields.entries():
            path = fields.path_of(shown(key.text))
            self._places_at(fields.path_of(key.text), key)
            value = self._reading.attempt(partial(read, key, node, path))
            if value is not None:
                decoded[key.text] = value
        return decoded

    def _places_at(self, path: str, node: Node) -> None:
        self.places[path] = self._reading.place(node)


def _keys_of(node: Node) -> frozenset[str] | None:
    """The keys of a mapping or of the nothing that stands for an empty one; None if it is neither."""
    if isinstance(node, Mapping):
        return frozenset(key.text for key, _ in node.entries)
    return frozenset() if isinstance(node, Scalar) and node.is_empty else None


def _values_of(node: Node, name: str) -> Iterable[Node]:
    return (value for key, value in node.entries if key.text == name) if isinstance(node, Mapping) else ()
