"""Records that the fast decoder must not read by itself, and both readings side by side."""

from __future__ import annotations

import pytest

from ergo_cli.core.numbers import Numbers
from ergo_cli.events.exact_reader import RecordFault, UnreadableLine, read_record_exactly
from ergo_cli.events.external import EpisodeStart, EventKind, HostedEvent
from ergo_cli.events.records import read_record

GOOD = [
    b'{"kind":"event","event":{"type":"Command"}}',
    b'{"event":{"type":"Tick","id":"a:b","at":"5s"},"kind":"event"}',
    b'{"kind" : "event" ,\t"event" : { "type" : "Command" , "payload" : { "a" : 1 } } } ',
    b'{"kind":"ev\\u0065nt","event":{"ty\\u0070e":"Command","payload":{"b":1,"a":{"b":2,"b":3}}}}',
    b'{"kind":"event","event":{"type":"Command","payload":{"kind":"event","event":{"event_id":"x"}}}}',
    b'{"kind":"event","event":{"type":"Command","payload":{"n":-0,"big":18446744073709551616,"z":"-0"}}}',
    b'{"kind":"event","event":{"type":"Command","at":{"secs":1,"nanos":0},"id":"x-01"}}',
    b'{"kind":"event","event":{"type":"Command","at":null,"payload":null,"id":null,"semantic_kind":null}}',
    b'{"kind":"episode_start"}',
    b'{"kind":"episode_start","id":null}',
    b'{"id":"a:b","kind":"episode_start"}',
    b'{"event_id":"e","kind":"Command","at":{"secs":0,"nanos":0}}',
    b'{"event_id":"e:1","kind":"Tick","at":[1,2],"payload":{},"semantic_kind":"s"}',
    b'{"event_id":"e","kind":"Command","at":{"secs":0,"nanos":0},"more":{"event_id":[1,2]},"more":1}',
    b'{"event\\u005fid":"e","kind":"Command","at":{"secs":0,"nanos":0}}',
    '\u2003{"kind":"event","event":{"type":"Command","id":"日本語"}}\u00a0\x0b'.encode(),
]


@pytest.mark.parametrize("numbers", Numbers)
@pytest.mark.parametrize("line", GOOD)
def test_both_readings_agree(line: bytes, numbers: Numbers):
    record = read_record(line, 7, numbers)
    assert isinstance(record, HostedEvent | EpisodeStart)
    assert repr(record) == repr(read_record_exactly(line, 7, numbers))


def test_a_fixture_record_that_speaks_of_event_id_is_still_one():
    record = read_record(GOOD[4], 7)
    assert record == HostedEvent(
        "fixture_evt_7", EventKind.COMMAND, 0, None, {"kind": "event", "event": {"event_id": "x"}}
    )


@pytest.mark.parametrize("members", ['"id":"x","id":"x"', '"payload":{"a":1},"payload":{"a":1}', '"at":"5s","at":"5s"'])
def test_repeated_members_are_refused_wherever_colons_hide_them(members: str):
    line = f'{{"kind":"event","event":{{"type":"Command",{members}}}}}'
    with pytest.raises(RecordFault, match="duplicate field") as refused:
        read_record(line.encode(), 1)
    name = members.partition(":")[0]
    assert refused.value.offset == line.rindex(name)


def test_repeated_members_that_a_hosted_event_knows_are_refused():
    line = b'{"event_id":"e","kind":"Command","at":[0,0],"at":[0,0],"other":1,"other":2}'
    with pytest.raises(RecordFault, match="duplicate field `at`"):
        read_record(line, 1)


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        (b'{"kind":"Command","at":[0,0]}', "unknown kind `Command`"),
        (b'{"event_id":5,"kind":"Command","at":[0,0]}', "`event_id` must be a string, got number"),
        (b'{"event_id":null,"kind":"Command","at":[0,0]}', "`event_id` must be a string, got null"),
        (b'{"event_id":"e","kind":"event","event":{"type":"Pump"}}', "unknown field `event_id`"),
        (b'{"event_id":"e","kind":"Command","at":"5s"}', "`at` must be an object"),
        (b'{"event_id":"e","kind":"Command","at":{"secs":0,"nanos":-0}}', "`at`"),
        (b'{"event_id":"e","kind":"Command","at":[0,0],"x":"\\ud800"}', "lone surrogate"),
        (b'{"event_id":"e","kind":"Command","at":[0,0],"x":[[[1e999]]]}', "number out of range"),
        (b"[]", "got array"),
        (b"null", "got null"),
        (b'{"kind":"event","event":{"type":"Command","payload":{"a":[1,}}}', "invalid character"),
    ],
)
def test_bad_lines(line: bytes, detail: str):
    with pytest.raises(RecordFault, match=detail):
        read_record(line, 1)


def test_bad_utf8_is_found_in_members_that_nobody_reads():
    with pytest.raises(UnreadableLine) as refused:
        read_record(b'{"event_id":"e","kind":"Command","at":{"secs":0,"nanos":0},"x":"\xff"}', 1)
    assert refused.value.offset == 64


@pytest.mark.parametrize("depth", [127, 128, 10_000])
def test_nesting_is_counted_from_the_line(depth: int):
    inner = depth - 3
    payload = b'{"a":' + b"[" * inner + b"]" * inner + b"}"
    line = b'{"kind":"event","event":{"type":"Command","payload":%s}}' % payload
    if depth == 127:
        assert isinstance(read_record(line, 1), HostedEvent)
    else:
        with pytest.raises(RecordFault, match="nesting deeper than 127 levels") as refused:
            read_record(line, 1)
        assert line[refused.value.offset : refused.value.offset + 1] == b"["
