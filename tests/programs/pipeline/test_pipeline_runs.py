"""Flows that a program of its own keeps in a store, as ``ergo runs`` finds them, cut off at every record."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest
from pipeline_flows import pipeline

from ergo_cli.core.wire import Timestamp
from ergo_cli.programs.pipeline import Event, HandlerError, TimedIds, launch, sink, source, transform
from ergo_cli.programs.pipeline.appended import AppendOrder
from ergo_cli.programs.pipeline.causes import SeqDivergence
from ergo_cli.programs.pipeline.errors import JournalError, PipelineError
from ergo_cli.programs.pipeline.ids import EventId, JournalId, StageId, StageWriter
from ergo_cli.programs.pipeline.journal import Journal
from ergo_cli.programs.pipeline.kept_runs import PipelineRuns
from ergo_cli.programs.pipeline.stored_flows import MANIFEST, journal_run
from ergo_cli.programs.pipeline.system_events import ContractStatus, SystemEvent, read_system_event
from ergo_cli.programs.runs import Standing
from ergo_cli.stores.backends import RunStore, memory_store
from ergo_cli.testing.virtual_time import run_in_virtual_time

RUNS = PipelineRuns()
START_MS = 1_764_450_000_000
Records = list[tuple[str, str]]


def double(event: Event) -> list[Event]:
    if event.payload == 2:
        raise HandlerError("two", "Remote")
    return [event, event]


def deliver(event: Event) -> None:
    """Consume an event with an ordinary receipt."""


PROGRAM = pipeline(source("src"), transform("d o/u:ble", double), sink("snk", deliver))


def kept() -> tuple[str, Records]:
    """A flow of three events under ids of its own: its id, and its records as they were appended."""
    wall, random = count(START_MS), count()
    journal = AppendOrder(memory_store().journal)

    async def main() -> str:
        ids = TimedIds(lambda: START_MS, lambda size: next(random).to_bytes(size))
        handle = await launch(PROGRAM, {"src": [1, 2, 3]}, ids=ids, wall_ms=lambda: next(wall), store=journal)
        await handle.run()
        return handle.flow.id.display

    flow_id = run_in_virtual_time(main())
    records = [json.loads(record) for record in journal.take()]
    return flow_id, [(each["journal"], json.dumps(each["record"], separators=(",", ":"))) for each in records]


@pytest.fixture(scope="module")
def whole() -> tuple[str, Records]:
    return kept()


def store_of(flow_id: str, records: Records) -> RunStore:
    """A store that has these records of a flow."""
    store = memory_store()
    for label, text in records:
        store.journal.append(journal_run(flow_id, label), [text])
    return store


def status(store: RunStore, flow_id: str) -> Any:
    return json.loads(RUNS.show(store, flow_id).status)


def test_a_flow_of_a_library_is_found_by_its_manifest(whole: tuple[str, Records]) -> None:
    flow_id, records = whole
    assert records[0][0] == MANIFEST
    store = store_of(flow_id, records)
    [listed] = RUNS.list(store)
    assert (listed.run_id, listed.head, listed.standing) == (flow_id, len(records) - 1, Standing.COMPLETED)
    assert (listed.program, listed.error) == ("orders", None)
    stages = [
        (each["stage"], each["events_in"], each["events_out"], each["errors"]) for each in _stages(store, flow_id)
    ]
    assert stages == [("src", 3, 3, 0), ("d o/u:ble", 3, 4, 1), ("snk", 4, 4, 0)]
    timeline = RUNS.timeline(store, flow_id)
    assert timeline.columns == ("seq", "journal", "stage", "event")
    completed = {stage for _, _, stage, event in timeline.rows if event == "system.stage.completed"}
    assert completed == {"src", "d o/u:ble", "snk"}
    assert ("data:d o/u:ble", "d o/u:ble") in {(label, stage) for _, label, stage, _ in timeline.rows}


def _stages(store: RunStore, flow_id: str) -> Any:
    return status(store, flow_id)["stages"]


def test_a_flow_of_which_only_data_is_left_is_listed_as_unreadable(whole: tuple[str, Records]) -> None:
    flow_id, records = whole
    store = store_of(flow_id, [(label, text) for label, text in records if label.startswith("data:")])
    [listed] = RUNS.list(store)
    assert listed.error is not None
    assert (listed.run_id, listed.error.code) == (flow_id, "pipeline.journal_corrupt")
    assert RUNS.has(store, flow_id)
    assert not RUNS.has(store, f"{flow_id}/data:src")
    with pytest.raises(JournalError, match=f"the flow '{flow_id}' has no manifest"):
        RUNS.show(store, flow_id)


def test_a_flow_that_was_cut_off_anywhere_is_ended(whole: tuple[str, Records]) -> None:
    """Its last fact is ``drained`` behind ``cancelled``, whose duration is that up to the last fact before."""
    flow_id, records = whole
    ends = [place for place, (_, text) in enumerate(records) if '"pipeline_event":"completed"' in text]
    for kept in range(1, len(records) + 1):
        store = store_of(flow_id, records[:kept])
        if kept > ends[0]:
            with pytest.raises(PipelineError, match=f"the flow '{flow_id}' has ended: Completed$") as ended:
                RUNS.cancel(store, flow_id, was_asked=True)
            assert ended.value.code == "pipeline.already_completed"
            continue
        assert [each.standing for each in RUNS.list(store)] == [Standing.ACTIVE]
        cancelled = RUNS.cancel(store, flow_id, was_asked=False)
        assert (cancelled.head, cancelled.was_driven) == (kept - 1 + 2, False)
        facts = [json.loads(text) for _, text in store.journal.scan(journal_run(flow_id, "system"))]
        *before, end, drained = [fact["event"] for fact in facts]
        started = [fact["timestamp"] for fact in before if fact.get("pipeline_event") == "running"]
        ran = before[-1]["timestamp"] - started[0] if started else 0
        assert (end["pipeline_event"], end["reason"], end["duration_ms"]) == ("cancelled", "user_stop", ran)
        assert drained["pipeline_event"] == "drained"
        assert (
            len({fact["journal_id"] for fact in facts})
            == len({end["writer_id"]["id"], drained["writer_id"]["id"]})
            == 1
        )
        assert len({fact["event_id"] for fact in facts}) == len(facts)
        assert status(store, flow_id)["state"] == "cancelled"
        assert RUNS.cancel(store, flow_id, was_asked=True).was_driven


@pytest.mark.parametrize("passes_later", [False, True])
def test_a_contract_that_fails_is_shown_with_its_cause(whole: tuple[str, Records], passes_later: bool) -> None:
    """The last that its reader says counts; those of which nothing is reported are missing once the flow has ended."""
    flow_id, records = whole
    running = next(place for place, (_, text) in enumerate(records) if '"pipeline_event":"running"' in text)
    store = store_of(flow_id, records[: running + 1])
    stages = json.loads(records[0][1])["stages"]
    ids = {name: StageId.parse(stage["stage_id"]) for name, stage in stages.items()}
    system = Journal(
        store.journal,
        journal_run(flow_id, "system"),
        journal_id=JournalId.digest_of("unused"),
        owner=ids["src"],
        read_event=read_system_event,
        now=lambda: Timestamp(0),
    )
    for number, passed in enumerate([False, True] if passes_later else [False]):
        reason = None if passed else SeqDivergence(advertised=3, reader=1)
        fact = ContractStatus(upstream=ids["src"], reader=ids["d o/u:ble"], passed=passed, reason=reason)
        event_id = EventId.digest_of(f"status {number}")
        system.append(SystemEvent(event_id, StageWriter(ids["d o/u:ble"]), fact, START_MS))
    failed = {
        "from": "src",
        "to": "d o/u:ble",
        "state": "failed",
        "cause": {"violation_type": "seq_divergence", "details": {"advertised": 3, "reader": 1}},
    }
    expected = [] if passes_later else [failed]
    assert status(store, flow_id).get("contracts", []) == expected
    RUNS.cancel(store, flow_id, was_asked=False)
    missing = {"from": "d o/u:ble", "to": "snk", "state": "missing"}
    assert status(store, flow_id)["contracts"] == [*expected, missing]
