"""Spec 10, C-25 … C-34: adapter manifests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ergo_cli.errors import AdapterError
from ergo_cli.events.adapter import load_adapter

CONFORMANCE = Path(__file__).parent / "originals"

NUMBER = {"type": "number"}
SET_CONTEXT = {"name": "set_context", "payload_schema": {"type": "object", "additionalProperties": False}}


def payload(properties: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    """A closed object schema."""
    return {"type": "object", "properties": properties or {}, "additionalProperties": False, **members}


def manifest(**members: Any) -> dict[str, Any]:
    """A valid manifest with some members replaced."""
    return {
        "kind": "adapter",
        "id": "desk",
        "version": "1.0.0",
        "runtime_compatibility": "0.1.0-alpha.1",
        "context_keys": [key("price")],
        "event_kinds": [{"name": "tick", "payload_schema": payload({"price": NUMBER}, required=["price"])}],
        "accepts": {"effects": [SET_CONTEXT]},
        "capture": {"format_version": "1", "fields": ["event.tick"]},
        **members,
    }


def key(name: str, type: str = "Number", **members: Any) -> dict[str, Any]:
    """A context key, read-only and optional unless told otherwise."""
    return {"name": name, "type": type, "required": False, "writable": False, **members}


def event(schema: Any, name: str = "tick") -> dict[str, Any]:
    return {"event_kinds": [{"name": name, "payload_schema": schema}]}


def refusals(document: dict[str, Any]) -> list[AdapterError]:
    """Every rule that a manifest breaks, as the causes of the one error it is refused with."""
    with pytest.raises(AdapterError) as caught:
        load_adapter(json.dumps(document), "adapter.json")
    assert caught.value.code == "adapter.setup_failed"
    return [cause for cause in caught.value.causes if isinstance(cause, AdapterError)]


def refusal(document: dict[str, Any]) -> AdapterError:
    """The first rule that a manifest breaks."""
    return refusals(document)[0]


def test_c10_25_equal_runtime_passes() -> None:
    assert load_adapter(json.dumps(manifest()), "adapter.json").id == "desk"


def test_c10_25_newer_runtime_fails_with_both_versions() -> None:
    error = refusal(manifest(runtime_compatibility="999.0.0"))
    assert error.rule == "ADP-3"
    assert error.path == "$.runtime_compatibility"
    assert "999.0.0" in error.message
    assert "0.1.0-alpha.1" in error.message


def test_c10_25_runtime_that_is_no_semver_fails() -> None:
    error = refusal(manifest(runtime_compatibility="nope"))
    assert error.rule == "ADP-3"
    assert "runtime_compatibility" in error.message
    assert "semver" in error.message


@pytest.mark.parametrize("required", ["0.1.0-alpha.1", "0.1.0-alpha", "0.1.0-alpha.0", "0.0.9"])
def test_c10_25_lower_runtimes_pass(required: str) -> None:
    assert load_adapter(json.dumps(manifest(runtime_compatibility=required)), "a.json").version == "1.0.0"


@pytest.mark.parametrize("required", ["0.1.0", "0.1.0-alpha.2", "9.9.9", "0.1.0-alpha.1+build"])
def test_c10_25_higher_runtimes_fail(required: str) -> None:
    assert refusal(manifest(runtime_compatibility=required)).rule == "ADP-3"


@pytest.mark.parametrize(
    ("members", "rule", "path"),
    [
        ({"id": "Bad-Id"}, "ADP-1", "$.id"),
        ({"id": "desk\n"}, "ADP-1", "$.id"),
        ({"version": "nope"}, "ADP-2", "$.version"),
        ({"context_keys": [], "event_kinds": []}, "ADP-4", None),
        ({"context_keys": [key("price"), key("price")]}, "ADP-5", "$.context_keys[1].name"),
        ({"context_keys": [key("price", "Nuber")]}, "ADP-6", "$.context_keys[0].type"),
        ({"event_kinds": [*event(payload())["event_kinds"]] * 2}, "ADP-7", "$.event_kinds[1].name"),
    ],
)
def test_c10_26_identity_and_names(members: dict[str, Any], rule: str, path: str | None) -> None:
    error = refusal(manifest(**members))
    assert (error.rule, error.path) == (rule, path)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": 123},
        7,
        {**payload(), "oneOf": []},
        {**payload(), "anyOf": [{}]},
    ],
)
def test_c10_27_event_schemas_that_are_refused(schema: Any) -> None:
    error = refusal(manifest(**event(schema)))
    assert (error.rule, error.path) == ("ADP-8", "$.event_kinds[0].payload_schema")


def test_c10_28_empty_capture_format() -> None:
    error = refusal(manifest(capture={"format_version": "", "fields": []}))
    assert (error.rule, error.path) == ("ADP-9", "$.capture.format_version")


def test_c10_28_unknown_capture_field() -> None:
    known = ["event.tick", "meta.adapter_id", "meta.adapter_version", "meta.timestamp"]
    error = refusal(manifest(capture={"format_version": "1", "fields": [*known, "meta.not_allowed"]}))
    assert (error.rule, error.path) == ("ADP-10", "$.capture.fields[4]")


@pytest.mark.parametrize("written", [{}, {"writable": None}])
def test_c10_28_missing_writable_flag(written: dict[str, None]) -> None:
    flagless = {"name": "price", "type": "Number", "required": False, **written}
    error = refusal(manifest(context_keys=[flagless]))
    assert (error.rule, error.path) == ("ADP-11", "$.context_keys[0].writable")


def test_c10_29_duplicate_effect() -> None:
    error = refusal(manifest(accepts={"effects": [SET_CONTEXT, SET_CONTEXT]}))
    assert (error.rule, error.path) == ("ADP-12", "$.accepts.effects[1].name")


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://example.com/schema.json"},
        {"type": "object"},
        {"type": "object", "additionalProperties": True},
    ],
)
def test_c10_29_effect_schemas_that_are_refused(schema: Any) -> None:
    error = refusal(manifest(accepts={"effects": [{"name": "set_context", "payload_schema": schema}]}))
    assert (error.rule, error.path) == ("ADP-13", "$.accepts.effects[0].payload_schema")


def test_c10_30_writable_key_needs_set_context() -> None:
    keys = [key("price"), key("a", writable=True), key("b", writable=True)]
    error = refusal(manifest(context_keys=keys, accepts={"effects": []}))
    assert (error.rule, error.path) == ("ADP-14", "$.accepts.effects")
    assert "keys=a, b" in error.details


def test_c10_30_writable_key_is_not_required() -> None:
    error = refusal(manifest(context_keys=[key("price", writable=True, required=True)]))
    assert (error.rule, error.path) == ("ADP-17", "$.context_keys[0]")


@pytest.mark.parametrize("keys", [[key("other")], [key("price", "String")]])
def test_c10_31_required_field_without_its_context_key(keys: list[dict[str, Any]]) -> None:
    error = refusal(manifest(context_keys=keys))
    assert (error.rule, error.path) == ("ADP-18", "$.event_kinds[0].payload_schema.properties.price")


def test_c10_31_optional_field_needs_no_context_key() -> None:
    document = manifest(context_keys=[key("other")], **event(payload({"price": NUMBER})))
    assert load_adapter(json.dumps(document), "a.json").provides.events == {"tick"}


def test_c10_32_event_schema_that_is_no_object() -> None:
    error = refusal(manifest(**event({"type": "string"})))
    assert (error.rule, error.path) == ("ADP-19", "$.event_kinds[0].payload_schema")


@pytest.mark.parametrize(
    "property_schema",
    [
        payload(),
        {"type": ["number", "string"]},
        {"type": "array", "items": {"type": "string"}},
        {"type": "array"},
        {"enum": ["a", "b"]},
        {"$ref": "#/$defs/side"},
        {"type": "null"},
        True,
    ],
)
def test_c10_32_properties_without_counterpart_in_the_context(property_schema: Any) -> None:
    schema = payload({"nested": property_schema}, **{"$defs": {"side": {"type": "string"}}})
    error = refusal(manifest(context_keys=[key("nested", "String")], **event(schema)))
    assert (error.rule, error.path) == ("ADP-19", "$.event_kinds[0].payload_schema.properties.nested")


def test_c10_32_required_field_that_is_not_declared() -> None:
    error = refusal(manifest(**event(payload({}, required=["price"]))))
    assert (error.rule, error.path) == ("ADP-19", "$.event_kinds[0].payload_schema.properties.price")


def test_c10_33_capture_field_comes_before_writable_flag() -> None:
    flagless = {"name": "price", "type": "Number", "required": False}
    document = manifest(context_keys=[flagless], capture={"format_version": "1", "fields": ["nope"]})
    assert [error.rule for error in refusals(document)] == ["ADP-10", "ADP-11"]


VECTOR_A = {
    "kind": "adapter",
    "id": "minimal_adapter",
    "version": "1.0.0",
    "runtime_compatibility": "0.1.0-alpha.1",
    "context_keys": [{"name": "price", "type": "Number", "required": True, "writable": False}],
    "event_kinds": [{"name": "pump", "payload_schema": {"type": "object", "additionalProperties": False}}],
    "capture": {
        "format_version": "1",
        "fields": ["event.pump", "meta.adapter_id", "meta.adapter_version", "meta.timestamp"],
    },
}
DIGEST_A = "808369d15da5d81835d55fc9254e36fe8c766df7e4da23598324b67af7df866c"

VECTOR_B = """\
kind: adapter
id: order_desk
version: 2.1.0
runtime_compatibility: 0.1.0-alpha.1
context_keys:
  - {name: price, type: Number, required: false, writable: true, description: "café \\"q\\""}
  - {name: hist, type: Series, required: false, writable: true}
