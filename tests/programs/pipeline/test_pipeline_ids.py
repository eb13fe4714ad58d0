"""ULIDs, where new ones come from, and counters that saturate (spec 60 §2.1, §2.2, §21, §23.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergo_cli.core import wire
from ergo_cli.programs.pipeline.counters import lowered, raised
from ergo_cli.programs.pipeline.ids import (
    CountedIds,
    EventId,
    FlowId,
    IdError,
    JournalId,
    StageId,
    StageWriter,
    SystemId,
    SystemWriter,
    TimedIds,
    Ulid,
    WriterId,
)

KINDS: list[type[Ulid]] = [EventId, FlowId, JournalId, StageId, SystemId]


def test_ids_of_a_captured_run_are_those_of_the_specification() -> None:
    ids = CountedIds("orders")
    assert ids.mint(FlowId) == "1ZE1STVZH6JR1MTYKEYHVHPR1C"
    assert ids.mint(EventId) == "1HF1WV9KQ9TDYNQC19AYE6ST4S"


def test_each_kind_of_id_has_a_count_of_its_own() -> None:
    together, alone = CountedIds("orders"), CountedIds("orders")
    stages = [together.mint(StageId) for _ in range(3) if together.mint(EventId)]
    assert stages == [alone.mint(StageId) for _ in range(3)]
    assert len(set(stages)) == 3


@pytest.mark.parametrize(
    ("text", "ulid"),
    [
        ("flow_01KB3V7Q0W000000000000F10W:gateway:7:0", "0E3C8MR06FXB5P3VK0FWW1TYW6"),
        (
            "effect-record:v1:obzenflow.effect_record.v1:flow_01KB3V7Q0W000000000000F10W:gateway:7:0",
            "19WB8JGH0H7WT19CQDXNM81SKM",
        ),
    ],
)
def test_an_id_of_a_digest_is_that_of_the_specification(text: str, ulid: str) -> None:
    assert EventId.digest_of(text) == ulid


def test_ordinary_ids_ascend_with_the_clock() -> None:
    moments = iter([0, 1, 1_772_640_000_000, 2**48 - 1])
    ids = TimedIds(lambda: next(moments), lambda size: b"\xff" * size)
    minted = [ids.mint(EventId) for _ in range(4)]
    assert minted == sorted(minted)
    assert minted[0] == "0000000000ZZZZZZZZZZZZZZZZ"
    assert minted[3] == "7" + "Z" * 25


@given(st.binary(min_size=16, max_size=16))
def test_an_id_is_read_in_all_its_spellings(data: bytes) -> None:
    for kind in KINDS:
        ulid = kind.of(data)
        assert kind.parse(ulid) == kind.parse(ulid.display) == kind.parse(ulid.lower()) == kind.from_wire(ulid) == ulid
        if kind.prefix:
            with pytest.raises(IdError):
                kind.from_wire(ulid.display)


@given(st.lists(st.binary(min_size=16, max_size=16), min_size=2))
def test_ids_are_ordered_as_their_bytes(many: list[bytes]) -> None:
    assert [EventId.of(data) for data in sorted(many)] == sorted(map(EventId.of, many))


@pytest.mark.parametrize("value", [None, 5, "", "x" * 26, "01KB3V7Q0W0000000000000SRŁ", ["01KB3V7Q0W0000000000000SRC"]])
def test_what_is_no_id_is_refused(value: object) -> None:
    with pytest.raises(IdError):
        StageId.from_wire(value)


@pytest.mark.parametrize(
    ("writer", "text", "display"),
    [
        (StageWriter(StageId.of(bytes(16))), '{"type":"Stage","id":"%s"}', "writer_stage_%s"),
        (SystemWriter(SystemId.of(bytes(16))), '{"type":"System","id":"%s"}', "writer_system_%s"),
    ],
)
def test_writers_have_a_json_and_a_display_form(writer: WriterId, text: str, display: str) -> None:
    assert wire.encode(writer).decode() == text % ("0" * 26)
    assert wire.decode((text % ("0" * 26)).encode(), StageWriter | SystemWriter) == writer  # type: ignore[arg-type]
    assert writer.display == display % ("0" * 26)


def test_counters_saturate() -> None:
    assert raised(2**64 - 2) == raised(2**64 - 1) == raised(5, 2**64) == 2**64 - 1
    assert lowered(0) == lowered(3, 4) == 0
    assert (raised(1), lowered(1)) == (2, 0)
