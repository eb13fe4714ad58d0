"""How the fields of event payloads fit the context: ADP-19, then ADP-18 (spec 10 §10, §10.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ergo_cli.core.json import JsonValue
from ergo_cli.core.values import ValueType
from ergo_cli.errors import AdapterError
from ergo_cli.events.adapter.manifest import CONTEXT_TYPES, ContextKey, NamedSchema
from ergo_cli.events.adapter.schemas import (
    SchemaFault,
    describes_object,
    field_type,
    properties_of,
    required_of,
)
from ergo_cli.events.adapter.violation import violation

IndexedEvent = tuple[int, NamedSchema]
"""An event kind and its place in the manifest."""


def check_field_types(events: Iterable[IndexedEvent]) -> Iterator[AdapterError]:
    """ADP-19: payloads are objects, and each declared property has a counterpart in the context."""
    for index, event in events:
        schema = event.payload_schema
        if isinstance(schema, dict) and not describes_object(schema):
            yield violation(
                "ADP-19",
                "EventPayloadSchemaNotObject",
                f"the payload schema of event kind '{event.name}' does not describe an object",
                path=f"$.event_kinds[{index}].payload_schema",
                fix="write type: object and the properties of the payload",
                event=event.name,
                event_index=index,
            )
        else:
            yield from (_unsupported(index, event, name, detail) for name, detail in _unmapped_fields(schema))


def _unmapped_fields(schema: JsonValue) -> Iterator[tuple[str, str]]:
    properties = properties_of(schema)
    undeclared = [name for name in required_of(schema) if name not in properties]
    for name in [*sorted(properties), *undeclared]:
        try:
            field_type(schema, name)
        except SchemaFault as fault:
            yield name, str(fault)


def _unsupported(index: int, event: NamedSchema, field: str, detail: str) -> AdapterError:
    return violation(
        "ADP-19",
        "UnsupportedEventFieldType",
        f"field '{field}' of event kind '{event.name}' cannot enter the context: {detail}",
        path=f"$.event_kinds[{index}].payload_schema.properties.{field}",
        fix=f"declare '{field}' as number, integer, boolean, string or an array of numbers",
        event=event.name,
        field=field,
        detail=detail,
        event_index=index,
    )


def check_field_provisions(events: Iterable[IndexedEvent], keys: Sequence[ContextKey]) -> Iterator[AdapterError]:
    """ADP-18: each required field has a context key of its name and type.

    Fields that ADP-19 refuses, and keys whose type ADP-6 refuses, are passed over.
    """
    provided = {key.name: key.type for key in keys}
    for index, event in events:
        for field, expected in _required_types(event.payload_schema):
            if field not in provided:
                yield _not_provided(index, event, field, expected)
            elif provided[field] in CONTEXT_TYPES and provided[field] != expected.value:
                yield _mistyped(index, event, field, expected, provided[field])


def _required_types(schema: JsonValue) -> Iterator[tuple[str, ValueType]]:
    for name in required_of(schema):
        try:
            yield name, field_type(schema, name)
        except SchemaFault:
            continue


def _not_provided(index: int, event: NamedSchema, field: str, expected: ValueType) -> AdapterError:
    return violation(
        "ADP-18",
        "RequiredEventFieldNotProvided",
        f"event kind '{event.name}' requires '{field}', but no context key has this name",
        path=f"$.event_kinds[{index}].payload_schema.properties.{field}",
        fix=f"add a context key '{field}' of type {expected.value}",
        event=event.name,
        field=field,
        event_index=index,
    )


def _mistyped(index: int, event: NamedSchema, field: str, expected: ValueType, got: str) -> AdapterError:
    return violation(
        "ADP-18",
        "RequiredEventFieldTypeMismatch",
        f"event kind '{event.name}' requires '{field}' as {expected.value}, but the context key is {got}",
        path=f"$.event_kinds[{index}].payload_schema.properties.{field}",
        fix=f"declare context key '{field}' as {expected.value}, or change the schema",
        event=event.name,
        field=field,
        expected=expected.value,
        got=got,
        event_index=index,
    )
