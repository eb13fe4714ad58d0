"""Pipelines in an event loop: feeds, handlers that wait or block, kinds of sources and joins, the handle, refusals."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise
from signal import SIGINT, SIGTERM, Signals
from threading import Event as ThreadEvent
from typing import Any

import pytest
from pipeline_flows import data, pipeline, signals
from pipeline_loops import (
    MANUAL,
    completed,
    ended,
    events,
    facts,
    launched,
    names,
    now,
    reached_state,
    transitions,
    until,
)

from ergo_cli.programs.pipeline import (
    EffectType,
    Event,
    FlowFailed,
    HandlerError,
    PipelineProgram,
    PipelineSettings,
    RunOutcome,
    inner,
    join,
    sink,
    source,
    stateful,
    transform,
)
from ergo_cli.programs.pipeline.causes import SeqDivergence
from ergo_cli.programs.pipeline.errors import PipelineError
from ergo_cli.programs.pipeline.lifecycle import Failed, Materialized
from ergo_cli.programs.pipeline.signals import ConsumptionProgress, Eof
from ergo_cli.programs.pipeline.stages.edges import EdgeReports
from ergo_cli.programs.pipeline.stored_flows import FLOW_TABLES
from ergo_cli.stores.memory import MemoryJournal
from ergo_cli.stores.sqlite import SqliteDatabase, SqliteJournal
from ergo_cli.testing.virtual_time import run_in_virtual_time

READY = Materialized(ready=True)


def deliver(event: Event) -> None:
    """Consume an event with an ordinary receipt."""


def same(event: Event) -> list[Event]:
    return [Event("out", event.payload)]


def nothing_yet() -> list[Any]:
    return []


# --- the reference run ---------------------------------------------------------------------------------------------


def test_c60_110_the_reference_run() -> None:
    """§25: 7 may stand anywhere between 5 and 12, and 11 before or after 10."""

    async def main() -> None:
        program = pipeline(source("orders_in"), sink("ledger", deliver))
        handle = await completed(program, {"orders_in": [{"id": 1}, {"id": 2}, {"id": 3}]})
        said = [name for name in names(handle) if name != "system.contract.result"]
        free = ["system.stage.completed", "system.stage.completed", "system.pipeline.draining"]
        assert [name for name in said if name not in free] == [
            "system.stage.running",
            "system.pipeline.ready_for_run",
            "system.pipeline.starting",
            "system.pipeline.running",
            "system.stage.running",
            *["system.contract.result.passed"] * 3,
            "system.contract.pass",
            "system.pipeline.all_stages_completed",
            "system.pipeline.completed",
            "system.pipeline.drained",
        ]
        assert sorted(name for name in said if name in free) == sorted(free)
        assert said.index("system.contract.pass") < len(said) - 1 - said[::-1].index("system.stage.completed")
        assert facts(handle, "orders_in") == facts(handle, "ledger") == ["running", "completed"]
        assert [event.event_type for event in events(handle, "orders_in")] == [
            "control.source_contract",
            "orders_in",
            "orders_in",
            "orders_in",
            "control.eof",
            "control.consumption_final",
        ]
        assert list(dict.fromkeys(state for _, _, state in transitions(handle))) == [
            "Materializing",
            "Materialized",
            "Running",
            "SourceCompleted",
            "Draining",
            "Drained",
        ]

    run_in_virtual_time(main())


# --- feeds ---------------------------------------------------------------------------------------------------------


async def slow_numbers() -> AsyncIterator[int]:
    for number in range(3):
        await asyncio.sleep(60)
        yield number


def batches() -> Any:
    given = iter([[0, 1], [], [2], None])
    return lambda: next(given)


def async_batches() -> Any:
    given = batches()

    async def next_batch() -> Any:
        await asyncio.sleep(1)
        return given()

    return next_batch


@pytest.mark.parametrize(
    "feed", [lambda: [0, 1, 2], lambda: (n for n in range(3)), slow_numbers, batches, async_batches]
)
def test_a_source_is_fed_by(feed: Any) -> None:
    async def main() -> None:
        handle = await completed(pipeline(source("src"), sink("snk", deliver)), {"src": feed()})
        assert data(events(handle, "src")) == [0, 1, 2]

    run_in_virtual_time(main())


def test_an_empty_feed_is_asked_again_after_waits_that_double() -> None:
    async def main() -> None:
        asked: list[float] = []

        def feed() -> list[int]:
            asked.append(now())
            return [1] if len(asked) == 7 else []

        handle = await launched(pipeline(source("src", infinite=True), sink("snk", deliver)), {"src": feed})
        await until(lambda: len(asked) == 10)
        waits = [round((after - before) * 1000) for before, after in pairwise(asked)]
        assert waits == [1, 2, 4, 8, 10, 10, 0, 1, 2]
        await handle.stop()
        await ended(handle)

    run_in_virtual_time(main())


def test_an_error_of_a_feed_is_noted_and_the_source_goes_on() -> None:
    async def main() -> None:
        given: list[Any] = [[1], HandlerError("no answer", "Remote"), [2], None]

        def feed() -> Any:
            batch = given.pop(0)
            if isinstance(batch, HandlerError):
                raise batch
            return batch

        handle = await completed(pipeline(source("src"), sink("snk", deliver)), {"src": feed})
        assert data(events(handle, "src")) == [1, 2]
        assert len(events(handle, "error:src")) == 1

    run_in_virtual_time(main())


def broken_iterable() -> Any:
    yield 1
    raise OSError("disk gone")


@pytest.mark.parametrize(
    ("feed", "text"),
    [
        (broken_iterable, "its feed raised OSError: disk gone"),
        (lambda: lambda: "abc", "its feed gave str, not a list of payloads"),
    ],
)
def test_c60_84_a_feed_that_crashes_fails_its_source(feed: Any, text: str) -> None:
    async def main() -> None:
        handle = await launched(pipeline(source("src"), sink("snk", deliver)), {"src": feed()})
        failed = await ended(handle)
        assert failed is not None
        assert text in failed.message
        assert facts(handle, "src") == ["running", f"failed: {text}"]

    run_in_virtual_time(main())


# --- handlers ------------------------------------------------------------------------------------------------------


def test_a_handler_that_waits_lets_other_stages_move() -> None:
    async def main() -> None:
        second = asyncio.Event()

        async def first_sink(event: Event) -> None:
            await second.wait()

        def second_sink(event: Event) -> None:
            second.set()

        program = pipeline(source("src"), sink("a", first_sink), sink("b", second_sink), edges="src>a src>b")
        handle = await completed(program, {"src": [1]})
        assert facts(handle, "a") == facts(handle, "b") == ["running", "completed"]

    run_in_virtual_time(main())


def test_a_handler_on_a_thread_may_block() -> None:
    second = ThreadEvent()
    waited: list[bool] = []

    def first_sink(event: Event) -> None:
        waited.append(second.wait(30))

    def second_sink(event: Event) -> None:
        second.set()

    async def main() -> None:
        program = pipeline(source("src"), sink("a", first_sink), sink("b", second_sink), edges="src>a src>b")
        with ThreadPoolExecutor(4) as threads:
            await completed(program, {"src": [1]}, threads=threads)

    asyncio.run(main())
    assert waited == [True]


@pytest.mark.parametrize("error", [StopIteration("x"), ValueError("x"), SystemExit(3)])
@pytest.mark.parametrize("on_threads", [False, True])
def test_a_handler_that_crashes_fails_its_stage(error: BaseException, on_threads: bool) -> None:
    def crash(event: Event) -> None:
        raise error

    async def main() -> None:
        program = pipeline(source("src"), sink("snk", crash))
        with ThreadPoolExecutor(1) as threads:
            handle = await launched(program, {"src": [1]}, threads=threads if on_threads else None)
            failed = await ended(handle)
        assert failed is not None
        assert failed.message.startswith("Stage 'snk' failed: dispatch_state error in Running: ")
        assert names(handle)[-2:] == ["system.pipeline.failed", "system.pipeline.drained"]

    asyncio.run(main())


def test_a_handler_that_cancels_itself_fails_its_stage() -> None:
    async def cancelled(event: Event) -> None:
        raise asyncio.CancelledError

    async def main() -> None:
        handle = await launched(pipeline(source("src"), sink("snk", cancelled)), {"src": [1]})
        failed = await ended(handle)
        assert failed is not None
        assert failed.message.endswith("failed: dispatch_state error in Running: a handler raised CancelledError")

    run_in_virtual_time(main())


@pytest.mark.parametrize("error", [asyncio.CancelledError(), ValueError("no"), HandlerError("no")])
def test_a_first_state_that_cannot_be_made_fails_the_pipeline(error: BaseException) -> None:
    async def initial() -> None:
        raise error

    async def main() -> None:
        counter = stateful("acc", initial, lambda state, event: state, lambda state: [])
        handle = await launched(pipeline(source("src"), counter, sink("snk", deliver)), {"src": [1]})
        failed = await ended(handle)
        assert failed is not None
        assert failed.message.startswith("Failed to initialize stage acc: ")
        assert facts(handle, "acc")[-1].startswith("failed: ")
        assert names(handle)[-2:] == ["system.pipeline.failed", "system.pipeline.drained"]

    run_in_virtual_time(main())


def test_an_effect_on_a_thread_is_recorded_and_read_by_no_stage() -> None:
    def charge(given: Any, call: Any) -> Any:
        return {"paid": given}

    def paying(event: Event, effects: Any) -> list[Event]:
        return [Event("paid", effects.perform("charge", event.payload))]

    async def main() -> None:
        program = pipeline(
            source("src"), transform("tr", paying), sink("snk", deliver), effects={"charge": EffectType(charge)}
        )
        with ThreadPoolExecutor(4) as threads:
            handle = await completed(program, {"src": [1, 2]}, threads=threads)
        paid = [event for event in events(handle, "tr") if event.event_type == "paid"]
        assert data(paid) == [{"paid": 1}, {"paid": 2}]
        assert len(data(events(handle, "tr"))) == 4
        assert len([event for event in events(handle, "snk") if event.event_type == "sink.delivery"]) == 2

    asyncio.run(main())


# --- kinds of stages -----------------------------------------------------------------------------------------------


def test_an_infinite_source_ends_when_it_is_drained() -> None:
    async def main() -> None:
        seen: list[Any] = []
        given = [[1, 2], [3]]
        program = pipeline(source("src", infinite=True), sink("snk", lambda event: seen.append(event.payload)))
        handle = await launched(program, {"src": lambda: given.pop(0) if given else []})
        await until(lambda: seen == [1, 2, 3])
        await handle.stop_graceful(5000)
        await handle.wait()
        (eof,) = signals(events(handle, "src"), Eof)
        assert (eof.natural, eof.writer_seq) == (False, 3)
        assert names(handle)[-2:] == ["system.pipeline.cancelled", "system.pipeline.drained"]
        assert type(handle.state).__name__ == "Drained"

    run_in_virtual_time(main())


def test_a_source_that_waits_for_its_feed_drains_at_once() -> None:
    async def main() -> None:
        async def silent() -> AsyncIterator[int]:
            await asyncio.sleep(1_000_000)
            yield 1

        handle = await launched(pipeline(source("src", infinite=True), sink("snk", deliver)), {"src": silent()})
        await reached_state(handle, "Running")
        asked = now()
        await handle.stop_graceful(60_000)
        await handle.wait()
        assert now() - asked < 1

    run_in_virtual_time(main())


def test_c60_81_an_idle_stateful_stage_emits_at_its_interval() -> None:
    async def main() -> None:
        moments: list[tuple[float, Any]] = []

        def count(state: list[int], event: Event) -> None:
            state[0] += 1

        counter = stateful("acc", lambda: [0], count, lambda state: [Event("sum", state[0])], emit_interval_ms=50)
        seen = sink("snk", lambda event: moments.append((now(), event.payload)))
        given = [[1, 2], [3]]

        async def feed() -> list[int]:
            await asyncio.sleep(0.5 if len(given) == 1 else 0)
            return given.pop(0) if given else []

        handle = await launched(pipeline(source("src", infinite=True), counter, seen), {"src": feed})
        await until(lambda: len(moments) == 2)
        await asyncio.sleep(2)
        assert moments == [(pytest.approx(0.05, abs=0.02), 2), (pytest.approx(0.55, abs=0.02), 3)]
        await handle.stop()
        await ended(handle)

    run_in_virtual_time(main())


def test_c60_82_a_live_join_serves_its_stream_without_the_end_of_its_reference() -> None:
    async def main() -> None:
        rows: list[Any] = []
        enrich = inner(
            "ref",
            lambda event: event.payload["k"],
            lambda event: event.payload["k"],
            lambda row, event: Event("row", [event.payload["k"], row.payload["v"] if row else None]),
        )
        program = pipeline(
            source("ref", infinite=True),
            source("str"),
            join("jn", "ref", "str", enrich, live=True),
            sink("snk", lambda event: rows.append(event.payload)),
            edges="ref>jn str>jn jn>snk",
        )

        async def stream() -> AsyncIterator[Any]:
            for key in ("k1", "k2", "missing"):
                await asyncio.sleep(1)
                yield {"k": key}

        given = [[{"k": "k1", "v": "v1"}, {"k": "k2", "v": "v2"}]]
        handle = await launched(
            program, {"ref": lambda: given.pop() if given else [], "str": stream()}, windows={("ref", "jn"): 1}
        )
        await until(lambda: facts(handle, "snk")[-1:] == ["completed"])
        assert rows == [["k1", "v1"], ["k2", "v2"]]
        await handle.stop_graceful(1000)
        await handle.wait()
        assert facts(handle, "jn") == ["running", "completed"]

    run_in_virtual_time(main())


def test_a_stage_with_two_inputs_waits_until_both_have_events() -> None:
    async def main() -> None:
        seen: list[Any] = []

        async def late() -> AsyncIterator[str]:
            await asyncio.sleep(100)
            yield "b1"

        program = pipeline(
            source("a"), source("b"), sink("snk", lambda event: seen.append(event.payload)), edges="a>snk b>snk"
        )
        handle = await launched(program, {"a": ["a1", "a2"], "b": late()})
        await asyncio.sleep(50)
        assert seen == []
        await handle.run()
        assert seen == ["a1", "b1", "a2"]

    run_in_virtual_time(main())


def test_an_idle_reader_reports_its_progress_by_the_clock() -> None:
    async def main() -> None:
        program = pipeline(source("src", infinite=True), sink("snk", deliver))
        handle = await launched(program, {"src": nothing_yet})
        await reached_state(handle, "Running")
        await asyncio.sleep(10)
        assert len(signals(events(handle, "snk"), ConsumptionProgress)) == pytest.approx(10, abs=1)
        await handle.stop()
        await ended(handle)

    run_in_virtual_time(main())


@pytest.mark.parametrize(("limit_ms", "state"), [(1000, "Failed"), (None, "Draining")])
def test_missing_evidence_blocks_the_end_for_as_long_as_it_may(
    limit_ms: int | None, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H-17: all stages complete while the only contract is never judged."""

    async def main() -> None:
        monkeypatch.setattr(EdgeReports, "check", lambda self: None)
        settings = PipelineSettings(drain_timeout_ms=limit_ms)
        handle = await launched(pipeline(source("src"), sink("snk", deliver), settings=settings), {"src": [1]})
        await until(lambda: handle.barrier.completed == 2)
        await asyncio.sleep(3600)
        assert type(handle.state).__name__ == state
        failed = await ended(handle) if limit_ms else None
        if failed is not None:
            assert failed.message.startswith("drain_evidence_missing (2 of 2 stages completed")
            assert "missing src → snk" in failed.message
        await handle.stop()
        await ended(handle)

    run_in_virtual_time(main())


