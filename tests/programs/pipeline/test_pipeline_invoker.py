"""Episodes of pipeline programs: terminations, frames, effects, the closing entry (spec 60 §23.2, 00 §13.4, §13.5)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Struct
from pipeline_flows import pipeline

from ergo_cli.core.time import StandingClock
from ergo_cli.errors import StoreError
from ergo_cli.programs.pipeline import Event, HandlerError, PipelineProgram, join, sink, source, stateful, transform
from ergo_cli.programs.pipeline.authoring import EOF
from ergo_cli.programs.pipeline.effects import EffectType
from ergo_cli.programs.pipeline.errors import PipelineError
from ergo_cli.programs.pipeline.flow_store import MemoryFlow
from ergo_cli.programs.pipeline.invoker import PipelineInvoker
from ergo_cli.programs.seat import DeadlinePassed, Seat
from ergo_cli.stores.artifacts import artifact_id
from ergo_cli.stores.memory import MemoryJournal
from ergo_cli.supervisor.seam import ErrKind, Failed, Outcome


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


def within(limit: int, work: Callable[[], Any], name: str) -> Any:
    return work()


class OfPayload(Struct, frozen=True):
    """The context of an event, as far as pipelines read it."""

    payload: bytes
    values: dict[str, Any] = {}


class Episodes:
    """An invoker that is called event by event, and the entries that it leaves."""

    def __init__(
        self, program: PipelineProgram, journal: Any = None, clock: Any = None, within: Any = within, **options: Any
    ) -> None:
        seat = Seat(clock or StandingClock(), within)
        flow = MemoryFlow(program.flow_id(), MemoryJournal() if journal is None else journal, **options)
        self.invoker = PipelineInvoker(program, flow, seat)
        self.entries: list[Any] = []
        self.artifacts: dict[str, bytes] = {}
        self._events = 0

    def run(self, payload: Any, deadline: int | None = None) -> Any:
        self._events += 1
        context = OfPayload(json.dumps(payload).encode())
        ended = self.invoker.run("orders", f"e{self._events}", context, deadline)
        self._keep(self.invoker.drain_journals())
        return ended

    def close(self, *, interrupted: bool = False) -> Any:
        closed = self.invoker.close(interrupted)
        self._keep(closed)
        return None if not closed else self.end()["termination"]

    def end(self) -> Any:
        return self.entries[-1][-1]["end"]

    def _keep(self, journals: Any) -> None:
        for journal in journals:
            self.entries.append([json.loads(record) for record in journal.records])
            self.artifacts |= journal.artifacts


def deliver(event: Event) -> None:
    """Consume an event with an ordinary receipt."""


def crash(event: Event) -> list[Event]:
    if event.payload == "bad":
        raise ValueError("cannot")
    return [event]


def simple() -> PipelineProgram:
    return pipeline(source("src"), transform("tr", crash), sink("snk", deliver))


# --- terminations


def test_events_complete_and_closing_completes() -> None:
    episodes = Episodes(simple())
    assert episodes.run(1) is episodes.run(2) is Outcome.COMPLETED
    assert episodes.end()["status"] == "Running"
    assert episodes.close() == "Completed"
    assert episodes.end()["status"] == "Drained"


def test_rows_of_the_error_journal_complete_too() -> None:
    def refuse(event: Event) -> list[Event]:
        raise HandlerError("no", "Timeout")

    assert Episodes(pipeline(source("src"), transform("tr", refuse), sink("snk", deliver))).run(1) is Outcome.COMPLETED


def test_an_interrupted_stream_is_stopped() -> None:
    episodes = Episodes(simple())
    episodes.run(1)
    assert episodes.close(interrupted=True) == "Aborted"
    assert episodes.end()["status"] == "Drained"


def test_a_stage_that_fails_ends_the_flow_for_good() -> None:
    episodes = Episodes(simple())
    assert episodes.run(1) is Outcome.COMPLETED
    assert episodes.run("bad") == Failed(ErrKind.SEMANTIC_ERROR)
    failure = episodes.invoker.last_error
    assert isinstance(failure, PipelineError)
    assert (failure.code, failure.where) == ("pipeline.stage_failed", "stage 'tr'")
    assert isinstance(failure.__cause__, ValueError)
    assert episodes.end()["status"] == "Failed"
    assert episodes.run(2) is Outcome.ABORTED
    assert [list(record) for record in episodes.entries[-1]] == [["begin"], ["end"]]
    assert episodes.end()["error"] is None
    refusal = episodes.invoker.last_error
    assert isinstance(refusal, PipelineError)
    assert refusal.code == "pipeline.not_running"
    assert "Stage 'tr' failed" in refusal.message
    assert episodes.close() == "Aborted"


def test_a_contract_that_fails_is_a_fault_of_the_data() -> None:
    from ergo_cli.programs.pipeline.signals import Eof

    def admit(payload: Any) -> list[Any]:
        return [Event("d", payload), Eof(natural=True, writer_seq=5)]

    assert Episodes(pipeline(source("src", admit), sink("snk", deliver))).run(1) == Failed(ErrKind.VALIDATION_FAILED)


@pytest.mark.parametrize("payload", [{"n": 1}, {"source": "c"}, {"source": 1}, 5, None])
def test_an_event_without_a_source_is_not_admitted(payload: Any) -> None:
    program = pipeline(source("a"), source("b"), sink("snk", deliver), edges="a>snk b>snk")
    episodes = Episodes(program)
    assert episodes.run(payload) == Failed(ErrKind.VALIDATION_FAILED)
    assert episodes.end()["error"]["code"] == "pipeline.no_such_source"
    assert episodes.run({"source": "a"}) is Outcome.COMPLETED


def test_an_event_for_a_source_that_has_ended() -> None:
    program = pipeline(source("a", lambda payload: [EOF()]), source("b"), sink("snk", deliver), edges="a>snk b>snk")
    episodes = Episodes(program)
    assert episodes.run({"source": "a"}) is Outcome.COMPLETED
    assert episodes.run({"source": "a"}) == Failed(ErrKind.VALIDATION_FAILED)
    assert episodes.end()["error"]["code"] == "pipeline.source_ended"
    assert episodes.run({"source": "b"}) is Outcome.COMPLETED
    assert episodes.close() == "Completed"


def test_nothing_is_admitted_without_time() -> None:
    episodes = Episodes(simple())
    assert episodes.run(1, deadline=0) is Outcome.ABORTED
    assert episodes.end()["status"] == "Created"
    assert episodes.close() is None


def test_time_that_is_over_stops_the_flow() -> None:
    episodes = Episodes(simple(), clock=Ticking())
    assert episodes.run(1, deadline=10 * 10**9) is Outcome.TIMED_OUT
    facts = [record["record"]["event"].get("pipeline_event") for record in episodes.entries[0][1:-1]]
    assert facts[-2:] == ["cancelled", "drained"]
    assert episodes.run(2) is Outcome.ABORTED
    assert episodes.close() == "Aborted"


def test_time_that_is_over_before_the_flow_has_started_is_the_reason_of_its_end() -> None:
    clock = Ticking()

    def slow_rows() -> dict[str, Any]:
        clock.sleep_ns(100 * 10**9)
        return {}

    stages = (
        source("ref"),
        source("src"),
        join("both", "ref", "src", lambda state, event, upstream, writer_id: [], initial_state=slow_rows),
        sink("snk", deliver),
    )
    episodes = Episodes(pipeline(*stages, edges="ref>both src>both both>snk"), clock=clock)
    assert episodes.run({"source": "ref"}, 50 * 10**9) is Outcome.TIMED_OUT
    assert episodes.run({"source": "ref"}) is Outcome.ABORTED
    facts = [each["record"]["event"] for each in episodes.entries[0] if each.get("journal") == "system"]
    ends = [(each["pipeline_event"], each.get("reason")) for each in facts if "pipeline_event" in each]
    assert [end for end in ends if end[0] == "cancelled"] == [("cancelled", "stop_timeout")]


def test_an_effect_that_takes_too_long_is_abandoned() -> None:
    def late(limit: int, work: Callable[[], Any], name: str) -> Any:
        raise DeadlinePassed

    program = pipeline(
        source("src"),
        sink("snk", lambda event, effects: effects.perform("pay")),
        effects={"pay": EffectType(lambda given, call: 1)},
    )
    episodes = Episodes(program, clock=StandingClock(), within=late)
    assert episodes.run(1, deadline=10**9) is Outcome.TIMED_OUT


class FullJournal(MemoryJournal):
    """A store that takes so many records."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room

    def append(self, run: str, texts: Any, expected_head: int | None = None) -> int:
        self._room -= len(texts)
        if self._room < 0:
            raise StoreError("store.full", "the store is full", where=run)
        return super().append(run, texts, expected_head)


