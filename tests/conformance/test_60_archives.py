"""Run directories: how they are written, opened and replayed; spec 60 §5.4, §20, §27 C-97 to C-101."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from pipeline_archives import (
    FLOW,
    MANIFEST,
    data_file,
    edit_manifest,
    edit_records,
    exported,
    kept,
    replayed,
    texts,
)
from pipeline_flows import data, pipeline, signals
from pipeline_loops import events, facts, names

from ergo_cli.core import wire
from ergo_cli.programs.pipeline import (
    EffectFailed,
    EffectType,
    Event,
    HandlerError,
    PipelineProgram,
    Safety,
    Watermark,
    sink,
    source,
    stateful,
    transform,
)
from ergo_cli.programs.pipeline.archive import Archive, open_archive
from ergo_cli.programs.pipeline.archive_export import export_archive
from ergo_cli.programs.pipeline.chain_events import Data
from ergo_cli.programs.pipeline.errors import ArchiveError, JournalError
from ergo_cli.programs.pipeline.flow_manifest import FlowManifest
from ergo_cli.programs.pipeline.ids import FlowId
from ergo_cli.programs.pipeline.intents import Command
from ergo_cli.programs.pipeline.lifecycle import Drained, Failed
from ergo_cli.programs.pipeline.line_frames import LineFormat
from ergo_cli.programs.pipeline.signals import Eof
from ergo_cli.programs.pipeline.stored_flows import keep_manifest
from ergo_cli.programs.pipeline.system_events import (
    ArchiveStatus,
    ReplayCompleted,
    ReplayStarted,
    StatusDerivation,
)
from ergo_cli.programs.pipeline.topology import StageType
from ergo_cli.stores.memory import MemoryJournal

FINITE = StageType.FINITE_SOURCE


def deliver(event: Event) -> None:
    """Consume an event with an ordinary receipt."""


ORDERS = pipeline(
    source("orders_in"), transform("price", lambda event: [Event("priced", event.payload)]), sink("ledger", deliver)
)


def orders(base: Path) -> Path:
    return exported(ORDERS, {"orders_in": [{"n": 1}, {"n": 2}]}, base)


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(ArchiveError) as caught:
        open_archive(path, **options)
    assert caught.value.where
    assert caught.value.fix
    return caught.value.code


def system_file(folder: Path) -> Path:
    return folder / "system.log"


def end_with(folder: Path, *ends: str) -> None:
    """Let the run end with these terminal facts in place of its own."""

    def edited(records: list[Any]) -> list[Any]:
        at = next(place for place, each in enumerate(records) if each["event"].get("pipeline_event") == "completed")
        event = records[at]["event"]
        made = [{**records[at], "event": {**event, "pipeline_event": end, "reason": "why"}} for end in ends]
        return [*records[:at], *made, *records[at + 1 :]]

    edit_records(system_file(folder), LineFormat.RECORDS, edited)


# C-97


def test_c60_97_a_run_directory_says_what_it_lacks(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent") == "pipeline.archive_not_directory"
    (tmp_path / "file").write_bytes(b"")
    assert refusal(tmp_path / "file") == "pipeline.archive_not_directory"
    assert refusal(tmp_path) == "pipeline.missing_manifest"

    folder = orders(tmp_path)
    os.remove(system_file(folder))
    assert refusal(folder) == "pipeline.missing_system_log"
    allowed = open_archive(folder, allow_incomplete=True)
    assert (allowed.ended.chosen, allowed.ended.terminal_events_found) == (ArchiveStatus.UNKNOWN, 0)
    assert "system.log" in (allowed.ended.warning or "")


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_c60_97_a_run_that_did_not_complete_is_opened_on_demand(status: str, tmp_path: Path) -> None:
    folder = orders(tmp_path)
    end_with(folder, status)
    assert refusal(folder) == "pipeline.incomplete_archive"
    assert open_archive(folder, allow_incomplete=True).ended == StatusDerivation(1, ArchiveStatus(status))
    end_with_nothing(folder)
    assert refusal(folder) == "pipeline.incomplete_archive"
    assert open_archive(folder, allow_incomplete=True).ended == StatusDerivation(0, ArchiveStatus.UNKNOWN)


def end_with_nothing(folder: Path) -> None:
    edit_records(system_file(folder), LineFormat.RECORDS, lambda records: records[:3])


def test_c60_97_the_journal_of_a_source_must_be_there(tmp_path: Path) -> None:
    folder = orders(tmp_path)
    os.remove(data_file(folder, "orders_in"))
    archive = open_archive(folder)
    assert source_refusal(archive, "orders_in") == "pipeline.missing_journal"
    assert source_refusal(archive, "unknown") == "pipeline.stage_not_in_manifest"
    assert source_refusal(archive, "ledger") == "pipeline.stage_type_mismatch"


@pytest.mark.parametrize("label", ["data:unknown", "error:unknown", "data:orders_in"])
def test_the_events_of_a_journal_that_is_not_there_are_refused(label: str, tmp_path: Path) -> None:
    folder = orders(tmp_path)
    os.remove(data_file(folder, "orders_in"))
    with pytest.raises(ArchiveError) as refused:
        list(open_archive(folder).events(label))
    assert refused.value.code == "pipeline.missing_journal"
    assert label in refused.value.message
    assert refused.value.where == str(folder)
    assert refused.value.fix is not None
    assert "data:ledger" in refused.value.fix


@pytest.mark.parametrize("requested", list(StageType))
def test_c60_97_only_sources_are_requested(requested: StageType, tmp_path: Path) -> None:
    """Finite and infinite sources are interchangeable."""
    archive = open_archive(orders(tmp_path))
    if requested in (StageType.FINITE_SOURCE, StageType.INFINITE_SOURCE):
        assert archive.source("orders_in", requested).next() is not None
    else:
        assert source_refusal(archive, "orders_in", requested) == "pipeline.stage_type_mismatch"


def source_refusal(archive: Archive, name: str, requested: StageType = FINITE) -> str:
    with pytest.raises(ArchiveError) as caught:
        archive.source(name, requested)
    assert caught.value.where
    return caught.value.code


# C-98


@pytest.mark.parametrize("version", [None, 1.0, "0.9", "1", "ergo-pipeline/2", ["1.0"]], ids=repr)
def test_c60_98_a_manifest_of_another_version_is_refused_before_anything_is_read(version: Any, tmp_path: Path) -> None:
    folder = orders(tmp_path)
    system_file(folder).write_bytes(b"broken\n")

    def edit(manifest: Any) -> None:
        manifest["manifest_version"] = version
        manifest["stages"] = "no typed manifest either"
        if version is None:
            del manifest["manifest_version"]

    edit_manifest(folder, edit)
    assert refusal(folder) == "pipeline.unsupported_manifest_version"


@pytest.mark.parametrize(
    ("version", "is_newer"),
    [
        ("99.0.0", True),
        ("v0.3.0-rc.1", True),
        ("0.2.1", True),
        ("0.10.0", True),
        ("0.2.0", False),
        ("v0.2.0-rc.1", False),
        ("0.1.99", False),
        ("a new one", False),
        ("99", False),
        ("", False),
        ("9" * 5000 + ".0.0", False),
    ],
    ids=lambda value: str(value)[:20],
)
def test_c60_98_an_archive_of_a_newer_version_is_refused(version: str, is_newer: bool, tmp_path: Path) -> None:
    """The triple counts; what is no version is not newer."""
    folder = orders(tmp_path)
    edit_manifest(folder, lambda manifest: manifest.update(obzenflow_version=version))
    if is_newer:
        assert refusal(folder) == "pipeline.version_mismatch"
    else:
        assert open_archive(folder).manifest.obzenflow_version == version


def test_the_manifest_of_the_original_is_read(tmp_path: Path) -> None:
    """Version 1.0 has no members of 0.2; its journals are of format 1."""
    folder = orders(tmp_path)

    def edit(manifest: Any) -> None:
        manifest.update(manifest_version="1.0", obzenflow_version="0.1.2")
        del manifest["journal_format_version"]
        for stage in manifest["stages"].values():
            for name in ("stage_logic_version", "inbound", "ordered_delivery"):
                del stage[name]

    edit_manifest(folder, edit)
    archive = open_archive(folder)
    assert archive.ended == StatusDerivation(1, ArchiveStatus.COMPLETED)
    assert data(read_all(archive, "data:orders_in")) == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b'"1.0"',
        b"\xff",
        b'{"manifest_version":"1.0"}',
        b'{"manifest_version":"1.0","manifest_version":"1.0","stages":{}}',
    ],
)
def test_a_manifest_that_is_no_manifest(text: bytes, tmp_path: Path) -> None:
    folder = orders(tmp_path)
    (folder / MANIFEST).write_bytes(text)
    assert refusal(folder) == "pipeline.parse"
    assert refusal(folder, allow_incomplete=True) == "pipeline.parse"


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("flow_id", "orders"),
        ("flow_id", 1),
        ("stages", []),
        ("created_at", "yesterday"),
        ("journal_format_version", "1"),
    ],
)
def test_members_of_a_manifest_that_are_wrong(member: str, value: Any, tmp_path: Path) -> None:
    folder = orders(tmp_path)
    edit_manifest(folder, lambda manifest: manifest.update({member: value}))
    assert refusal(folder) == "pipeline.parse"


@pytest.mark.parametrize("form", [0, 3])
def test_journals_of_an_unknown_format_are_not_read(form: int, tmp_path: Path) -> None:
    folder = orders(tmp_path)
    system_file(folder).write_bytes(b"broken\n")
    edit_manifest(folder, lambda manifest: manifest.update(journal_format_version=form))
    assert refusal(folder, allow_incomplete=True) == "pipeline.journal_format"


# C-99


def test_c60_99_the_last_terminal_fact_decides(tmp_path: Path) -> None:
    folder = orders(tmp_path)
    end_with(folder, "failed", "completed")
    ended = open_archive(folder).ended
    assert (ended.chosen, ended.terminal_events_found) == (ArchiveStatus.COMPLETED, 2)
    assert "2 terminal events" in (ended.warning or "")


@pytest.mark.parametrize("damage", [b"12:34:{", b"12", b'5:0:"abc"\n', b"not a line\n12:34:{}\n"], ids=repr)
def test_c60_99_a_system_journal_that_is_damaged(damage: bytes, tmp_path: Path) -> None:
    """Torn and corrupt alike; where incomplete archives are allowed, the status is not known."""
    folder = orders(tmp_path)
    with system_file(folder).open("ab") as file:
        file.write(damage)
    assert refusal(folder) == "pipeline.parse"
    ended = open_archive(folder, allow_incomplete=True).ended
    assert (ended.chosen, ended.terminal_events_found) == (ArchiveStatus.UNKNOWN, 0)
    assert "system.log" in (ended.warning or "")


def test_unknown_facts_of_a_system_journal_are_passed_over(tmp_path: Path) -> None:
    folder = orders(tmp_path)

    def edited(records: list[Any]) -> list[Any]:
        unknown = {**records[0], "event": {**records[0]["event"], "system_event_type": "weather"}}
        return [unknown, *records]

    edit_records(system_file(folder), LineFormat.RECORDS, edited)
    assert open_archive(folder).ended == StatusDerivation(1, ArchiveStatus.COMPLETED)


# C-100


def test_c60_100_a_source_admits_what_it_recorded(tmp_path: Path) -> None:
    """An archive of an EOF and of data with an intent."""
    program = pipeline(source("src"), sink("snk", deliver))
    folder = exported(program, {"src": [{"k": "v"}]}, tmp_path)

    def edited(records: list[Any]) -> list[Any]:
        (eof,) = (each for each in records if each["event"]["content"].get("flow_control_type") == "eof")
        (found,) = (each for each in records if each["event"]["content"]["content_type"] == "data")
        found["event"]["intent"] = {"Command": {"action": "ship", "target": "dock"}}
        found["event"]["processing_info"]["event_time"] = 1772640000001
        return [eof, found]

    edit_records(data_file(folder, "src"), LineFormat.RECORDS, edited)
    archive = open_archive(folder)
    (original,) = [each for each in read_all(archive, "data:src") if isinstance(each.content, Data)]
    handle = replayed(program, archive)
    assert handle.state == Drained()

    (event,) = [each for each in events(handle, "data:src") if isinstance(each.content, Data)]
    assert event.id != original.id
    assert (event.correlation_id, event.correlation_payload.entry_event_id) == (event.id, event.id)
    assert event.writer_id.id == event.flow_context.stage_id != original.flow_context.stage_id
    assert event.flow_context.flow_id == handle.flow.id.display != FLOW
    assert (event.content, event.intent) == (original.content, Command("ship", "dock"))
    assert event.processing_info.event_time == 1772640000001
    context = event.replay_context
    assert (context.original_event_id, context.original_stage_id) == (original.id, original.flow_context.stage_id)
    assert (context.original_flow_id, context.archive_path) == (FLOW, str(folder))
    assert context.replayed_at.to_wire() == "1970-01-02T00:00:00Z"

    (eof,) = signals(events(handle, "data:src"), Eof)
    assert (eof.natural, eof.writer_seq) == (True, 1)
    started, ended = replay_facts(handle)
    assert started == ReplayStarted(
        str(folder), FLOW, ArchiveStatus.COMPLETED, StatusDerivation(1, ArchiveStatus.COMPLETED), False, ("src",)
    )
    assert isinstance(ended, ReplayCompleted)
    assert (ended.replayed_count, ended.skipped_count) == (1, 1)


def replay_facts(handle: Any) -> list[Any]:
    found = [each.event.event for each in handle.system_journal.read_all_unordered()]
    return [each.fact for each in found if type(each).__name__ == "ReplayLifecycle"]


def test_data_and_watermarks_are_admitted_in_the_order_of_the_journal(tmp_path: Path) -> None:
    def admit(payload: Any) -> list[Any]:
        return [Event("seen", payload), Watermark(timestamp=payload["n"])]

    def never(payload: Any) -> list[Any]:
        raise AssertionError("a source that is replayed does not admit payloads")

    folder = exported(pipeline(source("src", admit), sink("snk", deliver)), {"src": [{"n": 1}, {"n": 2}]}, tmp_path)
    handle = replayed(pipeline(source("src", never), sink("snk", deliver)), open_archive(folder))
    written = [each for each in events(handle, "data:src") if each.is_replayable]
    assert [each.event_type for each in written] == ["seen", "control.watermark"] * 2
    assert [each.replay_context.original_event_id for each in written] == [
        each.id for each in read_all(open_archive(folder), "data:src") if each.is_replayable
    ]
    ended = replay_facts(handle)[-1]
    assert (ended.replayed_count, ended.skipped_count) == (4, 3)  # source contract, EOF, final
    assert names(handle).count("system.pipeline.completed") == 1


def test_several_sources_are_one_replay(tmp_path: Path) -> None:
    program = pipeline(source("a"), source("b"), source("c"), sink("snk", deliver), edges="a>snk b>snk c>snk")
    folder = exported(program, {"a": [1, 2], "b": [], "c": [3]}, tmp_path)
    handle = replayed(program, open_archive(folder))
    started, ended = replay_facts(handle)
    assert started.source_stages == ("a", "b", "c")
    assert ended.replayed_count == 3
    assert [data(events(handle, f"data:{name}")) for name in "abc"] == [[1, 2], [], [3]]
    assert (names(handle).count("system.replay.started"), names(handle).count("system.replay.completed")) == (1, 1)


def test_an_infinite_source_ends_naturally_with_the_archive(tmp_path: Path) -> None:
    folder = orders(tmp_path)
    program = replace(ORDERS, stages=(source("orders_in", infinite=True), *ORDERS.stages[1:]))
    handle = replayed(program, open_archive(folder))
    assert handle.state == Drained()
    (eof,) = signals(events(handle, "data:orders_in"), Eof)
    assert (eof.natural, eof.writer_seq) == (True, 2)


def test_events_that_are_marked_as_errors_are_passed_through(tmp_path: Path) -> None:
    folder = orders(tmp_path)

    def edited(records: list[Any]) -> list[Any]:
        for each in records:
            if each["event"]["content"]["content_type"] == "data":
                each["event"]["processing_info"]["status"] = {"Error": {"message": "bad", "kind": "Validation"}}
        return records

    edit_records(data_file(folder, "orders_in"), LineFormat.RECORDS, edited)
    handle = replayed(ORDERS, open_archive(folder))
    rows = [each for each in events(handle, "data:price") if isinstance(each.content, Data)]
    assert [(each.event_type, each.is_error) for each in rows] == [("orders_in", True)] * 2


def test_a_source_without_an_archived_one_is_refused_before_anything_starts(tmp_path: Path) -> None:
    program = replace(
        ORDERS, stages=(source("others"), *ORDERS.stages[1:]), edges=(("others", "price"), ("price", "ledger"))
    )
    store = MemoryJournal()
    with pytest.raises(ArchiveError) as caught:
        replayed(program, open_archive(orders(tmp_path)), store=store)
    assert caught.value.code == "pipeline.stage_not_in_manifest"
    assert store.runs() == []


def test_a_source_of_the_archive_that_is_left_out_is_named(tmp_path: Path) -> None:
    both = pipeline(source("a"), source("b"), sink("snk", deliver), edges="a>snk b>snk")
    folder = exported(both, {"a": [1], "b": [2]}, tmp_path)
    lines: list[str] = []
    replayed(pipeline(source("a"), sink("snk", deliver)), open_archive(folder), log=lines.append)
    assert any("'b'" in line for line in lines)


def test_a_stage_that_fails_ends_a_replay_as_it_ends_any_run(tmp_path: Path) -> None:
    folder = exported(ORDERS, {"orders_in": [{"n": n} for n in range(500)]}, tmp_path)

    def fail(event: Event) -> list[Event]:
        raise RuntimeError("no further")

    program = replace(ORDERS, stages=(ORDERS.stages[0], transform("price", fail), ORDERS.stages[2]))
    handle = replayed(program, open_archive(folder))
    assert isinstance(handle.state, Failed)
    assert [type(each).__name__ for each in replay_facts(handle)][:1] == ["ReplayStarted"]
    assert names(handle).count("system.pipeline.failed") == 1


# C-101


def test_c60_101_a_journal_that_yields_nothing_before_its_end(tmp_path: Path) -> None:
    class Silent(MemoryJournal):
        """A journal with records that it does not give."""

        def head(self, run: str) -> int:
            return 5

    archive = replace(open_archive(orders(tmp_path)), journals=Silent())
    with pytest.raises(ArchiveError) as caught:
        archive.source("orders_in", FINITE).next()
    assert caught.value.code == "pipeline.corrupted_archive"
    assert str(caught.value.where).endswith(".log record 1")


TORN = [b"9", b"99:1:{", b"12:34:{}"]
CORRUPT = [b"2:0:{}\n", b"2:2745614147:{}\n", b"9\n9\n"]


@pytest.mark.parametrize("damage", [*TORN, *CORRUPT], ids=repr)
def test_c60_101_a_damaged_journal_fails_its_source(damage: bytes, tmp_path: Path) -> None:
    """What stands before the damage is admitted."""
    folder = orders(tmp_path)
    with data_file(folder, "orders_in").open("ab") as file:
        file.write(damage)
    handle = replayed(ORDERS, open_archive(folder))
    assert isinstance(handle.state, Failed)
    (said,) = [fact for fact in facts(handle, "orders_in") if fact.startswith("failed")]
    assert "record 6 of" in said
    assert data_file(folder, "orders_in").name in said
    assert data(events(handle, "data:orders_in")) == [{"n": 1}, {"n": 2}]
    assert names(handle).count("system.replay.started") == 1
    assert names(handle).count("system.replay.completed") == 0


@pytest.mark.parametrize("damage", TORN, ids=repr)
def test_what_a_crash_left_of_a_record_is_not_there(damage: bytes, tmp_path: Path) -> None:
    """Of a run without a terminal fact, which the crash ended."""
    folder = orders(tmp_path)
    end_with_nothing(folder)
    with data_file(folder, "orders_in").open("ab") as file:
        file.write(damage)
    handle = replayed(ORDERS, open_archive(folder, allow_incomplete=True))
    assert handle.state == Drained()
    assert data(events(handle, "data:orders_in")) == [{"n": 1}, {"n": 2}]
    (started, _) = replay_facts(handle)
    assert (started.archive_status, started.allow_incomplete) == (ArchiveStatus.UNKNOWN, True)


def test_a_journal_that_is_cut_at_any_byte_never_loses_a_record_silently(tmp_path: Path) -> None:
    """A record is there whole, or the source fails; a cut between two lines leaves the lines before it."""
    folder = orders(tmp_path)
    file = data_file(folder, "orders_in")
    whole = file.read_bytes()
    ends = [at + 1 for at, byte in enumerate(whole) if byte == 10]
    for size in {*ends, *(end - 1 for end in ends), *range(1, len(whole), 97)}:
        file.write_bytes(whole[:size])
        found = open_archive(folder).source("orders_in", FINITE)
        if size in ends or size + 1 in ends:
            assert len(list(iter(found.next, None))) + found.skipped == whole[: size + 1].count(b"\n")
        else:
            with pytest.raises(ArchiveError, match="only"):
                list(iter(found.next, None))


# Effects


def charging(executed: list[Any], payload: str = "a") -> PipelineProgram:
    def charge(given: Any, call: Any) -> Any:
        executed.append(given)
        if given["n"] == 2:
            raise EffectFailed("declined", "no money")
        return {"paid": given["n"]}

    def process(event: Event, effects: Any) -> list[Event]:
        try:
            return [
                Event("paid", effects.perform("charge", {**event.payload, "by": payload}, key=f"k{event.payload['n']}"))
            ]
        except EffectFailed as error:
            raise HandlerError(str(error), "Domain") from error

    return pipeline(
        source("src"),
        transform("till", process),
        sink("snk", deliver),
        effects={"charge": EffectType(charge, Safety.NON_IDEMPOTENT_AT_LEAST_ONCE)},
    )


def test_effects_get_their_recorded_outcomes_and_are_not_executed(tmp_path: Path) -> None:
    executed: list[Any] = []
    program = charging(executed)
    folder = exported(program, {"src": [{"n": 1}, {"n": 2}, {"n": 3}]}, tmp_path)
    assert len(executed) == 3
    handle = replayed(program, open_archive(folder))
    assert len(executed) == 3
    rows = [
        (each.event_type, each.is_error) for each in events(handle, "data:till") if each.event_type in ("paid", "src")
    ]
    assert rows == [("paid", False), ("src", True), ("paid", False)]
    third = replayed(program, open_archive(exported_again(program, folder, tmp_path / "again")))
    assert (third.state, len(executed)) == (Drained(), 3)


def exported_again(program: PipelineProgram, folder: Path, base: Path) -> Path:
    """The run directory of the replay of one."""
    store = MemoryJournal()
    handle = replayed(program, open_archive(folder), store=store)
    return Path(export_archive(store, handle.flow.id.display, base).path)


def test_an_effect_that_was_not_recorded_fails_its_stage(tmp_path: Path) -> None:
    executed: list[Any] = []
    folder = exported(charging(executed), {"src": [{"n": 1}]}, tmp_path)

    def edited(records: list[Any]) -> list[Any]:
        return [each for each in records if not each["event"]["content"].get("event_type", "").startswith("obzenflow.")]

    changed = replayed(charging(executed, "b"), open_archive(folder))
    assert "'charge' asks for" in " ".join(facts(changed, "till"))
    edit_records(data_file(folder, "till"), LineFormat.RECORDS, edited)
    missed = replayed(charging(executed), open_archive(folder))
    assert "'charge' was never recorded" in " ".join(facts(missed, "till"))
    assert len(executed) == 1


def test_the_effects_of_a_source_are_no_data(tmp_path: Path) -> None:
    def admit(payload: Any, effects: Any) -> list[Event]:
        return [Event("seen", effects.perform("look", payload))]

    program = pipeline(
        source("src", admit), sink("snk", deliver), effects={"look": EffectType(lambda given, call: given)}
    )
    folder = exported(program, {"src": [1, 2]}, tmp_path)
    handle = replayed(program, open_archive(folder))
    assert handle.state == Drained()
    assert data(events(handle, "data:src")) == [1, 2]
    assert replay_facts(handle)[1].skipped_count == 2 + 3


# Files and their names


def read_all(archive: Archive, label: str) -> list[Any]:
    return list(archive.events(label))


def test_a_run_directory_is_named_as_the_specification_has_it(tmp_path: Path) -> None:
    folder = orders(tmp_path)
    assert folder == tmp_path / "flows" / FLOW
    manifest = json.loads((folder / MANIFEST).read_text())
    ids = {name: stage["stage_id"] for name, stage in manifest["stages"].items()}
    assert sorted(each.name for each in folder.iterdir()) == sorted(
        [
            MANIFEST,
            "system.log",
            f"FiniteSource_orders_in_{ids['orders_in']}.log",
            f"FiniteSource_orders_in_error_{ids['orders_in']}.log",
            f"Transform_price_{ids['price']}.log",
            f"Transform_price_error_{ids['price']}.log",
            f"Sink_ledger_{ids['ledger']}.log",
            f"Sink_ledger_error_{ids['ledger']}.log",
        ]
    )
    assert list(manifest) == [
        "manifest_version",
        "obzenflow_version",
        "flow_id",
        "flow_name",
        "created_at",
        "stages",
        "system_journal_file",
        "journal_format_version",
    ]
    assert (manifest["manifest_version"], manifest["flow_name"]) == ("ergo-pipeline/1", "orders")
    assert list(manifest["stages"]) == sorted(ids)
    assert manifest["stages"]["price"] == {
        "dsl_var": "price",
        "stage_type": "Transform",
        "stage_id": ids["price"],
        "data_journal_file": f"Transform_price_{ids['price']}.log",
        "error_journal_file": f"Transform_price_error_{ids['price']}.log",
        "stage_logic_version": "1",
        "inbound": ["orders_in"],
        "ordered_delivery": True,
    }
    assert (folder / MANIFEST).read_text().startswith('{\n  "manifest_version": "ergo-pipeline/1",\n')


def test_the_replayed_archive_stands_in_the_manifest(tmp_path: Path) -> None:
    folder = orders(tmp_path)
    replay = open_archive(exported_again(ORDERS, folder, tmp_path / "again")).manifest.replay
    assert (replay and replay.replay_from, replay and replay.allow_incomplete_archive) == (str(folder), False)


NAMES = [
    "a/b",
    "../../up",
    "..",
    ".",
    "\\\\host\\c",
    "C:x",
    "a:b",
    "%2F",
    "A",
    "é",
    "x y",
    "n" * 400,
    "ü" * 200,
    '*?"<>|',
    "a_error",
]


def test_names_of_stages_stay_in_the_folder(tmp_path: Path) -> None:
    """Case alone, or what a name ends with, tells no two files apart: their ids do."""
    stages = [source(name) for name in [*NAMES, "a"]]
    program = PipelineProgram("orders", (*stages, sink("snk", deliver)), tuple((each.name, "snk") for each in stages))
    folder = exported(program, {each.name: [each.name] for each in stages}, tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["flows"]
    assert [each.name for each in (tmp_path / "flows").iterdir()] == [FLOW]
    files = [each.name for each in folder.iterdir()]
    assert len({name.lower() for name in files}) == len(files) == 2 * len(program.stages) + 2
    assert max(len(name.encode()) for name in files) <= 255
    archive = open_archive(folder)
    for name, stage in archive.manifest.stages.items():
        written = stage.data_journal_file.removeprefix(f"{stage.stage_type.value}_").removesuffix(
            f"_{stage.stage_id}.log"
        )
        assert unquote(written) == name or (len(name.encode()) > 180 and name.startswith(unquote(written)))
    assert {name: data(read_all(archive, f"data:{name}")) for name in NAMES} == {name: [name] for name in NAMES}


@pytest.mark.parametrize(
    "name",
    [
        "../system.log",
        "/etc/passwd",
        "a/b.log",
        "..",
        ".",
        "",
        "a\\b.log",
        "C:\\x.log",
        "c:x.log",
        "x\x00.log",
        "\\\\host\\share",
    ],
    ids=repr,
)
@pytest.mark.parametrize("member", ["system", "data", "error"])
def test_a_file_that_leads_out_of_the_archive_is_refused(member: str, name: str, tmp_path: Path) -> None:
    folder = orders(tmp_path)

    def edit(manifest: Any) -> None:
        if member == "system":
            manifest["system_journal_file"] = name
        else:
            manifest["stages"]["ledger"][f"{member}_journal_file"] = name

    edit_manifest(folder, edit)
    assert refusal(folder, allow_incomplete=True) == "pipeline.file_outside_archive"


@pytest.mark.parametrize("which", ["manifest", "system", "data"])
@pytest.mark.parametrize("what", ["link", "link out", "folder", "pipe"])
def test_what_is_no_plain_file_is_refused(which: str, what: str, tmp_path: Path) -> None:
    folder = orders(tmp_path)
    file = {"manifest": folder / MANIFEST, "system": system_file(folder), "data": data_file(folder, "price")}[which]
    moved = (tmp_path if what == "link out" else folder) / "moved"
    file.rename(moved)
    match what:
        case "folder":
            file.mkdir()
        case "pipe":
            os.mkfifo(file)
        case _:
            file.symlink_to(moved)
    assert refusal(folder, allow_incomplete=True) == "pipeline.file_outside_archive"


# Losing nothing


def batching() -> PipelineProgram:
    return pipeline(
        source("src"),
        stateful("sum", lambda: {"n": 0}, add, lambda state: [Event("sum", dict(state))]),
        sink("snk", deliver),
    )


def add(state: Any, event: Event) -> None:
    state["n"] += 1


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(JSON, max_size=4))
def test_what_was_exported_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, payloads: list[Any]) -> None:
    store = kept(batching(), {"src": payloads})
    written = export_archive(store, FLOW, tmp_path_factory.mktemp("archives"))
    archive = open_archive(written.path)
    assert texts(archive.journals) == texts(store)
    assert written.records == sum(map(len, texts(store).values()))
    handle = replayed(batching(), archive)
    assert [each.content for each in events(handle, "data:src") if isinstance(each.content, Data)] == [
        each.content for each in archive.events("data:src") if isinstance(each.content, Data)
    ]


def test_groups_need_the_second_format(tmp_path: Path) -> None:
    store = with_groups()
    written = export_archive(store, FLOW, tmp_path)
    archive = open_archive(written.path)
    assert archive.manifest.journal_format_version == 2
    assert texts(archive.journals) == texts(store)
    first = data_file(Path(written.path), "price").read_bytes().splitlines()[0]
    assert b'"frame_kind":"record_v2"' in first


def with_groups() -> MemoryJournal:
    """A store whose sink has a group of three records in its error journal."""
    store = kept(ORDERS, {"orders_in": [{"n": 1}]})
    text = next(text for _, text in store.scan(f"{FLOW}/data:ledger"))
    head, event = text.split(',"event":', 1)
    place = ',"journal_group_id":"g","journal_group_member":{"index":%d,"size":3}'
    store.append(f"{FLOW}/error:ledger", [f'{head}{place % index},"event":{event}' for index in range(3)])
    return store


@pytest.mark.parametrize("part", ["flow", "stage"])
@pytest.mark.parametrize("name", ["../../out", "flow_", "", "/tmp/out"])
def test_a_damaged_manifest_writes_nothing(name: str, part: str, tmp_path: Path) -> None:
    stored = FlowManifest.of(manifest())
    stage = replace(stored.stages["price"], stage_id=name)
    damaged = replace(stored, flow_id=name) if part == "flow" else replace(stored, stages={"price": stage})
    store = MemoryJournal()
    keep_manifest(store, FLOW, wire.encode(damaged))
    with pytest.raises(JournalError) as caught:
        export_archive(store, FLOW, tmp_path / "a")
    assert caught.value.code == ("pipeline.journal_foreign" if part == "flow" else "pipeline.journal_corrupt")
    assert list(tmp_path.iterdir()) == []


def test_one_export_is_like_another(tmp_path: Path) -> None:
    one, other = orders(tmp_path / "one"), orders(tmp_path / "other")
    assert {each.name: each.read_bytes() for each in one.iterdir()} == {
        each.name: each.read_bytes() for each in other.iterdir()
    }


def manifest() -> bytes:
    """The manifest of the first flow of orders."""
    return ORDERS.manifest(FlowId.parse(FLOW))


def test_a_flow_without_a_manifest_is_not_exported(tmp_path: Path) -> None:
    store = MemoryJournal()
    for run, records in texts(kept(ORDERS, {"orders_in": [{"n": 1}]})).items():
        store.append(run, records)
    with pytest.raises(JournalError) as caught:
        export_archive(store, FLOW, tmp_path / "a")
    assert (caught.value.code, "no manifest" in caught.value.message) == ("pipeline.journal_corrupt", True)
    assert list(tmp_path.iterdir()) == []


def test_a_flow_without_records_is_incomplete(tmp_path: Path) -> None:
    store = MemoryJournal()
    keep_manifest(store, FLOW, manifest())
    written = export_archive(store, FLOW, tmp_path)
    assert written.records == 0
    assert refusal(Path(written.path)) == "pipeline.incomplete_archive"
    handle = replayed(ORDERS, open_archive(written.path, allow_incomplete=True))
    assert handle.state == Drained()
    assert [type(each).__name__ for each in replay_facts(handle)] == ["ReplayStarted", "ReplayCompleted"]


def damaged_event(text: str) -> str:
    return '{"no":"record"}'


def half_a_group(text: str) -> str:
    return text.replace(',"event":', ',"journal_group_id":"g","journal_group_member":{"index":0,"size":2},"event":', 1)


@pytest.mark.parametrize("damage", [damaged_event, half_a_group])
@pytest.mark.parametrize("label", ["system", "data:price", "error:ledger"])
def test_a_damaged_journal_is_not_exported(damage: Callable[[str], str], label: str, tmp_path: Path) -> None:
    store = kept(ORDERS, {"orders_in": [{"n": 1}]})
    text = next(text for _, text in store.scan(f"{FLOW}/data:ledger"))
    store.append(f"{FLOW}/{label}", [damage(text)])
    with pytest.raises(JournalError) as caught:
        export_archive(store, FLOW, tmp_path / "archives")
    assert caught.value.code == "pipeline.journal_corrupt"
    assert f"{FLOW}/{label}" in str(caught.value.where)
    assert list(tmp_path.iterdir()) == []