# --- the handle ----------------------------------------------------------------------------------------------------


def test_run_waits_for_readiness_in_manual_mode() -> None:
    async def main() -> None:
        program = pipeline(source("src"), sink("snk", deliver), settings=MANUAL)
        handle = await launched(program, {"src": [1]})
        assert await handle.start() is RunOutcome.NOT_READY
        await handle.run()
        assert (type(handle.state).__name__, handle.is_running) == ("Drained", False)

    run_in_virtual_time(main())


def test_a_failed_run_raises_its_reason() -> None:
    async def main() -> None:
        handle = await launched(pipeline(source("src", infinite=True), sink("snk", deliver)), {"src": nothing_yet})
        await reached_state(handle, "Running")
        await handle.abort("operator")
        with pytest.raises(FlowFailed) as caught:
            await handle.run()
        assert (caught.value.code, caught.value.message) == ("pipeline.failed", "Force abort: operator")
        with pytest.raises(PipelineError) as refused:
            await handle.abort("again")
        assert (refused.value.code, refused.value.message) == (
            "pipeline.not_running",
            "Pipeline supervisor is not running",
        )
        await handle.stop()
        await handle.stop_graceful(1)
        await handle.stop_cancel_timeout()

    run_in_virtual_time(main())


def test_an_abort_raises_its_cause() -> None:
    async def main() -> None:
        def forged(payload: Any) -> list[Any]:
            return [Event("d", payload), Eof(natural=True, writer_seq=3)]

        handle = await launched(pipeline(source("src", forged), sink("snk", deliver)), {"src": [1]})
        failed = await ended(handle)
        assert failed is not None
        assert failed.failure_cause == SeqDivergence(3, 1)

    run_in_virtual_time(main())


