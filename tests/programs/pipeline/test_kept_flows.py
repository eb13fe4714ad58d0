"""Flows of a store: taken, cut off at any append, gone on with, refused (spec 60 §20.4, §21, §23.2, §26)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace
from pipeline_flows import pipeline

from ergo_cli.core.time import StandingClock
from ergo_cli.errors import StepError, StoreError
from ergo_cli.programs.pipeline import (
    EffectFailed,
    EffectType,
    Event,
    PipelineProgram,
    PipelineSettings,
    Safety,
    sink,
    source,
    stateful,
    transform,
)
from ergo_cli.programs.pipeline.invoker import PipelineInvoker
from ergo_cli.programs.pipeline.kept_flow import KeptFlow
from ergo_cli.programs.pipeline.stored_flows import FLOW_TABLES, end_of, stored_flows
from ergo_cli.programs.seat import Seat
from ergo_cli.stores.backends import RunStore, memory_store, open_store, shared_memory
from ergo_cli.stores.journals import EventJournal
from ergo_cli.stores.leases import Driver, Owner
from ergo_cli.supervisor.seam import ErrKind, Failed, Outcome

EVENTS = ("anna", "carl", "ben")
LOST = Failed(ErrKind.ADAPTER_UNAVAILABLE)


class Killed(BaseException):
    """The process that drives a flow is gone."""


class World:
    """What effects ask, each call by its key or its type, and the number of the call that kills the process."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.kills_at: int | None = None

    def __call__(self, given: Any, call: Any) -> Any:
        self.asked.append(call.key or f"{call.effect_type}-{given}")
        if len(self.asked) == self.kills_at:
            raise Killed
        if given == "carl":
            raise EffectFailed("declined", "no")
        return {"for": given, "key": call.key}


def look_up(event: Event, effects: Any) -> list[Event]:
    return [Event("known", effects.perform("look_up", event.payload)["for"])]


def gather(state: list[Any], event: Event) -> None:
    state.append(event.payload)


def pairs(state: list[Any]) -> list[Event]:
    told = [Event("pair", list(state))]
    state.clear()
    return told


def pay(event: Event, effects: Any) -> None:
    for who in event.payload:
        effects.perform("pay", who, key=f"pay-{who}")
        effects.perform("mail", who)


def program_of(
    world: Any, consume: Callable[..., Any] = pay, process: Callable[..., Any] = look_up, **settings: Any
) -> PipelineProgram:
    return pipeline(
        source("src"),
        transform("known", process),
        stateful("pairs", list, gather, pairs, should_emit=lambda state: len(state) == 2),
        sink("till", consume),
        settings=PipelineSettings(**settings),
        effects={
            "look_up": EffectType(world),
            "pay": EffectType(world, Safety.NON_IDEMPOTENT_REQUIRES_KEY),
            "mail": EffectType(world, Safety.NON_IDEMPOTENT_AT_LEAST_ONCE),
        },
    )


class OfPayload(Struct, frozen=True):
    """The context of an event, as far as pipelines read it."""

    payload: bytes
    values: dict[str, Any] = {}


class Journal:
    """An EventJournal over another one that fails at an append, before it is made."""

    def __init__(self, journal: EventJournal, fails_at: int | None, fault: BaseException) -> None:
        self._journal, self._left, self._fault = journal, fails_at, fault
        self.scan, self.head, self.runs = journal.scan, journal.head, journal.runs

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                raise self._fault
        return self._journal.append(run, texts, expected_head)


class Driven:
    """A process that drives the flow of a program in a store."""

    def __init__(
        self,
        program: PipelineProgram,
        store: RunStore,
        *,
        fails_at: int | None = None,
        fault: BaseException | None = None,
        clock: Any = None,
        within: Any = lambda limit, work, name: work(),
    ) -> None:
        store = replace(store, journal=Journal(store.journal, fails_at, fault or Killed()))
        flow = KeptFlow(program, store)
        self.invoker = PipelineInvoker(program, flow, Seat(clock or StandingClock(), within, store=store))
        self.entries: list[Any] = []
        self.failures: list[Any] = []
        self.terminations: list[Any] = []

    def run(self, payload: Any, deadline: int | None = None) -> Any:
        context = OfPayload(json.dumps(payload).encode())
        try:
            ended = self.invoker.run("orders", f"e-{payload}", context, deadline)
        except StepError as error:
            self.failures.append(error)
            return None
        self._keep(self.invoker.drain_journals())
        self.terminations.append(ended)
        return ended

    def close(self, *, interrupted: bool = False) -> None:
        try:
            self._keep(self.invoker.close(interrupted))
        except StepError as error:
            self.failures.append(error)

    def all(self, events: Sequence[Any] = EVENTS) -> Driven:
        for event in events:
            self.run(event)
        self.close()
        return self

    def _keep(self, journals: Any) -> None:
        for journal in journals:
            self.entries.append([json.loads(record) for record in journal.records])
            self.failures.append(journal.failure)

    @property
    def code(self) -> str | None:
        """The code of the last failure of the store."""
        return self.failures[-1].code if self.failures[-1] else None


