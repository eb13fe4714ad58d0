"""Spec 10, C-35 … C-44 and C-55: binding, composition, coverage, merging."""

from __future__ import annotations

import json
from typing import Any

import pytest
from graph_shorthand import assets, cluster

from ergo_cli.core.values import (
    ContextNeed,
    EffectSpecs,
    IntentFieldSpec,
    IntentSpec,
    MirrorWrite,
    ValueType,
    WriteSpec,
)
from ergo_cli.errors import AdapterError, StepError
from ergo_cli.events.adapter import build_bound_event, compile_events
from ergo_cli.events.adapter_manifest import ProvidedKey, Provides
from ergo_cli.events.composition import ActionNode, SourceNode, compose, coverage
from ergo_cli.events.external import EventKind, ExternalEvent, HostedEvent
from ergo_cli.programs.graph.check.catalog import standard_inventory
from ergo_cli.programs.graph.program import GraphProgram

NUMBER, STRING, BOOL, SERIES = ValueType.NUMBER, ValueType.STRING, ValueType.BOOL, ValueType.SERIES


def closed(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}


def provides(schema: Any, **context: str) -> Provides:
    """An adapter with the one event kind ``tick``."""
    return Provides({name: ProvidedKey(type) for name, type in context.items()}, {"tick": schema})


def hosted(payload: Any, semantic_kind: str = "tick") -> HostedEvent:
    return HostedEvent("e1", EventKind.COMMAND, 0, semantic_kind, payload)


def bind(adapter: Provides, event: HostedEvent, store: dict[str, Any] | None = None) -> ExternalEvent:
    kinds, faults = compile_events(adapter)
    assert faults == []
    return build_bound_event(kinds, event, store or {})


def refused(adapter: Provides, event: HostedEvent) -> StepError:
    with pytest.raises(StepError) as caught:
        bind(adapter, event)
    assert caught.value.recoverable
    assert caught.value.code == "host.step_failed"
    return caught.value


def compile_codes(adapter: Provides) -> list[str]:
    return [fault.code for fault in compile_events(adapter)[1]]


PRICE = closed(("price",), price={"type": "number"})


def test_c10_35_unknown_semantic_kind() -> None:
    error = refused(provides(PRICE, price="Number"), hosted({"price": 1}, "tock"))
    assert error.name == "UnknownSemanticKind"
    assert "tock" in error.message


def test_c10_35_schema_that_does_not_compile() -> None:
    assert compile_codes(provides({"type": 7})) == ["InvalidSchema"]


def test_c10_35_payload_that_does_not_fit_names_the_member() -> None:
    error = refused(provides(PRICE, price="Number"), hosted({"price": "12"}))
    assert error.name == "Binding"
    assert "PayloadSchemaMismatch" in error.details
    assert "price" in error.message


def test_c10_35_scalar_schema_does_not_admit_scalar_payloads() -> None:
    assert refused(provides({"type": "number"}), hosted(12.3)).name == "PayloadMustBeObject"


@pytest.mark.parametrize(
    ("adapter", "code"),
    [
        (provides(PRICE), "MissingContextProvision"),
        (provides(PRICE, price="String"), "ContextTypeMismatch"),
        (provides(closed(("nested",), nested=closed()), nested="Number"), "UnsupportedFieldType"),
        (provides(closed(("ghost",)), ghost="Number"), "UnsupportedFieldType"),
    ],
)
def test_c10_35_required_fields_need_their_context_key(adapter: Provides, code: str) -> None:
    assert compile_codes(adapter) == [code]


def test_c10_36_series_binds() -> None:
    schema = closed(("samples",), samples={"type": "array", "items": {"type": "number"}})
    event = bind(provides(schema, samples="Series"), hosted({"samples": [1.0, 2.5, 3.75]}))
    assert json.loads(event.payload) == {"samples": [1.0, 2.5, 3.75]}
    assert event.context.values["samples"] == [1.0, 2.5, 3.75]