def test_a_stop_that_takes_too_long_may_be_said_from_outside() -> None:
    async def main() -> None:
        handle = await launched(pipeline(source("src", infinite=True), sink("snk", deliver)), {"src": nothing_yet})
        await reached_state(handle, "Running")
        await handle.stop_cancel_timeout()
        failed = await ended(handle)
        assert failed is not None
        assert failed.message == "stop_timeout"

    run_in_virtual_time(main())


def test_what_a_handle_shows() -> None:
    async def main() -> None:
        program = pipeline(source("src"), transform("tr", same), sink("snk", deliver))
        handle = await completed(program, {"src": [1]})
        assert handle.flow_name == "orders"
        assert [stage.name for stage in handle.topology.stages] == ["src", "tr", "snk"]
        assert handle.contract_attachments == {
            ("src", "tr"): ("TransportContract", "SourceContract"),
            ("tr", "snk"): ("TransportContract", "DeliveryContract"),
        }
        assert (handle.barrier.completed, handle.barrier.satisfied_contracts) == (3, 2)
        with pytest.raises(PipelineError, match="No metrics exporter configured"):
            handle.render_metrics()

    run_in_virtual_time(main())


def test_leaving_the_block_of_a_handle_stops_its_flow() -> None:
    async def main() -> None:
        program = pipeline(source("src", infinite=True), sink("snk", deliver))
        async with await launched(program, {"src": nothing_yet}) as handle:
            await reached_state(handle, "Running")
        assert isinstance(handle.state, Failed)
        assert len(asyncio.all_tasks()) == 1

    run_in_virtual_time(main())


