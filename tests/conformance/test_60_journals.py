"""Journals, their files and their orders; spec 60 §27 C-89 to C-96, and the original's files.

``INSTEAD`` lists the damaged files that the product judges otherwise on purpose, with the rule and the record at fault.
"""

from __future__ import annotations

import json
import resource
from base64 import b64decode
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.json import newer_numbers
from ergo_cli.core.wire import Timestamp
from ergo_cli.programs.pipeline.chain_events import ChainEvent, Data, read_chain_event
from ergo_cli.programs.pipeline.clocks import VectorClock, causally_ordered
from ergo_cli.programs.pipeline.errors import JournalError
from ergo_cli.programs.pipeline.ids import EventId, JournalId, StageId, StageWriter
from ergo_cli.programs.pipeline.journal import Journal
from ergo_cli.programs.pipeline.line_files import LineFiles
from ergo_cli.programs.pipeline.line_frames import LineFormat, framed, lines, texts_in, unframed
from ergo_cli.programs.pipeline.records import Envelope, read_record, record_text
from ergo_cli.programs.pipeline.stored_flows import FLOW_TABLES
from ergo_cli.programs.pipeline.system_events import read_system_event
from ergo_cli.stores.append_files import AppendFile
from ergo_cli.stores.backends import memory_store, open_store
from ergo_cli.stores.journals import EventJournal

DATA = Path(__file__).parent / "data" / "spec60"
ORIGINAL = (DATA / "journal.txt").read_bytes()
CASES: Any = json.loads((DATA / "journal_cases.json").read_text())
RUN = "flow_01KB3V7Q0W000000000000F10W/data:src"
SRC, OTHER = StageId("01KB3V7Q0W0000000000000SRC"), StageId("01KB3V7Q0W000000000000THER")
JOURNAL = JournalId("01KB3V7Q0W0000000000000J0N")
VECTOR = (
    b'465:2625676406:{"event_id":"01KB3V7Q0W000000000000E001","writer_id":{"type":"System","id":'
    b'"01KB3V7Q0W0000000000000SYS"},"journal_id":"01KB3V7Q0W0000000000000J0N","vector_clock":{"clocks":'
    b'{"writer_system_01KB3V7Q0W0000000000000SYS":1}},"timestamp":"2026-03-04T16:00:00.000001Z","event":{"id":'
    b'"01KB3V7Q0W000000000000E001","writer_id":{"type":"System","id":"01KB3V7Q0W0000000000000SYS"},'
    b'"system_event_type":"pipeline_lifecycle","pipeline_event":"starting","timestamp":1772640000000}}\n'
)

Reopen = Callable[[], EventJournal]
ChainJournal = Journal[ChainEvent]


