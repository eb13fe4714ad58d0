"""The small syntaxes inside a cluster document: identifiers, references, bindings, edges (spec 21 §3–5)."""

from __future__ import annotations

import re
from enum import Enum
from typing import TypeVar
from unicodedata import category

from msgspec import Struct

from ergo_cli.core.diagnostics import did_you_mean
from ergo_cli.core.document_fields import (
    Fields,
    Reading,
    ScalarError,
    ScalarValue,
    described,
    is_null,
    is_out_of_range,
    one_of,
    raw_text,
    resolve,
    shown,
    string,
    type_error,
)
from ergo_cli.core.documents import Mapping, Node, Scalar, Sequence
from ergo_cli.core.semver import Version, parse_selector
from ergo_cli.errors import DocumentError
from ergo_cli.programs.graph.model import Binding, DeriveKey, Edge, Exposed, Literal, PortRef
from ergo_cli.programs.graph.primitives.primitive import ParameterType, ParameterValue

_E = TypeVar("_E", bound=Enum)

_FORBIDDEN = (".", "@", " ", "/", "\\", ":", "$")
_FORBIDDEN_IN_PORTS = (".", " ")
_USUAL = re.compile(r"[A-Za-z0-9_-]+")
_PADDABLE = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def identifier(reading: Reading, text: str, what: str, at: Node, path: str) -> str:
    """A name that the author introduces; warns of unusual characters. Raises DEC-IDENT."""
    check_identifier(reading, text, what, at, path)
    if not _USUAL.fullmatch(text):
        reading.notice(f"{what} '{shown(text)}' has characters other than letters, digits, '-' and '_'", at, path)
    return text


def check_identifier(reading: Reading, text: str, what: str, at: Node, path: str) -> str:
    """A name that has been introduced elsewhere. Raises DEC-IDENT (spec 21 §5.1)."""
    return _checked_name(reading, text, what, identifier_fault(text), at, path)


def check_port(reading: Reading, text: str, what: str, at: Node, path: str) -> str:
    """The port of an edge or output: it may hold more than an identifier. Raises DEC-IDENT."""
    return _checked_name(reading, text, what, _name_fault(text, _FORBIDDEN_IN_PORTS), at, path)


def identifier_fault(text: str) -> str | None:
    """What keeps a text from being an identifier (``must not contain '.'``), or None."""
    return _name_fault(text, _FORBIDDEN)


def _checked_name(reading: Reading, text: str, what: str, fault: str | None, at: Node, path: str) -> str:
    if fault is None:
        return text
    fix = "use letters, digits, '-' and '_'"
    raise reading.error("DEC-IDENT", f"{what} {fault}, got '{shown(text)}'", at, path, fix)


def _name_fault(text: str, forbidden: tuple[str, ...]) -> str | None:
    if not text:
        return "must not be empty"
    for character in forbidden:
        if character in text:
            return "must not contain spaces" if character == " " else f"must not contain '{character}'"
    if any(category(character) == "Cc" for character in text):
        return "must not contain control characters"
    return None


def reference(reading: Reading, text: str, noun: str, at: Node, path: str) -> tuple[str, str]:
    """Id and selector of ``id@selector``: an exact version in canonical form, a requirement as written.

    ``noun`` is ``impl`` or ``cluster``. Raises DEC-REF, DEC-IDENT, DEC-SELECTOR (spec 21 §5.2).
    """
    name, _, selector = text.rpartition("@")
    if not name or not selector:
        message = f"invalid {noun} reference '{shown(text)}': expected 'id@version'"
        raise reading.error("DEC-REF", message, at, path, fix="write id@version, such as add@0.1.0")
    check_identifier(reading, name, f"{noun} id", at, path)
    try:
        return name, str(parse_selector(selector))
    except ValueError as error:
        message = f"invalid {noun} version selector '{shown(selector)}': expected strict semver or semver constraint"
        fix = "write a version such as 0.1.0 or a constraint such as ^0.1 or >=1.2, <2"
        raise reading.error("DEC-SELECTOR", message, at, path, fix) from error


