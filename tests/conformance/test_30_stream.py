"""Spec 30 §30, events and fixtures: C-1 to C-3 and C-6 to C-12, as far as the stream decides them."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from ergo_cli.core.json import canonical
from ergo_cli.core.time import NANOS
from ergo_cli.errors import EventError
from ergo_cli.events.exact_reader import RecordFault
from ergo_cli.events.external import EventKind, HostedEvent, encode_hosted
from ergo_cli.events.records import read_hosted
from ergo_cli.events.stream import EventStream, SemanticKinds

LINE = (
    b'{"event_id":"evt-1","kind":"Command","at":{"secs":0,"nanos":0},'
    b'"semantic_kind":"price_bar","payload":{"close":101.25}}'
)
START = '{"kind":"episode_start"}'
COMMAND = '{"kind":"event","event":{"type":"Command"}}'


def stream_of(*lines: str, kinds: SemanticKinds = SemanticKinds.REFUSED) -> EventStream:
    return EventStream(["\n".join(lines).encode()], "day.jsonl", semantic_kinds=kinds)


def refusal_of(*lines: str, kinds: SemanticKinds = SemanticKinds.REFUSED) -> EventError:
    with pytest.raises(EventError) as refused:
        list(stream_of(*lines, kinds=kinds))
    return refused.value


def hosted(members: str) -> HostedEvent:
    return read_hosted(f'{{"event_id":"e","kind":"Command",{members}}}'.encode())


def test_c30_01_a_hosted_event_on_the_wire():
    event = HostedEvent("evt-1", EventKind.COMMAND, 0, "price_bar", {"close": 101.25})
    assert encode_hosted(event) == LINE
    assert read_hosted(LINE) == event


def test_c30_01_nulls_are_written_and_read_as_nothing():
    event = HostedEvent("", EventKind.PUMP, 5 * NANOS + 6)
    text = encode_hosted(event)
    assert text == b'{"event_id":"","kind":"Pump","at":{"secs":5,"nanos":6},"semantic_kind":null,"payload":null}'
    assert read_hosted(text) == event


def test_c30_01_a_frame_may_hold_any_payload_and_members_that_nobody_knows():
    assert hosted('"at":[0,0],"payload":[1],"extra":{"event_id":1}').payload == [1]


@pytest.mark.parametrize(
    ("at", "ns"),
    [("[5,6]", 5 * NANOS + 6), ('{"secs":1,"nanos":1500000000}', 2 * NANOS + 500_000_000)],
)
def test_c30_02_the_forms_of_at(at: str, ns: int):
    assert hosted(f'"at":{at}').at == ns


@pytest.mark.parametrize("at", ["5", "null", '"5s"', "[5]", "[5,6,7]", "[5,-6]", "[5,6.0]", "[true,0]"])
def test_c30_02_other_forms_of_at_are_refused(at: str):
    with pytest.raises(RecordFault, match="`at`"):
        hosted(f'"at":{at}')


@pytest.mark.parametrize("missing", ["event_id", "kind", "at"])
def test_c30_02_required_members_are_required(missing: str):
    members = {"event_id": '"e"', "kind": '"Pump"', "at": "[0,0]"}
    text = ",".join(f'"{name}":{value}' for name, value in members.items() if name != missing)
    with pytest.raises(RecordFault, match=f"missing field `{missing}`"):
        read_hosted(f"{{{text}}}".encode())


def test_c30_03_tick_is_pump_and_other_kinds_are_named():
    assert read_hosted(b'{"event_id":"e","kind":"Tick","at":[0,0]}').kind is EventKind.PUMP
    with pytest.raises(RecordFault, match="`Zed`"):
        read_hosted(b'{"event_id":"e","kind":"Zed","at":[0,0]}')


@pytest.mark.parametrize(
    ("payload", "stored", "digest"),
    [
        ("{}", "{}", "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
        (
            '{"close": 101.25}',
            '{"close":101.25}',
            "1cecb3ff666807dbb1656254a6f6f6a342b4b8c69abd5a72b30aae960fd42ea8",
        ),
        (
            '{"b":1.50,"a":1e20,"c":18446744073709551616,"d":-0.0,"e":1e-7,"é":"\\u00e9/","z":{"y":1,"x":2},'
            '"dup":1,"dup":2}',
            '{"a":1e20,"b":1.5,"c":1.8446744073709552e19,"d":-0.0,"dup":2,"e":1e-7,"z":{"x":2,"y":1},"é":"é/"}',
            "e28ba16b9c0d2096a5ecaeac25b5a7ed32361bf8d925be51b20631f686f7a19d",
        ),
    ],
)
def test_c30_06_payload_vectors(payload: str, stored: str, digest: str):
    [event] = stream_of(f'{{"kind":"event","event":{{"type":"Command","payload":{payload}}}}}')
    text = canonical(event.payload)
    assert text.decode() == stored
    assert sha256(text).hexdigest() == digest


def test_c30_06_an_absent_payload_stays_absent():
    [event] = stream_of(COMMAND)
    assert event.payload is None


def test_c30_06_a_number_beyond_the_range_is_a_parse_error():
    line = '{"kind":"event","event":{"type":"Command","payload":{"s":"1e400","a":1e400}}}'
    refusal = refusal_of(line)
    assert "fixture parse error at line 1: number out of range" in refusal.message
    column = line.rindex("1e400") + 1
    assert refusal.where == f"day.jsonl:1:{column}"


@pytest.mark.parametrize(
    ("lines", "named"),
    [([], "day.jsonl"), ([START], "day.jsonl"), ([START, START, COMMAND], "'E1'")],
)
def test_c30_07_streams_without_events(lines: list[str], named: str):
    refusal = refusal_of(*lines)
    assert refusal.code == "driver.input_invalid"
    assert named in refusal.message


def test_c30_08_an_id_used_twice():
    line = '{"kind":"event","event":{"id":"a","type":"Command"}}'
    refusal = refusal_of(line, "", line)
    assert refusal.code == "fixture.duplicate_event_id"
    column = line.index('"a"') + 1
    assert refusal.where == f"day.jsonl:3:{column} fixture event 'a'"


def test_c30_08_an_automatic_id_used_before():
    refusal = refusal_of('{"kind":"event","event":{"id":"fixture_evt_2","type":"Command"}}', COMMAND)
    assert refusal.code == "fixture.duplicate_event_id"
    assert refusal.where == "day.jsonl:2:25 fixture event 'fixture_evt_2'"


def test_c30_08_a_hosted_event_shares_ids_and_numbering_with_fixture_records():
    line = '{"event_id":"fixture_evt_3","kind":"Command","at":[0,0]}'
    assert [event.event_id for event in stream_of(COMMAND, line)] == ["fixture_evt_1", "fixture_evt_3"]
    refusal = refusal_of(COMMAND, line, COMMAND)
    assert refusal.code == "fixture.duplicate_event_id"


@pytest.mark.parametrize(
    ("line", "kinds", "code"),
    [
        (
            '{"kind":"event","event":{"type":"Command","semantic_kind":"k"}}',
            SemanticKinds.REFUSED,
            "fixture.unexpected_semantic_kind",
        ),
        (LINE.decode(), SemanticKinds.REFUSED, "fixture.unexpected_semantic_kind"),
        (COMMAND, SemanticKinds.REQUIRED, "fixture.semantic_kind_missing"),
        ('{"event_id":"e","kind":"Pump","at":[0,0]}', SemanticKinds.REQUIRED, "fixture.semantic_kind_missing"),
    ],
)
def test_c30_09_semantic_kinds(line: str, kinds: SemanticKinds, code: str):
    assert refusal_of(line, kinds=kinds).code == code


def test_c30_09_the_schedule_passes_semantic_kinds_over():
    assert len(list(stream_of(LINE.decode(), COMMAND, kinds=SemanticKinds.IGNORED))) == 2


@pytest.mark.parametrize(
    "line",
    [
        '{"kind":"event","event":{"type":"Command","semantic_kind":"k"}}',
        '{"kind":"event","event":{"type":"Command","semantic_kind":"k","payload":null}}',
        '{"event_id":"e","kind":"Pump","at":[0,0],"semantic_kind":"k"}',
    ],
)
def test_c30_10_an_adapter_gets_an_empty_object_for_no_payload(line: str):
    [event] = stream_of(line, kinds=SemanticKinds.REQUIRED)
    assert event.payload == {}


@pytest.mark.parametrize("member", ["context", "metadata"])
def test_c30_11_unknown_members(member: str):
    assert f"`{member}`" in refusal_of(f'{{"kind":"event","{member}":1,"event":{{"type":"Command"}}}}').message
    assert f"`{member}`" in refusal_of(f'{{"kind":"event","event":{{"type":"Command","{member}":1}}}}').message


@pytest.mark.parametrize(
    "line",
    [
        '{"kind":"event","event":{"type":"Command","payload":[]}}',
        '{"event_id":"e","kind":"Command","at":[0,0],"payload":[]}',
    ],
)
def test_c30_11_an_array_is_no_payload(line: str):
    assert "payload must be a JSON object, got array" in refusal_of(line).message


def test_c30_11_null_is_absent():
    line = '{"kind":"event","event":{"type":"Command","id":null,"payload":null,"semantic_kind":null}}'
    assert list(stream_of(line)) == list(stream_of(COMMAND))


def test_c30_12_an_event_before_any_start_opens_e1():
    stream = stream_of(COMMAND, START, COMMAND)
    assert len(list(stream)) == 2
    assert stream.episodes == 2
    assert "episode 'E1' has no events" in refusal_of(COMMAND, START).message
    assert "episode 'E2' has no events" in refusal_of(COMMAND, START, COMMAND, START).message


CASES = {
    "bad_fixture_json": "driver.input_invalid",
    "fixture_bad_type": "driver.input_invalid",
    "fixture_dup_auto_id": "fixture.duplicate_event_id",
    "fixture_empty": "driver.input_invalid",
    "fixture_empty_second_episode": "driver.input_invalid",
    "fixture_only_episode": "driver.input_invalid",
    "fixture_payload_array": "driver.input_invalid",
    "semantic_without_adapter": "fixture.unexpected_semantic_kind",
}


@pytest.mark.parametrize("case", CASES)
def test_refused_streams_of_the_original(case: str, conformance: Path):
    text = (conformance / "21-run-failures" / f"{case}.events.jsonl").read_bytes()
    with pytest.raises(EventError) as refused:
        list(EventStream([text], "events.jsonl", semantic_kinds=SemanticKinds.REFUSED))
    assert refused.value.code == CASES[case]


def test_the_shapes_of_the_original(conformance: Path):
    text = (conformance / "13-fixture-shapes" / "events.jsonl").read_bytes()
    stream = EventStream([text], "events.jsonl", semantic_kinds=SemanticKinds.REFUSED)
    ids = [event.event_id for event in stream]
    assert ids == ["fixture_evt_1", "mine", "fixture_evt_3", "", "fixture_evt_5"]
    assert (stream.episodes, stream.events) == (3, 5)