@pytest.fixture(params=["memory", "sqlite", "postgres", "lines"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Reopen]:
    """Opens the same store anew at every call; the one in memory stays."""
    opened: list[Callable[[], None]] = []

    def database(named: str) -> EventJournal:
        store = open_store(named, tmp_path, lambda: 0, FLOW_TABLES)
        opened.append(store.close)
        return store.journal

    memory = memory_store().journal
    match request.param:
        case "memory":
            yield lambda: memory
        case "sqlite":
            yield lambda: database(f"sqlite:{tmp_path}/runs.db")
        case "postgres":
            dsn = request.getfixturevalue("postgres")
            yield lambda: database(f"postgres:{dsn}")
        case _:
            yield lambda: line_files(tmp_path / "data.log", LineFormat.FRAMES)
    for close in opened:
        close()


def line_files(path: Path, form: LineFormat = LineFormat.RECORDS) -> LineFiles:
    return LineFiles({RUN: AppendFile(path)}, form)


def opened(store: EventJournal, owner: StageId | None = SRC) -> ChainJournal:
    ticks = count()
    return Journal(
        store,
        RUN,
        journal_id=JOURNAL,
        owner=owner,
        read_event=read_chain_event,
        now=lambda: Timestamp.of_millis(next(ticks)),
    )


def original_events() -> list[Envelope[ChainEvent]]:
    found = [read_record(unframed(line).decode(), read_chain_event) for line in ORIGINAL.splitlines()]
    assert None not in found
    return [envelope for envelope in found if envelope is not None]


TEMPLATE = original_events()[0].event


def event(number: int, writer: StageId = SRC) -> ChainEvent:
    identifier = EventId.of(number.to_bytes(16))
    return replace(TEMPLATE, id=identifier, writer_id=StageWriter(writer), content=Data("d", {"n": number}))


def ids(envelopes: Sequence[Envelope[ChainEvent]]) -> list[str]:
    return [str(envelope.event_id) for envelope in envelopes]


def shown(journal: ChainJournal) -> dict[str, Any]:
    """The answers of all operations."""
    everything = journal.read_all_unordered()
    known = [*ids(everything), str(event(999).id)]
    return {
        "head": journal.head,
        "all": everything,
        "ordered": journal.read_causally_ordered(),
        "after": [journal.read_causally_after(each) for each in known],
        "behind": [journal.read_after_position(position) for position in range(len(everything) + 2)],
        "event": [journal.read_event(each) for each in known],
        "last": [journal.read_last_n(number) for number in range(len(everything) + 2)],
        "readers": [walked(journal, start) for start in range(len(everything) + 2)],
    }


def walked(journal: ChainJournal, start: int) -> list[Any]:
    reader = journal.reader(start)
    return [*iter(reader.next, None), reader.position]


# C-89


def test_c60_89_the_vector_is_read_and_written_byte_for_byte() -> None:
    body = unframed(VECTOR[:-1])
    (text,) = texts_in(body, LineFormat.RECORDS)
    envelope = read_record(text, read_system_event)
    assert envelope is not None
    assert envelope.event.type_name == "system.pipeline.starting"
    assert framed(record_text(envelope).encode()) == VECTOR


def test_c60_89_a_file_of_the_original_is_read_and_written_byte_for_byte(tmp_path: Path) -> None:
    """Numbers from 1e16 on are written as spec 11 has them (§28, JSON), and here as the original does."""
    (tmp_path / "a.log").write_bytes(ORIGINAL)
    envelopes = opened(line_files(tmp_path / "a.log"), None).read_all_unordered()
    assert ids(envelopes) == [f"01KB3V7Q0W000000000000E{number:03}" for number in range(1, 33)]
    assert b"".join(framed(newer_numbers(record_text(each).encode())) for each in envelopes) == ORIGINAL
    written = lines((text for _, text in line_files(tmp_path / "a.log").scan(RUN)), LineFormat.RECORDS)
    assert b"".join(written) == ORIGINAL


# The original's cases


def test_appends_get_the_clocks_of_the_original() -> None:
    envelopes = {str(envelope.event_id): envelope for envelope in original_events()}
    for case in CASES["appends"]:
        envelope = envelopes[case["id"]]
        assert envelope.event.writer_id.display == case["writer"]
        assert envelope.vector_clock.clocks == case["clock"]


def test_the_same_appends_make_the_file_of_the_original(tmp_path: Path) -> None:
    """The parent of each record is the one, if any, whose clock it takes over."""
    originals = original_events()
    journal = opened(line_files(tmp_path / "a.log"))
    written: list[Envelope[ChainEvent]] = []
    for number, envelope in enumerate(originals):
        possible = [None, *written]
        own = [each.vector_clock for each in written if each.event.writer_id == envelope.event.writer_id]
        last = own[-1] if own else VectorClock({})
        name = envelope.event.writer_id.display
        parent = next(
            each
            for each in possible
            if last.ticked(name, None if each is None else each.vector_clock) == envelope.vector_clock
        )
        written.append(journal.append(envelope.event, parent))
        assert written[number].vector_clock == envelope.vector_clock
    assert ids(journal.read_last_n(3)) == CASES["last_3"]


H5 = "H-5: what is damaged is raised, not passed over"
H5_LINE = "H-5: a line that is cut off within the file is damage"
INSTEAD = {
    "middle line cut to 5 bytes, terminated": (H5_LINE, 2),
    "middle line cut to 100 bytes, terminated": (H5_LINE, 2),
    "last: one body byte flipped": (H5, 3),
    "crc not a number": (H5_LINE, 2),
    "len too large by 1": (H5_LINE, 2),
    "len negative": (H5_LINE, 2),
    "len with space": (H5_LINE, 2),
    "no header: bare JSON record": (H5_LINE, 2),
    "framed but not JSON": (H5, 2),
    "framed empty body": (H5, 2),
    "invalid UTF-8 in the middle": (H5, 2),
    "many torn lines (5)": (H5_LINE, 2),
    "format-2 wrapper": (H5, 2),
    "reader_from with torn line counted": (H5_LINE, 2),
}
NOT_CAUSAL = {"big: all 32"}
"""Files whose records the original orders otherwise: by pairs and the wall clock, not as H-3 has it."""


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES["damaged"]])
def test_a_damaged_file_is_judged_as_by_the_original(case: Any, tmp_path: Path) -> None:
    content = ORIGINAL if "base64" not in case else b64decode(case["base64"])
    (tmp_path / "a.log").write_bytes(content)
    journal = opened(line_files(tmp_path / "a.log"), None)
    wanted = case["result"]
    if case["name"] in INSTEAD:
        with pytest.raises(JournalError) as caught:
            journal.read_all_unordered()
        assert caught.value.code == "pipeline.journal_corrupt"
        assert caught.value.where == f"run '{RUN}' seq {INSTEAD[case['name']][1]}"
        assert caught.value.fix
        with pytest.raises(JournalError):
            opened(line_files(tmp_path / "a.log"))
        return
    reader = journal.reader(case.get("from", 0))
    *calls, end = wanted["reader_calls"]
    assert [None if found is None else str(found.event_id) for found in (reader.next() for _ in calls)] == calls
    assert reader.position == end["position"]
    ordered = ids(journal.read_causally_ordered())
    assert sorted(ordered) == sorted(wanted["causally_ordered"])
    assert (ordered == wanted["causally_ordered"]) == (case["name"] not in NOT_CAUSAL)
    assert ids(journal.read_last_n(case.get("last_n", 5))) == wanted["last_n"]
    if "after" in case:
        assert ids(journal.read_causally_after(case["after"])) == wanted["after"]
    if "event" in case:
        found = journal.read_event(case["event"])
        assert found is not None
        assert str(found.event_id) == wanted["read_event"]


