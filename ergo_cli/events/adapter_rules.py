"""The registration rules of adapter manifests: ADP-1 … ADP-19 (spec 10 §10), and those of ``adapter_bindings``."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from ergo_cli.core.diagnostics import repeats
from ergo_cli.core.json import JsonValue
from ergo_cli.core.semver import Version
from ergo_cli.core.values import SET_CONTEXT, ValueType
from ergo_cli.errors import AdapterError
from ergo_cli.events.adapter_bindings import check_bindings
from ergo_cli.events.adapter_manifest import CONTEXT_TYPES, AdapterManifest, ContextKey, NamedSchema, violation
from ergo_cli.events.adapter_schemas import (
    SchemaFault,
    check_event_schema,
    check_schema,
    describes_object,
    field_type,
    is_flat,
    is_open,
    properties_of,
    required_of,
)

RUNTIME_LEVEL = "0.1.0-alpha.1"
"""The level of bundle compatibility that ``runtime_compatibility`` is held against; not the product's own version."""

_ID = re.compile(r"[a-z][a-z0-9_]*")
_SCHEMA_FIX = (
    "correct the schema: Draft 2020-12, closed objects, no unions, no references to other documents, plain patterns"
)
_META_FIELDS = ("meta.adapter_id", "meta.adapter_version", "meta.timestamp")


def check_manifest(manifest: AdapterManifest) -> list[AdapterError]:
    """Every rule that the manifest breaks, in the order in which the rules are checked; the first is the headline.

    ADP-18 to ADP-21 skip event kinds whose schema ADP-8 refuses: their faults would follow from it. ADP-18 and ADP-19
    are about members that a context key binds by their name; only in an adapter whose payloads enter the context as
    they are must every member be one that can, and every required member have its key.
    ADP-15 and ADP-16 exist by name only.
    """
    faults = [fault for rule in _RULES for fault in rule(manifest)]
    refused = {fault.path for fault in faults if fault.rule == "ADP-8"}
    events = [
        (index, event)
        for index, event in enumerate(manifest.event_kinds)
        if f"$.event_kinds[{index}].payload_schema" not in refused
    ]
    faults += check_field_types(events, manifest.context_keys)
    faults += check_field_provisions(events, manifest.context_keys)
    faults += check_bindings(events, manifest.context_keys)
    return faults


def _id(manifest: AdapterManifest) -> Iterator[AdapterError]:
    if not _ID.fullmatch(manifest.id):
        message = f"adapter id '{manifest.id}' is not lower-case letters, digits and underscores after a letter"
        fix = "choose an id like 'order_desk'"
        yield violation("ADP-1", "InvalidId", message, path="$.id", fix=fix, id=manifest.id)


def _version(manifest: AdapterManifest) -> Iterator[AdapterError]:
    if _semver(manifest.version) is None:
        message = f"version '{manifest.version}' is not a semver version"
        fix = "write three numbers, like 1.0.0"
        yield violation("ADP-2", "InvalidVersion", message, path="$.version", fix=fix, version=manifest.version)


def _semver(text: str) -> Version | None:
    try:
        return Version.parse(text)
    except ValueError:
        return None


def _runtime(manifest: AdapterManifest) -> Iterator[AdapterError]:
    text, path = manifest.runtime_compatibility, "$.runtime_compatibility"
    required, actual = _semver(text), Version.parse(RUNTIME_LEVEL)
    fix = f"write runtime_compatibility: {RUNTIME_LEVEL}"
    if required is None:
        message = f"runtime_compatibility '{text}' is not a semver version"
        yield violation("ADP-3", "InvalidRuntimeCompatibility", message, path=path, fix=fix, version=text)
    elif actual < required:
        message = f"the adapter requires runtime {text}, this one is {RUNTIME_LEVEL}{_trap(text)}"
        name = "IncompatibleRuntime"
        yield violation("ADP-3", name, message, path=path, fix=fix, required=text, actual=RUNTIME_LEVEL)