def records(store: RunStore) -> dict[str, list[str]]:
    return {run: [text for _, text in store.journal.scan(run)] for run in store.journal.runs()}


def run_of(label: str, number: int = 0) -> str:
    return f"{program_of(World()).flow_id(number).display}/{label}"


def was_killed(program: PipelineProgram, store: RunStore, *, fails_at: int | None = None) -> bool:
    """Drive a flow; whether its process was killed."""
    try:
        Driven(program, store, fails_at=fails_at).all()
    except Killed:
        return True
    return False


def cut_off(*, fails_at: int, program: PipelineProgram | None = None) -> RunStore:
    """A store whose flow was cut off at an append."""
    store = memory_store()
    assert was_killed(program or program_of(World()), store, fails_at=fails_at)
    return store


def attempts(entries: Sequence[Any]) -> list[tuple[str, int]]:
    """The attempts among the records of a flow: what was asked for, and the number."""
    payloads = [
        record["record"]["event"]["content"]["payload"]
        for entry in entries
        for record in entry[1:-1]
        if record["record"]["event"].get("content", {}).get("event_type") == "obzenflow.effect_attempt.v1"
    ]
    return [(each["cursor"]["effect_ordinal"], each["outcome"]["attempt"]) for each in payloads]


WHOLE_STORE = memory_store()
WHOLE = Driven(program_of(World()), WHOLE_STORE).all()
APPENDS = sum(len(texts) for texts in records(WHOLE_STORE).values())
ASKED = ["look_up-anna", "look_up-carl", "look_up-ben", "pay-anna", "mail-anna", "pay-ben", "mail-ben"]


# --- going on


@pytest.mark.parametrize("place", range(1, APPENDS + 1))
def test_a_flow_that_was_cut_off_at_any_append_comes_to_the_same_records(place: int) -> None:
    world = World()
    store = cut_off(fails_at=place, program=program_of(world))
    before = list(world.asked)
    goes_on = Driven(program_of(world), store).all()
    in_flight = [each for each in set(world.asked) if world.asked.count(each) == 2]
    assert sorted(set(world.asked)) == sorted(set(ASKED))
    assert in_flight in ([], before[-1:])
    if attempts(goes_on.entries) == attempts(WHOLE.entries):
        assert goes_on.entries == WHOLE.entries
        assert records(store) == records(WHOLE_STORE)
    else:
        assert in_flight[0].startswith("mail-")


def test_what_was_cut_off_twice_goes_on_too() -> None:
    store = cut_off(fails_at=40)
    assert was_killed(program_of(World()), store, fails_at=20)
    assert Driven(program_of(World()), store).all().entries == WHOLE.entries


@pytest.mark.parametrize("call", range(1, len(ASKED) + 1))
def test_an_effect_in_whose_middle_the_process_was_killed(call: int) -> None:
    """One that needs a key, or is idempotent, is asked again under the same key; any other is a further attempt."""
    world, store = World(), memory_store()
    world.kills_at = call
    assert was_killed(program_of(world), store)
    goes_on = Driven(program_of(world), store).all()
    assert [world.asked.count(each) for each in ASKED] == [1 + (each == world.asked[call - 1]) for each in ASKED]
    again = world.asked[call - 1].startswith("mail-")
    assert (goes_on.entries == WHOLE.entries) is not again
    assert [number for _, number in attempts(goes_on.entries)].count(2) == again
    assert all(ended is Outcome.COMPLETED for ended in goes_on.terminations)


