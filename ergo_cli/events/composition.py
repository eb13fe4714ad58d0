"""Whether a program and an adapter fit each other: COMP rules and coverage (spec 10 §14)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Protocol

from msgspec import Struct

from ergo_cli.core.json import JsonValue
from ergo_cli.core.values import (
    SET_CONTEXT,
    ContextNeed,
    EffectSpecs,
    IntentFieldSpec,
    IntentSpec,
    ValueType,
    WriteSpec,
)
from ergo_cli.errors import AdapterError, ErgoError
from ergo_cli.events.adapter_manifest import Provides, violation

CAPTURE_FORMAT = "1"
"""The one capture format that a run understands (COMP-3)."""

Parameters = Mapping[str, int | float | bool | str]
"""The values of a node's parameters, defaults filled in."""


class SourceNode(Struct, frozen=True):
    """A source as composition sees it; ``path`` is its authoring path (``hot/check/over``), empty if it has none."""

    node_id: str
    path: str
    needs: tuple[ContextNeed, ...]
    parameters: Parameters = {}


class ActionNode(Struct, frozen=True):
    """An action as composition sees it."""

    node_id: str
    path: str
    effects: EffectSpecs
    parameters: Parameters = {}


def compose(adapter: Provides, sources: Iterable[SourceNode], actions: Iterable[ActionNode]) -> list[AdapterError]:
    """Every COMP rule that is broken: capture format, then sources, then actions, each by node id.

    The first is the headline. Messages begin with the node's id.
    """
    faults = list(_check_capture_format(adapter))
    for source in sorted(sources, key=_node_id):
        faults += _check_source(adapter, source)
    for action in sorted(actions, key=_node_id):
        faults += _check_action(adapter, action)
    return faults


def coverage(
    emittable: Collection[str], accepted: Collection[str], handlers: Collection[str], claimed: Collection[str]
) -> list[ErgoError]:
    """HST-5: each kind that can be emitted and is accepted has exactly one owner, a handler or egress.

    Errors by kind, ascending; the code is ``host.configuration_invalid``.
    """
    faults: list[ErgoError] = []
    for kind in sorted(set(emittable) & set(accepted)):
        handled, routed = kind in handlers, kind in claimed
        if handled and routed:
            problem = f"effect kind '{kind}' is realised by the host and claimed by egress as well"
            faults.append(_uncovered("ConflictingCoverage", kind, problem, f"remove the egress route for '{kind}'"))
        elif not handled and not routed:
            problem = f"nothing realises effect kind '{kind}', which the program can emit and the adapter accepts"
            faults.append(_uncovered("MissingHandler", kind, problem, f"route '{kind}' in the egress configuration"))
    return faults


def _uncovered(name: str, kind: str, message: str, fix: str) -> ErgoError:
    details = (name, f"kind={kind}")
    where = f"effect kind '{kind}'"
    return ErgoError("host.configuration_invalid", message, where=where, fix=fix, rule="HST-5", details=details)


