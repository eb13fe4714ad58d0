"""Load, check and compile adapters, and bind events (spec 10 §9–13).

Binding merges an event's payload with the context store and validates it against the schema of its event kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.document_fields import Reading
from ergo_cli.core.documents import NO_ADAPTER, Node
from ergo_cli.core.json import JsonValue
from ergo_cli.core.numbers import Numbers
from ergo_cli.core.values import NativeValue
from ergo_cli.errors import AdapterError, DocumentError, ErgoError, StepError
from ergo_cli.events.adapter_manifest import (
    AdapterManifest,
    ProvidedKey,
    Provides,
    decode_adapter,
    nearest_node,
    parse_adapter,
)
from ergo_cli.events.adapter_rules import check_manifest
from ergo_cli.events.adapter_schemas import (
    SchemaFault,
    compile_schema,
    complaint,
    field_type,
    is_flat,
    properties_of,
    required_of,
)
from ergo_cli.events.context_selection import SelectedKey, SelectedValues
from ergo_cli.events.external import (
    REDACTED,
    ContextRule,
    ContextValues,
    ExternalEvent,
    HostedEvent,
    InvalidPayload,
    event_of,
    events_of,
    json_type,
    step_fault,
    unbuildable,
)
from ergo_cli.events.payload_paths import PayloadPath
from ergo_cli.events.schema_annotations import unknown_annotations
from ergo_cli.events.schema_places import SchemaPlace, place_of

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator


class Adapter(Struct, frozen=True):
    """A manifest that breaks no rule; ``text`` is its source, ``label`` the name of that, ``notices`` are warnings."""

    manifest: AdapterManifest
    provides: Provides
    kinds: Mapping[str, BoundEventKind]
    text: str
    label: str
    notices: tuple[Notice, ...] = ()
    context_rule: ContextRule = ContextValues

    @property
    def id(self) -> str:
        """The adapter's id."""
        return self.manifest.id

    @property
    def version(self) -> str:
        """The adapter's version, as written."""
        return self.manifest.version

    @property
    def fingerprint(self) -> str:
        """The adapter provenance of bundles."""
        return self.provides.fingerprint

    def build_event(
        self, event: HostedEvent, store: Mapping[str, NativeValue], numbers: Numbers = Numbers.EXACT
    ) -> ExternalEvent:
        """The external event of a hosted one: merged with the context store, validated, rendered (spec 10 §13).

        Raises StepError, always recoverable: ``PayloadMustBeObject``, ``MissingSemanticKind``, ``MissingPayload``,
        ``UnknownSemanticKind``, ``Binding``, ``EventBuild``.
        """
        return build_bound_event(self.kinds, event, store, numbers)


def with_formats(adapter: Adapter | None, asserts: bool) -> Adapter | None:
    """The same adapter; if it ``asserts`` formats, its schemas refuse texts that are not of their ``format``."""
    if adapter is None or not asserts:
        return adapter
    return replace(adapter, kinds=compile_events(adapter.provides, formats=True)[0])


def context_rule(adapter: Adapter | None) -> ContextRule:
    """How payloads become contexts: each member under its name, but where the adapter selects them."""
    return ContextValues if adapter is None else adapter.context_rule


def adapter_provenance(adapter: Adapter | None) -> str:
    """The adapter provenance of a bundle: the fingerprint, or ``none``."""
    return NO_ADAPTER if adapter is None else adapter.fingerprint


def load_adapter(text: str, label: str) -> Adapter:
    """The adapter that a YAML or JSON text describes; ``label`` names the text in errors.

    Raises AdapterError ``adapter.setup_failed`` for the first fault in the order of the spec; its rule leads
    ``details``, and ``causes`` are all faults.
    """
    reading = Reading(label)
    try:
        document = parse_adapter(text, label)
        manifest = decode_adapter(document, reading)
    except DocumentError as error:
        raise setup_failed(label, error.unfold()) from error
    faults = check_manifest(manifest)
    if faults:
        raise setup_failed(label, [_placed(fault, document, reading) for fault in faults])
    provides = Provides.of(manifest)
    kinds, faults = compile_events(provides)
    if faults:
        raise setup_failed(label, faults)
    _notice_annotations(manifest, document, reading)
    return Adapter(manifest, provides, kinds, text, label, tuple(reading.notices), rule_of(provides))


def setup_failed(label: str, faults: Sequence[ErgoError]) -> AdapterError:
    """``adapter.setup_failed`` for faults of one adapter, or of how it fits a program; the first is the headline."""
    first = faults[0]
    rule = first.rule or first.code
    place = (first.where or "").removeprefix(label).partition(" ")[2]
    return AdapterError(
        "adapter.setup_failed",
        f"adapter '{label}' cannot be used: [{rule}] {first.message}" + (f" ({place})" if place else ""),
        path=first.path if isinstance(first, AdapterError) else None,
        where=first.where,
        fix=first.fix,
        details=(rule, *first.details),
        causes=faults,
    )


