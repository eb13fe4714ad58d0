from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest

from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import EventError
from ergo_cli.events.stream import LINE_LIMIT, EventStream, SemanticKinds


def stream_of(*chunks: bytes, numbers: Numbers = Numbers.EXACT) -> EventStream:
    return EventStream(chunks, "day.jsonl", semantic_kinds=SemanticKinds.IGNORED, numbers=numbers)


COMMAND = b'{"kind":"event","event":{"type":"Command"}}\n'


def test_events_come_as_they_are_read():
    def chunks() -> Iterator[bytes]:
        yield COMMAND * 2
        yield b"{oops\n"

    stream = EventStream(chunks(), "day.jsonl", semantic_kinds=SemanticKinds.IGNORED)
    events = iter(stream)
    assert [next(events).event_id, next(events).event_id] == ["fixture_evt_1", "fixture_evt_2"]
    assert (stream.events, stream.episodes, stream.place) == (2, 1, "day.jsonl:2:1")
    with pytest.raises(EventError, match="fixture parse error at line 3"):
        next(events)


def test_columns_count_characters():
    line = '{"kind":"event","event":{"id":"日本語é","type":"Command","type":"Pump"}}'
    with pytest.raises(EventError) as refused:
        list(stream_of(line.encode()))
    column = line.rindex('"type"') + 1
    assert refused.value.where == f"day.jsonl:1:{column}"


def test_columns_count_the_indent():
    with pytest.raises(EventError) as refused:
        list(stream_of("\u2003  {oops".encode()))
    assert refused.value.where == "day.jsonl:1:5"


def test_a_line_of_50_mb_is_refused_before_it_is_read():
    def chunks() -> Iterator[bytes]:
        yield COMMAND
        for _ in range(50):
            yield b" " * 2**20

    stream = EventStream(chunks(), "day.jsonl", semantic_kinds=SemanticKinds.IGNORED)
    tracemalloc.start()
    try:
        with pytest.raises(EventError, match=r"line 2.*longer than 16 MiB") as refused:
            list(stream)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert refused.value.where == f"day.jsonl:2:{LINE_LIMIT + 1}"
    assert peak < 3 * LINE_LIMIT


def test_a_source_that_breaks_is_told_with_its_line():
    def chunks() -> Iterator[bytes]:
        yield COMMAND * 3 + b'{"kind"'
        raise EventError("driver.input_invalid", "the disk is gone", where="day.jsonl", fix="find it")

    with pytest.raises(EventError, match="cannot read line 4: the disk is gone") as refused:
        list(EventStream(chunks(), "day.jsonl", semantic_kinds=SemanticKinds.IGNORED))
    assert (refused.value.where, refused.value.fix) == ("day.jsonl:4:1", "find it")


def test_numbers_follow_the_profile():
    line = b'{"kind":"event","event":{"type":"Command","payload":{"x":0.9385958677423489,"s":[1]}}}'
    [exact] = stream_of(line)
    [original] = stream_of(line, numbers=Numbers.ORIGINAL)
    assert exact.payload == {"x": 0.9385958677423489, "s": [1]}
    assert original.payload == {"x": 0.9385958677423488, "s": [1]}


def test_the_first_fault_is_the_headline():
    with pytest.raises(EventError) as refused:
        list(stream_of(COMMAND, b"{\n", b"[\n"))
    assert refused.value.where == "day.jsonl:2:2"


def test_memory_does_not_grow_with_the_stream():
    def chunks(events: int) -> Iterator[bytes]:
        for number in range(events):
            yield b'{"kind":"event","event":{"type":"Command","id":"%d","payload":{"x":[1,2,3]}}}\n' % number

    def peak(events: int) -> int:
        tracemalloc.start()
        try:
            for _ in EventStream(chunks(events), "day.jsonl", semantic_kinds=SemanticKinds.IGNORED):
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(20_000) - peak(1_000) < 19_000 * 32
