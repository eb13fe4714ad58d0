"""Compiling an adapter's event kinds, once, before the first event (spec 10 §12.1)."""

from __future__ import annotations

from collections.abc import Iterator

from ergo_cli.core.json import JsonValue
from ergo_cli.errors import AdapterError
from ergo_cli.events.adapter.binding import BoundKind
from ergo_cli.events.adapter.provides import Provides
from ergo_cli.events.adapter.schemas import (
    SchemaFault,
    compile_schema,
    field_type,
    properties_of,
    required_of,
)


def compile_events(provides: Provides) -> tuple[dict[str, BoundKind], list[AdapterError]]:
    """The event kinds ready to bind, and every fault that keeps one from binding, in manifest order."""
    kinds: dict[str, BoundKind] = {}
    faults: list[AdapterError] = []
    for name, schema in provides.event_schemas.items():
        try:
            validator = compile_schema(schema)
        except SchemaFault as fault:
            faults.append(_schema_fault(name, str(fault)))
            continue
        faults += _check_required(provides, name, schema)
        mergeable = sorted(provides.context.keys() & properties_of(schema).keys())
        remembers = any(provides.context[key].writable for key in mergeable)
        kinds[name] = BoundKind(name, validator, tuple(mergeable), remembers)
    return kinds, faults


def _check_required(provides: Provides, kind: str, schema: JsonValue) -> Iterator[AdapterError]:
    for field in required_of(schema):
        try:
            expected = field_type(schema, field).value
        except SchemaFault as fault:
            yield _unsupported(kind, field, str(fault))
        else:
            yield from _check_provision(provides, kind, field, expected)


def _check_provision(provides: Provides, kind: str, field: str, expected: str) -> Iterator[AdapterError]:
    provided = provides.context.get(field)
    if provided is None:
        message = f"event kind '{kind}' requires '{field}', but no context key has this name"
        fix = f"add a context key '{field}' of type {expected}"
        yield _fault("MissingContextProvision", message, fix, kind, f"field={field}")
    elif provided.type != expected:
        message = f"event kind '{kind}' requires '{field}' as {expected}, but the context key is {provided.type}"
        data = (f"field={field}", f"expected={expected}", f"got={provided.type}")
        yield _fault("ContextTypeMismatch", message, f"declare context key '{field}' as {expected}", kind, *data)


def _schema_fault(kind: str, detail: str) -> AdapterError:
    message = f"the payload schema of event kind '{kind}' cannot be compiled: {detail}"
    return _fault("InvalidSchema", message, "correct the schema", kind, f"detail={detail}")


def _unsupported(kind: str, field: str, detail: str) -> AdapterError:
    message = f"field '{field}' of event kind '{kind}' cannot enter the context: {detail}"
    fix = f"declare '{field}' as number, integer, boolean, string or an array of numbers"
    return _fault("UnsupportedFieldType", message, fix, kind, f"field={field}", f"detail={detail}")


def _fault(name: str, message: str, fix: str, kind: str, *data: str) -> AdapterError:
    where = f"event kind '{kind}'"
    return AdapterError(name, message, where=where, fix=fix, details=(f"kind={kind}", *data))
