"""Spec 30, C-13 … C-19 as far as the building of events goes, and the composition rules of C-121."""

from __future__ import annotations

from typing import Any

import pytest

from ergo_cli.core.values import ContextNeed, EffectSpecs, ValueType, WriteSpec
from ergo_cli.errors import AdapterError, StepError
from ergo_cli.events.adapter import Adapter, load_adapter
from ergo_cli.events.composition import ActionNode, SourceNode, compose
from ergo_cli.events.external import EventKind, HostedEvent, build_unbound_event

ADAPTER_T = """\
kind: adapter
id: adapter_t
version: 1.0.0
runtime_compatibility: 0.1.0-alpha.1
context_keys:
  - {name: y, type: Number, required: false, writable: true}
  - {name: x, type: Number, required: false, writable: false}
  - {name: armed, type: Bool, required: false, writable: true}
event_kinds:
  - name: tick
    payload_schema:
      type: object
      properties: {x: {type: number}, y: {type: number}}
      required: [x]
      additionalProperties: false
  - name: bare
    payload_schema: {type: object, properties: {x: {type: number}}, additionalProperties: false}
  - name: arming
    payload_schema: {type: object, properties: {armed: {type: boolean}}, additionalProperties: false}
accepts:
  effects:
    - {name: set_context, payload_schema: {type: object, additionalProperties: false}}
    - {name: publish, payload_schema: {type: object, additionalProperties: false}}
capture:
  format_version: "1"
  fields: [event.tick]
"""


@pytest.fixture(scope="module")
def adapter() -> Adapter:
    return load_adapter(ADAPTER_T, "t.yaml")


def hosted(payload: Any, semantic_kind: str | None = "tick") -> HostedEvent:
    return HostedEvent("e1", EventKind.COMMAND, 0, semantic_kind, payload)


def test_c30_13_stored_value_comes_back_as_a_float(adapter: Adapter) -> None:
    assert adapter.build_event(hosted({"x": 3}), {"y": 1.0}).payload == b'{"x":3,"y":1.0}'


def test_c30_14_schema_without_the_key_merges_nothing(adapter: Adapter) -> None:
    assert adapter.build_event(hosted({"x": 3}, "bare"), {"y": 1.0}).payload == b'{"x":3}'


@pytest.mark.parametrize(
    ("payload", "armed"),
    [({"armed": False}, False), ({}, True)],
)
def test_c30_15_incoming_overrides_stored(adapter: Adapter, payload: dict[str, bool], armed: bool) -> None:
    event = adapter.build_event(hosted(payload, "arming"), {"armed": True})
    assert event.context.values["armed"] is armed


def test_c30_15_incoming_null_overrides_and_is_held_against_the_schema(adapter: Adapter) -> None:
    with pytest.raises(StepError) as caught:
        adapter.build_event(hosted({"x": 1, "y": None}), {"y": 1.0})
    assert caught.value.name == "Binding"


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (hosted(None), "MissingPayload"),
        (hosted([1]), "PayloadMustBeObject"),
        (hosted({"x": 1}, None), "MissingSemanticKind"),
        (hosted({"x": 1}, "tock"), "UnknownSemanticKind"),
        (hosted([1], None), "PayloadMustBeObject"),
        (hosted("text", "tock"), "PayloadMustBeObject"),
        (hosted(None, None), "MissingSemanticKind"),
        (hosted(None, "tock"), "MissingPayload"),
    ],
)
def test_c30_18_input_errors_and_their_precedence(adapter: Adapter, event: HostedEvent, name: str) -> None:
    with pytest.raises(StepError) as caught:
        adapter.build_event(event, {})
    assert caught.value.name == name
    assert caught.value.recoverable
    assert caught.value.fix


def test_c30_19_building_leaves_no_trace(adapter: Adapter) -> None:
    store = {"y": 2.0}
    with pytest.raises(StepError):
        adapter.build_event(hosted({"x": "one"}), store)
    assert store == {"y": 2.0}
    assert adapter.build_event(hosted({"x": 1}), store).payload == b'{"x":1,"y":2.0}'


def test_c30_19_unbound_payload_that_is_no_object() -> None:
    with pytest.raises(StepError) as caught:
        build_unbound_event(hosted([1], None))
    assert caught.value.name == "EventBuild"
    assert caught.value.recoverable


def faults_of(adapter: Adapter, node: SourceNode | ActionNode) -> list[AdapterError]:
    if isinstance(node, SourceNode):
        return compose(adapter.provides, [node], [])
    return compose(adapter.provides, [], [node])


def source(name: str, **defaults: Any) -> SourceNode:
    return SourceNode("my_source", "", (ContextNeed(name, ValueType.NUMBER, required=True),), defaults)


def action(name: str, **defaults: Any) -> ActionNode:
    return ActionNode("my_action", "", EffectSpecs((WriteSpec(name, ValueType.NUMBER, "value"),)), defaults)


@pytest.mark.parametrize(
    ("node", "rules"),
    [
        (source("volume"), ["COMP-1"]),
        (action("x"), ["COMP-12"]),
        (source("$key", key="x"), []),
        (action("$key", key="y"), []),
        (source("$key"), ["COMP-16"]),
        (action("$key"), ["COMP-16"]),
        (source("$key", key=1.0), ["COMP-16"]),
        (action("$key", key=1.0), ["COMP-16"]),
    ],
)
def test_c30_121_manifests_against_an_adapter(
    adapter: Adapter, node: SourceNode | ActionNode, rules: list[str]
) -> None:
    faults = faults_of(adapter, node)
    assert [fault.rule for fault in faults] == rules
    assert all(fault.message.startswith(f"node {node.node_id}: ") for fault in faults)
