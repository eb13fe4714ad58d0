from __future__ import annotations

import json

import pytest

from ergo_cli.errors import AdapterError
from ergo_cli.events.adapter import load_adapter
from ergo_cli.events.adapter_manifest import fingerprint_text

ADAPTER = """\
kind: adapter
id: desk
version: 1.0.0
runtime_compatibility: 0.1.0-alpha.1
context_keys:
  - name: price
    type: Number
    required: false
    writable: false
event_kinds:
  - name: tick
    payload_schema:
      type: object
      properties: {price: {type: number}}
      required: [price]
      additionalProperties: false
capture:
  format_version: "1"
  fields: [event.tick]
"""


def failure(text: str) -> AdapterError:
    with pytest.raises(AdapterError) as caught:
        load_adapter(text, "desk.yaml")
    assert caught.value.code == "adapter.setup_failed"
    return caught.value


def edited(old: str, new: str) -> str:
    assert old in ADAPTER
    return ADAPTER.replace(old, new, 1)


def test_loaded_adapter() -> None:
    adapter = load_adapter(ADAPTER, "desk.yaml")
    assert (adapter.id, adapter.version, adapter.text, adapter.label) == ("desk", "1.0.0", ADAPTER, "desk.yaml")
    assert adapter.notices == ()
    assert adapter.provides.context["price"].type == "Number"
    assert adapter.provides.capture_format_version == "1"
    assert adapter.provides.effects == frozenset()
    assert adapter.fingerprint.startswith("adapter:desk@1.0.0;sha256:")


@pytest.mark.parametrize(
    ("old", "new", "member", "line"),
    [
        ("version: 1.0.0", "version: 1.0", "version", 3),
        ("id: desk", "id: 5", "id", 2),
        ("required: false", "required: yes", "context_keys[0].required", 8),
        ('"1"', "1", "capture.format_version", 18),
        ("name: price", "name: null", "context_keys[0].name", 6),
        ("    writable: false", "    writable: 1", "context_keys[0].writable", 9),
        ("fields: [event.tick]", "fields: [event.tick, 5]", "capture.fields[1]", 19),
        ("kind: adapter", "kind: cluster", "kind", 1),
        ("event_kinds:\n  - name: tick", "event_kinds:\n  - nam: tick", "name", 11),
    ],
)
def test_decode_failures_name_member_and_place(old: str, new: str, member: str, line: int) -> None:
    error = failure(edited(old, new))
    assert member in error.message
    assert (error.where or "").startswith(f"desk.yaml:{line}:")
    assert error.fix


@pytest.mark.parametrize(
    "member", ["kind", "id", "version", "runtime_compatibility", "context_keys", "event_kinds", "capture"]
)
def test_missing_members_are_named(member: str) -> None:
    error = failure(edited(f"{member}:", f"x_{member}:"))
    assert error.details[0] == "DEC-MISSING"
    assert f"`{member}`" in error.message


def test_all_decode_failures_are_collected() -> None:
    text = edited("version: 1.0.0", "version: 1.0").replace("required: false", "required: no").replace('"1"', "1")
    error = failure(text)
    assert [cause.code for cause in error.causes] == ["DEC-TYPE"] * 3
    assert error.causes[0].message in error.message
    assert all(cause.causes == () for cause in error.causes)


def test_duplicate_member_is_refused() -> None:
    assert failure(edited("id: desk", "id: desk\nid: desk")).details[0] == "DEC-DUP"


def test_infinite_number_in_a_schema_is_refused() -> None:
    error = failure(edited("{type: number}", "{type: number, maximum: .inf}"))
    assert "payload_schema" in error.message


def test_unknown_members_are_warned_of_and_leave_the_fingerprint_alone() -> None:
    adapter = load_adapter(edited("    writable: false", "    writable: false\n    unit: EUR"), "desk.yaml")
    (notice,) = adapter.notices
    assert "'unit'" in notice.message
    assert notice.where == "desk.yaml:10:5 context_keys[0].unit"
    assert adapter.fingerprint == load_adapter(ADAPTER, "desk.yaml").fingerprint


