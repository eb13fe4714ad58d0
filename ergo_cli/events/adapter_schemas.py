"""Payload schemas: which are refused, how they are compiled, what a property maps to (spec 10 §10.1–10.3)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, NoReturn

from ergo_cli.core.json import JsonValue
from ergo_cli.core.values import ValueType

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator, ValidationError


_UNIONS = ("oneOf", "anyOf")
_NAME_MAPS = ("properties", "patternProperties", "dependentSchemas", "$defs")
_CONSTANTS = ("enum", "const", "default", "examples")
_TYPES = {
    "number": ValueType.NUMBER,
    "integer": ValueType.NUMBER,
    "boolean": ValueType.BOOL,
    "string": ValueType.STRING,
}
_LONGEST_COMPLAINT = 300

PATTERN_LIMIT = 4096
"""The most characters of one pattern, before it is compiled."""

PATTERNS_LIMIT = 16_384
"""The most characters of all patterns of a schema together."""

_COMPILED_LIMIT = 2**18
"""The most bytes of one compiled pattern: repeats of repeats are multiplied out."""

_NO_PATTERN = (
    "a pattern is matched in linear time: it has no look-around and no back-reference, and its repeats multiply to "
    f"at most {_COMPILED_LIMIT // 2**10} KiB"
)


class SchemaFault(ValueError):
    """A schema, or one of its properties, that an adapter may not have; the message says what and where."""


def compile_schema(schema: JsonValue, *, formats: bool = False) -> Draft202012Validator:
    """The Draft 2020-12 validator; asserts ``formats`` if asked to, and retrieves nothing. Raises SchemaFault."""
    from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

    if not isinstance(schema, dict):
        raise SchemaFault("the schema must be a JSON object")
    _check_pattern_sizes(schema)
    linear = RegexOptions(size_limit=_COMPILED_LIMIT, dfa_size_limit=_COMPILED_LIMIT)
    try:
        return Draft202012Validator(
            schema, validate_formats=formats, retriever=_refuse_retrieval, pattern_options=linear
        )
    except ValidationError as error:
        why = f"; {_NO_PATTERN}" if error.message.endswith('is not a "regex"') else ""
        raise SchemaFault(complaint(error) + why) from error


def _check_pattern_sizes(schema: JsonValue) -> None:
    """Refuse patterns that would take long to compile. Raises SchemaFault."""
    total = 0
    for pattern, path in _patterns(schema, ()):
        total += len(pattern)
        if len(pattern) > PATTERN_LIMIT:
            raise SchemaFault(f"{_json_path(path)}: a pattern longer than {PATTERN_LIMIT} characters")
        if total > PATTERNS_LIMIT:
            raise SchemaFault(f"{_json_path(path)}: the patterns have more than {PATTERNS_LIMIT} characters together")


def _patterns(node: JsonValue, path: tuple[str | int, ...]) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """Whatever may be a pattern, with its place; blind, as ``_banned`` is."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "pattern" and isinstance(value, str):
                yield value, (*path, name)
            elif name == "patternProperties" and isinstance(value, dict):
                for pattern in value:
                    yield pattern, (*path, name)
            yield from _patterns(value, (*path, name))
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _patterns(item, (*path, index))


def _refuse_retrieval(uri: str) -> NoReturn:
    raise ValueError(f"'{uri}' lies outside the schema, and nothing is fetched")


def check_schema(schema: JsonValue) -> str | None:
    """Why the schema of an effect is refused (ADP-13); None if it is not."""
    return _refusal(schema, schema)


def check_event_schema(schema: JsonValue, bound: Collection[str]) -> str | None:
    """Why the schema of an event is refused (ADP-8); None if it is not.

    The payload itself is a closed object, or says that it is open, and neither it nor the members in ``bound`` have
    unions. Any other member may have any schema.
    """
    return _refusal(schema, _restricted(schema, bound))


def is_flat(schema: JsonValue) -> bool:
    """Whether an event schema has only members that can enter the context: no unions, no open or nested objects."""
    try:
        for name in properties_of(schema):
            field_type(schema, name)
    except SchemaFault:
        return False
    return next(_banned(schema, ()), None) is None


def is_open(schema: JsonValue) -> bool:
    """Whether an event schema says that payloads may have members that it does not name."""
    return isinstance(schema, dict) and schema.get("additionalProperties", False) is not False