def test_c10_36_payload_bytes() -> None:
    schema = closed(("price", "symbol"), price={"type": "number"}, symbol={"type": "string"})
    event = bind(provides(schema, price="Number", symbol="String"), hosted({"symbol": "BTC", "price": 12.3}))
    assert event.payload == b'{"price":12.3,"symbol":"BTC"}'
    assert dict(event.context.values) == {"price": 12.3, "symbol": "BTC"}


def source(*needs: ContextNeed, **parameters: Any) -> SourceNode:
    return SourceNode("n0", "src", needs, parameters)


def need(name: str, type: ValueType = NUMBER, required: bool = True) -> ContextNeed:
    return ContextNeed(name, type, required)


def composed(adapter: Provides, node: SourceNode | ActionNode) -> list[tuple[str | None, str | None]]:
    """Rule and path of every fault of one node."""
    if isinstance(node, SourceNode):
        return _told(compose(adapter, [node], []))
    return _told(compose(adapter, [], [node]))


def _told(faults: list[AdapterError]) -> list[tuple[str | None, str | None]]:
    assert all(fault.code == fault.rule and fault.fix for fault in faults)
    return [(fault.rule, fault.path) for fault in faults]


PRICES = Provides({"price": ProvidedKey("Number"), "level": ProvidedKey("Number", writable=True)})


def test_c10_37_missing_context_key() -> None:
    assert composed(PRICES, source(need("volume"))) == [("COMP-1", "$.requires.context[0].name")]


def test_c10_37_context_type_mismatch() -> None:
    assert composed(PRICES, source(need("price", STRING))) == [("COMP-2", "$.requires.context[0].type")]


def test_c10_37_capture_format_is_checked_first() -> None:
    faults = compose(Provides(capture_format_version="2"), [source(need("volume"))], [])
    assert [fault.rule for fault in faults] == ["COMP-3", "COMP-1"]
    assert faults[0].path == "$.capture.format_version"
    assert "'2'" in faults[0].message


def action(*writes: WriteSpec, intents: tuple[IntentSpec, ...] = (), **parameters: Any) -> ActionNode:
    return ActionNode("n1", "act", EffectSpecs(writes, intents), parameters)


def write(name: str, type: ValueType = NUMBER) -> WriteSpec:
    return WriteSpec(name, type, "value")


def accepting(*effects: str, schemas: dict[str, Any] | None = None, **context: ProvidedKey) -> Provides:
    return Provides(context, effects=frozenset(effects), effect_schemas=schemas or {})


WRITABLE = accepting("set_context", level=ProvidedKey("Number", writable=True), price=ProvidedKey("Number"))


@pytest.mark.parametrize(
    ("adapter", "written", "fault"),
    [
        (WRITABLE, write("ghost"), ("COMP-11", "$.effects.writes[0].name")),
        (WRITABLE, write("price"), ("COMP-12", "$.effects.writes[0].name")),
        (WRITABLE, write("level", STRING), ("COMP-13", "$.effects.writes[0].type")),
        (PRICES, write("level"), ("COMP-14", "$.effects.writes")),
    ],
)
def test_c10_38_writes(adapter: Provides, written: WriteSpec, fault: tuple[str, str]) -> None:
    assert composed(adapter, action(written)) == [fault]


def test_c10_38_fitting_write_passes() -> None:
    assert composed(WRITABLE, action(write("level"))) == []


def test_c10_38_mirror_writes_alone_need_set_context() -> None:
    intent = IntentSpec("order", (IntentFieldSpec("qty", NUMBER, "qty"),), (MirrorWrite("level", NUMBER, "qty"),))
    adapter = accepting("order", schemas={"order": closed(qty={"type": "number"})})
    assert composed(adapter, action(intents=(intent,))) == [("COMP-14", "$.effects.writes")]


ORDER = IntentSpec("order", (IntentFieldSpec("qty", NUMBER, "qty"), IntentFieldSpec("symbol", STRING, "symbol")))
ORDER_SCHEMA = closed(("qty", "symbol"), qty={"type": "number"}, symbol={"type": "string"})


def test_c10_39_intent_that_is_not_accepted() -> None:
    assert composed(accepting(), action(intents=(ORDER,))) == [("COMP-17", "$.effects.intents[0].name")]