def _trap(required: str) -> str:
    if required == RUNTIME_LEVEL.partition("-")[0]:
        return f": a pre-release ({RUNTIME_LEVEL}) is lower than its release ({required})"
    if required.startswith(RUNTIME_LEVEL + "+"):
        return ": a version with build metadata is higher than the same without"
    return ""


def _provides_something(manifest: AdapterManifest) -> Iterator[AdapterError]:
    if not manifest.context_keys and not manifest.event_kinds:
        message = "the adapter declares neither context keys nor event kinds"
        fix = "declare at least one context key or one event kind"
        yield violation("ADP-4", "ProvidesNothing", message, path=None, fix=fix)


def _distinct_keys(manifest: AdapterManifest) -> Iterator[AdapterError]:
    for second, first in repeats(key.name for key in manifest.context_keys).items():
        name = manifest.context_keys[second].name
        message = f"context key '{name}' is declared twice (first as item {first})"
        path, fix = f"$.context_keys[{second}].name", "remove or rename one of them"
        yield violation(
            "ADP-5",
            "DuplicateContextKey",
            message,
            path=path,
            fix=fix,
            name=name,
            first_index=first,
            second_index=second,
        )


def _key_types(manifest: AdapterManifest) -> Iterator[AdapterError]:
    for index, key in enumerate(manifest.context_keys):
        if key.type not in CONTEXT_TYPES:
            message = f"context key '{key.name}' has unknown type '{key.type}'"
            path, fix = f"$.context_keys[{index}].type", f"use one of {', '.join(CONTEXT_TYPES)}"
            name = "InvalidContextKeyType"
            yield violation("ADP-6", name, message, path=path, fix=fix, name=key.name, got=key.type, index=index)


def _distinct_events(manifest: AdapterManifest) -> Iterator[AdapterError]:
    for index in repeats(event.name for event in manifest.event_kinds):
        name = manifest.event_kinds[index].name
        message = f"event kind '{name}' is declared twice"
        path, fix = f"$.event_kinds[{index}].name", "remove or rename one of them"
        yield violation("ADP-7", "DuplicateEventKind", message, path=path, fix=fix, name=name, index=index)


def _event_schemas(manifest: AdapterManifest) -> Iterator[AdapterError]:
    bound = _bound_by_name(manifest.context_keys)
    for index, name, error in _refused(manifest.event_kinds, lambda schema: check_event_schema(schema, bound)):
        message = f"the payload schema of event kind '{name}' is refused: {error}"
        path = f"$.event_kinds[{index}].payload_schema"
        yield violation(
            "ADP-8", "InvalidPayloadSchema", message, path=path, fix=_SCHEMA_FIX, event=name, error=error, index=index
        )


def _effect_schemas(manifest: AdapterManifest) -> Iterator[AdapterError]:
    for index, name, error in _refused(manifest.accepted_effects, check_schema):
        message = f"the payload schema of effect '{name}' is refused: {error}"
        path = f"$.accepts.effects[{index}].payload_schema"
        yield violation(
            "ADP-13", "InvalidEffectSchema", message, path=path, fix=_SCHEMA_FIX, effect=name, error=error, index=index
        )


def _refused(named: Iterable[NamedSchema], check: Callable[[JsonValue], str | None]) -> Iterator[tuple[int, str, str]]:
    for index, item in enumerate(named):
        error = check(item.payload_schema)
        if error is not None:
            yield index, item.name, error


def _capture_format(manifest: AdapterManifest) -> Iterator[AdapterError]:
    if not manifest.capture.format_version:
        message, fix = "capture.format_version is empty", 'write format_version: "1"'
        yield violation("ADP-9", "NoCaptureFormat", message, path="$.capture.format_version", fix=fix)


def _capture_fields(manifest: AdapterManifest) -> Iterator[AdapterError]:
    known = [f"event.{event.name}" for event in manifest.event_kinds] + list(_META_FIELDS)
    for index, field in enumerate(manifest.capture.fields):
        if field not in known:
            message = f"capture field '{field}' names nothing that this adapter has"
            path, fix = f"$.capture.fields[{index}]", f"use one of {', '.join(known)}"
            yield violation("ADP-10", "InvalidCaptureField", message, path=path, fix=fix, field=field, index=index)


