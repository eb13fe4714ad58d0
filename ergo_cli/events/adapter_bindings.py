"""The rules of context keys that name their place in the payload, or a default: ADP-20 and ADP-21.

ADP-20 is about places: the path of ``from`` is one, leads somewhere in a payload schema, and has the key's type there.
ADP-21 is about defaults: a default is of the key's type, and a member that may be null has one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import UNSET

from ergo_cli.core.diagnostics import did_you_mean
from ergo_cli.core.json import JsonValue, free_text
from ergo_cli.errors import AdapterError
from ergo_cli.events.adapter_manifest import CONTEXT_TYPES, ContextKey, NamedSchema, violation
from ergo_cli.events.adapter_schemas import properties_of
from ergo_cli.events.context_selection import fits_type
from ergo_cli.events.external import json_type
from ergo_cli.events.payload_paths import PayloadPath
from ergo_cli.events.schema_places import Astray, SchemaPlace, place_of

_WRITE_PATH = "write a path such as data.object.amount, items[0].price or attributes[key=env].value.stringValue"
_EXAMPLES = {"Number": "0", "Bool": "false", "String": '""', "Series": "[]"}


def check_bindings(events: Sequence[tuple[int, NamedSchema]], keys: Sequence[ContextKey]) -> Iterator[AdapterError]:
    """ADP-20 and ADP-21 for keys with a path or a default, in the order of the keys; ``events`` with their places."""
    for index, key in enumerate(keys):
        if key.source is not UNSET:
            yield from _check_source(index, key, key.source, events)
        elif key.default is not UNSET:
            path = PayloadPath.of_member(key.name)
            yield from _check_places(index, key, path, _reached(path, events))
        if key.default is not UNSET and key.type in CONTEXT_TYPES and not fits_type(key.default, key.type):
            yield _default_mistyped(index, key, key.default)


_Reached = Iterable[tuple[NamedSchema, SchemaPlace]]


def _reached(path: PayloadPath, events: Iterable[tuple[int, NamedSchema]]) -> _Reached:
    """What is at the path in the schemas in which it leads somewhere."""
    for _, event in events:
        place = place_of(event.payload_schema, path)
        if isinstance(place, SchemaPlace):
            yield event, place


def _check_source(
    index: int, key: ContextKey, source: str, events: Sequence[tuple[int, NamedSchema]]
) -> Iterator[AdapterError]:
    yield from _check_name(index, key, events)
    try:
        path = PayloadPath.parse(source)
    except ValueError as error:
        yield _place_fault(index, key, "InvalidPath", f"context key '{key.name}': {error}", _WRITE_PATH)
        return
    reached = list(_reached(path, events))
    if reached:
        yield from _check_places(index, key, path, reached)
    else:
        yield _leads_nowhere(index, key, path, events)


def _check_name(index: int, key: ContextKey, events: Iterable[tuple[int, NamedSchema]]) -> Iterator[AdapterError]:
    """A key from a place is not the member of its name too, neither the event's nor one that memory brings back."""
    named = next((event.name for _, event in events if key.name in properties_of(event.payload_schema)), None)
    if named is not None:
        message = (
            f"context key '{key.name}' comes from '{key.source}', and event kind '{named}' has a member of its name"
        )
        fix = f"rename the key, or remove `from` to bind the member '{key.name}'"
        yield _place_fault(index, key, "BoundByNameToo", message, fix, event=named)
    if key.writable:
        message = f"context key '{key.name}' comes from '{key.source}' of the payload, so no action can write it"
        fix = "write writable: false, and declare another key for what actions write"
        yield _place_fault(index, key, "WritableWithPath", message, fix)


def _check_places(index: int, key: ContextKey, path: PayloadPath, reached: _Reached) -> Iterator[AdapterError]:
    for event, place in reached:
        where = f"'{path.text}' of event kind '{event.name}'"
        if place.type is None:
            message = f"{where} cannot become context key '{key.name}': {place.fault}"
            fix = "declare it as number, integer, boolean, string or an array of numbers, or bind a part of it"
            yield _place_fault(index, key, "UnsupportedPlace", message, fix, event=event.name, detail=place.fault)
        elif key.type in CONTEXT_TYPES and place.type.value != key.type:
            message = f"context key '{key.name}' is {key.type}, but {where} is {place.type.value}"
            fix = f"declare the key as {place.type.value}, or change the schema"
            yield _place_fault(
                index, key, "PlaceTypeMismatch", message, fix, event=event.name, expected=key.type, got=place.type.value
            )
        if place.is_nullable and key.default is UNSET:
            yield _without_default(index, key, where, event)


def _leads_nowhere(
    index: int, key: ContextKey, path: PayloadPath, events: Iterable[tuple[int, NamedSchema]]
) -> AdapterError:
    """The fault of a path that is in no schema; it says how far the path leads where it leads farthest."""
    astray = [
        (place, event) for _, event in events if isinstance(place := place_of(event.payload_schema, path), Astray)
    ]
    message, fix = f"context key '{key.name}': '{path.text}' leads nowhere, there is no event kind", _WRITE_PATH
    if astray:
        place, event = max(astray, key=lambda each: each[0].steps)
        missing, before = path.step_text(place.steps), path.text_of(place.steps)
        inside = f"'{before}' has no '{missing}'" if before else f"there is no '{missing}'"
        message = (
            f"context key '{key.name}': '{path.text}' leads nowhere in the payload schemas: "
            f"in event kind '{event.name}' {inside}"
        )
        hint = did_you_mean(missing, place.known)
        fix = hint or f"correct the path, or declare what it leads to in the payload_schema of '{event.name}'"
    return _place_fault(index, key, "PathLeadsNowhere", message, fix, source=path.text)


def _place_fault(index: int, key: ContextKey, name: str, message: str, fix: str, /, **data: str | None) -> AdapterError:
    place = f"$.context_keys[{index}]" + ("" if key.source is UNSET else ".from")
    return violation("ADP-20", name, message, path=place, fix=fix, key=key.name, **data)


def _default_mistyped(index: int, key: ContextKey, default: JsonValue) -> AdapterError:
    got, text = json_type(default), free_text(default).decode()
    return violation(
        "ADP-21",
        "DefaultTypeMismatch",
        f"context key '{key.name}' is {key.type}, but its default is of JSON type {got}: {text}",
        path=f"$.context_keys[{index}].default",
        fix=f"write a default of type {key.type}, such as {_EXAMPLES[key.type]}",
        key=key.name,
        expected=key.type,
        got=got,
    )


def _without_default(index: int, key: ContextKey, where: str, event: NamedSchema) -> AdapterError:
    example = _EXAMPLES.get(key.type, "0")
    return violation(
        "ADP-21",
        "NullableWithoutDefault",
        f"context key '{key.name}' has no default, but {where} may be null",
        path=f"$.context_keys[{index}]",
        fix=f"say what the key is then, such as default: {example}, or declare the member without null",
        key=key.name,
        event=event.name,
    )