def test_c10_39_intent_without_schema() -> None:
    assert composed(accepting("order"), action(intents=(ORDER,))) == [("COMP-18", "$.effects.intents[0].fields")]


@pytest.mark.parametrize(
    "schema",
    [
        7,
        {**ORDER_SCHEMA, "required": ["qty", "symbol", "side"]},
        {**ORDER_SCHEMA, "required": "qty"},
        {**ORDER_SCHEMA, "type": ["object"]},
        {**ORDER_SCHEMA, "oneOf": []},
        {**ORDER_SCHEMA, "$ref": "#"},
        {"type": "object", "additionalProperties": False},
        closed(qty={"type": "integer"}, symbol={"type": "string"}),
        closed(qty={"type": "string"}, symbol={"type": "string"}),
        closed(qty={"type": "number", "not": {}}, symbol={"type": "string"}),
        closed(qty={"type": "number"}),
    ],
)
def test_c10_39_incompatible_schemas(schema: Any) -> None:
    adapter = accepting("order", schemas={"order": schema})
    assert composed(adapter, action(intents=(ORDER,))) == [("COMP-19", "$.effects.intents[0].fields")]


@pytest.mark.parametrize("items", [{"type": "integer"}, {"type": "number", "if": {}}, True, None])
def test_c10_39_series_field_needs_items_of_numbers(items: Any) -> None:
    intent = IntentSpec("order", (IntentFieldSpec("curve", SERIES, "curve"),))
    adapter = accepting("order", schemas={"order": closed(curve={"type": "array", "items": items})})
    assert composed(adapter, action(intents=(intent,))) == [("COMP-19", "$.effects.intents[0].fields")]


def test_c10_39_matching_schema_passes() -> None:
    fields = (*ORDER.fields, IntentFieldSpec("now", BOOL, "now"), IntentFieldSpec("curve", SERIES, "curve"))
    curve = {"type": "array", "items": {"type": "number"}}
    schema = closed(("qty",), qty={"type": "number"}, symbol={"type": "string"}, now={"type": "boolean"}, curve=curve)
    adapter = accepting("order", schemas={"order": schema})
    assert composed(adapter, action(intents=(IntentSpec("order", fields),))) == []


def test_c10_40_names_from_parameters_resolve() -> None:
    assert composed(PRICES, source(need("$key"), key="price")) == []
    assert composed(WRITABLE, action(write("$key"), key="level")) == []


def test_c10_40_resolved_names_are_checked() -> None:
    assert composed(PRICES, source(need("$key"), key="ghost")) == [("COMP-1", "$.requires.context[0].name")]
    assert composed(PRICES, source(need("$key", BOOL), key="price")) == [("COMP-2", "$.requires.context[0].type")]
    assert composed(WRITABLE, action(write("$key"), key="ghost")) == [("COMP-11", "$.effects.writes[0].name")]


@pytest.mark.parametrize("parameters", [{}, {"key": 3.0}, {"key": 3}, {"key": True}, {"other": "price"}])
def test_c10_40_names_that_do_not_resolve(parameters: dict[str, Any]) -> None:
    requirement = [("COMP-16", "$.requires.context[0].name")]
    assert composed(PRICES, source(need("$key"), **parameters)) == requirement
    assert composed(PRICES, source(need("$key", required=False), **parameters)) == requirement
    assert composed(WRITABLE, action(write("$key"), **parameters)) == [("COMP-16", "$.effects.writes[0].name")]


def test_c10_41_optional_requirements() -> None:
    assert composed(PRICES, source(need("volume", required=False))) == []
    mistyped = [("COMP-2", "$.requires.context[0].type")]
    assert composed(PRICES, source(need("price", STRING, required=False))) == mistyped
    unknown = Provides({"price": ProvidedKey("Nuber")})
    assert composed(unknown, source(need("price", required=False))) == mistyped


def test_c10_42_required_key_does_not_compose_with_nothing() -> None:
    assert composed(Provides(), source(need("price"))) == [("COMP-1", "$.requires.context[0].name")]


def test_c10_42_unknown_capture_format_composes_with_no_graph() -> None:
    faults = compose(Provides(capture_format_version="999"), [], [])
    assert [(fault.rule, fault.path) for fault in faults] == [("COMP-3", "$.capture.format_version")]