def test_a_flow_that_has_ended_stays_and_the_next_one_begins() -> None:
    store = memory_store()
    entries = [Driven(program_of(World()), store).all().entries for _ in range(3)]
    ids = [program_of(World()).flow_id(number).display for number in range(3)]
    assert stored_flows(store.journal) == sorted(ids)
    assert len(set(ids)) == 3
    assert [len(each) for each in entries] == [len(entries[0])] * 3
    assert all(type(end_of(store.journal, each)).__name__ == "PipelineCompleted" for each in ids)
    texts = [json.dumps(each).replace(own, "flow") for each, own in zip(entries, ids, strict=True)]
    assert '"flow"' in texts[0]
    assert "initial" in texts[0]


def test_without_an_event_there_is_no_flow() -> None:
    store = memory_store()
    Driven(program_of(World()), store).close()
    assert store.journal.runs() == []


# --- what is refused


def refused(driven: Driven, store: RunStore, before: dict[str, list[str]]) -> Any:
    """The error of a flow that may not go on, which nothing was written of."""
    assert driven.code == "pipeline.flow_differs"
    assert driven.terminations.count(Outcome.COMPLETED) == len(driven.terminations) == len(driven.entries)
    assert records(store) == before
    return driven.failures[-1]


def go_on(store: RunStore, events: Sequence[Any] = EVENTS, program: PipelineProgram | None = None) -> Driven:
    """Drive a flow on until its store is said to have failed, as the host does."""
    driven = Driven(program or program_of(World()), store)
    for event in events:
        driven.run(event)
        if driven.failures[-1] is not None:
            driven.close(interrupted=True)
            return driven
    driven.close()
    return driven


@pytest.mark.parametrize("events", [("ben", "carl", "anna"), ("anna", "ben"), ("anna",), ("anna", "carl", "carl")])
def test_other_events_than_the_flow_was_begun_with(events: Sequence[str]) -> None:
    """A shorter stream too: its end comes where the store has an event."""
    store = cut_off(fails_at=APPENDS - 30)
    before = records(store)
    error = refused(go_on(store, events), store, before)
    assert error.where.startswith(f"flow '{run_of('')[:-1]}' data:")
    assert error.where.rpartition(" ")[2].isdigit()
    assert f"ergo runs cancel {run_of('')[:-1]}" in error.fix


def test_more_events_are_the_same_flow() -> None:
    """Until it comes to its end, a flow may get events that it would not have got."""
    store = cut_off(fails_at=30)
    assert [*map(str, go_on(store, (*EVENTS, "dora")).terminations)] == ["Outcome.COMPLETED"] * 4


@pytest.mark.parametrize(
    "program",
    [
        program_of(World(), process=lambda event: [Event("known", event.payload)]),
        program_of(World(), process=lambda event, effects: [Event("x", effects.perform("look_up", {"new": 1}))]),
        program_of(World(), process=lambda event, effects: [Event("x", effects.perform("mail", event.payload))]),
    ],
    ids=["no effect", "another input", "another type"],
)
def test_handlers_that_do_something_else(program: PipelineProgram) -> None:
    store = cut_off(fails_at=60)
    before = records(store)
    error = refused(go_on(store, program=program), store, before)
    assert "data:known record" in error.where


def test_an_effect_is_not_executed_where_the_store_has_more_of_the_flow() -> None:
    """What is stored behind an effect was appended after its outcome: without that, it is not all of the beginning."""
    store, world = memory_store(), World()
    assert was_killed(program_of(World()), store, fails_at=60)
    before = records(store)
    shorter = memory_store()
    for run, texts in before.items():
        shorter.journal.append(run, texts[:2] if run.endswith("data:known") else texts)
    left = records(shorter)
    refused(go_on(shorter, program=program_of(world)), shorter, left)
    assert world.asked == []


@pytest.mark.parametrize(
    ("change", "member"),
    [
        (replace(program_of(World()), settings=PipelineSettings(shutdown_timeout_ms=1)), "settings"),
        (replace(program_of(World()), settings=PipelineSettings(source_contract="warn")), "settings"),
        (replace(program_of(World()), effects={}), "effects"),
    ],
)
def test_another_manifest_is_named_before_any_record(change: PipelineProgram, member: str) -> None:
    store = cut_off(fails_at=30)
    before = records(store)
    error = refused(go_on(store, program=change), store, before)
    assert error.where == f"flow '{run_of('')[:-1]}' manifest"
    assert f"{member} differ" in error.message


