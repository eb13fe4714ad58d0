"""Context keys that name their place in the payload or a default, and payloads with members that no context holds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import AdapterError, StepError
from ergo_cli.events.adapter import Adapter, bind_together, load_adapter
from ergo_cli.events.context_selection import Origin, origin_of
from ergo_cli.events.external import EventKind, ExternalEvent, HostedEvent

SET_CONTEXT = {"name": "set_context", "payload_schema": {"type": "object", "additionalProperties": False}}
CHARGE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "note": {"type": ["string", "null"]},
        "anything": True,
        "data": {
            "type": "object",
            "properties": {
                "object": {
                    "type": "object",
                    "properties": {
                        "amount": {"type": "integer"},
                        "card": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/card"}]},
                        "refunds": {"type": "array", "items": {"type": "number"}},
                        "tags": {"type": "array", "items": {"type": "object", "properties": {"v": {"type": "number"}}}},
                        "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}]},
                    },
                }
            },
        },
    },
    "required": ["id", "data"],
    "additionalProperties": False,
    "$defs": {"card": {"type": "object", "properties": {"brand": {"type": "string"}}}},
}


def key(name: str, type: str, source: str | None = None, **members: Any) -> dict[str, Any]:
    """A context key; ``source`` is its ``from``."""
    written = {} if source is None else {"from": source}
    return {"name": name, "type": type, "required": False, "writable": False, **written, **members}


def manifest(*keys: dict[str, Any], **schemas: Any) -> dict[str, Any]:
    """A manifest with these keys; ``schemas`` are those of its event kinds."""
    return {
        "kind": "adapter",
        "id": "shop",
        "version": "1.0.0",
        "runtime_compatibility": "0.1.0-alpha.1",
        "context_keys": [*keys],
        "event_kinds": [{"name": name, "payload_schema": schema} for name, schema in schemas.items()],
        "accepts": {"effects": [SET_CONTEXT]},
        "capture": {"format_version": "1", "fields": []},
    }


def adapter(*keys: dict[str, Any], **schemas: Any) -> Adapter:
    return load_adapter(json.dumps(manifest(*keys, **(schemas or {"charge": CHARGE}))), "shop.json")


def refusals(*keys: dict[str, Any], **schemas: Any) -> list[AdapterError]:
    with pytest.raises(AdapterError) as caught:
        adapter(*keys, **schemas)
    return [cause for cause in caught.value.causes if isinstance(cause, AdapterError)]


def refusal(*keys: dict[str, Any], **schemas: Any) -> AdapterError:
    [error] = refusals(*keys, **schemas)
    return error


def hosted(payload: Any, kind: str = "charge") -> HostedEvent:
    return HostedEvent("e1", EventKind.DATA_AVAILABLE, 0, kind, payload)


def bound(adapter: Adapter, payload: Any, kind: str = "charge", numbers: Numbers = Numbers.EXACT) -> ExternalEvent:
    return adapter.build_event(hosted(payload, kind), {}, numbers)


def charge(**members: Any) -> dict[str, Any]:
    return {"id": "evt_1", "data": {"object": members}}


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


@pytest.mark.parametrize(
    ("type", "source", "members", "value"),
    [
        ("Number", "data.object.amount", {"amount": 1200}, 1200.0),
        ("Number", '"data"."object"."amount"', {"amount": 3}, 3.0),
        ("Series", "data.object.refunds", {"refunds": [1, 2.5]}, [1.0, 2.5]),
        ("Number", "data.object.refunds[1]", {"refunds": [1, 2.5]}, 2.5),
        (
            "Number",
            "data.object.tags[k=b].v",
            {"tags": [{"k": "a", "v": 1}, {"k": "b", "v": 2}, {"k": "b", "v": 3}]},
            2.0,
        ),
        ("Number", "data.object.pair[1]", {"pair": ["x", 7]}, 7.0),
        ("String", "data.object.pair[0]", {"pair": ["x", 7]}, "x"),
    ],
)
def test_a_key_comes_from_its_place(type: str, source: str, members: Any, value: Any) -> None:
    event = bound(adapter(key("value", type, source)), charge(**members))
    assert dict(event.context.values) == {"value": value}


def test_the_payload_stays_as_it_came() -> None:
    payload = {**charge(amount=5, other={"b": [None, {}]}), "anything": [1, "x"], "note": None}
    event = bound(adapter(key("amount", "Number", "data.object.amount", default=1)), payload)
    assert json.loads(event.payload) == payload


def test_other_members_never_reach_the_context() -> None:
    members = {**charge(amount=5), "anything": 3, "note": "a text"}
    assert dict(bound(adapter(key("cost", "Number", "data.object.amount")), members).context.values) == {"cost": 5.0}
    assert dict(bound(adapter(key("id", "String")), members).context.values) == {"id": "evt_1"}


def test_other_members_are_checked() -> None:
    with pytest.raises(StepError, match=r"data\.object\.amount"):
        bound(adapter(key("id", "String")), charge(amount="5"))


def test_an_adapter_without_places_takes_every_member_as_before() -> None:
    flat = adapter(key("price", "Number"), tick=closed(price={"type": "number"}, size={"type": "number"}))
    assert dict(bound(flat, {"price": 1, "size": 2}, "tick").context.values) == {"price": 1.0, "size": 2.0}


@pytest.mark.parametrize("payload", [charge(), charge(amount=None), {"id": "e", "data": {}}])
def test_a_default_stands_for_what_is_absent_or_null(payload: Any) -> None:
    schema = json.loads(json.dumps(CHARGE).replace('"integer"', '["integer", "null"]'))
    shop = adapter(key("amount", "Number", "data.object.amount", default=7), charge=schema)
    event = bound(shop, payload)
    assert dict(event.context.values) == {"amount": 7.0}
    assert origin_of(event.context, "amount") == Origin("data.object.amount", is_default=True)
    given = bound(shop, charge(amount=0))
    assert origin_of(given.context, "amount") == Origin("data.object.amount", is_default=False)


def test_a_nullable_member_of_its_name_has_a_default() -> None:
    shop = adapter(key("note", "String", default="none"))
    assert dict(bound(shop, {**charge(), "note": None}).context.values) == {"note": "none"}
    assert dict(bound(shop, {**charge(), "note": "x"}).context.values) == {"note": "x"}


@pytest.mark.parametrize("union", ["anyOf", "oneOf"])
def test_a_union_with_null_is_nullable(union: str) -> None:
    schema = closed(size={union: [{"type": "number"}, {"type": "null"}]})
    assert dict(bound(adapter(key("size", "Number", default=2), tick=schema), {}, "tick").context.values) == {"size": 2}


def test_null_on_the_way_is_nullable() -> None:
    error = refusal(key("brand", "String", "data.object.card.brand"))
    assert (error.rule, error.path, error.details[0]) == ("ADP-21", "$.context_keys[0]", "NullableWithoutDefault")
    assert "'data.object.card.brand' of event kind 'charge' may be null" in error.message
    assert 'default: ""' in (error.fix or "")
    shop = adapter(key("brand", "String", "data.object.card.brand", default="?"))
    assert dict(bound(shop, charge(card=None)).context.values) == {"brand": "?"}
    assert dict(bound(shop, charge(card={"brand": "visa"})).context.values) == {"brand": "visa"}


def test_a_required_key_refuses_an_event_that_has_nothing_there() -> None:
    shop = adapter(key("amount", "Number", "data.object.amount", required=True))
    with pytest.raises(StepError) as caught:
        bound(shop, charge())
    assert (caught.value.name, caught.value.details[0]) == ("Binding", "MissingValue")
    assert "context key 'amount' is required, but there is nothing at 'data.object.amount'" in caught.value.message
    assert "default" in (caught.value.fix or "")
    assert bind_together(shop.kinds, [hosted(charge(amount=1)), hosted(charge())]) is None


def test_an_optional_key_is_left_out() -> None:
    assert dict(bound(adapter(key("amount", "Number", "data.object.amount")), charge()).context.values) == {}


@pytest.mark.parametrize("source", ["", ".", "data..object", "data.object.", "data[", "data[x]", "a b", '"open'])
def test_a_path_that_cannot_be_read(source: str) -> None:
    error = refusal(key("amount", "Number", source))
    assert (error.rule, error.path, error.details[0]) == ("ADP-20", "$.context_keys[0].from", "InvalidPath")
    assert "is not a path" in error.message
    assert "data.object.amount" in (error.fix or "")


@pytest.mark.parametrize("source", ["data.*", "**.amount", "data.object.refunds[*]"])
def test_a_path_has_no_wildcards(source: str) -> None:
    error = refusal(key("amount", "Number", source))
    assert (error.rule, error.details[0]) == ("ADP-20", "InvalidPath")
    assert "many places" in error.message


@pytest.mark.parametrize(
    ("source", "words", "fix"),
    [
        ("dta.object", "there is no 'dta'", "did you mean 'data'?"),
        ("data.object.amont", "'data.object' has no 'amont'", "did you mean 'amount'?"),
        ("data.object.amount.value", "'data.object.amount' has no 'value'", "payload_schema of 'charge'"),
        ("anything.inside", "'anything' has no 'inside'", "payload_schema of 'charge'"),
        ("data[0]", "'data' has no '[0]'", "payload_schema of 'charge'"),
        ("data.object[k=a]", "'data.object' has no '[k=a]'", "payload_schema of 'charge'"),
    ],
)
def test_a_path_that_leads_nowhere(source: str, words: str, fix: str) -> None:
    error = refusal(key("amount", "Number", source))
    assert (error.rule, error.details[0]) == ("ADP-20", "PathLeadsNowhere")
    assert words in error.message
    assert fix in (error.fix or "")


def test_a_path_leads_somewhere_in_one_event_kind() -> None:
    shop = adapter(key("amount", "Number", "data.object.amount", required=True), charge=CHARGE, ping=closed())
    assert dict(bound(shop, {}, "ping").context.values) == {}
    assert dict(bound(shop, charge(amount=2)).context.values) == {"amount": 2.0}


def test_a_path_of_another_type() -> None:
    error = refusal(key("amount", "String", "data.object.amount"))
    assert (error.rule, error.path, error.details[0]) == ("ADP-20", "$.context_keys[0].from", "PlaceTypeMismatch")
    assert "context key 'amount' is String, but 'data.object.amount' of event kind 'charge' is Number" in error.message
    [unsupported] = refusals(key("amount", "Number", "data.object"))
    assert (unsupported.details[0], "type 'object'" in unsupported.message) == ("UnsupportedPlace", True)
    [untyped] = refusals(key("amount", "Number", "anything"))
    assert "has no 'type'" in untyped.message


def test_several_types_at_one_place() -> None:
    error = refusal(key("v", "Number", "a.v"), tick=closed(a={"properties": {"v": {"type": ["number", "string"]}}}))
    assert "Number or String" in error.message


@pytest.mark.parametrize(
    ("type", "default"),
    [
        ("Number", "0"),
        ("Number", True),
        ("String", 1),
        ("Bool", 0),
        ("Series", [1, "a"]),
        ("Series", 1),
        ("Number", {}),
    ],
)
def test_a_default_of_another_type(type: str, default: Any) -> None:
    schema = {"Number": "number", "String": "string", "Bool": "boolean", "Series": "array"}[type]
    tick = closed(v={"type": schema, **({"items": {"type": "number"}} if type == "Series" else {})})
    error = refusal(key("v", type, default=default), tick=tick)
    assert (error.rule, error.path, error.details[0]) == ("ADP-21", "$.context_keys[0].default", "DefaultTypeMismatch")


def test_a_key_with_a_path_is_not_bound_by_name_too() -> None:
    error = refusal(key("id", "String", "data.object.pair[0]"))
    assert (error.rule, error.path, error.details[0]) == ("ADP-20", "$.context_keys[0].from", "BoundByNameToo")


def test_a_key_with_a_path_cannot_be_written() -> None:
    error = refusal(key("amount", "Number", "data.object.amount", writable=True))
    assert (error.rule, error.details[0]) == ("ADP-20", "WritableWithPath")


def test_several_faults_are_found_together() -> None:
    found = refusals(
        key("a", "Number", "no.where"), key("note", "String"), key("b", "Number", "data.object.amount", default="x")
    )
    assert [error.rule for error in found] == ["ADP-19", "ADP-20", "ADP-21"]


def test_a_bound_member_keeps_its_rules() -> None:
    union = {"anyOf": [{"type": "number"}, {"type": "string"}]}
    assert refusal(key("v", "Number"), tick=closed(v=union, w=union)).rule == "ADP-8"
    assert [error.rule for error in refusals(key("v", "Number"), tick=closed(v={"type": ["number", "null"]}))] == [
        "ADP-19"
    ]


def test_a_payload_is_closed_unless_it_says_that_it_is_open() -> None:
    assert refusal(key("v", "Number"), tick={"type": "object", "properties": {"v": {"type": "number"}}}).rule == "ADP-8"
    tick = {"type": "object", "properties": {"v": {"type": "number"}}, "required": ["v", "w"]}
    shop = adapter(key("v", "Number"), tick={**tick, "additionalProperties": True})
    assert dict(bound(shop, {"v": 1, "w": 2}, "tick").context.values) == {"v": 1.0}


@pytest.mark.parametrize(
    "schema", [{"$ref": "https://example.com/schema.json"}, {"type": "nuber"}, {"pattern": "(?=a)"}]
)
def test_any_schema_is_one_of_the_draft_and_fetches_nothing(schema: Any) -> None:
    assert refusal(key("v", "Number"), tick=closed(v={"type": "number"}, w=schema)).rule == "ADP-8"


@pytest.mark.parametrize(
    "definitions",
    [
        {"a": {"$ref": "#/$defs/a"}},
        {"a": {"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}},
        {"a": {"anyOf": [{"$ref": "#/$defs/b"}, {"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}},
        {
            f"{letter}": {"allOf": [{"$ref": f"#/$defs/{after}"}] * 9}
            for letter, after in zip("abcdefg", "bcdefgh", strict=True)
        },
    ],
)
def test_references_that_go_round_come_to_an_end(definitions: Any) -> None:
    schema = {**closed(v={"$ref": "#/$defs/a"}), "$defs": {"h": {"type": "string"}, **definitions}}
    [error] = refusals(key("k", "Number", "v"), tick=schema)
    assert error.rule == "ADP-20"


def test_the_fingerprint_covers_paths_and_defaults() -> None:
    plain = adapter(key("amount", "Number", "data.object.amount"))
    others = [
        adapter(key("amount", "Number", "data.object.refunds[0]")),
        adapter(key("amount", "Number", "data.object.amount", default=0)),
        adapter(key("amount", "Number", "data.object.amount", default=0.0)),
        adapter(key("amount", "Number", "data.object.amount", default=1)),
    ]
    assert len({each.fingerprint for each in (plain, *others)}) == 5
    assert adapter(key("amount", "Number", "data.object.amount", default=None)).fingerprint == plain.fingerprint


def test_many_events_are_bound_as_one_is() -> None:
    shop = adapter(key("amount", "Number", "data.object.amount", default=4), key("id", "String"))
    payloads = [charge(amount=1), charge(), {**charge(amount=2), "note": None}]
    together = bind_together(shop.kinds, [hosted(payload) for payload in payloads])
    assert together is not None
    each = [bound(shop, payload) for payload in payloads]
    assert [(event.payload, dict(event.context.values)) for event in together] == [
        (event.payload, dict(event.context.values)) for event in each
    ]


def test_original_numbers_go_through_the_path() -> None:
    misread = 0.9385958677423489
    schema = json.loads(json.dumps(CHARGE).replace('"integer"', '"number"'))
    shop = adapter(key("amount", "Number", "data.object.amount"), charge=schema)
    assert bound(shop, charge(amount=misread), numbers=Numbers.ORIGINAL).context.values["amount"] == 0.9385958677423488