def test_a_full_channel_makes_senders_wait() -> None:
    async def main() -> None:
        release = asyncio.Event()

        async def initial() -> list[int]:
            await release.wait()
            return []

        counter = stateful("acc", initial, lambda state, event: state, lambda state: [])
        program = pipeline(source("src"), counter, sink("snk", deliver), settings=MANUAL)
        handle = await launched(program, {"src": [1]})
        senders = [asyncio.create_task(handle.start()) for _ in range(150)]
        stopping = asyncio.create_task(handle.stop())
        await asyncio.sleep(10)
        assert not stopping.done()
        release.set()
        outcomes = await asyncio.gather(*senders)
        await ended(handle)
        assert set(outcomes) <= {RunOutcome.NOT_READY, RunOutcome.STARTED, RunOutcome.ALREADY_RUNNING}
        assert stopping.done()

    run_in_virtual_time(main())


def test_a_loop_that_ends_leaves_the_terminal_fact() -> None:
    """H-6: all tasks of a loop are cancelled when its main function returns."""
    store = MemoryJournal()

    async def main() -> None:
        program = pipeline(source("src", infinite=True), sink("snk", deliver))
        handle = await launched(program, {"src": nothing_yet}, store=store)
        await reached_state(handle, "Running")

    run_in_virtual_time(main())
    (system,) = [run for run in store.runs() if run.endswith("/system")]
    texts = [text for _, text in store.scan(system)]
    assert '"pipeline_event":"failed"' in texts[-2]
    assert '"pipeline_event":"drained"' in texts[-1]
    assert len([text for text in texts if '"lifecycle_event":"cancelled"' in text]) == 2


