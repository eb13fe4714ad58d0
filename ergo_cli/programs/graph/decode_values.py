"""Parameter bindings and parameter defaults of a cluster document (spec 21 §3, §4.1)."""

from __future__ import annotations

from ergo_cli.core.documents import Mapping, Node, Scalar, Sequence
from ergo_cli.core.reading import Reading, described, is_null, shown
from ergo_cli.core.scalars import ScalarError, ScalarValue, resolve
from ergo_cli.errors import DocumentError
from ergo_cli.programs.graph.decode_names import check_identifier
from ergo_cli.programs.graph.definition import Binding, DeriveKey, Exposed, Literal
from ergo_cli.programs.graph.parameters import ParameterType, ParameterValue

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
    if not isinstance(node, Scalar) or not isinstance(_resolve(node), str):
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
    value = None if isinstance(node, Sequence) else _resolve(node)
    converted = _converted(value, type_)
    if converted is None:
        message = f"expected {type_.value} default, got {described(node)}"
        raise _default_error(reading, message, node, path, _DEFAULT_FIXES[type_])
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
    slot = _resolve(node) if isinstance(node, Scalar) else None
    if slot == "" or is_null(node):
        raise _default_error(reading, "derive_key slot_name must not be empty", node, path, "name the slot")
    if not isinstance(slot, str):
        message = f"derive_key slot_name must be a string, got {described(node)}"
        raise _default_error(reading, message, node, path, "put the slot name in quotes")
    return slot


def _default_error(reading: Reading, message: str, at: Node, path: str, fix: str) -> DocumentError:
    return reading.error("DEC-DEFAULT", message, at, path, fix)


def _resolve(scalar: Scalar) -> ScalarValue:
    """The value of a scalar; None for a number that no value can hold, which no type has."""
    try:
        return resolve(scalar)
    except ScalarError:
        return None