def test_unknown_schema_keywords_are_warned_of() -> None:
    text = edited("{type: number}", "{type: number, unit: EUR, examples: [{unit: 1}], $defs: {unit: true}}")
    (notice,) = load_adapter(text, "desk.yaml").notices
    assert "'unit'" in notice.message
    assert (notice.where or "").endswith("$.event_kinds[0].payload_schema.properties.price.unit")


def test_json_label_is_read_as_json() -> None:
    with pytest.raises(AdapterError) as caught:
        load_adapter(ADAPTER, "desk.json")
    assert caught.value.details[0] == "DEC-SYNTAX"


def test_accepts_null_and_absent_are_one_but_an_empty_list_is_not() -> None:
    def fingerprint(accepts: str) -> str:
        return load_adapter(edited("capture:", accepts + "capture:"), "desk.yaml").fingerprint

    assert fingerprint("") == fingerprint("accepts: null\n") == fingerprint("accepts:\n")
    assert fingerprint("accepts: {effects: []}\n") != fingerprint("")


def placed(text: str) -> list[tuple[str | None, str | None]]:
    return [(cause.rule, cause.where) for cause in failure(text).causes]


def test_every_broken_rule_is_told_with_its_place_in_order() -> None:
    text = (
        ADAPTER.replace("id: desk", "id: Desk")
        .replace("    writable: false\n", "")
        .replace("event.tick", "event.tock")
        .replace("type: Number", "type: String")
    )
    assert placed(text) == [
        ("ADP-1", "desk.yaml:2:5 $.id"),
        ("ADP-10", "desk.yaml:18:12 $.capture.fields[0]"),
        ("ADP-11", "desk.yaml:6:5 $.context_keys[0].writable"),
        ("ADP-18", "desk.yaml:13:27 $.event_kinds[0].payload_schema.properties.price"),
    ]


def test_a_refused_schema_is_not_told_twice() -> None:
    assert [rule for rule, _ in placed(edited("type: object", "type: 7"))] == ["ADP-8"]


def test_field_types_come_before_field_provisions() -> None:
    text = edited("name: price", "name: cost").replace(
        "{price: {type: number}}", "{price: {type: number}, cost: {type: 'null'}}"
    )
    assert [rule for rule, _ in placed(text)] == ["ADP-19"]
    text = edited("required: [price]", "required: [price, size]").replace("name: price", "name: cost")
    assert [rule for rule, _ in placed(text)] == ["ADP-19", "ADP-18"]


@pytest.mark.parametrize(
    ("required", "hint"),
    [("0.1.0", "a pre-release (0.1.0-alpha.1) is lower"), ("0.1.0-alpha.1+b", "build metadata"), ("0.2.0", "this one")],
)
def test_incompatible_runtime_explains_the_trap(required: str, hint: str) -> None:
    error = failure(edited("runtime_compatibility: 0.1.0-alpha.1", f"runtime_compatibility: {required}"))
    assert hint in error.message


def test_details_are_the_rule_the_error_and_its_data() -> None:
    error = failure(edited("id: desk", "id: Desk"))
    assert error.details == ("ADP-1", "InvalidId", "id=Desk")
    assert [cause.details for cause in error.causes] == [("InvalidId", "id=Desk")]


def test_one_text_under_two_labels_provides_the_same() -> None:
    assert load_adapter(ADAPTER, "a.yaml").provides == load_adapter(ADAPTER, "b.yaml").provides


@pytest.mark.parametrize("label", ["a.yaml", "a.json"])
def test_integers_of_64_bits_stay_integers_in_schemas(label: str) -> None:
    limit = 2**64 - 1
    tick = {"type": "object", "properties": {"n": {"type": "integer", "maximum": limit, "minimum": 0.0}}}
    document = {
        "kind": "adapter",
        "id": "desk",
        "version": "1.0.0",
        "runtime_compatibility": "0.1.0-alpha.1",
        "context_keys": [],
        "event_kinds": [{"name": "tick", "payload_schema": {**tick, "additionalProperties": False}}],
        "capture": {"format_version": "1", "fields": []},
    }
    manifest = load_adapter(json.dumps(document), label).manifest
    assert b'"maximum":18446744073709551615,"minimum":0.0' in fingerprint_text(manifest)