def document_version(reading: Reading, fields: Fields) -> str:
    """The version of the document in canonical form; an unquoted number is padded and warned of (spec 21 §5.3).

    Raises DEC-MISSING, DEC-TYPE, DEC-VERSION.
    """
    node = fields.node("version")
    if not isinstance(node, Scalar):
        raise type_error(reading, node, "version", "a version string")
    text = _version_text(reading, node)
    try:
        return str(Version.parse(text))
    except ValueError as error:
        message = f"invalid cluster version {described(node)}: {error}"
        raise reading.error("DEC-VERSION", message, node, "version", _version_fix(text)) from error


def _version_text(reading: Reading, node: Scalar) -> str:
    value = _value_or_text(node)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return node.text
    padded = _padded(repr(value))
    message = f"version {shown(node.text)} is a number and is read as {padded}; write it in quotes"
    reading.notice(message, node, "version")
    return padded


def _value_or_text(node: Scalar) -> ScalarValue:
    try:
        return resolve(node)
    except ScalarError:
        return node.text


def _padded(text: str) -> str:
    return text + ".0" * (2 - text.count(".")) if _PADDABLE.fullmatch(text) else text


def _version_fix(text: str) -> str:
    return f'write it as "{_padded(text) if _PADDABLE.fullmatch(text) else "1.0.0"}"'


def word(reading: Reading, fields: Fields, name: str, words: dict[str, _E], what: str) -> _E:
    """The meaning of a word that is spelt in any case. Raises DEC-MISSING, DEC-TYPE, DEC-ENUM."""
    text = fields.text(name)
    meaning = words.get(text.lower())
    if meaning is None:
        raise one_of(reading, text, words, what, fields.node(name), fields.path_of(name))
    return meaning


_LITERAL_TYPES: dict[type, ParameterType] = {
    bool: ParameterType.BOOL,
    int: ParameterType.INT,
    float: ParameterType.NUMBER,
    str: ParameterType.STRING,
}
_BINDING = "parameter values must be scalar (a number, a boolean or a string) or {exposed: name}"

_DEFAULT_FIXES = {
    ParameterType.INT: "write an integer without quotes and fraction",
    ParameterType.NUMBER: "write a number without quotes",
    ParameterType.BOOL: "write true or false",
    ParameterType.STRING: "put it in quotes",
    ParameterType.ENUM: "put it in quotes",
    ParameterType.SERIES: "leave the default out",
}


def binding(reading: Reading, node: Node, path: str) -> Binding:
    """What a parameter is bound to: a literal, or a parameter of the enclosing cluster.

    Raises DEC-PARAM; DEC-TYPE and DEC-IDENT for what follows ``exposed``.
    """
    match node:
        case Mapping(entries=((key, value),)) if key.text == "exposed":
            return Exposed(_exposed(reading, value, path))
        case Scalar():
            return Literal(_literal(reading, node, path))
        case _:
            raise _binding_error(reading, _found(node), node, path)


def _exposed(reading: Reading, node: Node, path: str) -> str:
    if not isinstance(node, Scalar) or not isinstance(_value_or_none(node), str):
        message = f"invalid type: 'exposed' must name a parameter, got {described(node)}; {_BINDING}"
        raise reading.error(
            "DEC-TYPE", message, node, path, fix="write the parameter's name, in quotes if it is a number"
        )
    return check_identifier(reading, node.text, "exposed parameter name", node, path)


def _literal(reading: Reading, node: Scalar, path: str) -> ParameterValue:
    try:
        value = resolve(node)
    except ScalarError as error:
        raise _binding_error(reading, str(error), node, path) from error
    if value is None:
        raise _binding_error(reading, "null", node, path)
    return ParameterValue(_LITERAL_TYPES[type(value)], value)


def _binding_error(reading: Reading, found: str, at: Node, path: str) -> DocumentError:
    fix = "write one finite number within 64 bits, true, false, a string or {exposed: name}"
    return reading.error("DEC-PARAM", f"{_BINDING}, got {found}", at, path, fix)