def _writable_flags(manifest: AdapterManifest) -> Iterator[AdapterError]:
    for index, key in enumerate(manifest.context_keys):
        if key.writable is None:
            message = f"context key '{key.name}' does not say whether it is writable"
            path, fix = f"$.context_keys[{index}].writable", "add writable: true or writable: false"
            yield violation("ADP-11", "MissingWritableFlag", message, path=path, fix=fix, key=key.name, index=index)


def _distinct_effects(manifest: AdapterManifest) -> Iterator[AdapterError]:
    for index in repeats(effect.name for effect in manifest.accepted_effects):
        name = manifest.accepted_effects[index].name
        message = f"effect '{name}' is accepted twice"
        path, fix = f"$.accepts.effects[{index}].name", "remove one of them"
        yield violation("ADP-12", "DuplicateEffectName", message, path=path, fix=fix, name=name, index=index)


def _writable_needs_effect(manifest: AdapterManifest) -> Iterator[AdapterError]:
    writable = [key.name for key in manifest.context_keys if key.writable]
    if writable and all(effect.name != SET_CONTEXT for effect in manifest.accepted_effects):
        keys = ", ".join(writable)
        message = f"context keys are writable ({keys}), but effect '{SET_CONTEXT}' is not accepted"
        path, fix = "$.accepts.effects", f"add '{SET_CONTEXT}' to accepts.effects, or make the keys read-only"
        yield violation("ADP-14", "WritableWithoutSetContext", message, path=path, fix=fix, keys=keys)


def _writable_not_required(manifest: AdapterManifest) -> Iterator[AdapterError]:
    for index, key in enumerate(manifest.context_keys):
        if key.writable and key.required:
            message = f"context key '{key.name}' is writable and required: nothing has written it at the first event"
            path, fix = f"$.context_keys[{index}]", "write required: false or writable: false"
            yield violation("ADP-17", "WritableKeyRequired", message, path=path, fix=fix, key=key.name, index=index)


_RULES: tuple[Callable[[AdapterManifest], Iterator[AdapterError]], ...] = (
    _id,
    _version,
    _runtime,
    _provides_something,
    _distinct_keys,
    _key_types,
    _distinct_events,
    _event_schemas,
    _capture_format,
    _capture_fields,
    _writable_flags,
    _distinct_effects,
    _effect_schemas,
    _writable_needs_effect,
    _writable_not_required,
)


IndexedEvent = tuple[int, NamedSchema]
"""An event kind and its place in the manifest."""


def _bound_by_name(keys: Iterable[ContextKey]) -> frozenset[str]:
    """The members that context keys bind by their name, and without a default."""
    return frozenset(key.name for key in keys if key.is_plain)


def check_field_types(events: Iterable[IndexedEvent], keys: Sequence[ContextKey]) -> Iterator[AdapterError]:
    """ADP-19: payloads are objects, and each member that a context key binds has a counterpart in the context."""
    bound = _bound_by_name(keys)
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
            yield from (_unsupported(index, event, name, detail) for name, detail in _unmapped_fields(schema, bound))


def _unmapped_fields(schema: JsonValue, bound: Collection[str]) -> Iterator[tuple[str, str]]:
    properties = properties_of(schema)
    checked = [name for name in sorted(properties) if name in bound]
    undeclared = [name for name in required_of(schema) if name not in properties]
    for name in [*checked, *(name for name in undeclared if name in bound or not is_open(schema))]:
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
    events = list(events)
    provided = {key.name: key.type for key in keys if key.is_plain}
    selects = not all(key.is_plain for key in keys) or not all(is_flat(event.payload_schema) for _, event in events)
    for index, event in events:
        for field, expected in _required_types(event.payload_schema):
            if field not in provided:
                if selects:
                    continue
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