def test_a_failed_pipeline_that_cannot_write_still_ends() -> None:
    """A store that takes nothing more: the task ends, the failure is raised."""

    class Filling(MemoryJournal):
        left = 12

        def append(self, run: str, texts: Any, expected_head: int | None = None) -> int:
            Filling.left -= 1
            if Filling.left < 0:
                from ergo_cli.errors import StoreError

                raise StoreError("store.full", "no space left on the device")
            return super().append(run, texts, expected_head)

    async def main() -> None:
        program = pipeline(source("src", infinite=True), sink("snk", deliver))
        handle = await launched(program, {"src": lambda: [1]}, store=Filling())
        failed = await ended(handle)
        assert failed is not None
        assert "no space left" in failed.message

    run_in_virtual_time(main())


def test_journals_may_stand_in_a_database(tmp_path: Any) -> None:
    async def main() -> None:
        program = pipeline(source("src"), sink("snk", deliver))
        with closing(SqliteDatabase(str(tmp_path / "runs.db"), lambda: 0, FLOW_TABLES)) as database:
            handle = await completed(program, {"src": [1, 2]}, store=SqliteJournal(database))
            assert data(events(handle, "src")) == [1, 2]

    asyncio.run(main())


@pytest.mark.parametrize(("mode", "syncs"), [("record", 0), ("group", 3), ("episode", 1)])
def test_a_store_is_synced_as_the_settings_say(tmp_path: Any, mode: str, syncs: int) -> None:
    """Without a sync of their own each append waits; else for two effects, or none, and for the end of the flow."""

    class Counting(SqliteDatabase):
        calls = 0

        def sync(self) -> None:
            self.calls += 1
            super().sync()

    async def main() -> None:
        program = pipeline(
            source("src"),
            sink("snk", lambda event, effects: effects.perform("note", event.payload)),
            settings=PipelineSettings(fsync=mode),
            effects={"note": EffectType(lambda given, call: None)},
        )
        with closing(Counting(str(tmp_path / "runs.db"), lambda: 0, FLOW_TABLES)) as database:
            await completed(program, {"src": [1, 2]}, store=SqliteJournal(database))
            assert database.calls == syncs

    asyncio.run(main())


