"""Spec 10 §25, fixtures: C-7 to C-18. Opening a file that is missing (C-16) is the event source's part."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ergo_cli.core.time import NANOS
from ergo_cli.errors import EventError
from ergo_cli.events.external import EpisodeStart, EventKind, HostedEvent
from ergo_cli.events.records import read_record
from ergo_cli.events.stream import EventStream, SemanticKinds
from ergo_cli.host.event_input import open_source


def stream_of(*lines: str | bytes, kinds: SemanticKinds = SemanticKinds.IGNORED) -> EventStream:
    text = b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    return EventStream([text], "day.jsonl", semantic_kinds=kinds)


def events_of(*lines: str | bytes, kinds: SemanticKinds = SemanticKinds.IGNORED) -> list[HostedEvent]:
    return list(stream_of(*lines, kinds=kinds))


def refusal_of(*lines: str | bytes, kinds: SemanticKinds = SemanticKinds.IGNORED) -> EventError:
    with pytest.raises(EventError) as refused:
        events_of(*lines, kinds=kinds)
    return refused.value


def event(members: str) -> str:
    return f'{{"kind":"event","event":{{{members}}}}}'


def place(line: str, words: str) -> str:
    """Where in the first line of the stream these words stand."""
    return f"day.jsonl:1:{line.index(words) + 1}"


COMMAND = event('"type":"Command"')
START = '{"kind":"episode_start"}'


def label_of(line: str) -> str | None:
    record = read_record(line.encode(), 1)
    assert isinstance(record, EpisodeStart)
    return record.label


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ('{"secs":5,"nanos":6}', 5 * NANOS + 6),
        ('{"nanos":1500000000,"secs":1}', 2 * NANOS + 500_000_000),
        ('"1500ms"', 1_500_000_000),
        ('"5s"', 5 * NANOS),
        ('"2m"', 120 * NANOS),
        ('"1h"', 3600 * NANOS),
        ("null", 0),
    ],
)
def test_c10_07_at_is_read_in_its_forms(at: str, expected: int):
    assert events_of(event(f'"type":"Command","at":{at}'))[0].at == expected


@pytest.mark.parametrize(
    "at", ["5", "0", "1.5", "[5,6]", "true", "{}", '"5"', '"5d"', '"-5s"', '"1.5s"', '""', '" 5s"']
)
def test_c10_07_at_in_another_form_is_refused(at: str):
    refusal = refusal_of(event(f'"type":"Command","at":{at}'))
    assert refusal.code == "driver.input_invalid"
    assert "`at`" in refusal.message


@pytest.mark.parametrize(
    ("line", "member"),
    [
        ('{"kind":"event","context":{},"event":{"type":"Command"}}', "context"),
        ('{"kind":"episode_start","id":"E1","extra":1}', "extra"),
        (event('"type":"Command","foo":1'), "foo"),
        (event('"type":"Command","payloads":{}'), "payloads"),
        (event('"type":"Command","a":1,"b":2'), "a"),
        (event('"type":"Command","ghost":null'), "ghost"),
        ('{"kind":"event","event":{"type":"Command"},"metadata":{}}', "metadata"),
    ],
)
def test_c10_07_unknown_members_are_refused_by_name_at_line_1(line: str, member: str):
    refusal = refusal_of(line)
    assert f"fixture parse error at line 1: unknown field `{member}`" in refusal.message
    assert refusal.where == place(line, f'"{member}"')


def test_c10_08_a_minimal_line_has_nothing_optional():
    assert read_record(COMMAND.encode(), 1) == HostedEvent("fixture_evt_1", EventKind.COMMAND, 0, None, None)


def test_c10_08_all_optional_members_are_kept():
    line = event('"type":"DataAvailable","id":"evt_1","semantic_kind":"price_tick","payload":{"price":1.5}')
    assert read_record(line.encode(), 7) == HostedEvent(
        "evt_1", EventKind.DATA_AVAILABLE, 0, "price_tick", {"price": 1.5}
    )


def test_c10_08_null_is_absent_and_an_empty_payload_is_present():
    nulls = event('"type":"Command","id":null,"at":null,"semantic_kind":null,"payload":null')
    assert read_record(nulls.encode(), 1) == read_record(COMMAND.encode(), 1)
    assert events_of(event('"type":"Command","payload":{}'))[0].payload == {}


@pytest.mark.parametrize(
    ("payload", "got"), [('"s"', "string"), ("[1]", "array"), ("1.5", "number"), ("true", "boolean")]
)
def test_c10_09_other_payloads_are_refused_by_type(payload: str, got: str):
    refusal = refusal_of(COMMAND, event(f'"type":"Command","payload":{payload}'))
    assert "fixture parse error at line 2" in refusal.message
    assert f"payload must be a JSON object, got {got}" in refusal.message


def test_c10_10_labels_of_episode_starts():
    assert label_of('{"kind":"episode_start","id":"warmup"}') == "warmup"
    refusal = refusal_of(START)
    assert "no events" in refusal.message


@pytest.mark.parametrize(("empty", "label"), [(0, "E1"), (1, "X"), (2, "E3")])
def test_c10_10_unnamed_starts_count_all_starts(empty: int, label: str):
    starts = [START, '{"kind":"episode_start","id":"X"}', '{"kind":"episode_start","id":null}']
    lines = [line for number, start in enumerate(starts) for line in ([start] if number == empty else [start, COMMAND])]
    assert f"episode '{label}' has no events" in refusal_of(*lines).message


@pytest.mark.parametrize(
    ("spelling", "kind"),
    [
        ("Pump", EventKind.PUMP),
        ("Tick", EventKind.PUMP),
        ("DataAvailable", EventKind.DATA_AVAILABLE),
        ("Command", EventKind.COMMAND),
    ],
)
def test_c10_11_event_kinds(spelling: str, kind: EventKind):
    assert events_of(event(f'"type":"{spelling}"'))[0].kind is kind


@pytest.mark.parametrize("spelling", ["FooBar", "command", "PUMP", ""])
def test_c10_11_unknown_kinds_are_quoted(spelling: str):
    assert f"`{spelling}`, expected one of `Pump`" in refusal_of(event(f'"type":"{spelling}"')).message


@pytest.mark.parametrize("text", ["", "\n", " \t\n\r\n   \n", "\u00a0\n\u2003\u3000\n", "\n\n\x0b\x0c"])
def test_c10_12_blank_text_holds_nothing(text: str):
    assert "no episodes" in refusal_of(text).message


def test_c10_12_blank_lines_indents_crlf_and_a_missing_last_lf():
    text = f"\n  {COMMAND}\t \r\n\r\n\u00a0\n\u2003{COMMAND}\u00a0\r\n{COMMAND}"
    assert [each.event_id for each in events_of(text)] == ["fixture_evt_1", "fixture_evt_2", "fixture_evt_3"]


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        ("{not json at all}", "key must be a string"),
        ("{not json", "key must be a string"),
        ('{"hello":"world"}', "kind"),
        ('{"kind":"event","event":{}}', "type"),
        (event('"type":"Command","id":12345'), "`id` must be a string"),
        ('{"kind":"evnt","event":{"type":"Command"}}', "evnt"),
        (event('"type":"Command","type":"Command"'), "duplicate field `type`"),
        ('{"kind":"event","kind":"event","event":{"type":"Command"}}', "duplicate field `kind`"),
        ('{"kind":"event","event":{"type":"Pump"},"event":{"type":"Command"}}', "duplicate field `event`"),
        (event('"type":"Command","payload":{"id":1},"payload":{}'), "duplicate field `payload`"),
        (event('"type":"Command","id":"a","i\\u0064":"b"'), "duplicate field `id`"),
        (event('"type":"Command","at":{"secs":1,"nanos":2,"nanos":2}'), "duplicate field `nanos`"),
        ('{"kind":"episode_start","id":"a","id":"a"}', "duplicate field `id`"),
        ('{"kind":"event"}', "missing field `event`"),
        ('{"kind":"event","event":null}', "`event` must be an object, got null"),
        ('{"kind":"event","event":["Command"]}', "`event` must be an object, got array"),
        ('["event",{"type":"Command"}]', "got array"),
        ('{"kind":"Event","event":{"type":"Command"}}', "`Event`"),
        ('{"kind":5}', "`kind` must be a string"),
        ('{"kind":"event","event":{"type":5}}', "`type` must be a string"),
        (event('"type":"Command","semantic_kind":{}'), "`semantic_kind` must be a string"),
        ('{"kind":"episode_start","id":1}', "`id` must be a string"),
        ('{"kind":"event"', "unexpected end"),
    ],
)
def test_c10_13_bad_lines_say_what_is_wrong(line: str, detail: str):
    refusal = refusal_of(COMMAND, "", line)
    assert refusal.code == "driver.input_invalid"
    assert refusal.message.startswith("fixture parse error at line 3: ")
    assert detail in refusal.message
    assert (refusal.where or "").startswith("day.jsonl:3:")
    assert refusal.fix


def test_c10_14_a_thousand_members_unicode_and_mixed_scalars():
    payload = {f"m{n}": n / 4 for n in range(1000)} | {"日本語": "José", "a": None, "b": [True, {"c": "😀"}], "n": -5}
    line = json.dumps({"kind": "event", "event": {"type": "Command", "payload": payload}}, ensure_ascii=False)
    assert events_of(line)[0].payload == payload


def test_c10_14_a_hundred_records_keep_their_order():
    lines = [event(f'"type":"Command","id":"evt_{n}"') for n in range(100)]
    assert [each.event_id for each in events_of(START, *lines)] == [f"evt_{n}" for n in range(100)]


def test_c10_15_three_episodes_in_file_order():
    lines = [line for n in range(1, 4) for line in (START, event(f'"type":"Command","id":"{n}a"'), COMMAND)]
    stream = stream_of(*lines)
    seen = [(each.event_id, stream.episodes) for each in stream]
    assert seen == [("1a", 1), ("fixture_evt_2", 1), ("2a", 2), ("fixture_evt_4", 2), ("3a", 3), ("fixture_evt_6", 3)]
    assert stream.events == 6


def test_c10_16_two_documents_on_a_line_fail():
    refusal = refusal_of(f"{COMMAND} {{}}")
    assert "trailing characters" in refusal.message
    assert refusal.where == f"day.jsonl:1:{len(COMMAND) + 2}"


def test_c10_16_a_byte_order_mark_fails():
    refusal = refusal_of(f"\ufeff{COMMAND}")
    assert "byte order mark" in refusal.message
    assert refusal.where == "day.jsonl:1:1"


def test_c10_16_bad_utf8_fails_as_a_line_that_cannot_be_read():
    refusal = refusal_of(COMMAND, b'{"kind":"\xc3\xa9vent\xff"}')
    assert refusal.message.startswith("cannot read line 2: ")
    assert refusal.where == "day.jsonl:2:15"


def test_c10_16_a_missing_file_fails_as_it_is_opened(tmp_path: Path):
    missing = str(tmp_path / "none.jsonl")
    with pytest.raises(EventError, match="cannot open") as refused, open_source(missing):
        pass
    assert missing in refused.value.message


def test_c10_17_automatic_ids_count_all_events():
    ids = [each.event_id for each in events_of(COMMAND, event('"type":"Command","id":"mine"'), COMMAND)]
    assert ids == ["fixture_evt_1", "mine", "fixture_evt_3"]


def test_c10_17_an_explicit_id_may_not_take_an_automatic_one():
    refusal = refusal_of(event('"type":"Command","id":"fixture_evt_2"'), COMMAND)
    assert refusal.code == "fixture.duplicate_event_id"
    assert "fixture_evt_2" in refusal.message


def test_c10_18_a_semantic_kind_without_adapter():
    line = event('"type":"Command","semantic_kind":"price_tick"')
    refusal = refusal_of(line, kinds=SemanticKinds.REFUSED)
    assert refusal.code == "fixture.unexpected_semantic_kind"
    assert refusal.where == place(line, '"price_tick"') + " fixture event 'fixture_evt_1'"


def test_c10_18_a_blank_semantic_kind_without_adapter():
    refusal = refusal_of(event('"type":"Command","semantic_kind":""'), kinds=SemanticKinds.REFUSED)
    assert refusal.code == "fixture.unexpected_semantic_kind"


def test_c10_18_a_missing_semantic_kind_with_adapter():
    refusal = refusal_of(event('"type":"Command","id":"q"'), kinds=SemanticKinds.REQUIRED)
    assert refusal.code == "fixture.semantic_kind_missing"
    assert "'q'" in refusal.message


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "day.jsonl holds no episodes"),
        ([START], "day.jsonl holds no events"),
        ([START, START], "day.jsonl holds no events"),
        ([START, COMMAND, START], "episode 'E2' has no events"),
    ],
)
def test_c10_18_the_stream_as_a_whole(lines: list[str], words: str):
    refusal = refusal_of(*lines)
    assert refusal.code == "driver.input_invalid"
    assert words in refusal.message


def test_c10_18_faults_of_lines_come_before_those_of_the_whole():
    refusal = refusal_of(START, START, COMMAND, event('"type":"Command","id":"fixture_evt_1"'))
    assert refusal.code == "fixture.duplicate_event_id"
