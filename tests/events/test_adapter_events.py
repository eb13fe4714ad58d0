from __future__ import annotations

from typing import Any

import pytest

from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import StepError
from ergo_cli.events.adapter import build_bound_event, compile_events
from ergo_cli.events.adapter_manifest import ProvidedKey, Provides
from ergo_cli.events.external import EventKind, HostedEvent, build_unbound_event

SCHEMA = {
    "type": "object",
    "properties": {"x": {"type": "number", "maximum": 1e300}, "hist": {"type": "array"}},
    "additionalProperties": True,
}
KINDS, _ = compile_events(Provides({"hist": ProvidedKey("Series"), "x": ProvidedKey("Number")}, {"tick": SCHEMA}))
MISREAD = 0.9385958677423489


def hosted(payload: Any) -> HostedEvent:
    return HostedEvent("e1", EventKind.DATA_AVAILABLE, 5, "tick", payload)


def test_bound_event_keeps_id_kind_and_time() -> None:
    event = build_bound_event(KINDS, hosted({"x": 1}), {})
    assert (event.event_id, event.kind, event.at) == ("e1", EventKind.DATA_AVAILABLE, 5)
    assert event.context.payload == event.payload


def test_payload_is_sorted_at_every_depth() -> None:
    event = build_bound_event(KINDS, hosted({"z": {"b": 1, "a": [{"d": 1, "c": 2.0}]}, "x": 1e16}), {})
    assert event.payload == b'{"x":1e16,"z":{"a":[{"c":2.0,"d":1}],"b":1}}'


def test_merging_changes_neither_payload_nor_store() -> None:
    payload, store = {"x": 1}, {"hist": [1.0, 2.0]}
    event = build_bound_event(KINDS, hosted(payload), store)
    assert event.payload == b'{"hist":[1.0,2.0],"x":1}'
    assert payload == {"x": 1}
    assert store == {"hist": [1.0, 2.0]}


def test_merge_adds_nothing_by_handing_back_the_payload() -> None:
    payload = {"hist": [1.0]}
    assert KINDS["tick"].merge(payload, {"hist": [2.0]}) is payload
    assert KINDS["tick"].merge(payload, {"other": 1.0}) is payload


@pytest.mark.parametrize(
    "payload", [{"z": float("nan")}, {"z": [{"a": float("-inf")}]}, {"z": "\ud800"}, {"z": {1: 2}}]
)
def test_what_json_cannot_hold_is_no_event(payload: Any) -> None:
    for build in (lambda event: build_bound_event(KINDS, event, {}), build_unbound_event):
        with pytest.raises(StepError) as caught:
            build(hosted(payload))
        assert caught.value.name == "EventBuild"
        assert caught.value.recoverable


def test_null_is_a_value() -> None:
    assert build_bound_event(KINDS, hosted({"z": None}), {}).payload == b'{"z":null}'


def test_complaints_name_keyword_and_event() -> None:
    with pytest.raises(StepError) as caught:
        build_bound_event(KINDS, hosted({"x": 1e301}), {})
    assert "$.x" in caught.value.message
    assert "'maximum'" in caught.value.message
    assert caught.value.where == "event 'e1'"


def test_long_values_are_shortened_in_complaints() -> None:
    with pytest.raises(StepError) as caught:
        build_bound_event(KINDS, hosted({"x": "long" * 1000}), {})
    assert len(caught.value.message) < 500
    assert "'type'" in caught.value.message


def test_original_numbers_are_read_from_the_text_again() -> None:
    exact = build_bound_event(KINDS, hosted({"x": MISREAD}), {})
    original = build_bound_event(KINDS, hosted({"x": MISREAD}), {}, Numbers.ORIGINAL)
    assert exact.payload == original.payload
    assert exact.context.values["x"] == MISREAD
    assert original.context.values["x"] == 0.9385958677423488
    assert build_unbound_event(hosted({"x": MISREAD}), Numbers.ORIGINAL).context.values["x"] == 0.9385958677423488


def test_unbound_event_ignores_the_semantic_kind() -> None:
    assert build_unbound_event(hosted({"b": 1, "a": 2})).payload == b'{"a":2,"b":1}'


def test_unbound_event_without_payload_is_mechanical() -> None:
    event = build_unbound_event(hosted(None))
    assert event.payload == b""
    assert dict(event.context.values) == {}
    assert build_unbound_event(hosted({})).payload == b"{}"