SIGNALLED = """
    import asyncio, sys
    from ergo_cli.host.timing import LiveClock
    from ergo_cli.programs.pipeline import *
    from ergo_cli.programs.pipeline.ids import CountedIds

    async def hold(event):
        print("holding", flush=True)
        await asyncio.get_running_loop().create_future()

    consume = hold if sys.argv[1] == "hold" else lambda event: print("consumed", flush=True)
    program = PipelineProgram(
        "p", (source("src", infinite=True), sink("snk", consume)), (("src", "snk"),),
        PipelineSettings(shutdown_timeout_ms=int(sys.argv[2])),
    )

    async def main():
        given = [[1]]
        feeds = {"src": lambda: given.pop() if given else []}
        handle = await launch(program, feeds, ids=CountedIds("p"), wall_ms=LiveClock().wall_ms)
        handle.stop_on_signals()
        try:
            await handle.run()
        except FlowFailed as failed:
            print(failed.message.partition(" (")[0])
        print([record.event.type_name for record in handle.system_journal.read_all_unordered()][-2])
        print(type(handle.state).__name__)

    asyncio.run(main())
"""


def signalled(mode: str, timeout_ms: int, *signals: Signals) -> list[str]:
    """What the process prints that gets these signals once its sink has been called."""
    command = [sys.executable, "-c", textwrap.dedent(SIGNALLED), mode, str(timeout_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for each in signals:
            process.send_signal(each)
        said = process.stdout.read().split()
    assert process.returncode == 0
    return said


def test_the_first_signal_stops_gracefully() -> None:
    assert signalled("consume", 30_000, SIGTERM) == ["system.pipeline.cancelled", "Drained"]


def test_a_graceful_stop_by_signal_ends_with_the_shutdown_timeout() -> None:
    assert signalled("hold", 50, SIGINT) == ["stop_timeout", "system.pipeline.cancelled", "Failed"]


def test_the_second_signal_cancels() -> None:
    """The sink gets the shutdown timeout to end, once the pipeline has failed with the first reason."""
    assert signalled("hold", 500, SIGINT, SIGTERM) == ["user_stop", "system.pipeline.cancelled", "Failed"]


# --- refusals ------------------------------------------------------------------------------------------------------


def fan_in() -> PipelineProgram:
    return pipeline(source("a"), source("b"), transform("tr", same), sink("snk", deliver), edges="a>tr b>tr tr>snk")


@pytest.mark.parametrize(
    ("feeds", "windows", "code", "where"),
    [
        ({"a": []}, {}, "pipeline.no_feed", "stage 'b'"),
        ({"a": [], "b": [], "c": []}, {}, "pipeline.no_feed", "pipeline 'orders'"),
        ({"a": [], "b": 3}, {}, "pipeline.invalid_feed", "stage 'b'"),
        ({"a": None, "b": []}, {}, "pipeline.invalid_feed", "stage 'a'"),
        ({"a": [], "b": "payloads"}, {}, "pipeline.invalid_feed", "stage 'b'"),
        ({"a": {"count": 1}, "b": []}, {}, "pipeline.invalid_feed", "stage 'a'"),
        (["a", "b"], {}, "pipeline.invalid_feed", "pipeline 'orders'"),
        ({"a": [], "b": []}, {("tr", "a"): 1}, "pipeline.invalid_window", "edge 'tr' → 'a'"),
        ({"a": [], "b": []}, {("tr", "snk"): "many"}, "pipeline.invalid_window", "edge 'tr' → 'snk'"),
        ({"a": [], "b": []}, {"tr": 1}, "pipeline.invalid_window", "edge 'tr'"),
        ({"a": [], "b": []}, {("tr", "snk"): 0}, "pipeline.invalid_window", "edge 'tr' → 'snk'"),
        ({"a": [], "b": []}, {("a", "tr"): 4}, "pipeline.invalid_window", "edge 'a' → 'tr'"),
    ],
)
def test_what_cannot_be_launched(feeds: Any, windows: Any, code: str, where: str) -> None:
    async def main() -> None:
        with pytest.raises(PipelineError) as caught:
            await launched(fan_in(), feeds, windows=windows)
        assert (caught.value.code, caught.value.where) == (code, where)
        assert caught.value.fix

    run_in_virtual_time(main())


def test_settings_are_checked_before_anything_is_built() -> None:
    async def main() -> None:
        settings = PipelineSettings(startup_mode="later")
        with pytest.raises(PipelineError) as caught:
            await launched(pipeline(source("src"), sink("snk", deliver), settings=settings), {"src": []})
        assert caught.value.code == "pipeline.invalid_setting"
        assert len(asyncio.all_tasks()) == 1

    run_in_virtual_time(main())
