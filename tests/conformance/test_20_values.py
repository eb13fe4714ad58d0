"""Spec 20 §17, values and shapes: C-1 … C-3."""

from __future__ import annotations

import msgspec
import pytest

from ergo_cli.core.values import Effect, Intent, IntentField, NativeValue, Value, Write, encode_effect


@pytest.mark.parametrize(
    ("native", "text"),
    [(1.0, '{"Number":1.0}'), ([1.0, 2.5], '{"Series":[1.0,2.5]}'), (True, '{"Bool":true}'), ("x", '{"String":"x"}')],
)
def test_c20_1_values_are_externally_tagged(native: NativeValue, text: str) -> None:
    assert msgspec.json.encode(Value.of(native)).decode() == text
    assert msgspec.json.decode(text, type=Value).native == native


def test_c20_1_integer_json_reads_as_number() -> None:
    assert msgspec.json.encode(msgspec.json.decode('{"Number":1}', type=Value)) == b'{"Number":1.0}'
    assert msgspec.json.encode(msgspec.json.decode('{"Series":[1,2]}', type=Value)) == b'{"Series":[1.0,2.0]}'


@pytest.mark.parametrize("text", ['{"Number":null}', "{}", '{"Number":1,"Bool":true}', '{"Int":1}', "1"])
def test_c20_1_anything_else_is_rejected(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=Value)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1e15, "1000000000000000.0"),
        (1e16, "1e16"),
        (1e-5, "0.00001"),
        (1e-6, "1e-6"),
        (-0.0, "-0.0"),
        (0.0, "0.0"),
        (123456789012345680.0, "1.2345678901234568e17"),
        (100.0, "100.0"),
        (1234.5, "1234.5"),
        (0.0001, "0.0001"),
        (0.00001234, "0.00001234"),
        (5e-324, "5e-324"),
        (1e100, "1e100"),
        (-2.5e-9, "-2.5e-9"),
    ],
)
def test_c20_2_floats_render_by_the_table(number: float, text: str) -> None:
    effect = Effect("set_context", [Write("k", Value.of(number))])
    expected = f'{{"kind":"set_context","writes":[{{"key":"k","value":{{"Number":{text}}}}}]}}'
    assert encode_effect(effect).decode() == expected


@pytest.mark.parametrize("native", [float("nan"), float("inf"), [1.0, float("-inf")]])
def test_c20_2_writer_refuses_what_is_not_finite(native: NativeValue) -> None:
    with pytest.raises(ValueError, match="set_context"):
        encode_effect(Effect("set_context", [Write("k", Value.of(native))]))


def test_c20_3_effect_without_intents_has_no_such_member() -> None:
    text = b'{"kind":"set_context","writes":[{"key":"samples","value":{"Series":[1.0,2.0,5.0]}}]}'
    effect = msgspec.json.decode(text, type=Effect)
    assert effect.intents == []
    assert encode_effect(effect) == text


def test_c20_3_writes_are_always_there_and_required() -> None:
    intent = Intent("ping", "eid1:sha256:00", [IntentField("qty", Value.of(2.0))])
    assert encode_effect(Effect("ping", [], [intent])) == (
        b'{"kind":"ping","writes":[],"intents":[{"kind":"ping","intent_id":"eid1:sha256:00",'
        b'"fields":[{"name":"qty","value":{"Number":2.0}}]}]}'
    )
    with pytest.raises(msgspec.ValidationError, match="writes"):
        msgspec.json.decode(b'{"kind":"set_context"}', type=Effect)