def _found(node: Mapping | Sequence) -> str:
    if isinstance(node, Mapping) and node.entries:
        return "a mapping with the keys " + ", ".join(f"'{shown(key.text)}'" for key, _ in node.entries[:5])
    return described(node)


def default(reading: Reading, node: Node, type_: ParameterType, path: str) -> ParameterValue | DeriveKey:
    """The default of a parameter: a scalar of its type, or a derived key. Raises DEC-DEFAULT."""
    if isinstance(node, Mapping):
        return _derive_key(reading, node, path)
    value = None if isinstance(node, Sequence) else _value_or_none(node)
    converted = _converted(value, type_)
    if converted is None:
        message = f"expected {type_.value} default, got {described(node)}"
        fix = "write a number within the range of a double" if is_out_of_range(node) else _DEFAULT_FIXES[type_]
        raise _default_error(reading, message, node, path, fix)
    return ParameterValue(type_, converted)


def _converted(value: ScalarValue, type_: ParameterType) -> int | float | bool | str | None:
    """The value as the parameter's type has it, or None if it has no such value."""
    match value, type_:
        case bool(), ParameterType.BOOL:
            return value
        case bool(), _:
            return None
        case int(), ParameterType.INT:
            return value
        case int() | float(), ParameterType.NUMBER:
            return float(value)
        case str(), ParameterType.STRING | ParameterType.ENUM:
            return value
        case _:
            return None


def _derive_key(reading: Reading, mapping: Mapping, path: str) -> DeriveKey:
    for key, _ in mapping.entries:
        if key.text != "derive_key":
            message = f"unknown parameter default key '{shown(key.text)}'"
            extra = "; a default mapping must have exactly one key" if len(mapping.entries) > 1 else ""
            raise _default_error(reading, message + extra, key, path, "write {derive_key: slot_name}")
    if not mapping.entries:
        message = "a default mapping must have exactly one key"
        raise _default_error(reading, message, mapping, path, "write {derive_key: slot_name}")
    return DeriveKey(_slot(reading, mapping.entries[0][1], path))


def _slot(reading: Reading, node: Node, path: str) -> str:
    slot = _value_or_none(node) if isinstance(node, Scalar) else None
    if slot == "" or is_null(node):
        raise _default_error(reading, "derive_key slot_name must not be empty", node, path, "name the slot")
    if not isinstance(slot, str):
        message = f"derive_key slot_name must be a string, got {described(node)}"
        raise _default_error(reading, message, node, path, "put the slot name in quotes")
    return slot


def _default_error(reading: Reading, message: str, at: Node, path: str, fix: str) -> DocumentError:
    return reading.error("DEC-DEFAULT", message, at, path, fix)


def _value_or_none(scalar: Scalar) -> ScalarValue:
    """The value of a scalar; None for a number that no value can hold, which no type has."""
    try:
        return resolve(scalar)
    except ScalarError:
        return None


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
    source, target = _structured(reading, node, path) if isinstance(node, Mapping) else _shorthand(reading, node, path)
    declared = _declared_source(reading, source, node, path, scope)
    _check_node(reading, target, "target", node, path, scope)
    return Edge(declared, target)


def output_target(reading: Reading, node: Node, path: str) -> PortRef:
    """The ``node.port`` that an output is taken from. Raises DEC-TYPE, DEC-OUTPUT, DEC-IDENT."""
    text = raw_text(reading, node, path)
    parts = text.split(".")
    if len(parts) != 2 or not all(parts) or " " in text:
        message = f"invalid output target '{shown(text)}': expected 'node.port'"
        raise reading.error("DEC-OUTPUT", message, node, path, fix="write node.port")
    return PortRef(check_identifier(reading, parts[0], "output target node", node, path), parts[1])


def _shorthand(reading: Reading, node: Node, path: str) -> tuple[Source, PortRef]:
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