class _Node(Protocol):
    @property
    def node_id(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def parameters(self) -> Parameters: ...


def _node_id(node: _Node) -> str:
    return node.node_id


def _fault(node: _Node, rule: str, name: str, message: str, path: str, fix: str, /, **data: object) -> AdapterError:
    label = f"{node.node_id} ({node.path})" if node.path else node.node_id
    where = f"{node.path or node.node_id} {path}"
    return violation(rule, name, f"node {label}: {message}", path=path, where=where, fix=fix, **data)


def _check_capture_format(adapter: Provides) -> Iterator[AdapterError]:
    version = adapter.capture_format_version
    if version not in ("", CAPTURE_FORMAT):
        yield violation(
            "COMP-3",
            "UnsupportedCaptureFormat",
            f"capture format version '{version}' is not supported",
            path="$.capture.format_version",
            fix=f'write format_version: "{CAPTURE_FORMAT}"',
            version=version,
        )


def _resolve(node: _Node, name: str, context: str, index: int) -> str | AdapterError:
    """The name, or the value of the parameter that ``$name`` stands for (COMP-16)."""
    if not name.startswith("$"):
        return name
    value = node.parameters.get(name[1:])
    if isinstance(value, str):
        return value
    problem = "has no value" if value is None else "is not a String"
    return _fault(
        node,
        "COMP-16",
        "ManifestNameResolutionFailed",
        f"the name '{name}' cannot be resolved: parameter '{name[1:]}' {problem}",
        f"$.{context}[{index}].name",
        f"give the String parameter '{name[1:]}' a value, or write the name itself",
        binding=name,
        index=index,
        context=context,
    )


def _check_source(adapter: Provides, source: SourceNode) -> Iterator[AdapterError]:
    for index, need in enumerate(source.needs):
        key = _resolve(source, need.name, "requires.context", index)
        if isinstance(key, AdapterError):
            yield key
        else:
            yield from _check_need(adapter, source, need, key, index)


def _check_need(
    adapter: Provides, source: SourceNode, need: ContextNeed, key: str, index: int
) -> Iterator[AdapterError]:
    path = f"$.requires.context[{index}]"
    provided = adapter.context.get(key)
    if provided is None:
        if need.required:
            message = f"needs context key '{key}', which the adapter does not provide{_known(adapter.context)}"
            fix = f"declare context key '{key}' ({need.type.value}) in the adapter"
            yield _fault(source, "COMP-1", "MissingContextKey", message, f"{path}.name", fix, key=key, index=index)
    elif provided.type != need.type.value:
        yield _fault(
            source,
            "COMP-2",
            "ContextTypeMismatch",
            f"needs context key '{key}' as {need.type.value}, the adapter provides {provided.type}",
            f"{path}.type",
            f"declare '{key}' as {need.type.value} in the adapter",
            key=key,
            expected=need.type.value,
            got=provided.type,
            index=index,
        )


def _known(names: Iterable[str]) -> str:
    listed = ", ".join(f"'{name}'" for name in sorted(names))
    return f" (it provides {listed})" if listed else ""


def _check_action(adapter: Provides, action: ActionNode) -> Iterator[AdapterError]:
    effects = action.effects
    for index, write in enumerate(effects.writes):
        key = _resolve(action, write.name, "effects.writes", index)
        if isinstance(key, AdapterError):
            yield key
        else:
            yield from _check_write(adapter, action, write, key, index)
    mirrors = any(intent.mirror_writes for intent in effects.intents)
    if (effects.writes or mirrors) and SET_CONTEXT not in adapter.effects:
        message = f"sets context keys, but the adapter does not accept '{SET_CONTEXT}'"
        fix = f"add '{SET_CONTEXT}' to accepts.effects of the adapter"
        yield _fault(action, "COMP-14", "MissingSetContextEffect", message, "$.effects.writes", fix)
    for index, intent in enumerate(effects.intents):
        yield from _check_intent(adapter, action, intent, index)


def _check_write(
    adapter: Provides, action: ActionNode, write: WriteSpec, key: str, index: int
) -> Iterator[AdapterError]:
    path = f"$.effects.writes[{index}]"
    provided = adapter.context.get(key)
    if provided is None:
        message = f"writes context key '{key}', which the adapter does not provide{_known(adapter.context)}"
        fix = f"declare context key '{key}' ({write.type.value}, writable) in the adapter"
        yield _fault(action, "COMP-11", "WriteTargetNotProvided", message, f"{path}.name", fix, key=key, index=index)
        return
    if not provided.writable:
        message = f"writes context key '{key}', which is not writable"
        fix = f"write writable: true at '{key}' in the adapter"
        yield _fault(action, "COMP-12", "WriteTargetNotWritable", message, f"{path}.name", fix, key=key, index=index)
    if provided.type != write.type.value:
        yield _fault(
            action,
            "COMP-13",
            "WriteTypeMismatch",
            f"writes {write.type.value} to context key '{key}', which is {provided.type}",
            f"{path}.type",
            f"declare '{key}' as {write.type.value} in the adapter, or write another key",
            key=key,
            expected=provided.type,
            got=write.type.value,
            index=index,
        )


def _check_intent(adapter: Provides, action: ActionNode, intent: IntentSpec, index: int) -> Iterator[AdapterError]:
    path, kind = f"$.effects.intents[{index}]", intent.name
    if kind not in adapter.effects:
        message = f"emits intent '{kind}', which the adapter does not accept{_known(adapter.effects)}"
        fix = f"add '{kind}' to accepts.effects of the adapter"
        yield _fault(action, "COMP-17", "MissingIntentEffect", message, f"{path}.name", fix, kind=kind, index=index)
    elif kind not in adapter.effect_schemas:
        message = f"emits intent '{kind}', which the adapter accepts without a payload schema"
        fix = f"give '{kind}' a payload_schema in the adapter"
        name = "MissingIntentPayloadSchema"
        yield _fault(action, "COMP-18", name, message, f"{path}.fields", fix, kind=kind, index=index)
    else:
        detail = schema_mismatch(intent, adapter.effect_schemas[kind])
        if detail is not None:
            yield _fault(
                action,
                "COMP-19",
                "IntentPayloadSchemaIncompatible",
                f"the adapter's payload schema for intent '{kind}' does not fit: {detail}",
                f"{path}.fields",
                f"make the payload_schema of '{kind}' in the adapter describe exactly the intent's fields",
                kind=kind,
                index=index,
                detail=detail,
            )


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
            return f"the schema requires '{name}', which is not a field of the intent"
    return None


def _fields_mismatch(intent: IntentSpec, properties: dict[str, JsonValue]) -> str | None:
    for field in intent.fields:
        if field.name not in properties:
            return f"field '{field.name}' is not a property of the schema"
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
