"""Spec 60, checklist lines of loop, control channel, handle and stages, run by tasks of an event loop.

C-42 to C-50, C-53, C-54, C-56 to C-59, C-77 to C-79, C-87. C-43, C-45, C-46, C-50 to C-52 and C-55 to C-57 are also
tested on the decisions alone. Time is that of the loop, which is made up: no test waits.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pipeline_flows import data, pipeline
from pipeline_loops import (
    MANUAL,
    clock,
    completed,
    ended,
    events,
    facts,
    launched,
    names,
    now,
    reached,
    reached_state,
    stage_id,
    transitions,
    until,
)

from ergo_cli.programs.pipeline import (
    Event,
    PipelineProgram,
    PipelineSettings,
    RunOutcome,
    join,
    sink,
    source,
    stateful,
    transform,
)
from ergo_cli.programs.pipeline.asyncio_driver import supervision
from ergo_cli.programs.pipeline.asyncio_driver.channel import ControlChannel, StateWatcher
from ergo_cli.programs.pipeline.asyncio_driver.gates import Gate
from ergo_cli.programs.pipeline.asyncio_driver.stage_task import StageTask
from ergo_cli.programs.pipeline.asyncio_driver.waiting import Bell
from ergo_cli.programs.pipeline.build import build_flow, build_stages
from ergo_cli.programs.pipeline.credit import Credit
from ergo_cli.programs.pipeline.errors import JournalError
from ergo_cli.programs.pipeline.ids import CountedIds, StageId
from ergo_cli.programs.pipeline.lifecycle import Failed, Materialize, Materialized
from ergo_cli.programs.pipeline.stages.source import SourceSupervisor
from ergo_cli.programs.pipeline.supervisor import PipelineSupervisor
from ergo_cli.stores.memory import MemoryJournal
from ergo_cli.testing.virtual_time import run_in_virtual_time

READY = Materialized(ready=True)


def deliver(event: Event) -> None:
    """Consume an event with an ordinary receipt."""


def same(event: Event) -> list[Event]:
    return [Event("out", event.payload)]


async def never(event: Event) -> None:
    await asyncio.get_running_loop().create_future()


def nothing_yet() -> list[Any]:
    """The feed of a source that is idle."""
    return []


def idle(consume: Any = deliver, settings: PipelineSettings = PipelineSettings()) -> PipelineProgram:
    """A pipeline whose source does not end by itself."""
    return pipeline(source("src", infinite=True), sink("snk", consume), settings=settings)


class Unreadable:
    """A reader that fails."""

    position = 0

    def next(self) -> None:
        raise JournalError("pipeline.journal_corrupt", "record 7 is damaged")


# --- the loop ------------------------------------------------------------------------------------------------------


def test_c60_42_a_decision_that_fails_is_one_failure_of_the_pipeline() -> None:
    async def main() -> None:
        handle = await launched(idle(), {"src": nothing_yet})
        await reached_state(handle, "Running")
        handle._supervisor._orchestration.reader = Unreadable()
        failed = await ended(handle)
        assert failed is not None
        assert "dispatch_state error in Running: " in failed.message
        assert [made for made in transitions(handle) if made[1] == "Error"] == [("Running", "Error", "Failed")]
        assert names(handle)[-2:] == ["system.pipeline.failed", "system.pipeline.drained"]
        assert names(handle).count("system.pipeline.drained") == 1

    run_in_virtual_time(main())


def test_c60_42_a_stage_whose_journal_cannot_be_read_fails_once() -> None:
    async def main() -> None:
        program = pipeline(source("src"), transform("tr", same), sink("snk", deliver), settings=MANUAL)
        handle = await launched(program, {"src": [1]})
        await reached(handle, lambda state: state == READY)
        upstream = handle.flow.data[stage_id(handle, "src")]

        def damaged(position: int) -> None:
            raise JournalError("pipeline.journal_corrupt", "record 1 is damaged")

        upstream.records_from = damaged
        await handle.start()
        failed = await ended(handle)
        assert failed is not None
        assert failed.message == "Stage 'tr' failed: record 1 is damaged"
        assert facts(handle, "tr") == ["running", "failed: record 1 is damaged"]

    run_in_virtual_time(main())


def supervisor_alone(program: PipelineProgram, managed: int | None = None) -> PipelineSupervisor:
    flow = build_flow(program, MemoryJournal(), CountedIds(program.name), clock())
    return PipelineSupervisor(flow, build_stages(flow)[:managed])


async def supervise(supervisor: PipelineSupervisor, channel: ControlChannel, bell: Bell) -> None:
    await supervision.supervise(supervisor, channel, StateWatcher(supervisor.state), bell)


def test_c60_43_a_channel_that_closes_before_anything_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        supervisor, bell = supervisor_alone(idle()), Bell()
        channel = ControlChannel(bell)
        states = dispatched_states(supervisor, monkeypatch)
        channel.close()
        await supervise(supervisor, channel, bell)
        assert supervisor.state == Failed("External control channel closed", None)
        assert states == ["Failed"]

    run_in_virtual_time(main())


def dispatched_states(supervisor: PipelineSupervisor, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The states in which a decision is made, without a request."""
    states: list[str] = []
    decide = PipelineSupervisor._dispatch

    async def noted(self: PipelineSupervisor) -> bool:
        states.append(type(self.current).__name__)
        return await decide(self)

    monkeypatch.setattr(PipelineSupervisor, "_dispatch", noted)
    return states


