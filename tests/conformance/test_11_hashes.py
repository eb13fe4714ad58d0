"""Spec 11 §18, C-10 … C-13: effect and payload hashes."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ergo_cli.bundle.decoding import decode_decision
from ergo_cli.bundle.encoding import encode_decision
from ergo_cli.bundle.schema import CapturedEffect, PayloadHashMismatch, check_payload, rehydrate
from ergo_cli.core.values import Effect, Intent, IntentField, Value, effect_hash
from ergo_cli.events.external import EventKind, InvalidPayload
from ergo_cli.testing.bundles import completed, event_record, set_context

ORDER = Effect(
    "place_order",
    [],
    [Intent("place_order", "eid1:sha256:sample", [IntentField("qty", Value(Number=42.0))])],
)
LABEL = 'café "q"\n\t\u0001\u007f/'


@pytest.mark.parametrize(
    ("effect", "text", "digest"),
    [
        (
            set_context("x", 1.0),
            '{"kind":"set_context","writes":[{"key":"x","value":{"Number":1.0}}]}',
            "55d64445c2438c7e5e64bd81f1a8e0d4ab3922df4a9f20f3344590178095fdb9",
        ),
        (
            set_context("price", 42.0),
            '{"kind":"set_context","writes":[{"key":"price","value":{"Number":42.0}}]}',
            "52b1f61a1ba28e6a54ff7c2440733c26f79b1919b89991ec4885646beddc0929",
        ),
        (
            Effect("set_context", []),
            '{"kind":"set_context","writes":[]}',
            "695bb960c5c2cd2f59d8d57a818768e6b652a3e12555c925d0272337381ff553",
        ),
        (
            set_context("armed", True),
            '{"kind":"set_context","writes":[{"key":"armed","value":{"Bool":true}}]}',
            "e850954992c445fe04d390f5c8e625d78d873cbe58e7192fd4ffe866c53b0813",
        ),
        (
            set_context("hist", [1.0, 2.5, -0.0, 1e16, 1e-7]),
            '{"kind":"set_context","writes":[{"key":"hist","value":{"Series":[1.0,2.5,-0.0,1e16,1e-7]}}]}',
            "63bd9169c607968f645a626a12832f3020347194e8fb789e5f838b818be90174",
        ),
        (
            set_context("last_qty", 42.0),
            '{"kind":"set_context","writes":[{"key":"last_qty","value":{"Number":42.0}}]}',
            "3b1afa9f0d0deb4f02eb71cbd94093eb86128994a0cd7f1b22d0ca1c6d8f3d9a",
        ),
        (
            ORDER,
            '{"kind":"place_order","writes":[],"intents":[{"kind":"place_order","intent_id":"eid1:sha256:sample",'
            '"fields":[{"name":"qty","value":{"Number":42.0}}]}]}',
            "8e4ceca219e32ca1d9253a405aaac539d7f3944e0ab624c137ccd9fe2065d61a",
        ),
        (
            set_context("label", LABEL),
            '{"kind":"set_context","writes":[{"key":"label","value":{"String":"café \\"q\\"\\n\\t\\u0001\u007f/"}}]}',
            "a78ce800b3ed604dff9e1f0cdaef66328397d3ad9e223f18819aecbd3ac0cd22",
        ),
    ],
    ids=[f"H{number}" for number in range(1, 9)],
)
def test_c11_10_effect_hash_vectors(effect: Effect, text: str, digest: str) -> None:
    captured = CapturedEffect.of(effect)
    assert captured.text.decode() == text
    assert captured.effect_hash == digest
    assert CapturedEffect.of(effect) == captured


def test_c11_10_the_hash_is_stable_and_64_characters_long() -> None:
    hashes = {CapturedEffect.of(set_context("x", 1.0)).effect_hash for _ in range(3)}
    assert [len(text) for text in hashes] == [64]


@pytest.mark.parametrize("legacy", [b"", b',"intents":[]'])
def test_c11_11_empty_intents_disappear_and_the_hash_stays(legacy: bytes) -> None:
    effect = b'{"kind":"set_context","writes":[{"key":"x","value":{"Number":1.0}}]'
    digest = effect_hash(effect + b"}")
    text = (
        b'{"event_id":"e","decision":"Invoke","schedule_at":null,"episode_id":0,"deadline":null,'
        b'"termination":"Completed","retry_count":0,"effects":[{"effect":%b},"effect_hash":"%b"}]}'
    ) % (effect + legacy, digest.encode())
    record = decode_decision(text)
    assert record.effects[0].effect.intents == []
    assert record == completed("e", effects=[set_context("x", 1.0)])
    assert encode_decision(record) == text.replace(legacy, b"")
    assert effect_hash(record.effects[0].text) == record.effects[0].effect_hash


def test_c11_12_the_payload_hash_of_abc() -> None:
    record = event_record("e", b"abc")
    assert record.payload_hash == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    check_payload(record)
    with pytest.raises(PayloadHashMismatch):
        check_payload(replace(record, payload=b"def"))


def test_c11_12_an_upper_case_hash_is_another_hash() -> None:
    record = event_record("e", b"abc")
    with pytest.raises(PayloadHashMismatch):
        check_payload(replace(record, payload_hash=record.payload_hash.upper()))


def test_c11_13_a_good_record_gives_its_event_back() -> None:
    event = rehydrate(event_record("e7", b'{"x":2.5}', at=3_250_000_000, kind=EventKind.DATA_AVAILABLE))
    assert (event.event_id, event.kind, event.at) == ("e7", EventKind.DATA_AVAILABLE, 3_250_000_000)
    assert event.payload == b'{"x":2.5}'
    assert dict(event.context.values) == {"x": 2.5}


def test_c11_13_changed_bytes_are_a_mismatch_of_two_hashes() -> None:
    good, other = event_record("e7", b'{"x":1}'), event_record("e7", b'{"x":2}')
    with pytest.raises(PayloadHashMismatch) as caught:
        rehydrate(replace(good, payload=other.payload))
    assert caught.value.expected == good.payload_hash
    assert caught.value.actual == other.payload_hash
    assert caught.value.code == "replay.hash_mismatch"
    assert caught.value.where == "event 'e7'"


def test_c11_13_a_payload_that_is_no_object_is_invalid() -> None:
    with pytest.raises(InvalidPayload, match="payload must be a JSON object, got string"):
        rehydrate(event_record("e", b'"not-an-object"'))
