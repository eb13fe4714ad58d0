"""Decode graph files: texts in, cluster definitions with places and notices out (spec 21 §4–6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar

from msgspec import Struct

from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.document_fields import STRUCTURAL_CODES, Fields, Reading, shown
from ergo_cli.core.document_parsers import parse_json, parse_yaml
from ergo_cli.core.documents import LimitError, Node, Scalar
from ergo_cli.core.documents import Mapping as MappingNode
from ergo_cli.core.documents import Sequence as SequenceNode
from ergo_cli.core.values import ValueType
from ergo_cli.errors import DocumentError
from ergo_cli.programs.graph.files.syntax import (
    Scope,
    binding,
    check_identifier,
    default,
    document_version,
    edge,
    identifier,
    output_target,
    reference,
    word,
)
from ergo_cli.programs.graph.model import (
    Binding,
    BoundaryFamily,
    ClusterDefinition,
    ClusterNode,
    ClusterParameter,
    Edge,
    ImplNode,
    InputPort,
    OutputPort,
    Signature,
    SignaturePort,
)
from ergo_cli.programs.graph.model import Node as ClusterMember
from ergo_cli.programs.graph.primitives.primitive import Cardinality, ParameterType

UNNAMED = "<memory>"
"""The label of a text that has no name."""


class Decoded(Struct, frozen=True):
    """A definition; ``places`` maps paths in it (``nodes.hot``, ``edges[3]``) to ``label:line:column``."""

    definition: ClusterDefinition
    places: Mapping[str, str]
    notices: tuple[Notice, ...]


def decode_graph_yaml(text: str, label: str = UNNAMED) -> Decoded:
    """The definition that a YAML text holds.

    Raises DocumentError (DEC-*) for the first fault, the other faults of the document in its ``causes``.
    """
    return _decode(text, label, "YAML", parse_yaml)


def decode_graph_json(text: str, label: str = UNNAMED) -> Decoded:
    """The definition that a JSON text holds. Raises as ``decode_graph_yaml``."""
    return _decode(text, label, "JSON", parse_json)


def decode_graph(text: str, label: str = UNNAMED) -> Decoded:
    """The definition that a YAML or JSON text holds: YAML is tried first (spec 21 §6.1).

    Raises the more specific DocumentError of the two readers; DEC-DUAL, with both as causes, where the text is neither.
    """
    try:
        return decode_graph_yaml(text, label)
    except DocumentError as yaml_error:
        try:
            return decode_graph_json(text, label)
        except DocumentError as json_error:
            raise _most_specific(text, label, yaml_error, json_error) from None


def _decode(text: str, label: str, language: str, parse: Callable[[str, str], Node]) -> Decoded:
    reading = Reading(label, shape=f"parse {language} '{label}': ", content=f"graph '{label}': ")
    decoder = ClusterDecoder(parse(text, label), reading)
    definition = decoder.decode()
    return Decoded(definition, decoder.places, tuple(reading.notices))


def _most_specific(text: str, label: str, yaml_error: DocumentError, json_error: DocumentError) -> DocumentError:
    looks_like_json = text.lstrip("\ufeff \t\r\n")[:1] in ("{", "[")
    errors = [json_error, yaml_error] if looks_like_json else [yaml_error, json_error]
    specific = [error for error in errors if error.code != "DEC-SYNTAX" or isinstance(error, LimitError)]
    if not specific:
        return _neither(label, errors)
    return min(specific, key=lambda error: not isinstance(error, LimitError) and error.code in STRUCTURAL_CODES)


def _neither(label: str, errors: list[DocumentError]) -> DocumentError:
    message = f"parse graph '{label}': expected valid YAML or JSON authoring content"
    fix = "write a cluster document as YAML or JSON"
    return DocumentError("DEC-DUAL", message, where=errors[0].where, fix=fix, causes=errors)


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
        node_type = ImplNode if impl is not None else ClusterNode
        return node_type(key.text, name, selector, bindings)

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
        items = inputs.items if isinstance(inputs, SequenceNode) else ()
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
    """The keys of a mapping, none for an absent value, which stands for an empty mapping; None for anything else."""
    if isinstance(node, MappingNode):
        return frozenset(key.text for key, _ in node.entries)
    return frozenset() if isinstance(node, Scalar) and node.is_empty else None


def _values_of(node: Node, name: str) -> Iterable[Node]:
    return (value for key, value in node.entries if key.text == name) if isinstance(node, MappingNode) else ()


VALUE_TYPES = {
    "number": ValueType.NUMBER,
    "series": ValueType.SERIES,
    "bool": ValueType.BOOL,
    "boolean": ValueType.BOOL,
    "event": ValueType.EVENT,
    "string": ValueType.STRING,
}
"""The words for the types of ports, in lower case."""

_BOUNDARY_FAMILIES = {
    word: family
    for stem, family in (
        ("source", BoundaryFamily.SOURCE_LIKE),
        ("compute", BoundaryFamily.COMPUTE_LIKE),
        ("trigger", BoundaryFamily.TRIGGER_LIKE),
        ("action", BoundaryFamily.ACTION_LIKE),
    )
    for word in (f"{stem}_like", f"{stem}like")
}
_CARDINALITIES = {"single": Cardinality.SINGLE, "multiple": Cardinality.MULTIPLE}


def signature(reading: Reading, fields: Fields) -> Signature:
    """The signature; every member of it is required. Raises DEC-MISSING, DEC-TYPE, DEC-ENUM, DEC-IDENT."""
    family = word(reading, fields, "kind", _BOUNDARY_FAMILIES, "boundary kind")
    inputs = tuple(_port(reading, port) for port in fields.fields_each("inputs"))
    outputs = tuple(_port(reading, port) for port in fields.fields_each("outputs"))
    declared = Signature(family, inputs, outputs, fields.boolean("has_side_effects"), fields.boolean("is_origin"))
    fields.finish()
    return declared


def _port(reading: Reading, fields: Fields) -> SignaturePort:
    what = "declared signature port name"
    name = identifier(reading, fields.text("name"), what, fields.node("name"), fields.path_of("name"))
    type_ = word(reading, fields, "type", VALUE_TYPES, "value type")
    cardinality = word(reading, fields, "cardinality", _CARDINALITIES, "cardinality")
    port = SignaturePort(name, type_, cardinality, fields.boolean("wireable"))
    fields.finish()
    return port