@pytest.mark.parametrize("room", [*range(0, 24, 3)])
def test_a_store_that_fails_ends_the_flow(room: int) -> None:
    """Wherever it fails: the call says so, and the store's error is what the host gets."""
    episodes = Episodes(simple(), FullJournal(room))
    ends = [episodes.run(n) for n in range(3)]
    failed = ends.index(Failed(ErrKind.ADAPTER_UNAVAILABLE))
    assert all(end is Outcome.COMPLETED for end in ends[:failed])
    assert all(end is Outcome.ABORTED for end in ends[failed + 1 :])
    assert episodes.entries[failed][-1]["end"]["error"]["code"] == "store.full"


# --- frames


def test_the_first_frame_names_the_manifest_and_heads_count_on() -> None:
    episodes = Episodes(simple())
    for payload in (1, 2):
        episodes.run(payload)
    episodes.close()
    begins = [entry[0]["begin"] for entry in episodes.entries]
    manifest = simple().manifest(simple().flow_id())
    assert [begin["initial"] for begin in begins] == [artifact_id(manifest), None, None]
    assert episodes.artifacts == {artifact_id(manifest): manifest}
    lengths = [len(entry) - 2 for entry in episodes.entries]
    assert [begin["head"] for begin in begins] == [0, lengths[0], lengths[0] + lengths[1]]
    assert [begin["prior"] for begin in begins] == [None] * 3
    assert [begin["attempt"] for begin in begins] == [0] * 3