def test_c60_43_a_channel_that_closes_while_the_pipeline_runs() -> None:
    async def main() -> None:
        handle = await launched(idle(), {"src": nothing_yet})
        await reached_state(handle, "Running")
        handle.close()
        failed = await ended(handle)
        assert failed is not None
        assert failed.message == "External control channel closed"
        assert names(handle)[-2:] == ["system.pipeline.failed", "system.pipeline.drained"]

    run_in_virtual_time(main())


def test_c60_43_a_channel_that_closes_after_the_end() -> None:
    async def main() -> None:
        handle = await completed(pipeline(source("src"), sink("snk", deliver)), {"src": [1]})
        before = names(handle)
        handle.close()
        await asyncio.sleep(1)
        assert (type(handle.state).__name__, names(handle)) == ("Drained", before)

    run_in_virtual_time(main())


def test_c60_44_a_request_of_a_state_that_takes_none_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        release = asyncio.Event()

        async def initial() -> list[int]:
            await release.wait()
            return []

        counter = stateful("acc", initial, lambda state, event: state, lambda state: [])
        handle = await launched(pipeline(source("src"), counter, sink("snk", deliver)), {"src": [1]})
        await until(lambda: type(handle._supervisor.current).__name__ == "Materializing")
        states = dispatched_states(handle._supervisor, monkeypatch)
        await handle.stop()
        release.set()
        await ended(handle)
        assert transitions(handle) == [
            ("Created", "Materialize", "Materializing"),
            ("Materializing", "MaterializationComplete", "Materialized"),
            ("Materialized", "StopRequested", "Failed"),
        ]
        assert states == ["Materializing", "Failed"]

    run_in_virtual_time(main())


def test_c60_45_manual_waits_for_a_request_to_run() -> None:
    async def main() -> None:
        handle = await launched(idle(settings=MANUAL), {"src": nothing_yet})
        await reached(handle, lambda state: state == READY)
        await asyncio.sleep(0.05)
        assert handle.state == READY
        assert await handle.start() is RunOutcome.STARTED
        await reached_state(handle, "Running")
        assert await handle.start() is RunOutcome.ALREADY_RUNNING
        await handle.stop()
        await ended(handle)
        assert await handle.start() is RunOutcome.FINISHED

    run_in_virtual_time(main())


def test_c60_46_auto_runs_by_itself() -> None:
    async def main() -> None:
        async with await launched(idle(), {"src": nothing_yet}) as handle:
            await reached_state(handle, "Running")

    run_in_virtual_time(main())