event_kinds:
  - name: tick
    payload_schema:
      type: object
      properties:
        price: {type: number, minimum: 0.5, maximum: 1e6}
        hist: {type: array, items: {type: number}}
      required: [price]
      additionalProperties: false
accepts:
  effects:
    - name: set_context
      payload_schema: {type: object, additionalProperties: false}
    - name: place_order
      payload_schema:
        type: object
        properties: {qty: {type: number}, symbol: {type: string}}
        required: [qty, symbol]
        additionalProperties: false
capture:
  format_version: "1"
  fields: [event.tick, meta.adapter_id]
"""

VECTOR_C = """\
kind: adapter
id: demo
version: 1.0.0
runtime_compatibility: 0.1.0-alpha.1
context_keys:
  - {name: x, type: Number, required: false, writable: false}
event_kinds:
  - name: tick
    payload_schema: {type: object, properties: {x: {type: number}}, required: [x], additionalProperties: false}
capture:
  format_version: "1"
  fields: [event.tick, meta.adapter_id, meta.adapter_version, meta.timestamp]
"""


def fingerprint_of(document: dict[str, Any], label: str = "a.json") -> str:
    return load_adapter(json.dumps(document), label).fingerprint


def pump(**members: Any) -> dict[str, Any]:
    schema = {"type": "object", "additionalProperties": False, **members}
    return {**VECTOR_A, "event_kinds": [{"name": "pump", "payload_schema": schema}]}


def reversed_throughout(value: Any) -> Any:
    """The same document with the members of every mapping in reverse order."""
    match value:
        case dict():
            return {name: reversed_throughout(value[name]) for name in reversed(value)}
        case list():
            return [reversed_throughout(item) for item in value]
        case _:
            return value


@pytest.mark.parametrize("label", ["a.json", "a.yaml"])
def test_c10_34_vector_a(label: str) -> None:
    assert fingerprint_of(VECTOR_A, label) == f"adapter:minimal_adapter@1.0.0;sha256:{DIGEST_A}"


@pytest.mark.parametrize("label", ["a.json", "a.yaml"])
@pytest.mark.parametrize(
    ("document", "digest"),
    [
        (reversed_throughout({**VECTOR_A, "accepts": None}), DIGEST_A),
        ({**VECTOR_A, "context_keys": [{**VECTOR_A["context_keys"][0], "description": None}]}, DIGEST_A),
        (
            {**VECTOR_A, "accepts": {"effects": []}},
            "5d56184776b9d7035e80b11dd13dcc4738a024a2237a697a3a0134184d9e479f",
        ),
        (pump(minProperties=1), "acbdc407eb6f437423d885714bf11eddb463cc0bfb6de04958f1b016b83a75e8"),
        (pump(minProperties=1.0), "2a951b6d899aa0cfc8f7f543184b198a53043f3c0a7dc6407cc997ca63bd0ec1"),
    ],
)
def test_c10_34_variants_of_vector_a(document: dict[str, Any], digest: str, label: str) -> None:
    assert fingerprint_of(document, label).endswith(f";sha256:{digest}")


def test_c10_34_vector_b() -> None:
    digest = "cd51759b2a555dd23cf2901a902d64a2cedd07da9f20b0e12e894dd70f9925f7"
    assert load_adapter(VECTOR_B, "b.yaml").fingerprint == f"adapter:order_desk@2.1.0;sha256:{digest}"


def test_c10_34_vector_c() -> None:
    digest = "c17f0a5f06b69a0ba9d31bc015592659d7c01487ec41dfbd9a5b46befd831bd8"
    assert load_adapter(VECTOR_C, "c.yaml").fingerprint == f"adapter:demo@1.0.0;sha256:{digest}"


def test_c10_34_version_and_names_count() -> None:
    renamed = {**VECTOR_A, "context_keys": [{**VECTOR_A["context_keys"][0], "name": "cost"}]}
    prints = {fingerprint_of(VECTOR_A), fingerprint_of({**VECTOR_A, "version": "1.0.1"}), fingerprint_of(renamed)}
    assert len(prints) == 3


@pytest.mark.parametrize("case", ["03-context-set", "06-series", "08-nested-clusters", "17-float-drift"])
def test_c10_34_fingerprints_of_the_original(case: str) -> None:
    text = (CONFORMANCE / case / "adapter.yaml").read_text(encoding="utf-8")
    bundle = json.loads((CONFORMANCE / case / "capture.json").read_text(encoding="utf-8"))
    assert load_adapter(text, "adapter.yaml").fingerprint == bundle["adapter_provenance"]


@pytest.mark.parametrize("name", ["adapter_bad_yaml", "adapter_unaccepted_capture_field"])
def test_c10_28_adapters_that_the_original_refuses(name: str) -> None:
    text = (CONFORMANCE / "21-run-failures" / f"{name}.adapter.yaml").read_text(encoding="utf-8")
    with pytest.raises(AdapterError) as caught:
        load_adapter(text, f"{name}.adapter.yaml")
    assert caught.value.code == "adapter.setup_failed"