def test_no_event_no_entry() -> None:
    assert Episodes(simple()).close() is None


def test_only_what_is_still_to_be_read_is_kept() -> None:
    """A hundred events leave no more behind than one; the events of a join's stream are kept until they are read."""
    journal = MemoryJournal()
    episodes = Episodes(simple(), journal, forget=journal.forget)
    for number in range(100):
        episodes.run({"n": number})
    assert [kept(journal, run) for run in journal.runs()] == [0] * len(journal.runs())
    assert episodes.close() == "Completed"
    waiting = MemoryJournal()
    joined = pipeline(
        source("catalog"),
        source("orders"),
        join("jn", "catalog", "orders", lambda rows, event, upstream, writer: [event]),
        sink("snk", deliver),
        edges="catalog>jn orders>jn jn>snk",
    )
    episodes = Episodes(joined, waiting, forget=waiting.forget)
    for number in range(100):
        episodes.run({"source": "orders", "n": number})
    (run,) = [run for run in waiting.runs() if run.endswith("data:orders")]
    assert kept(waiting, run) == 101
    assert episodes.close() == "Completed"
    delivered = [
        record for record in episodes.entries[-1][1:-1] if record["record"]["event"].get("content", {}).get("result")
    ]
    assert len(delivered) == 100


def kept(journal: MemoryJournal, run: str) -> int:
    """How many records of a run can still be read."""
    for start in range(1, journal.head(run) + 1):
        try:
            return len(list(journal.scan(run, start)))
        except StoreError:
            continue
    return 0


# --- effects


def test_the_effects_of_an_episode() -> None:
    def consume(event: Event, effects: Any) -> None:
        effects.perform("pay", {"order": event.payload}, key="k")
        effects.perform("pay", {"order": event.payload})

    program = pipeline(source("src"), sink("snk", consume), effects={"pay": EffectType(lambda given, call: 1)})
    episodes = Episodes(program)
    episodes.run(7)
    first, second, delivered = episodes.invoker.drain()
    assert [effect.kind for effect in (first, second, delivered)] == ["io", "io", "sink_write"]
    fields = [{field.name: field.value.String for field in effect.intents[0].fields} for effect in (first, second)]
    assert fields == [
        {"namespace": "pay", "request": '{"order":7}', "idempotency_key": "k"},
        {"namespace": "pay", "request": '{"order":7}', "idempotency_key": ""},
    ]
    assert first.intents[0].intent_id != second.intents[0].intent_id
    (write,) = delivered.writes
    assert (write.key, write.value.String) == ("snk", '{"event_type":"src","payload":7}')
    assert episodes.invoker.drain() == []


def test_what_closing_causes_is_no_effect() -> None:
    counting = stateful("acc", list, lambda state, event: None, lambda state: [Event("sum", 1)])
    episodes = Episodes(pipeline(source("src"), counting, sink("snk", deliver)))
    episodes.run(1)
    assert episodes.invoker.drain() == []
    episodes.close()
    assert episodes.invoker.pending == 0
    deliveries = [record for record in episodes.entries[-1][1:-1] if "delivery" in json.dumps(record)]
    assert len(deliveries) == 1