def _notice_annotations(manifest: AdapterManifest, document: Node, reading: Reading) -> None:
    places = [(f"$.event_kinds[{index}]", kind) for index, kind in enumerate(manifest.event_kinds)]
    places += [(f"$.accepts.effects[{index}]", effect) for index, effect in enumerate(manifest.accepted_effects)]
    for place, named in places:
        for path, message in unknown_annotations(named.payload_schema, f"{place}.payload_schema"):
            reading.notice(message, nearest_node(document, path), path)


def _placed(fault: AdapterError, document: Node, reading: Reading) -> AdapterError:
    place = reading.place(nearest_node(document, fault.path or "$"))
    fault.where = f"{place} {fault.path}" if fault.path else place
    return fault


class BoundEventKind(Struct, frozen=True):
    """An event kind ready to bind: its validator, and the stored keys that may enter its payload, ascending.

    ``remembers``: some of these keys can be written by an episode. ``demands`` are the keys whose place must have a
    value.
    """

    name: str
    validator: Draft202012Validator
    mergeable: tuple[str, ...]
    remembers: bool
    demands: tuple[SelectedKey, ...] = ()
    context_rule: ContextRule = ContextValues

    @property
    def accepts(self) -> Callable[[JsonValue], bool]:
        """Whether a payload fits."""
        if not self.demands:
            return self.validator.is_valid
        return lambda payload: self.validator.is_valid(payload) and self.lacks(payload) is None

    def lacks(self, payload: JsonValue) -> SelectedKey | None:
        """The first key whose place must have a value, and has none."""
        return next((key for key in self.demands if key.given(payload) is None), None)

    def is_hopeless(self, payload: JsonValue) -> bool:
        """Whether a payload does not fit, whatever stored values are merged into it: a member of its own is wrong."""
        wrong = (next(iter(error.schema_path), None) for error in self.validator.iter_errors(payload))
        return (
            any(keyword in ("properties", "additionalProperties") for keyword in wrong)
            or self.lacks(payload) is not None
        )

    def merge(self, payload: dict[str, JsonValue], store: Mapping[str, NativeValue]) -> dict[str, JsonValue]:
        """Merge the payload over stored values; its members win (HST-6). Returns ``payload`` if nothing is added."""
        stored: dict[str, JsonValue] = {}
        for key in self.mergeable:
            if key in store and key not in payload:
                stored[key] = _json(store[key])
        return stored | payload if stored else payload


BoundEventKinds = Mapping[str, BoundEventKind]
"""The event kinds of an adapter by name."""


def build_bound_event(
    kinds: BoundEventKinds, event: HostedEvent, store: Mapping[str, NativeValue], numbers: Numbers = Numbers.EXACT
) -> ExternalEvent:
    """The event with its merged, validated payload in canonical form.

    Raises StepError, always recoverable: ``PayloadMustBeObject``, ``MissingSemanticKind``, ``MissingPayload``,
    ``UnknownSemanticKind``, ``Binding``, ``EventBuild``.
    """
    payload, semantic_kind = event.payload, event.semantic_kind
    kind = None if semantic_kind is None else kinds.get(semantic_kind)
    if kind is None or not isinstance(payload, dict):
        raise _input_fault(kinds, event)
    merged = kind.merge(payload, store) if store else payload
    try:
        if not kind.validator.is_valid(merged):
            raise _mismatch(kind, event, complaint(next(kind.validator.iter_errors(merged))))
        if kind.demands and (lacking := kind.lacks(merged)) is not None:
            raise _without_value(kind, event, lacking)
        return event_of(event, merged, numbers, kind.context_rule)
    except InvalidPayload as error:
        raise _mismatch(kind, event, str(error)) from error
    except (ValueError, TypeError) as error:
        raise unbuildable(event, error) from error


def bind_together(kinds: BoundEventKinds, events: Sequence[HostedEvent]) -> list[ExternalEvent] | None:
    """Bind many events under exact numbers, much faster than ``build_bound_event``, with equal results.

    None where events must be bound one by one: one does not fit its schema, or stored values may enter it.
    """
    accepts: dict[str | None, Callable[[JsonValue], bool]] = {}
    rule: ContextRule = ContextValues
    for name in {event.semantic_kind for event in events}:
        kind = None if name is None else kinds.get(name)
        if kind is None or kind.remembers:
            return None
        accepts[name], rule = kind.accepts, kind.context_rule
    if False in [accepts[event.semantic_kind](event.payload) for event in events]:
        return None
    return events_of(events, rule)