FLAGGING = cluster(
    "flagging",
    {
        "price": ("context_number_source@0.1.0", {"key": "price"}),
        "limit": "number_source@0.1.0",
        "over": "gt@0.1.0",
        "when": "emit_if_true@0.1.0",
        "keep": ("context_set_bool@0.1.0", {"key": "hot"}),
    },
    [
        "price.value -> over.a",
        "limit.value -> over.b",
        "over.result -> when.input",
        "when.event -> keep.event",
        "over.result -> keep.value",
    ],
)


def test_c10_43_context_set_bool_emits_set_context() -> None:
    program = GraphProgram.load(assets(FLAGGING), standard_inventory())
    assert program.emittable_kinds == {"set_context"}


def test_c10_43_program_composes_node_by_node() -> None:
    program = GraphProgram.load(assets(FLAGGING), standard_inventory())
    faults = compose(Provides({"price": ProvidedKey("String")}), program.declared_sources(), program.declared_actions())
    assert [fault.rule for fault in faults] == ["COMP-2", "COMP-11", "COMP-14"]
    assert all(("(keep)" in fault.message) == (fault.rule != "COMP-2") for fault in faults)


def test_c10_44_coverage_missing_handler() -> None:
    (fault,) = coverage({"order"}, {"order"}, {"set_context"}, set())
    assert fault.rule == "HST-5"
    assert fault.details == ("MissingHandler", "kind=order")


def test_c10_44_coverage_conflict() -> None:
    (fault,) = coverage({"set_context"}, {"set_context"}, {"set_context"}, {"set_context"})
    assert fault.details == ("ConflictingCoverage", "kind=set_context")


def test_c10_44_no_obligation() -> None:
    assert coverage({"order"}, {"publish"}, {"set_context"}, set()) == []
    assert coverage(set(), {"order"}, {"set_context"}, set()) == []


def test_c10_44_mixed_ownership_passes() -> None:
    both = {"set_context", "order"}
    assert coverage(both, both, {"set_context"}, {"order"}) == []


def test_c10_44_smallest_kind_first() -> None:
    faults = coverage({"c", "a", "b"}, {"a", "b", "c"}, set(), set())
    assert [fault.details[1] for fault in faults] == ["kind=a", "kind=b", "kind=c"]


MERGED = Provides(
    {"x": ProvidedKey("Number"), "y": ProvidedKey("Number", writable=True)},
    {"tick": closed(x={"type": "number"}, y={"type": "number"}, z={"type": "number"})},
)


@pytest.mark.parametrize(
    ("store", "payload", "captured"),
    [
        ({}, {"x": 3.5}, b'{"x":3.5}'),
        ({"y": 3.5}, {"x": 4.25}, b'{"x":4.25,"y":3.5}'),
        ({"y": 4.25}, {}, b'{"y":4.25}'),
        ({"y": 4.25}, {"x": -1.0}, b'{"x":-1.0,"y":4.25}'),
        ({"y": 4.25}, {"x": 7}, b'{"x":7,"y":4.25}'),
        ({"y": 7.0}, {}, b'{"y":7.0}'),
    ],
)
def test_c10_55_worked_example(store: dict[str, float], payload: dict[str, Any], captured: bytes) -> None:
    event = bind(MERGED, hosted(payload), store)
    assert event.payload == captured
    assert dict(event.context.values) == {name: float(value) for name, value in json.loads(captured).items()}


def test_c10_55_incoming_beats_stored() -> None:
    assert bind(MERGED, hosted({"y": 1}), {"y": 2.0}).payload == b'{"y":1}'


def test_c10_55_undeclared_key_is_not_merged() -> None:
    assert bind(MERGED, hosted({"x": 1}), {"z": 2.0}).payload == b'{"x":1}'


def test_c10_55_key_outside_the_schema_is_not_merged() -> None:
    adapter = provides(closed(x={"type": "number"}), x="Number", y="Number")
    assert bind(adapter, hosted({"x": 1}), {"y": 2.0}).payload == b'{"x":1}'
