"""Spec 11 §18, C-1 … C-9: the text of a v3 bundle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from ergo_cli.bundle.decoding import decode_decision, decode_event
from ergo_cli.bundle.encoding import encode_decision, encode_event
from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.bundle.reader import open_bundle
from ergo_cli.bundle.schema import CapturedEffect, EventRecord, payload_hash
from ergo_cli.bundle.writer import BundleWriter
from ergo_cli.core.json import canonical, decode
from ergo_cli.errors import BundleError, CaptureWriteError
from ergo_cli.events.external import EventKind, ExternalEvent
from ergo_cli.replay.engine import replay_bundle
from ergo_cli.replay.results import ReplayOptions, Target
from ergo_cli.testing.bundles import bundle_of, completed, event_record, rewrite_bundle, set_context
from tests.support.scripted_kind import scripted

VECTORS = Path(__file__).parent / "data" / "spec11"

SAMPLE: dict[str, Any] = {
    "capture_version": "v3",
    "graph_id": "sample",
    "config": {"max_retries": 0},
    "events": [
        {
            "event_id": "sample-event",
            "event_time": {"secs": 0, "nanos": 0},
            "kind": "Tick",
            "payload": [],
            "payload_hash": hashlib.sha256(b"").hexdigest(),
        }
    ],
    "decisions": [
        {
            "event_id": "sample-event",
            "decision": "Invoke",
            "schedule_at": None,
            "episode_id": 0,
            "deadline": None,
            "termination": "Completed",
            "retry_count": 0,
            "effects": [
                {
                    "effect": {"kind": "set_context", "writes": [{"key": "last_qty", "value": {"Number": 42.0}}]},
                    "effect_hash": "sample:set_context",
                },
                {
                    "effect": {
                        "kind": "place_order",
                        "writes": [],
                        "intents": [
                            {
                                "kind": "place_order",
                                "intent_id": "eid1:sha256:sample",
                                "fields": [{"name": "qty", "value": {"Number": 42}}],
                            }
                        ],
                    },
                    "effect_hash": "sample:place_order",
                },
            ],
            "intent_acks": [
                {"intent_id": "eid1:sha256:sample", "channel": "broker", "status": "accepted", "acceptance": "durable"}
            ],
        }
    ],
    "adapter_provenance": "none",
    "runtime_provenance": "rpv1:sha256:sample",
    "egress_provenance": "epv1:sha256:sample",
}


def load(folder: Path, document: dict[str, Any] | bytes) -> CaptureBundle:
    path = folder / "bundle.json"
    path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
    return open_bundle(str(path)).load()


def refused(folder: Path, document: dict[str, Any]) -> str:
    with pytest.raises(BundleError) as caught:
        load(folder, document)
    assert caught.value.code == "bundle.parse_failed"
    return caught.value.message


@pytest.mark.parametrize(
    ("name", "size", "digest", "pretty_size", "pretty_digest"),
    [
        ("f1.json", 251, "1f5d48c0e92b7cf7df31fb5f5870c83ca90951172673ee0aba0208af1ee5db5b", None, None),
        (
            "f2.json",
            2276,
            "e03411d2bf7345625692e232686c493d5d5103fc086874bbf17d815b1edccb9f",
            3849,
            "cd74a7b29170891435ac5a8840d10a3112b7d2c30953d08693ea8ac3cfe4b6e9",
        ),
    ],
)
def test_c11_1_whole_file_vectors(
    tmp_path: Path, name: str, size: int, digest: str, pretty_size: int | None, pretty_digest: str | None
) -> None:
    rewrite_bundle(str(VECTORS / name), str(tmp_path / "compact.json"))
    rewrite_bundle(str(VECTORS / name), str(tmp_path / "pretty.json"), pretty=True)
    compact, pretty = (tmp_path / "compact.json").read_bytes(), (tmp_path / "pretty.json").read_bytes()
    assert (len(compact), hashlib.sha256(compact).hexdigest()) == (size, digest)
    if pretty_digest is not None:
        assert (len(pretty), hashlib.sha256(pretty).hexdigest()) == (pretty_size, pretty_digest)


def test_c11_1_pretty_text_of_an_empty_run(tmp_path: Path) -> None:
    pretty = open_bundle(str(VECTORS / "f1.json")).load().encode(pretty=True).decode()
    assert pretty.startswith('{\n  "capture_version": "v3",\n  "graph_id": "capture_test",\n  "config": {\n')
    assert pretty.endswith('  "adapter_provenance": "none",\n  "runtime_provenance": "rpv1:sha256:test"\n}\n')
    assert '  "events": [],\n  "decisions": [],\n' in pretty


@pytest.mark.parametrize("case", ["01-minimal", "02-demo1", "03-context-set", "06-series", "08-nested-clusters"])
@pytest.mark.parametrize("style", ["capture.json", "capture.pretty.json"])
def test_c11_1_bundles_of_the_original_are_rewritten_to_the_byte(
    tmp_path: Path, conformance: Path, case: str, style: str
) -> None:
    assert_rewritten(conformance / case / style, tmp_path)


@pytest.mark.parametrize("case", ["11-pump", "13-fixture-shapes", "17-float-drift"])
@pytest.mark.parametrize("style", ["capture.json", "capture.pretty.json"])
def test_c11_1_more_bundles_of_the_original_are_rewritten_to_the_byte(
    tmp_path: Path, conformance: Path, case: str, style: str
) -> None:
    assert_rewritten(conformance / case / style, tmp_path)


@pytest.mark.parametrize(
    "pattern", ["21-run-failures/*.capture.json", "23-intents/egress_*.json", "23-intents/*.capture.json"]
)
def test_c11_1_failed_and_intent_bundles_of_the_original_are_rewritten_to_the_byte(
    tmp_path: Path, conformance: Path, pattern: str
) -> None:
    paths = sorted(conformance.glob(pattern))
    assert len(paths) >= 2
    for path in paths:
        assert_rewritten(path, tmp_path)


def test_c11_1_constrained_bundles_of_the_original_are_rewritten_to_the_byte(tmp_path: Path, conformance: Path) -> None:
    names = {path.name for path in (conformance / "24-constraints").glob("*.json")} - {"original.json"}
    decided = sorted(name for name in names if not name.endswith(".input.json"))
    assert len(decided) == 7
    for name in decided:
        assert_rewritten(conformance / "24-constraints" / name, tmp_path)


def assert_rewritten(source: Path, folder: Path) -> None:
    original = source.read_bytes()
    pretty = original.startswith(b"{\n")
    written = folder / "again.json"
    rewrite_bundle(str(source), str(written), pretty=pretty)
    assert written.read_bytes() == original
    assert open_bundle(str(source)).load().encode(pretty=pretty) == original


def test_c11_2_both_styles_end_in_a_line_feed_and_hold_the_same(tmp_path: Path) -> None:
    bundle = open_bundle(str(VECTORS / "f2.json")).load()
    compact, pretty = bundle.encode(), bundle.encode(pretty=True)
    assert compact.endswith(b"}\n")
    assert compact.count(b"\n") == 1
    assert pretty.endswith(b"}\n")
    assert pretty.count(b"\n") > 100
    assert load(tmp_path, compact) == load(tmp_path, pretty) == bundle


def test_c11_3_an_unknown_top_member_is_refused_by_name(tmp_path: Path) -> None:
    message = refused(tmp_path, {**SAMPLE, "adapter_version": "1"})
    assert "unknown field `adapter_version`" in message


def test_c11_3_a_decision_without_effects_is_refused_by_name(tmp_path: Path) -> None:
    decision = {name: member for name, member in SAMPLE["decisions"][0].items() if name != "effects"}
    message = refused(tmp_path, {**SAMPLE, "decisions": [decision]})
    assert "missing field `effects`" in message
    assert "decisions[0]" in message


def test_c11_4_the_sample_bundle(tmp_path: Path) -> None:
    bundle = load(tmp_path, SAMPLE)
    assert bundle.capture_version == "v3"
    external = bundle.decisions[0].effects[1].effect
    assert external.writes == []
    assert len(external.intents) == 1
    assert bundle.egress_provenance == "epv1:sha256:sample"
    assert b'"kind":"Pump","payload":[]' in bundle.encode()

    result = replay_bundle(bundle, Target(scripted(graph_id="sample")), ReplayOptions(strict=False))
    assert (result.error, result.events) == (None, len(bundle.events))
    assert result.decisions is not None
    assert (result.decisions.invoke, result.decisions.defer) == (0, len(bundle.events))  # a pump with nothing due


def test_c11_5_tick_reads_as_pump() -> None:
    text = encode_event(event_record("e", kind=EventKind.PUMP)).replace(b'"Pump"', b'"Tick"')
    assert decode_event(text).kind is EventKind.PUMP


def test_c11_6_missing_optional_members_read_as_none() -> None:
    text = b'{"event_id":"e","decision":"Defer","episode_id":3,"retry_count":0,"effects":[]}'
    record = decode_decision(text)
    assert (record.schedule_at, record.deadline, record.termination) == (None, None, None)
    assert (record.intent_acks, record.interruption) == ((), None)
    written = encode_decision(record)
    assert b'"schedule_at":null' in written
    assert b'"termination":null' in written
    assert b"intent_acks" not in written
    assert b"interruption" not in written


def test_c11_6_null_acks_are_refused() -> None:
    text = b'{"event_id":"e","decision":"Defer","episode_id":3,"retry_count":0,"effects":[],"intent_acks":null}'
    with pytest.raises(BundleError, match="expected `array`, got `null`") as caught:
        decode_decision(text)
    assert caught.value.where == "intent_acks"


def test_c11_7_null_egress_provenance_is_none_and_not_written(tmp_path: Path) -> None:
    bundle = load(tmp_path, {**SAMPLE, "egress_provenance": None})
    assert bundle.egress_provenance is None
    assert b"egress_provenance" not in bundle.encode()


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (42.0, b"42.0"),
        (-0.0, b"-0.0"),
        (1e15, b"1000000000000000.0"),
        (1e16, b"1e16"),
        (123456789012345680.0, b"1.2345678901234568e17"),
        (0.0001, b"0.0001"),
        (0.00001, b"0.00001"),
        (0.000015, b"0.000015"),
        (1e-7, b"1e-7"),
        (5e-324, b"5e-324"),
    ],
)
def test_c11_8_floats(number: float, text: bytes) -> None:
    assert CapturedEffect.of(set_context("x", number)).text == (
        b'{"kind":"set_context","writes":[{"key":"x","value":{"Number":' + text + b"}}]}"
    )
    written = encode_decision(completed("e", effects=[set_context("x", number), set_context("s", [number])]))
    assert decode_decision(written) == completed("e", effects=[set_context("x", number), set_context("s", [number])])


@pytest.mark.parametrize(
    ("payload", "digest"),
    [
        (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"{}", "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
        (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (b'{"x":1}', "5041bf1f713df204784353e82f6a4a535931cb64f1f4b4a5aeaffcb720918b22"),
        (b'{"x":2.5}', "25b934393cfa55ee8731d92ce0707735ea809bca2bb7bd099640940014139470"),
        (b'{"price":12.3,"symbol":"BTC"}', "b744218f114760ba6bfa9d22c61b00b889edf58348046a4ec919a6d25c6ec57d"),
    ],
)
def test_c11_8_payload_hashes(payload: bytes, digest: str) -> None:
    assert payload_hash(payload) == digest


@pytest.mark.parametrize(
    ("authored", "text", "digest"),
    [
        (
            '{"b":1,"a":2,"C":3,"é":4,"aa":5}',
            '{"C":3,"a":2,"aa":5,"b":1,"é":4}',
            "ece2946717f5c7c131823e43e54f87cee6941fd373bf1e7433c4c36149c144c3",
        ),
        (
            '{"n":1.0,"i":1,"e":1e5,"E":1E+2,"z":-0,"zz":-0.0,"f":0.1e1}',
            '{"E":100.0,"e":100000.0,"f":1.0,"i":1,"n":1.0,"z":-0.0,"zz":-0.0}',
            "21a62ae41426020b8e36b526c59b49b91956c5c6b87bfe651018de30a252348f",
        ),
        (
            '{"big":18446744073709551615,"over":18446744073709551616,"neg":-9223372036854775808,'
            '"under":-9223372036854775809}',
            '{"big":18446744073709551615,"neg":-9223372036854775808,"over":1.8446744073709552e19,'
            '"under":-9.223372036854776e18}',
            "7bef4a9ecabdcda4eef3ce25b7e5e17a7e8fee3378b78703edbc65ddd49d7aa5",
        ),
        ('{"dup":1,"dup":2}', '{"dup":2}', "65c9cbc507398dd4e40d498eefbe8622b42a923d68561315cd9d56bc2eda02b5"),
        ('{ "ws" :  [ 1 ,2 ] }', '{"ws":[1,2]}', "6c56b3891c58a11d216d77b226d287f414da90c56983f0fc62e9f6d1d4d1150a"),
        ('{"":0}', '{"":0}', "6d741b146801696dd35e34575e778730f06b2ec4bb5ccee13166f36c0761a55a"),
        (
            '{"nest":{"z":[1,2.0,"3",null,true],"a":{}},"arr":[[1,2],[3]]}',
            '{"arr":[[1,2],[3]],"nest":{"a":{},"z":[1,2.0,"3",null,true]}}',
            "c6bb82c4dad62d3d70b00bc13e31bfce343370699b92f81d261a4d6715f357ed",
        ),
    ],
)
def test_c11_8_canonical_payloads(authored: str, text: str, digest: str) -> None:
    rendered = canonical(decode(authored.encode()))
    event = ExternalEvent.with_payload("e", EventKind.COMMAND, 0, rendered)
    assert rendered.decode() == text
    assert EventRecord.of(event).payload_hash == digest


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_c11_9_numbers_that_are_not_finite_cannot_be_written(number: float) -> None:
    for effect in (set_context("x", number), set_context("x", [1.0, number])):
        with pytest.raises(ValueError, match="not finite"):
            CapturedEffect.of(effect)


def write_event(writer: BundleWriter) -> None:
    writer.event(event_record("\ud800"))


def write_decision(writer: BundleWriter) -> None:
    writer.decision(replace(completed("e"), interruption="\udfff"))


@pytest.mark.parametrize("write", [write_event, write_decision])
def test_c11_9_a_lone_surrogate_cannot_be_written(tmp_path: Path, write: Callable[[BundleWriter], None]) -> None:
    target = tmp_path / "b.json"
    with (
        pytest.raises(CaptureWriteError) as caught,
        BundleWriter(str(target), bundle_of([], []).header, pretty=True) as writer,
    ):
        write(writer)
    assert caught.value.stage == "Serialize"
    assert "pretty" in caught.value.message
    assert isinstance(caught.value.__cause__, ValueError)
    assert list(tmp_path.iterdir()) == []