def _json(value: NativeValue) -> JsonValue:
    """A stored value as a payload member; a Series is copied because the store owns its list."""
    return [*value] if isinstance(value, list) else value


def _input_fault(kinds: BoundEventKinds, event: HostedEvent) -> StepError:
    payload, semantic_kind = event.payload, event.semantic_kind
    known = ", ".join(f"'{name}'" for name in sorted(kinds))
    if payload is not None and not isinstance(payload, dict):
        reason = f"payload must be a JSON object, got {json_type(payload)}"
        return step_fault(event, "PayloadMustBeObject", reason, "send an object as payload")
    if semantic_kind is None:
        reason = "it has no semantic kind, which a run with an adapter needs"
        return step_fault(event, "MissingSemanticKind", reason, f"add semantic_kind, one of {known}")
    if payload is None:
        reason = "it has no payload, which a run with an adapter needs"
        return step_fault(event, "MissingPayload", reason, "add a payload, {} if there is nothing to tell")
    reason = f"the adapter declares no event kind '{semantic_kind}'"
    return step_fault(event, "UnknownSemanticKind", reason, f"use one of {known}", f"kind={semantic_kind}")


def _mismatch(kind: BoundEventKind, event: HostedEvent, detail: str) -> StepError:
    reason = f"the payload does not fit event kind '{kind.name}': {detail}"
    fix = f"correct the payload, or the payload_schema of '{kind.name}' in the adapter"
    if REDACTED in detail:
        fix += "; a redacted value is a text: declare the member as a string, or do not redact it"
    return step_fault(event, "Binding", reason, fix, "PayloadSchemaMismatch", f"kind={kind.name}", f"detail={detail}")


def _without_value(kind: BoundEventKind, event: HostedEvent, key: SelectedKey) -> StepError:
    reason = (
        f"the payload does not fit event kind '{kind.name}': context key '{key.name}' is required, "
        f"but there is nothing at '{key.path.text}'"
    )
    fix = f"send it, or write required: false or a default at context key '{key.name}' of the adapter"
    return step_fault(event, "Binding", reason, fix, "MissingValue", f"kind={kind.name}", f"key={key.name}")


def selected_keys(provides: Provides) -> tuple[SelectedKey, ...] | None:
    """The context keys of contexts that hold nothing else; None where payloads enter the context as they are."""
    schemas = provides.event_schemas.values()
    if all(key.is_plain for key in provides.context.values()) and all(map(is_flat, schemas)):
        return None
    return tuple(
        SelectedKey(name, key.type, key.path or PayloadPath.of_member(name), key.default)
        for name, key in provides.context.items()
    )


def rule_of(provides: Provides) -> ContextRule:
    """How payloads become contexts."""
    keys = selected_keys(provides)
    return ContextValues if keys is None else partial(SelectedValues, keys)


def compile_events(
    provides: Provides, *, formats: bool = False
) -> tuple[dict[str, BoundEventKind], list[AdapterError]]:
    """Compile the event kinds, asserting ``formats`` or not; returns them with every fault, in manifest order."""
    kinds: dict[str, BoundEventKind] = {}
    faults: list[AdapterError] = []
    keys = selected_keys(provides)
    rule: ContextRule = ContextValues if keys is None else partial(SelectedValues, keys)
    for name, schema in provides.event_schemas.items():
        try:
            validator = compile_schema(schema, formats=formats)
        except SchemaFault as fault:
            faults.append(_schema_fault(name, str(fault)))
            continue
        faults += _check_required(provides, name, schema, selects=keys is not None)
        mergeable = sorted(provides.context.keys() & properties_of(schema).keys())
        remembers = any(provides.context[key].writable for key in mergeable)
        demands = tuple(key for key in keys or () if _is_demanded(provides.context[key.name], key.path, schema))
        kinds[name] = BoundEventKind(name, validator, tuple(mergeable), remembers, demands, rule)
    return kinds, faults


def _is_demanded(provided: ProvidedKey, path: PayloadPath, schema: JsonValue) -> bool:
    """Whether payloads must have a value for a key: its path leads somewhere, and it cannot do without."""
    is_required = provided.path is not None and provided.required and provided.default is None
    return is_required and isinstance(place_of(schema, path), SchemaPlace)


def _check_required(provides: Provides, kind: str, schema: JsonValue, *, selects: bool) -> Iterator[AdapterError]:
    for field in required_of(schema):
        provided = provides.context.get(field)
        if selects and (provided is None or not provided.is_plain):
            continue
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