def _restricted(schema: JsonValue, bound: Collection[str]) -> JsonValue:
    """What of an event schema the bans hold for."""
    if not isinstance(schema, dict):
        return schema
    kept = {name: value for name, value in schema.items() if name not in ("$defs", "patternProperties")}
    if isinstance(properties := schema.get("properties"), dict):
        kept["properties"] = {name: value for name, value in properties.items() if name in bound}
    if is_open(schema):
        kept["additionalProperties"] = False
    return kept


def _refusal(schema: JsonValue, restricted: JsonValue) -> str | None:
    if not isinstance(schema, dict):
        return "the schema must be a JSON object"
    banned = next(_banned(restricted, ()), None)
    if banned is not None:
        return banned
    try:
        compile_schema(schema)
    except SchemaFault as fault:
        return str(fault)
    return None


def complaint(error: ValidationError) -> str:
    """The validator's sentence, led by the member it is about and ended by the keyword that it broke."""
    place = _json_path(error.instance_path)
    keyword = next((step for step in reversed(error.schema_path) if isinstance(step, str)), None)
    text = error.message
    if len(text) > _LONGEST_COMPLAINT:
        half = _LONGEST_COMPLAINT // 2
        text = f"{text[:half]} … {text[-half:]}"
    return f"{place}: {text}" + (f" (keyword '{keyword}')" if keyword else "")


def _json_path(steps: Iterable[str | int]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _banned(node: JsonValue, path: tuple[str | int, ...]) -> Iterator[str]:
    """What §10.1 bans, in pre-order, members by name. Blind: names and constants are read as schemas too."""
    if isinstance(node, dict):
        yield from _banned_here(node, path)
        for name in sorted(node):
            yield from _banned(node[name], (*path, name))
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from _banned(item, (*path, index))


def _banned_here(node: dict[str, JsonValue], path: tuple[str | int, ...]) -> Iterator[str]:
    place, note = _json_path(path), _blindness(path)
    for keyword in _UNIONS:
        if keyword in node:
            yield f"'{keyword}' at {place} is not allowed{note}"
    if "$ref" in node:
        reference = node["$ref"]
        if not isinstance(reference, str) or not reference.startswith("#"):
            yield f"'$ref' at {place} must point into the schema itself (begin with '#'){note}"
    if ("properties" in node or _is_object_type(node.get("type"))) and node.get("additionalProperties") is not False:
        yield f"the object schema at {place} must have 'additionalProperties: false'{note}"


def _blindness(path: tuple[str | int, ...]) -> str:
    if path and path[-1] in _NAME_MAPS:
        return " (the check does not tell a property's name from a keyword)"
    if any(step in _CONSTANTS for step in path):
        return " (the check does not tell a constant from a schema)"
    return ""


def _is_object_type(declared: JsonValue) -> bool:
    return declared == "object" or (isinstance(declared, list) and "object" in declared)


def describes_object(schema: dict[str, JsonValue]) -> bool:
    """Whether the schema is one of objects: it has ``properties``, or its ``type`` allows ``object`` (ADP-19)."""
    return "properties" in schema or _is_object_type(schema.get("type"))


def properties_of(schema: JsonValue) -> dict[str, JsonValue]:
    """The declared properties; none if the schema has no such member."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return properties if isinstance(properties, dict) else {}


def required_of(schema: JsonValue) -> list[str]:
    """The required fields, as written."""
    required = schema.get("required") if isinstance(schema, dict) else None
    return [name for name in required if isinstance(name, str)] if isinstance(required, list) else []


def context_type(schema: JsonValue) -> ValueType:
    """The context type that a property maps to. Raises SchemaFault where it maps to none."""
    if not isinstance(schema, dict):
        raise SchemaFault("field schema must be an object")
    declared = schema.get("type")
    match declared:
        case None:
            raise SchemaFault("the field has no 'type'")
        case list():
            raise SchemaFault("the field has a union of types")
        case "array":
            return _series_type(schema.get("items"))
        case str() if declared in _TYPES:
            return _TYPES[declared]
        case _:
            raise SchemaFault(f"type '{declared}' has no counterpart in the context")


def field_type(schema: JsonValue, field: str) -> ValueType:
    """The context type of a field. Raises SchemaFault where it is not declared or maps to none."""
    properties = properties_of(schema)
    if field not in properties:
        raise SchemaFault("it is required, but not declared in 'properties'")
    return context_type(properties[field])


def _series_type(items: JsonValue) -> ValueType:
    if not isinstance(items, dict):
        raise SchemaFault("an array needs 'items' of type number")
    match items:
        case {"type": "number" | "integer"}:
            return ValueType.SERIES
        case _:
            raise SchemaFault("only arrays of numbers have a counterpart in the context")
