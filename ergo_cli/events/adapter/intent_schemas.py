"""Whether the schema of an accepted effect fits the intent that a program emits (COMP-19, spec 10 §14.4)."""

from __future__ import annotations

from ergo_cli.core.declarations import IntentFieldSpec, IntentSpec
from ergo_cli.core.json import JsonValue
from ergo_cli.core.values import ValueType

_BANNED = ("$ref", "oneOf", "anyOf", "allOf", "not", "if", "then", "else")
_SCHEMA_TYPES = {
    ValueType.NUMBER: "number",
    ValueType.BOOL: "boolean",
    ValueType.STRING: "string",
    ValueType.SERIES: "array",
}


def schema_mismatch(intent: IntentSpec, schema: JsonValue) -> str | None:
    """Why the accepted payload schema does not fit the intent; None if it does."""
    if not isinstance(schema, dict):
        return "the schema is not an object"
    banned = _banned_keyword(schema)
    if banned is not None:
        return f"the schema uses '{banned}'"
    if schema.get("type") != "object":
        return "the schema's type is not 'object'"
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return "the schema has no properties"
    return _required_mismatch(intent, schema.get("required", [])) or _fields_mismatch(intent, properties)


def _required_mismatch(intent: IntentSpec, required: JsonValue) -> str | None:
    if not isinstance(required, list):
        return "the schema's 'required' is not a list"
    fields = {field.name for field in intent.fields}
    for name in required:
        if not isinstance(name, str):
            return "the schema's 'required' holds something that is not a string"
        if name not in fields:
            return f"the schema requires '{name}', which is no field of the intent"
    return None


def _fields_mismatch(intent: IntentSpec, properties: dict[str, JsonValue]) -> str | None:
    for field in intent.fields:
        if field.name not in properties:
            return f"field '{field.name}' is no property of the schema"
        mismatch = _field_mismatch(field, properties[field.name])
        if mismatch is not None:
            return f"field '{field.name}' {mismatch}"
    return None


def _field_mismatch(field: IntentFieldSpec, schema: JsonValue) -> str | None:
    if not isinstance(schema, dict):
        return "has a schema that is not an object"
    banned = _banned_keyword(schema)
    if banned is not None:
        return f"has a schema that uses '{banned}'"
    wanted = _SCHEMA_TYPES.get(field.type)
    if wanted is None or schema.get("type") != wanted:
        return f"is {field.type.value}, which needs a schema of type '{wanted}', got {schema.get('type')!r}"
    if field.type is ValueType.SERIES:
        return _items_mismatch(schema.get("items"))
    return None


def _items_mismatch(items: JsonValue) -> str | None:
    if not isinstance(items, dict) or _banned_keyword(items) is not None or items.get("type") != "number":
        return "is Series, which needs items of type 'number'"
    return None


def _banned_keyword(schema: dict[str, JsonValue]) -> str | None:
    return next((keyword for keyword in _BANNED if keyword in schema), None)