def test_c60_47_readiness_is_published_at_once() -> None:
    async def main() -> None:
        handle = await launched(idle(settings=MANUAL), {"src": nothing_yet})
        while "system.pipeline.ready_for_run" not in names(handle):
            await asyncio.sleep(0)
        assert handle.state == READY
        await handle.stop()
        await ended(handle)

    run_in_virtual_time(main())


def test_c60_48_running_is_published_when_the_sources_have_started(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    async def main() -> None:
        release = asyncio.Event()
        start = SourceSupervisor.start

        async def slow_start(self: SourceSupervisor) -> None:
            started.append(self.stage.name)
            await release.wait()
            await start(self)

        monkeypatch.setattr(SourceSupervisor, "start", slow_start)
        handle = await launched(idle(), {"src": nothing_yet})
        await until(lambda: bool(started))
        await asyncio.sleep(5)
        assert handle.state == READY
        release.set()
        await reached_state(handle, "Running")
        await handle.stop()
        await ended(handle)

    run_in_virtual_time(main())
    assert started == ["src"]


def test_c60_49_a_request_to_run_before_readiness_is_dropped() -> None:
    async def main() -> None:
        release = asyncio.Event()

        async def initial() -> dict[str, Any]:
            await release.wait()
            return {}

        def enrich(rows: dict[str, Any], event: Event, upstream: str, writer: object) -> list[Event]:
            return []

        program = pipeline(
            source("ref"),
            source("str"),
            join("jn", "ref", "str", enrich, initial_state=initial),
            sink("snk", deliver),
            edges="ref>jn str>jn jn>snk",
            settings=MANUAL,
        )
        handle = await launched(program, {"ref": [1], "str": [1]})
        await until(lambda: handle._supervisor.current == Materialized(ready=False))
        early = asyncio.create_task(handle.start())
        await asyncio.sleep(0.01)
        release.set()
        assert await early is RunOutcome.NOT_READY
        await reached(handle, lambda state: state == READY)
        await asyncio.sleep(0.05)
        assert handle.state == READY
        await handle.run()
        assert type(handle.state).__name__ == "Drained"

    run_in_virtual_time(main())


def test_c60_50_a_stage_without_a_supervisor_fails_the_pipeline() -> None:
    async def main() -> None:
        supervisor, bell = supervisor_alone(idle(), managed=1), Bell()
        channel = ControlChannel(bell)
        await channel.send(Materialize())
        await supervise(supervisor, channel, bell)
        assert isinstance(supervisor.state, Failed)
        assert "Stage count mismatch" in supervisor.state.reason

    run_in_virtual_time(main())


# --- stopping ------------------------------------------------------------------------------------------------------


def counted(monkeypatch: pytest.MonkeyPatch, stage: str) -> dict[str, int]:
    """How often clean-up did what to a stage."""
    counts = dict.fromkeys(("force_shutdown", "wait", "cancel_and_join"), 0)
    for name in counts:
        original = getattr(StageTask, name)

        async def noted(self: StageTask, *arguments: Any, name: str = name, original: Any = original) -> Any:
            counts[name] += self.stage.name == stage
            return await original(self, *arguments)

        monkeypatch.setattr(StageTask, name, noted)
    return counts


def test_c60_53_a_stage_that_does_not_end_is_cancelled_when_the_stop_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        program = idle(never, PipelineSettings(shutdown_timeout_ms=5000))
        handle = await launched(program, {"src": feed_of([1])})
        await reached_state(handle, "Running")
        await until(lambda: bool(data(events(handle, "src"))))
        counts = counted(monkeypatch, "snk")
        asked = now()
        await handle.stop_graceful(20)
        failed = await ended(handle)
        assert now() - asked < 0.5
        assert counts == {"force_shutdown": 0, "wait": 0, "cancel_and_join": 1}
        assert failed is not None
        assert failed.message.startswith("stop_timeout (")
        assert facts(handle, "snk") == ["running", "cancelled: stop_timeout"]
        assert names(handle)[-2:] == ["system.pipeline.cancelled", "system.pipeline.drained"]
        assert names(handle).count("system.pipeline.stop_requested") == 1

    run_in_virtual_time(main())


def feed_of(payloads: list[Any]) -> Any:
    """A feed that gives payloads, then nothing for now."""
    left = list(payloads)

    def next_payloads() -> list[Any]:
        given, left[:] = list(left), []
        return given

    return next_payloads


def test_c60_54_a_cancelled_stage_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        tidied: list[float] = []

        async def stubborn(event: Event) -> None:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                await asyncio.sleep(3)
                tidied.append(now())

        program = idle(stubborn, PipelineSettings(shutdown_timeout_ms=1000))
        handle = await launched(program, {"src": feed_of([1])})
        await until(lambda: bool(data(events(handle, "src"))))
        await asyncio.sleep(1)
        await handle.stop()
        await ended(handle)
        assert len(tidied) == 1
        assert tidied[0] == pytest.approx(now())
        assert now() == pytest.approx(5, abs=0.1)

    run_in_virtual_time(main())


def test_c60_56_57_a_long_drain_warns_once_and_says_each_second_what_it_waits_for() -> None:
    async def main() -> None:
        lines: list[tuple[float, str]] = []
        program = pipeline(source("src"), transform("tr", same), sink("snk", never))
        handle = await launched(program, {"src": [1]}, log=lambda line: lines.append((now(), line)))
        await reached_state(handle, "Draining")
        begun = now()
        await asyncio.sleep(5.5)
        assert type(handle.state).__name__ == "Draining"
        assert handle.barrier.completed == 2
        warned = [moment - begun for moment, line in lines if line.startswith("still draining")]
        assert warned == [pytest.approx(1.0, abs=0.02)]
        said = [moment - begun for moment, line in lines if line.startswith("draining: ")]
        assert said == [pytest.approx(second, abs=0.05 * (second + 1)) for second in range(6)]
        await handle.stop()
        await ended(handle)

    run_in_virtual_time(main())


def test_c60_57_a_pipeline_that_waits_to_be_asked_says_so_every_five_seconds() -> None:
    async def main() -> None:
        lines: list[float] = []
        handle = await launched(idle(settings=MANUAL), {"src": nothing_yet}, log=lambda line: lines.append(now()))
        await reached(handle, lambda state: state == READY)
        await asyncio.sleep(11)
        assert lines == [pytest.approx(moment, abs=0.2) for moment in (0, 5, 10)]
        await handle.stop()
        await ended(handle)

    run_in_virtual_time(main())


def test_c60_58_without_an_aggregator_nothing_is_said_of_metrics() -> None:
    """C-59 needs an aggregator, which an exporter would start (§17.2); the product has none."""

    async def main() -> None:
        handle = await launched(idle(), {"src": nothing_yet})
        await reached_state(handle, "Running")
        await handle.stop()
        await ended(handle)
        assert not [name for name in names(handle) if name.startswith("system.metrics")]

    run_in_virtual_time(main())


# --- credit --------------------------------------------------------------------------------------------------------


def twice(event: Event) -> list[Event]:
    return [Event("out", [event.payload, each]) for each in "ab"]


def test_c60_77_an_input_is_acknowledged_when_its_last_output_is_written() -> None:
    async def main() -> None:
        release = asyncio.Event()

        async def held(event: Event) -> None:
            await release.wait()

        program = pipeline(source("src"), transform("tr", twice), sink("snk", held))
        handle = await launched(program, {"src": [1, 2, 3]}, windows={("src", "tr"): 1, ("tr", "snk"): 1})
        await reached_state(handle, "Running")
        await asyncio.sleep(10)
        assert data(events(handle, "src")) == [1]
        assert data(events(handle, "tr")) == [[1, "a"]]
        release.set()
        await handle.run()
        assert data(events(handle, "tr")) == [[number, each] for number in (1, 2, 3) for each in "ab"]

    run_in_virtual_time(main())


def test_c60_77_an_input_without_outputs_is_acknowledged() -> None:
    async def main() -> None:
        program = pipeline(source("src"), transform("tr", lambda event: []), sink("snk", deliver))
        handle = await completed(program, {"src": range(5)}, windows={("src", "tr"): 1})
        assert data(events(handle, "src")) == [0, 1, 2, 3, 4]

    run_in_virtual_time(main())


def test_c60_78_an_acknowledgement_goes_to_the_stage_that_was_read() -> None:
    """A marked event that a transform passes through keeps its writer, the stage before."""

    def marked(event: Event) -> list[Event]:
        return [event.failed("unfit", "Validation")]

    async def main() -> None:
        program = pipeline(source("src"), transform("ta", marked), transform("tb", same), sink("snk", deliver))
        handle = await completed(program, {"src": range(4)}, windows={("tb", "snk"): 1})
        passed = [event for event in events(handle, "tb") if event.is_error]
        assert [event.writer_id.id for event in passed] == [stage_id(handle, "ta")] * 4

    run_in_virtual_time(main())


def test_c60_79_a_blocked_writer_sleeps_between_its_tries() -> None:
    async def main() -> None:
        reader = StageId.digest_of("reader")
        gate = Gate()
        gate.credit = Credit({reader: 1})
        await gate.reserve()
        gate.commit()
        waiting = asyncio.create_task(gate.reserve())
        await asyncio.sleep(1)
        assert gate.waits == 25  # 1 + 2 + 4 + 8 + 16 + 32 ms, then every 50 ms
        gate.acknowledge(reader)
        await waiting
        assert now() == pytest.approx(1)

    run_in_virtual_time(main())


A, B = StageId.digest_of("a"), StageId.digest_of("b")


def test_c60_87_a_window_of_one() -> None:
    credit = Credit({A: 1})
    assert credit.reserve()
    credit.commit()
    assert not credit.reserve()
    credit.acknowledge(A)
    assert credit.reserve()


def test_c60_87_the_slower_reader_governs() -> None:
    credit = Credit({A: 1, B: 2})
    assert credit.reserve()
    credit.commit()
    credit.acknowledge(B)
    assert not credit.reserve()
    credit.acknowledge(A)
    assert credit.reserve()


def test_c60_87_reserved_events_are_in_flight() -> None:
    credit = Credit({A: 2})
    assert credit.reserve(2)
    assert not credit.reserve()
    credit.release()
    assert credit.reserve()
    credit.commit(2)
    assert not credit.reserve()


def test_c60_87_lifted_windows_grant_everything() -> None:
    credit = Credit({A: 1, B: 1})
    credit.lift()
    assert credit.reserve(1000)


def test_c60_87_lifting_the_windows_of_a_flow_lets_a_blocked_writer_go_on() -> None:
    async def main() -> None:
        handle = await launched(
            pipeline(source("src"), sink("snk", never)), {"src": range(3)}, windows={("src", "snk"): 1}
        )
        await reached_state(handle, "Running")
        await asyncio.sleep(1)
        assert data(events(handle, "src")) == [0]
        handle.lift_windows()
        await asyncio.sleep(1)
        assert data(events(handle, "src")) == [0, 1, 2]
        await handle.stop()
        await ended(handle)
        assert handle.state == Failed("user_stop", handle.state.failure_cause)

    run_in_virtual_time(main())


def test_a_blocked_writer_ends_when_the_pipeline_does() -> None:
    async def main() -> None:
        program = idle(never, PipelineSettings(shutdown_timeout_ms=60_000))
        handle = await launched(program, {"src": range(3)}, windows={("src", "snk"): 1})
        await until(lambda: bool(data(events(handle, "src"))))
        await handle.stop()
        await until(lambda: facts(handle, "src")[-1] == "cancelled: user_stop")
        assert now() < 1
        await ended(handle)

    run_in_virtual_time(main())