def test_every_difference_is_one() -> None:
    names = {case["name"] for case in CASES["damaged"]}
    assert INSTEAD.keys() | NOT_CAUSAL <= names
    assert len(names) == len(CASES["damaged"])


class Happened(Struct, frozen=True):
    event_id: str
    vector_clock: VectorClock


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES["orders"]])
def test_the_causal_order_is_by_the_sum_of_the_clock_and_the_id(case: Any) -> None:
    """H-3: the original compares pairwise, and its order is not always causal."""
    events = [Happened(each["id"], VectorClock(each["clock"])) for each in case["append_order"]]
    assert [each.event_id for each in causally_ordered(events)] == case["order_by_clock_sum_then_id"]


@pytest.mark.parametrize("pair", CASES["clock_pairs"])
def test_clocks_compare_as_those_of_the_original(pair: Any) -> None:
    a, b = VectorClock(pair["a"]), VectorClock(pair["b"])
    assert a.happened_before(b) == pair["a_before_b"]
    assert b.happened_before(a) == pair["b_before_a"]
    assert a.is_concurrent_with(b) == pair["concurrent"]
    assert a.ticked("w1", b).clocks == pair["append_w1_with_last_a_parent_b"]


# C-90


def test_c60_90_what_is_appended_reads_back(reopen: Reopen) -> None:
    journal = opened(reopen())
    first = journal.append(event(1))
    second = journal.append(event(2, OTHER), first)
    third = journal.append(event(3))
    assert journal.read_all_unordered() == [first, second, third]
    a, b = StageWriter(SRC).display, StageWriter(OTHER).display
    assert [each.vector_clock.clocks for each in (first, second, third)] == [{a: 1}, {a: 1, b: 1}, {a: 2}]
    assert [each.timestamp.ns for each in (first, second, third)] == [0, 1_000_000, 2_000_000]