@pytest.mark.parametrize("label", ["system", "data:src", "data:known", "error:known", "data:till"])
def test_a_journal_longer_than_it_can_be(label: str) -> None:
    store = cut_off(fails_at=60)
    text = next(text for _, text in WHOLE_STORE.journal.scan(run_of("system")))
    store.journal.append(run_of(label), [text])
    before = records(store)
    refused(go_on(store), store, before)


@pytest.mark.parametrize("label", ["system", "data:src", "data:known", "data:till"])
def test_a_journal_shorter_than_it_can_be(label: str) -> None:
    whole = records(cut_off(fails_at=60))
    store = memory_store()
    for run, texts in whole.items():
        store.journal.append(run, texts[: len(texts) // 2] if run == run_of(label) else texts)
    before = records(store)
    refused(go_on(store), store, before)


def test_a_flow_of_another_program_is_not_looked_at() -> None:
    store = cut_off(fails_at=60)
    other = replace(program_of(World()), name="others")
    assert go_on(store, program=other).terminations == [Outcome.COMPLETED] * 3
    assert len(stored_flows(store.journal)) == 2


@pytest.mark.parametrize(
    ("label", "statement", "code", "where"),
    [
        ("data:known", "UPDATE {0} SET event_json = '{{'", "pipeline.journal_corrupt", "seq 2"),
        ("system", "UPDATE {0} SET event_json = '{{'", "pipeline.journal_corrupt", "seq 2"),
        ("data:known", "DELETE FROM {0}", "pipeline.journal_corrupt", "seq 2"),
        ("data:src", "UPDATE {0} SET event_json = '[]'", "pipeline.flow_differs", "record 2"),
        ("data:known", "UPDATE {0} SET event_json = '[]'", "pipeline.journal_corrupt", "seq 2"),
    ],
)
def test_a_store_that_is_damaged(tmp_path: Path, label: str, statement: str, code: str, where: str) -> None:
    assert damaged(tmp_path, statement, label, 2) == (code, True, where)


def test_a_manifest_that_is_damaged(tmp_path: Path) -> None:
    ended = damaged(tmp_path, "UPDATE {0} SET event_json = '{{}}'", "manifest", 1)
    assert ended == ("pipeline.journal_corrupt", True, "seq 1")


def damaged(folder: Path, statement: str, label: str, seq: int) -> tuple[str | None, bool, str]:
    """How a flow goes on after a record was changed: code, whether nothing was written, end of the place."""
    named = f"sqlite:{folder}/runs.db"
    with open_store(named, folder, lambda: 0, FLOW_TABLES) as store:
        assert was_killed(program_of(World()), store, fails_at=30)
    with closing(sqlite3.connect(folder / "runs.db", isolation_level=None)) as connection:
        place = " WHERE run_id = ? AND seq = ?"
        assert connection.execute(statement.format("pipeline_records") + place, (run_of(label), seq)).rowcount == 1
        before = connection.execute("SELECT count(*) FROM pipeline_records").fetchone()
        with open_store(named, folder, lambda: 0, FLOW_TABLES) as store:
            driven = go_on(store)
        is_left = connection.execute("SELECT count(*) FROM pipeline_records").fetchone() == before
    return driven.code, is_left, " ".join(driven.failures[-1].where.split()[-2:])


# --- a store that fails


@pytest.mark.parametrize("place", [1, 2, 20, 47, APPENDS - 1, APPENDS])
def test_after_an_append_that_failed_nothing_is_written_and_the_flow_goes_on_later(place: int) -> None:
    store = memory_store()
    fault = StoreError("store.full", "the store is full")
    driven = Driven(program_of(World()), store, fails_at=place, fault=fault)
    for event in EVENTS:
        if not driven.failures or driven.failures[-1] is None:
            driven.run(event)
    driven.close(interrupted=bool(driven.failures[-1]))
    assert "store.full" in [failure.code for failure in driven.failures if failure]
    assert Driven(program_of(World()), store).all().entries == WHOLE.entries


# --- stops


def stopped(store: RunStore, after: int, **options: Any) -> Driven:
    driven = Driven(program_of(World()), store, **options)
    for event in EVENTS[:after]:
        driven.run(event)
    driven.close(interrupted=True)
    return driven


def test_an_interrupted_flow_is_cancelled_and_has_ended() -> None:
    store = memory_store()
    stopped(store, 2)
    assert type(end_of(store.journal, run_of("")[:-1])).__name__ == "PipelineCancelled"
    assert Driven(program_of(World()), store).all().entries[0][0]["begin"]["head"] == 0
    assert len(stored_flows(store.journal)) == 2


def test_a_flow_that_is_interrupted_before_it_came_to_where_it_was_stays_as_it_is() -> None:
    store = cut_off(fails_at=APPENDS - 10)
    before = records(store)
    assert len(stopped(store, 1).entries) == 1
    assert records(store) == before
    assert Driven(program_of(World()), store).all().entries == WHOLE.entries


@pytest.mark.parametrize("after", [1, 2])
def test_a_flow_whose_process_was_killed_while_it_stopped_goes_on_to_stop(after: int) -> None:
    """The closing entry is that of the flow that was stopped, though more events follow."""
    reference = memory_store()
    whole = stopped(reference, after)
    appends = sum(len(texts) for texts in records(reference).values())
    closing_entry = whole.entries[-1][1:-1]
    (stop,) = [place for place, record in enumerate(closing_entry) if "stop_requested" in json.dumps(record)]
    for place in range(appends - len(closing_entry) + stop + 2, appends):
        store = memory_store()
        with pytest.raises(Killed):
            stopped(store, after, fails_at=place)
        goes_on = go_on(store)
        assert goes_on.terminations == [Outcome.COMPLETED] * after + [Outcome.ABORTED] * (len(EVENTS) - after)
        assert goes_on.entries[-1][-1] == whole.entries[-1][-1]
        if attempts(goes_on.entries) == attempts(whole.entries):
            assert goes_on.entries[-1][1:] == whole.entries[-1][1:]
            assert records(store) == records(reference)


class Ticking:
    """A clock that goes on by a second whenever it is read."""

    def __init__(self) -> None:
        self._now = 0

    def wall_ms(self) -> int:
        return 0

    def monotonic_ns(self) -> int:
        self._now += 10**9
        return self._now

    def sleep_ns(self, duration: int) -> None:
        self._now += duration


def timed_out(store: RunStore, **options: Any) -> Driven:
    driven = Driven(program_of(World()), store, clock=Ticking(), **options)
    assert driven.run("anna", deadline=100 * 10**9) is Outcome.COMPLETED
    assert driven.run("carl", deadline=2 * 10**9) is Outcome.TIMED_OUT
    return driven


def test_a_flow_whose_process_was_killed_when_its_time_was_over_goes_on_to_that() -> None:
    reference = memory_store()
    whole = timed_out(reference)
    appends = sum(len(texts) for texts in records(reference).values())
    last = whole.entries[-1][1:-1]
    (stop,) = [place for place, record in enumerate(last) if "stop_requested" in json.dumps(record)]
    for place in range(appends - len(last) + stop + 2, appends):
        store = memory_store()
        with pytest.raises(Killed):
            timed_out(store, fails_at=place)
        goes_on = Driven(program_of(World()), store)
        assert [goes_on.run(event) for event in EVENTS] == [Outcome.COMPLETED, Outcome.TIMED_OUT, Outcome.ABORTED]
        assert goes_on.entries[:2] == whole.entries
        assert records(store) == records(reference)


def test_the_time_of_a_call_does_not_run_while_a_flow_repeats_what_it_has() -> None:
    store = cut_off(fails_at=APPENDS - 10)
    goes_on = Driven(program_of(World()), store, clock=Ticking())
    assert [goes_on.run(event, deadline=1) for event in EVENTS] == [Outcome.COMPLETED] * 3


# --- who drives a flow


def leased(beside: RunStore | None = None, *, name: str, gone: bool = False) -> RunStore:
    driver = Driver(Owner("here", 1, name), lambda: 0, lambda _: gone, holder=name)
    return shared_memory(driver, beside, lease_of=FLOW_TABLES.lease_of)


def test_one_process_drives_a_flow() -> None:
    first = leased(name="first")
    second = leased(first, name="second")
    one, other = Driven(program_of(World()), first), Driven(program_of(World()), second)
    assert one.run("anna") is Outcome.COMPLETED
    assert other.run("anna") == LOST
    assert other.code == "pipeline.run_busy"
    assert "1@here (first)" in other.failures[-1].message
    other.close(interrupted=True)
    one.close()
    assert Driven(program_of(World()), second).all().terminations == [Outcome.COMPLETED] * 3
    assert first.leases is not None
    assert first.leases.rows.every() == []


def test_a_driver_whose_flow_was_taken_over_writes_nothing_more() -> None:
    first = leased(name="first")
    second = leased(first, name="second", gone=True)
    one = Driven(program_of(World()), first)
    one.run("anna")
    other = Driven(program_of(World()), second)
    assert other.run("anna") is Outcome.COMPLETED
    before = records(second)
    assert one.run("carl") == LOST
    assert one.code == "pipeline.run_busy"
    one.close(interrupted=True)
    assert records(second) == before
    other.run("carl")
    other.run("ben")
    other.close()
    assert other.entries == WHOLE.entries


def test_a_flow_that_somebody_wants_cancelled_stops_at_its_next_rest() -> None:
    store = leased(name="first")
    driven = Driven(program_of(World()), store)
    driven.run("anna")
    assert store.leases is not None
    store.leases.request_cancel(run_of("")[:-1])
    assert driven.run("carl") is Outcome.ABORTED
    assert len(driven.entries[-1]) == 2
    driven.close()
    ended = end_of(store.journal, run_of("")[:-1])
    assert (type(ended).__name__, getattr(ended, "reason", None)) == ("PipelineCancelled", "user_stop")
    assert driven.entries[-1][-1]["end"]["termination"] == "Aborted"
    assert store.leases.rows.every() == []


# --- when records are on the disk


class Synced(Journal):
    """A journal that notes each append, whether it waits for the disk, and each sync."""

    def __init__(self, journal: EventJournal, log: list[str] | None = None, name: str = "synced") -> None:
        super().__init__(journal, None, Killed())
        self._under, self.log, self._name = journal, [] if log is None else log, name

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        is_effect = any("obzenflow.effect_" in text for text in texts)
        self.log.append(f"{self._name} effect" if is_effect else self._name)
        return super().append(run, texts, expected_head)

    def unsynced(self) -> Synced:
        return Synced(self._under, self.log, "later")

    def sync(self) -> None:
        self.log.append("sync")


def syncs(mode: str) -> list[str]:
    journal = Synced(memory_store().journal)
    program = program_of(World(), fsync=mode)
    flow = KeptFlow(program, replace(memory_store(), journal=journal))
    invoker = PipelineInvoker(program, flow, Seat(StandingClock(), lambda limit, work, name: work()))
    for event in EVENTS:
        invoker.run("orders", event, OfPayload(json.dumps(event).encode()), None)
        invoker.drain_journals()
        journal.log.append("rest")
    invoker.close(False)
    return journal.log


def test_each_record_is_synced_by_default() -> None:
    log = syncs("record")
    assert set(log) == {"synced", "synced effect", "rest"}
    assert syncs("record") == log


def test_effects_are_synced_at_once_and_all_else_at_rest() -> None:
    log = syncs("group")
    assert set(log[1:]) == {"later", "later effect", "sync", "rest"}
    assert all(log[place + 1] == "sync" for place, what in enumerate(log) if what == "later effect")
    assert all(log[place - 1] == "sync" for place, what in enumerate(log) if what == "rest")
    assert log[-1] == "sync"


def test_all_is_synced_at_rest() -> None:
    log = syncs("episode")
    assert log.count("sync") == len(EVENTS) + 1
    assert all(log[place - 1] == "sync" for place, what in enumerate(log) if what == "rest")
    assert log[-1] == "sync"


def test_a_sync_that_fails_is_a_store_that_fails() -> None:
    class Full(Synced):
        def sync(self) -> None:
            raise StoreError("store.full", "the disk is full")

    store = replace(memory_store(), journal=Full(memory_store().journal))
    flow = KeptFlow(program_of(World(), fsync="episode"), store)
    invoker = PipelineInvoker(program_of(World()), flow, Seat(StandingClock(), lambda limit, work, name: work()))
    assert invoker.run("orders", "e", OfPayload(b'"anna"'), None) == LOST
    (entry,) = invoker.drain_journals()
    assert entry.failure is not None
    assert entry.failure.code == "store.full"
    assert invoker.close(True) == ()