def test_c60_90_writers_at_once_have_counts_of_their_own(reopen: Reopen) -> None:
    journal = opened(reopen())
    writers = [StageId.of(bytes([number] * 16)) for number in range(1, 5)]

    def write(writer: StageId) -> None:
        for number in range(10):
            journal.append(event(100 * writers.index(writer) + number, writer))

    threads = [Thread(target=write, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    envelopes = journal.read_all_unordered()
    assert len(envelopes) == 40
    for writer in writers:
        display = StageWriter(writer).display
        own = [each.vector_clock.clocks[display] for each in envelopes if each.event.writer_id == StageWriter(writer)]
        assert own == list(range(1, 11))


VECTOR_CLOCKS = [Happened("ZZZ", VectorClock({"w1": 1})), Happened("000", VectorClock({"w1": 1, "w2": 1}))]
VECTOR_CLOCKS += [Happened("MMM", VectorClock({"w2": 1, "w3": 1}))]


@given(st.permutations(VECTOR_CLOCKS))
def test_c60_90_the_vector_of_the_order_holds_for_every_input(events: list[Happened]) -> None:
    assert [each.event_id for each in causally_ordered(events)] == ["ZZZ", "000", "MMM"]


STEPS = st.lists(st.tuples(st.sampled_from([SRC, OTHER, StageId.of(bytes(16))]), st.none() | st.integers(0, 30)))


@given(STEPS, st.randoms(use_true_random=False))
def test_c60_90_the_order_is_causal_and_the_same_for_every_input(
    steps: list[tuple[StageId, int | None]], random: Any
) -> None:
    journal = opened(memory_store().journal)
    for number, (writer, parent) in enumerate(steps):
        written = journal.read_all_unordered()
        cause = written[parent % len(written)] if parent is not None and written else None
        journal.append(event(number, writer), cause)
    ordered = journal.read_causally_ordered()
    for place, later in enumerate(ordered):
        assert not any(later.vector_clock.happened_before(earlier.vector_clock) for earlier in ordered[:place])
    shuffled = list(ordered)
    random.shuffle(shuffled)
    assert causally_ordered(shuffled) == ordered


# C-91


def test_c60_91_all_stores_give_the_answers_of_the_one_in_memory(reopen: Reopen) -> None:
    def written(store: EventJournal) -> dict[str, Any]:
        journal = opened(store)
        first = journal.append(event(5))
        journal.append(event(4, OTHER), first)
        assert journal.append_group("none", []) == []
        journal.append_group("one", [event(3)], first)
        journal.append_group("g", [event(2), event(1, OTHER), event(0)], first)
        journal.append(event(6, OTHER))
        return shown(journal)

    expected = written(memory_store().journal)
    assert written(reopen()) == expected
    assert shown(opened(reopen(), None)) == expected
    assert [each.group_id for each in expected["all"]] == [None, None, None, "g", "g", "g", None]
    assert [each.group_member and each.group_member.index for each in expected["all"]][3:6] == [0, 1, 2]


def test_an_event_that_json_cannot_hold_is_not_recorded(reopen: Reopen) -> None:
    journal = opened(reopen())
    kept = journal.append(event(1))
    for payload in (float("nan"), 2**64, "\ud800", {"a": [float("inf")]}):
        with pytest.raises(JournalError) as caught:
            journal.append(replace(event(2), content=Data("d", payload)))
        assert caught.value.code == "pipeline.not_canonical"
    assert journal.read_all_unordered() == [kept]
    assert journal.append(event(3)).vector_clock.clocks == {StageWriter(SRC).display: 2}


def test_only_an_owner_appends(reopen: Reopen) -> None:
    journal = opened(reopen(), None)
    with pytest.raises(JournalError) as caught:
        journal.append(event(1))
    assert caught.value.code == "pipeline.journal_ownerless"


def test_a_second_owner_is_found_out(reopen: Reopen) -> None:
    store = reopen()
    first, second = opened(store), opened(store)
    first.append(event(1))
    with pytest.raises(JournalError) as caught:
        second.append(event(2))
    assert caught.value.code == "pipeline.journal_conflict"
    assert ids(first.read_all_unordered()) == [str(event(1).id)]


# C-92


def test_c60_92_a_reader_continues_and_sees_later_appends(reopen: Reopen) -> None:
    store = reopen()
    journal = opened(store)
    from_start, ownerless = journal.reader(), opened(store, None).reader()
    assert from_start.next() is None
    assert ownerless.next() is None
    envelopes = [journal.append(event(number)) for number in range(70)]
    assert [*iter(from_start.next, None)] == [*iter(ownerless.next, None)] == envelopes
    assert from_start.position == ownerless.position == 70
    assert [*iter(journal.reader(3).next, None)] == envelopes[3:]
    slow = journal.reader(69)
    late = journal.append(event(70))
    assert [from_start.next(), ownerless.next()] == [late, late]
    assert [*iter(slow.next, None)] == [envelopes[69], late]


def test_c60_92_a_missing_file_is_an_empty_journal(tmp_path: Path) -> None:
    reader = opened(line_files(tmp_path / "a.log"), None).reader()
    assert reader.next() is None
    assert not (tmp_path / "a.log").exists()
    envelope = opened(line_files(tmp_path / "a.log")).append(event(1))
    assert reader.next() == envelope


# C-93 and C-94


def file_of(path: Path, form: LineFormat, steps: int = 3) -> list[Envelope[ChainEvent]]:
    journal = opened(line_files(path, form))
    return [journal.append(event(number)) for number in range(steps)]


@pytest.mark.parametrize("form", list(LineFormat))
def test_c60_93_a_torn_last_line_is_invisible_and_the_next_append_recovers(form: LineFormat, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    written = file_of(path, form)
    whole = path.read_bytes()
    last = len(whole) - len(whole.splitlines(keepends=True)[-1])
    for cut in (*range(last + 1, last + 20), *range(last + 20, len(whole) - 1, 37), len(whole) - 2):
        path.write_bytes(whole[:cut])
        assert opened(line_files(path, form), None).read_all_unordered() == written[:2]
    path.write_bytes(whole[: len(whole) - 10])
    late = opened(line_files(path, form)).append(event(9))
    assert opened(line_files(path, form), None).read_all_unordered() == [*written[:2], late]


@pytest.mark.parametrize("form", list(LineFormat))
def test_c60_93_a_whole_last_line_needs_no_line_feed(form: LineFormat, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    written = file_of(path, form)
    path.write_bytes(path.read_bytes()[:-1])
    assert opened(line_files(path, form), None).read_all_unordered() == written
    late = opened(line_files(path, form)).append(event(9))
    assert opened(line_files(path, form), None).read_all_unordered() == [*written, late]


def test_c60_93_a_cut_off_line_that_ends_is_a_tail_too(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    written = file_of(path, LineFormat.RECORDS)
    path.write_bytes(path.read_bytes() + b"804:25053\n\n \n")
    assert opened(line_files(path), None).read_all_unordered() == written


@pytest.mark.parametrize("replaced", [b"x", b"\n", b"\xff"])
def test_c60_93_damage_within_the_file_is_raised_with_its_position(replaced: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file_of(path, LineFormat.RECORDS)
    whole = path.read_bytes()
    second = whole.index(b"\n") + 30
    path.write_bytes(whole[:second] + replaced + whole[second + 1 :])
    with pytest.raises(JournalError) as caught:
        opened(line_files(path), None).read_all_unordered()
    assert (caught.value.code, caught.value.where) == ("pipeline.journal_corrupt", f"run '{RUN}' seq 2")


def test_c60_94_a_group_torn_at_any_byte_is_wholly_invisible(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    (first,) = file_of(path, LineFormat.FRAMES, 1)
    before = path.read_bytes()
    group = opened(line_files(path, LineFormat.FRAMES)).append_group("g", [event(1), event(2)], first)
    whole = path.read_bytes()
    for cut in range(len(before), len(whole) - 1):
        path.write_bytes(whole[:cut])
        assert opened(line_files(path, LineFormat.FRAMES), None).read_all_unordered() == [first]
    path.write_bytes(whole)
    assert opened(line_files(path, LineFormat.FRAMES), None).read_all_unordered() == [first, *group]


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file of this process grows beyond a size: a write that would is cut short, the next one fails."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("events", [1, 3])
def test_c60_94_a_failed_append_leaves_the_file_as_before(events: int, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    journal = opened(line_files(path, LineFormat.FRAMES))
    first = journal.append(event(1))
    before = path.read_bytes()
    with files_up_to(len(before) + 100), pytest.raises(JournalError) as caught:
        journal.append_group("g", [event(2 + number) for number in range(events)])
    assert caught.value.code == "store.unreachable"
    assert "ulimit" in (caught.value.fix or "")
    assert path.read_bytes() == before
    second = journal.append(event(9), first)
    assert second.vector_clock.clocks == {StageWriter(SRC).display: 2}
    assert opened(line_files(path, LineFormat.FRAMES), None).read_all_unordered() == [first, second]


def test_c60_94_a_failed_rollback_poisons_the_journal() -> None:
    journal = opened(LineFiles({RUN: AppendFile(Path("/dev/full"))}, LineFormat.RECORDS))
    errors: list[JournalError] = []
    for _ in range(2):
        with pytest.raises(JournalError) as caught:
            journal.append(event(1))
        errors.append(caught.value)
    assert [error.code for error in errors] == ["store.full", "store.unreachable"]
    assert "takes no more records" in errors[1].message


def test_a_group_is_one_line_of_format_2_only(tmp_path: Path) -> None:
    journal = opened(line_files(tmp_path / "a.log"))
    with pytest.raises(JournalError) as caught:
        journal.append_group("g", [event(1), event(2)])
    assert caught.value.code == "pipeline.journal_format"
    assert journal.read_all_unordered() == []


@pytest.mark.parametrize("form", list(LineFormat))
def test_a_file_holds_one_format(form: LineFormat, tmp_path: Path) -> None:
    file_of(tmp_path / "a.log", form)
    (other,) = {*LineFormat} - {form}
    with pytest.raises(JournalError) as caught:
        opened(line_files(tmp_path / "a.log", other))
    assert caught.value.code == "pipeline.journal_corrupt"


@pytest.mark.parametrize(
    "body",
    [
        b'{"frame_kind":"atomic_group_v2","group_id":"","records":[{"event_id":1}]}',
        b'{"frame_kind":"atomic_group_v2","group_id":"g","records":[]}',
        b'{"frame_kind":"atomic_group_v3","group_id":"g","records":[{}]}',
        b'{"frame_kind":"record_v2"}',
        b'{"frame_kind":"record_v2","record":' + b"[" * 100_000,
        b"[]",
        b"",
    ],
)
def test_a_bad_frame_is_damage(body: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(framed(body))
    with pytest.raises(JournalError) as caught:
        opened(line_files(tmp_path / "a.log", LineFormat.FRAMES), None).read_all_unordered()
    assert caught.value.where == f"run '{RUN}' seq 1"


# C-95


def test_c60_95_reopening_restores_clocks_and_identity(reopen: Reopen) -> None:
    journal = opened(reopen())
    first = journal.append(event(1))
    second = journal.append(event(2, OTHER), first)
    again = opened(reopen())
    third = again.append(event(3))
    fourth = again.append(event(4, OTHER))
    a, b = StageWriter(SRC).display, StageWriter(OTHER).display
    assert [each.vector_clock.clocks for each in (third, fourth)] == [{a: 2}, {a: 1, b: 2}]
    assert again.read_event(first.event_id) == first
    assert again.read_all_unordered() == [first, second, third, fourth]
    assert again.id == journal.id == third.journal_id


def test_a_journal_keeps_the_id_that_its_records_have(reopen: Reopen) -> None:
    opened(reopen()).append(event(1))
    store = reopen()
    other = Journal(
        store,
        RUN,
        journal_id=JournalId.of(bytes(16)),
        owner=SRC,
        read_event=read_chain_event,
        now=lambda: Timestamp(0),
    )
    assert other.append(event(2)).journal_id == JOURNAL


def test_records_of_another_journal_are_refused() -> None:
    store = memory_store().journal
    texts = [record_text(each) for each in original_events()[:2]]
    store.append(RUN, [texts[0], texts[1].replace('"journal_id":"01M8', '"journal_id":"01M7')])
    with pytest.raises(JournalError) as caught:
        opened(store)
    assert (caught.value.code, caught.value.where) == ("pipeline.journal_foreign", f"run '{RUN}' seq 2")


@pytest.mark.parametrize("text", ["5", "{}", '{"event_id":"x"}', '"Completed"'])
def test_a_text_that_is_no_record_is_damage(text: str, reopen: Reopen) -> None:
    store = reopen()
    if isinstance(store, LineFiles):
        pytest.skip("a file of lines is damaged byte by byte above")
    store.append(RUN, [text])
    for owner in (SRC, None):
        with pytest.raises(JournalError) as caught:
            opened(store, owner).read_all_unordered()
        assert (caught.value.code, caught.value.where) == ("pipeline.journal_corrupt", f"run '{RUN}' seq 1")


# C-96


def test_c60_96_the_last_records_come_last_first(reopen: Reopen) -> None:
    journal = opened(reopen())
    envelopes = [journal.append(event(number)) for number in range(1, 6)]
    assert journal.read_last_n(2) == [envelopes[4], envelopes[3]]
    assert journal.read_last_n(0) == []
    assert journal.read_causally_after(event(77).id) == []
    assert journal.read_causally_after(envelopes[2].event_id) == envelopes[3:]


# Export and import


def test_an_export_to_lines_loses_nothing(reopen: Reopen, tmp_path: Path) -> None:
    journal = opened(reopen())
    journal.append(event(1))
    journal.append_group("g", [event(2), event(3)])
    journal.append_group("h", [event(4), event(5)])
    journal.append(event(6))
    texts = [text for _, text in reopen().scan(RUN)]
    form = LineFormat.FRAMES
    (tmp_path / "export.log").write_bytes(b"".join(lines(texts, form)))
    assert [text for _, text in line_files(tmp_path / "export.log", form).scan(RUN)] == texts
    assert shown(opened(line_files(tmp_path / "export.log", form), None)) == shown(opened(reopen(), None))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(st.lists(JSON, max_size=3)))
def test_lines_and_records_are_each_others_inverse(groups: list[list[Any]]) -> None:
    """Groups of one name stay groups of their own, numbers and texts stay as they are written."""
    store = memory_store().journal
    journal = opened(store)
    for number, payloads in enumerate(groups):
        events = [replace(event(10 * number + each), content=Data("d", it)) for each, it in enumerate(payloads)]
        journal.append_group("g", events)
    texts = [text for _, text in store.scan(RUN)]
    read = [texts_in(unframed(line[:-1]), LineFormat.FRAMES) for line in lines(texts, LineFormat.FRAMES)]
    assert read == [texts[end - size : end] for size, end in _sizes(groups)]


def _sizes(groups: list[list[Any]]) -> Iterator[tuple[int, int]]:
    end = 0
    for group in filter(None, groups):
        end += len(group)
        yield len(group), end


@pytest.mark.parametrize("kept", [[1], [0], [1, 0], [0, 0]], ids=str)
def test_a_group_that_is_not_whole_has_no_line(kept: list[int]) -> None:
    store = memory_store().journal
    opened(store).append_group("g", [event(1), event(2)])
    texts = [text for _, text in store.scan(RUN)]
    with pytest.raises(ValueError, match="its group is not whole"):
        list(lines([texts[index] for index in kept], LineFormat.FRAMES))


def test_unknown_system_events_are_passed_over_and_counted() -> None:
    store = memory_store().journal
    text = unframed(VECTOR[:-1]).decode()
    store.append(RUN, [text, text.replace("pipeline_lifecycle", "weather"), text])
    journal = Journal(
        store, RUN, journal_id=JOURNAL, owner=None, read_event=read_system_event, now=lambda: Timestamp(0)
    )
    reader = journal.reader()
    assert len([*iter(reader.next, None)]) == 2
    assert (reader.position, reader.unknown) == (3, 1)
    assert len(journal.read_all_unordered()) == 2
