"""Spec 60, checklist lines of stages: C-62, C-64 to 66, C-72, C-75 to 78, C-80 to 82, C-84 to 86, C-102, C-103."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from pipeline_flows import Driven, data, pipeline, results, signals
from pipeline_loops import MANUAL, ended, launched, reached

from ergo_cli.programs.pipeline.authoring import (
    EOF,
    Event,
    HandlerError,
    inner,
    join,
    sink,
    source,
    stateful,
    strict,
    transform,
)
from ergo_cli.programs.pipeline.causes import OtherCause, SeqDivergence
from ergo_cli.programs.pipeline.chain_events import Data
from ergo_cli.programs.pipeline.errors import PipelineError
from ergo_cli.programs.pipeline.handlers import finished
from ergo_cli.programs.pipeline.ids import CountedIds, StageId, StageWriter
from ergo_cli.programs.pipeline.lifecycle import Materialized
from ergo_cli.programs.pipeline.receipts import Delivered, NotDelivered
from ergo_cli.programs.pipeline.signals import (
    AtLeastOnceViolation,
    ConsumptionFinal,
    ConsumptionGap,
    ConsumptionProgress,
    Drain,
    Eof,
    PipelineAbort,
    SourceContract,
    Watermark,
)
from ergo_cli.programs.pipeline.status import Error, ErrorKind
from ergo_cli.programs.pipeline.stop_intent import FORCED_SHUTDOWN, STOP_TIMEOUT
from ergo_cli.programs.pipeline.system_events import (
    ContractOverrideByPolicy,
    ContractStatus,
    PipelineCancelled,
    PipelineFailed,
    PipelineLifecycle,
)
from ergo_cli.testing.virtual_time import run_in_virtual_time


def deliver(event: Event) -> None:
    """Consume an event with an ordinary receipt."""


def same(event: Event) -> list[Event]:
    return [Event("out", event.payload)]


def statuses(driven: Driven) -> list[ContractStatus]:
    return [event.event for event in driven.system() if isinstance(event.event, ContractStatus)]


# --- ends of a run -------------------------------------------------------------------------------------------------


def test_c60_62_a_run_that_completes() -> None:
    driven = Driven(pipeline(source("src"), sink("snk", deliver))).all({"n": 1})
    assert driven.last_facts() == ["system.pipeline.completed", "system.pipeline.drained"]


def test_c60_62_a_run_that_is_stopped() -> None:
    driven = Driven(pipeline(source("src"), sink("snk", deliver))).all({"n": 1}, interrupted=True)
    assert driven.last_facts() == ["system.pipeline.cancelled", "system.pipeline.drained"]
    cancelled = driven.system()[-2].event.fact
    assert isinstance(cancelled, PipelineCancelled)
    assert (cancelled.reason, cancelled.failure_cause) == ("user_stop", OtherCause("user_stop"))
    assert "system.pipeline.stop_requested" in driven.names()
    assert len(results(driven.events("snk"))) == 1


def test_c60_62_a_run_that_fails() -> None:
    driven = Driven(pipeline(source("src"), transform("tr", crash), sink("snk", deliver))).all({"n": 1})
    assert driven.last_facts() == ["system.pipeline.failed", "system.pipeline.drained"]


def test_c60_62_a_stop_before_the_start_lasts_no_time() -> None:
    async def main() -> None:
        handle = await launched(pipeline(source("src"), sink("snk", deliver), settings=MANUAL), {"src": [1]})
        await reached(handle, lambda state: state == Materialized(ready=True))
        await asyncio.sleep(5)
        await handle.stop()
        await ended(handle)
        said = [record.event for record in handle.system_journal.read_all_unordered()]
        assert isinstance(said[-2].event, PipelineLifecycle)
        cancelled = said[-2].event.fact
        assert isinstance(cancelled, PipelineCancelled)
        assert cancelled.duration_ms == 0
        assert "system.pipeline.starting" not in [event.type_name for event in said]

    run_in_virtual_time(main())


def crash(event: Event) -> list[Event]:
    raise ValueError("cannot")


# --- readers and contracts -----------------------------------------------------------------------------------------


def forging(written: int | None) -> Driven:
    """A source that admits payloads, and at ``eof`` an EOF of its own that says ``written``."""
    own = StageWriter(CountedIds("orders").mint(StageId))

    def admit(payload: Any) -> list[Any]:
        return [Eof(natural=True, writer_id=own, writer_seq=written)] if payload == "eof" else [Event("d", payload)]

    return Driven(pipeline(source("src", admit), sink("snk", deliver)))


def test_c60_64_a_reader_that_saw_everything() -> None:
    driven = Driven(pipeline(source("src"), sink("snk", deliver))).all(1, 2)
    (status,) = statuses(driven)
    assert (status.passed, status.reader_seq, status.advertised_writer_seq) == (True, 2, 2)


def test_c60_65_a_reader_that_lost_events() -> None:
    driven = forging(3).all(1, "eof")
    cause = SeqDivergence(3, 1)
    events = driven.events("snk")
    (gap,) = signals(events, ConsumptionGap)
    assert (gap.from_seq, gap.to_seq) == (2, 3)
    (violation,) = signals(events, AtLeastOnceViolation)
    assert (violation.reason, violation.reader_seq, violation.advertised_writer_seq) == (cause, 1, 3)
    (final,) = signals(events, ConsumptionFinal)
    assert (final.passed, final.failure_reason) == (False, cause)
    (status,) = statuses(driven)
    assert (status.passed, status.reason) == (False, cause)
    assert not [event for event in driven.system() if isinstance(event.event, ContractOverrideByPolicy)]
    failed = driven.system()[-2].event.fact
    assert isinstance(failed, PipelineFailed)
    assert failed.failure_cause == cause


@pytest.mark.parametrize(("read", "written", "gap"), [(2, 3, (3, 3)), (3, 2, None)])
def test_c60_66_only_a_writer_ahead_leaves_a_gap(read: int, written: int, gap: tuple[int, int] | None) -> None:
    driven = forging(written).all(*range(read), "eof")
    gaps = [(each.from_seq, each.to_seq) for each in signals(driven.events("snk"), ConsumptionGap)]
    assert gaps == ([] if gap is None else [gap])
    assert not statuses(driven)[0].passed


def test_h60_7_stages_start_and_end_in_topology_order() -> None:
    """However many there are: those that read first, then the sources, each in the order in which they are written."""
    sinks = [f"snk{number}" for number in (3, 1, 4, 0, 2)]
    program = pipeline(
        source("b"),
        source("a"),
        *(sink(name, deliver) for name in sinks),
        edges=" ".join(f"{start}>{end}" for start in "ab" for end in sinks),
    )
    driven = Driven(program)
    driven.scheduler.begin()
    for stage in driven.scheduler.stages:
        assert driven.facts(stage.stage.name) == ["running"]
    names = {stage.id: stage.name for stage in driven.flow.topology.stages}
    started = [names[event.event.stage_id] for event in driven.system() if event.type_name == "system.stage.running"]
    assert started == [*sinks, "b", "a"]
    driven.scheduler.fail(PipelineError("pipeline.failed", "given up"))
    ended = [names[event.event.stage_id] for event in driven.system() if event.type_name == "system.stage.cancelled"]
    assert ended == [*sinks, "b", "a"]


def test_an_abort_is_marked_in_every_data_journal_and_read_on_by_none() -> None:
    driven = forging(3).all(1, "eof")
    assert [len(signals(driven.events(name), PipelineAbort)) for name in ("src", "snk")] == [1, 1]
    assert driven.facts("src")[-1] == "cancelled: user_stop"


def test_c60_72_observations_are_not_delivered() -> None:
    """The heartbeat of a stateful stage stands in its journal; its reader gets the data and the EOF."""
    counter = stateful("acc", lambda: [0], count, lambda state: [Event("sum", state[0])])
    seen: list[Any] = []
    driven = Driven(pipeline(source("src"), counter, sink("snk", lambda event: seen.append(event)))).all(1, 2)
    assert "lifecycle.metrics.custom" in driven.names("acc")
    assert [event.event_type for event in seen] == ["sum"]
    assert not [name for name in driven.names("snk") if name.startswith("lifecycle")]
    assert statuses(driven)[-1].reader_seq == 1


def count(state: list[int], event: Event) -> None:
    state[0] += 1


@pytest.mark.parametrize(("author", "ends"), [("foreign", False), ("none", True), ("own", True)])
def test_c60_75_whose_eof_ends_a_reader(author: str, ends: bool) -> None:
    authors = {"foreign": StageId.digest_of("other"), "own": CountedIds("orders").mint(StageId)}
    writer = StageWriter(authors[author]) if author in authors else None

    def admit(payload: Any) -> list[Any]:
        return [Eof(natural=True, writer_id=writer, writer_seq=1)] if payload == "eof" else [Event("d", payload)]

    driven = Driven(pipeline(source("src", admit), sink("snk", deliver)))
    driven.scheduler.begin()
    driven.scheduler.admit(1)
    driven.scheduler.admit("eof")
    assert bool(statuses(driven)) is ends
    driven.scheduler.close(interrupted=False)
    assert driven.state == "Drained"


def test_c60_76_a_drain_signal_drains_a_transform_and_passes_a_sink() -> None:
    drained: list[str] = []

    def admit(payload: Any) -> list[Any]:
        return [Drain()] if payload == "drain" else [Event("d", payload)]

    program = pipeline(
        source("src", admit),
        transform("tr", same, drain=lambda: drained.append("tr")),
        sink("snk", deliver, drain=lambda: drained.append("snk")),
        sink("direct", deliver),
        edges="src>tr tr>snk src>direct",
    )
    driven = Driven(program)
    driven.scheduler.begin()
    driven.scheduler.admit(1)
    driven.scheduler.admit("drain")
    assert drained[0] == "tr"
    assert driven.facts("tr") == ["running", "completed"]
    assert driven.facts("direct") == ["running"]
    assert [len(signals(driven.events(name), Drain)) for name in ("tr", "snk", "direct")] == [1, 1, 1]


def test_what_the_drain_of_a_transform_gives_is_written_before_its_eof() -> None:
    """As outputs of ``process``: readers get them, the EOF counts them, their clock has seen all data."""
    taken: list[Any] = []

    def count(event: Event) -> list[Event]:
        taken.append(event.payload)
        return []

    program = pipeline(
        source("a"),
        source("b"),
        transform(
            "tr",
            count,
            drain=lambda: [Event("taken", sorted(taken, key=lambda payload: payload["n"])), Event("last", None)],
        ),
        sink("snk", deliver),
        edges="a>tr b>tr tr>snk",
    )
    driven = Driven(program).all({"source": "a", "n": 1}, {"source": "b", "n": 2})
    both = [{"n": 1, "source": "a"}, {"n": 2, "source": "b"}]
    assert data(driven.events("tr")) == [both, None]
    events = driven.events("tr")
    assert [event.event_type for event in events if isinstance(event.content, Data)] == ["taken", "last"]
    (eof,) = [eof for eof in signals(events, Eof) if eof.writer_id == StageWriter(driven.stage_id("tr"))]
    assert eof.writer_seq == 2
    assert len(results(driven.events("snk"))) == 2
    assert driven.last_facts()[0] == "system.pipeline.completed"
    records = driven.flow.data[driven.stage_id("tr")].read_all_unordered()
    drained = next(record for record in records if isinstance(record.event.content, Data))
    for name in "ab":
        for read in driven.flow.data[driven.stage_id(name)].read_all_unordered():
            if isinstance(read.event.content, Data):
                assert read.vector_clock.happened_before(drained.vector_clock)


@pytest.mark.parametrize(
    ("given", "failure"),
    [([EOF()], "gave EOF"), (3, "gave int, not a list of events"), ([3], "gave int, which is no event")],
)
def test_what_the_drain_of_a_transform_must_not_give_fails_it(given: Any, failure: str) -> None:
    driven = Driven(pipeline(source("src"), transform("tr", same, drain=lambda: given), sink("snk", deliver))).all(1)
    assert failure in driven.facts("tr")[-1]
    assert driven.last_facts()[0] == "system.pipeline.failed"


@pytest.mark.parametrize("outputs", [0, 1, 3])
def test_c60_77_an_input_is_acknowledged_after_its_last_output(outputs: int) -> None:
    """Progress is reported behind all outputs of an input, also where there are none."""
    program = pipeline(
        source("src"),
        transform("tr", lambda event: [Event("out", n) for n in range(outputs)]),
        sink("snk", deliver),
    )
    driven = Driven(program)
    driven.scheduler.begin()
    driven.scheduler.admit(1)
    names = [name for name in driven.names("tr") if name in ("out", "control.consumption_progress")]
    assert names == [*["out"] * outputs, "control.consumption_progress"]
    (progress,) = signals(driven.events("tr"), ConsumptionProgress)
    assert progress.reader_seq == 1


def test_c60_78_an_input_counts_for_the_reader_it_came_from() -> None:
    """An error-marked event of the source reaches the sink through the transform, under the source's writer."""

    def refuse(event: Event) -> list[Event]:
        raise HandlerError("no", ErrorKind.DOMAIN)

    driven = Driven(pipeline(source("src"), transform("tr", refuse), sink("snk", deliver))).all(1)
    (row,) = [event for event in driven.events("tr") if event.event_type == "src"]
    assert row.writer_id == StageWriter(driven.stage_id("src"))
    counted = {(status.upstream, status.reader): status.reader_seq for status in statuses(driven)}
    assert counted[driven.stage_id("tr"), driven.stage_id("snk")] == 1
    assert (driven.stage_id("src"), driven.stage_id("snk")) not in counted


# --- errors of handlers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [None, *ErrorKind])
def test_c60_80_the_kind_of_an_error_routes_its_input(kind: ErrorKind | None) -> None:
    def process(event: Event) -> list[Event]:
        if event.payload == "bad":
            raise HandlerError("no", kind)
        return same(event)

    called: list[Any] = []

    def after(event: Event) -> list[Event]:
        called.append(event.payload)
        return same(event)

    program = pipeline(source("src"), transform("tr", process), transform("after", after), sink("snk", deliver))
    driven = Driven(program).all("good", "bad", "fine")
    stays = kind in (ErrorKind.VALIDATION, ErrorKind.DOMAIN)
    place, other = ("tr", "error:tr") if stays else ("error:tr", "tr")
    (row,) = [event for event in driven.events(place) if event.is_error]
    assert not [event for event in driven.events(other) if event.is_error]
    status = row.processing_info.status
    assert isinstance(status, Error)
    assert status.kind is (kind or ErrorKind.UNKNOWN)
    assert row.processing_info.error_hops_remaining == 1
    assert called == ["good", "fine"]
    assert len(results(driven.events("snk"))) == (3 if stays else 2)
    assert driven.last_facts()[0] == "system.pipeline.completed"


def test_an_output_that_a_handler_marks_is_routed_like_a_failed_input() -> None:
    program = pipeline(
        source("src"),
        transform("tr", lambda event: [Event("out", 1).failed("late", "Timeout"), Event("out", 2)]),
        sink("snk", deliver),
    )
    driven = Driven(program).all(1)
    assert data(driven.events("tr")) == [2]
    assert data(driven.events("error:tr")) == [1]


def test_error_rows_of_a_source_do_not_count_in_its_eof() -> None:
    """H-20: the EOF counts what stands in the data journal, and the contract passes."""

    def admit(payload: Any) -> list[Event]:
        event = Event("d", payload)
        return [event.failed("bad", "Validation") if payload == "bad" else event]

    driven = Driven(pipeline(source("src", admit), sink("snk", deliver))).all(1, "bad", 2)
    (eof,) = signals(driven.events("src"), Eof)
    assert eof.writer_seq == 2
    assert data(driven.events("error:src")) == ["bad"]
    assert driven.last_facts()[0] == "system.pipeline.completed"


@pytest.mark.parametrize("stage", ["tr", "acc", "jn", "src"])
def test_a_crash_fails_its_stage(stage: str) -> None:
    """What the original loses silently (§28) fails the stage and the flow (H-6), once (H-21)."""

    def at(name: str) -> Any:
        def handler(*arguments: Any) -> list[Event]:
            if name == stage:
                raise KeyError("cannot")
            return [arguments[0]] if isinstance(arguments[0], Event) else []

        return handler

    program = pipeline(
        source(
            "src", lambda payload: at("src")() or [Event("d", payload)] if stage == "src" else [Event("d", payload)]
        ),
        source("ref"),
        transform("tr", at("tr")),
        stateful("acc", list, lambda state, event: at("acc")(event) and None, lambda state: [Event("sum", 1)]),
        join("jn", "ref", "acc", lambda rows, event, upstream, writer: at("jn")(event)),
        sink("snk", deliver),
        edges="src>tr tr>acc acc>jn ref>jn jn>snk",
    )
    driven = Driven(program).all({"source": "ref"}, {"source": "src"}, {"source": "src"})
    facts = driven.facts(stage)
    assert len(facts) == 2
    assert facts[1].startswith("failed: ")
    assert "KeyError" in facts[1]
    assert driven.last_facts() == ["system.pipeline.failed", "system.pipeline.drained"]


def test_c60_84_a_source_whose_handler_fails_goes_on_and_one_that_crashes_fails() -> None:
    """§28: an error of ``next`` is a row of the error journal; H-18: a failure is said, and no completion."""

    def admit(payload: Any) -> list[Event]:
        if payload == "error":
            raise HandlerError("gone", "Remote")
        if payload == "crash":
            raise ValueError("broken")
        return [Event("d", payload)]

    driven = Driven(pipeline(source("src", admit), sink("snk", deliver))).all(1, "error", 2)
    assert driven.names("error:src") == ["lifecycle.metrics.custom"]
    assert data(driven.events("src")) == [1, 2]
    assert driven.facts("src") == ["running", "completed"]
    crashed = Driven(pipeline(source("src", admit), sink("snk", deliver))).all(1, "crash", 2)
    assert [fact.partition(":")[0] for fact in crashed.facts("src")] == ["running", "failed"]
    assert crashed.last_facts()[0] == "system.pipeline.failed"


@pytest.mark.parametrize(("text", "reason"), [(FORCED_SHUTDOWN, "user_stop"), (STOP_TIMEOUT, STOP_TIMEOUT)])
def test_c60_85_a_stage_that_is_shut_down_has_been_cancelled(text: str, reason: str) -> None:
    driven = Driven(pipeline(source("src"), sink("snk", deliver)))
    driven.scheduler.begin()
    for stage in driven.scheduler.stages:
        finished(stage.force_shutdown(text))
        finished(stage.force_shutdown(text))
    assert driven.facts("src") == driven.facts("snk") == ["running", f"cancelled: {reason}"]


def test_c60_86_a_sink_that_fails_and_one_that_crashes() -> None:
    def consume(event: Event) -> None:
        if event.payload == "error":
            raise HandlerError("later", "Timeout")
        if event.payload == "crash":
            raise ValueError("broken")

    driven = Driven(pipeline(source("src"), sink("snk", consume))).all(1, "error", 2, "crash", 3)
    first, failed, third, panicked = results(driven.events("snk"))
    assert first == third == Delivered()
    assert failed == NotDelivered(error_type="sink_error", error_message="Timeout: later", final_attempt=False)
    assert isinstance(panicked, NotDelivered)
    assert (panicked.error_type, panicked.final_attempt) == ("handler_panic", True)
    assert "broken" in panicked.error_message
    assert [fact.partition(":")[0] for fact in driven.facts("snk")] == ["running", "failed"]
    assert data(driven.events("error:snk")) == ["error"]


@pytest.mark.parametrize("part", ["flush", "drain"])
def test_a_sink_that_cannot_finish_fails(part: str) -> None:
    def fail() -> None:
        raise HandlerError("full", "Remote")

    driven = Driven(pipeline(source("src"), sink("snk", deliver, **{part: fail}))).all(1)
    assert driven.facts("snk")[-1] == f'failed: Handler error: Failed to {part}: Remote("full")'
    assert driven.last_facts()[0] == "system.pipeline.failed"


# --- stateful stages -----------------------------------------------------------------------------------------------


def counting(every: int | None = None) -> Any:
    return stateful(
        "acc",
        lambda: [0],
        count,
        lambda state: [Event("sum", state[0])],
        should_emit=None if every is None else lambda state: state[0] % every == 0,
    )


def sums(every: int | None, *payloads: Any) -> list[Any]:
    driven = Driven(pipeline(source("src"), counting(every), sink("snk", deliver))).all(*payloads)
    assert driven.last_facts()[0] == "system.pipeline.completed"
    return data(driven.events("acc"))


def test_c60_81_a_counter_drains_one_event() -> None:
    assert sums(None, "a", "b", "c") == [3]


def test_c60_81_an_empty_input_still_drains() -> None:
    def admit(payload: Any) -> list[Any]:
        return [EOF()]

    driven = Driven(pipeline(source("src", admit), counting(), sink("snk", deliver))).all(None)
    assert data(driven.events("acc")) == [0]


def test_c60_81_an_immediate_emitter_emits_while_it_gathers() -> None:
    assert sums(1, "a", "b") == [1, 2, 2]


def test_c60_81_an_idle_stage_emits_after_its_interval() -> None:
    """Under ergo no time passes; a driver with a clock asks the stage to emit."""
    driven = Driven(pipeline(source("src"), counting(), sink("snk", deliver)))
    driven.scheduler.begin()
    acc: Any = driven.scheduler.stages[1]
    assert not finished(acc.emit_idle())
    driven.scheduler.admit("a")
    assert finished(acc.emit_idle())
    assert data(driven.events("acc")) == [1]


def test_the_outputs_of_a_stateful_stage_come_after_all_its_inputs() -> None:
    driven = Driven(pipeline(source("src"), counting(), sink("snk", deliver))).all("a", "b")
    records = driven.flow.data[driven.stage_id("acc")].read_all_unordered()
    (output,) = [record for record in records if record.event.event_type == "sum"]
    inputs = driven.flow.data[driven.stage_id("src")].read_all_unordered()
    assert all(
        record.vector_clock.happened_before(output.vector_clock)
        for record in inputs
        if record.event.event_type == "src"
    )


# --- joins ---------------------------------------------------------------------------------------------------------

K1, K2 = {"source": "catalog", "key": "k1", "value": "v1"}, {"source": "catalog", "key": "k2", "value": "v2"}
S1, MISSING = {"source": "orders", "key": "k1"}, {"source": "orders", "key": "missing"}


def key(event: Event) -> Any:
    return event.payload["key"]


def row(reference: Event | None, event: Event) -> Event:
    return Event("row", (None if reference is None else reference.payload["value"], event.payload["key"]))


def joining(handler: Any, **options: Any) -> Any:
    process = handler("catalog", key, key, lambda found, event: Event("row", [found.payload["value"], key(event)]))
    return pipeline(
        source("catalog"),
        source("orders"),
        join("jn", "catalog", "orders", process, **options),
        sink("snk", deliver),
        edges="catalog>jn orders>jn jn>snk",
    )


def test_c60_82_a_strict_join() -> None:
    driven = Driven(joining(strict)).all(K1, K2, S1, MISSING)
    assert driven.state == "Failed"
    assert data(driven.events("jn")) == [["v1", "k1"]]
    poison = [eof for eof in signals(driven.events("jn"), Eof) if eof.writer_id == StageWriter(driven.stage_id("jn"))]
    assert [(eof.natural, eof.writer_seq) for eof in poison] == [(False, 1)]
    assert driven.facts("jn") == ["running", 'failed: strict join miss for key "missing"']
    assert driven.last_facts()[0] == "system.pipeline.failed"


def test_an_inner_join_reads_its_reference_first() -> None:
    """Stream events wait in their journal until the reference has ended, whenever they came."""
    driven = Driven(joining(inner))
    driven.scheduler.begin()
    for payload in (S1, K1, MISSING):
        driven.scheduler.admit(payload)
    assert data(driven.events("jn")) == []
    driven.scheduler.close(interrupted=False)
    assert data(driven.events("jn")) == [["v1", "k1"]]
    assert driven.last_facts()[0] == "system.pipeline.completed"


def test_c60_82_a_live_join_needs_no_end_of_its_reference() -> None:
    driven = Driven(joining(inner, live=True))
    driven.scheduler.begin()
    for payload in (K1, S1, MISSING):
        driven.scheduler.admit(payload)
    assert data(driven.events("jn")) == [["v1", "k1"]]
    driven.scheduler.close(interrupted=False)
    assert driven.last_facts()[0] == "system.pipeline.completed"


def test_c60_82_a_live_join_serves_its_stream_after_a_batch_of_its_reference() -> None:
    read: list[str] = []

    def process(rows: Any, event: Event, upstream: str, writer: Any) -> list[Event]:
        read.append(upstream)
        return []

    program = pipeline(
        source("catalog", lambda payload: [Event("d", n) for n in payload["many"]]),
        source("orders", lambda payload: [Event("d", n) for n in payload["many"]]),
        join("jn", "catalog", "orders", process, live=True, reference_batch=2, ordered_delivery=False),
        sink("snk", deliver),
        edges="catalog>jn orders>jn jn>snk",
    )
    driven = Driven(program)
    driven.scheduler.begin()
    for name in ("catalog", "orders"):
        stage: Any = next(stage for stage in driven.scheduler.stages if stage.stage.name == name)
        stage.offer({"many": list(range(6))})
        finished(stage.visit(at_rest=False))
    driven.scheduler.run_until_rest()
    runs = [len(list(group)) for name, group in itertools.groupby(read) if name == "catalog"]
    assert max(runs) <= 2
    assert read.count("catalog") == read.count("orders") == 6


def test_c60_82_reference_errors_of_a_live_join_are_per_record() -> None:
    def process(rows: dict[Any, Any], event: Event, upstream: str, writer: Any) -> list[Event]:
        if event.payload.get("value") == "v2":
            raise HandlerError("no", "Timeout")
        rows[event.payload["key"]] = event
        return []

    def program(live: bool) -> Any:
        return pipeline(
            source("catalog"),
            source("orders"),
            join("jn", "catalog", "orders", process, live=live),
            sink("snk", deliver),
            edges="catalog>jn orders>jn jn>snk",
        )

    driven = Driven(program(live=True)).all(K1, K2, S1)
    assert [payload["value"] for payload in data(driven.events("error:jn"))] == ["v2"]
    assert driven.last_facts()[0] == "system.pipeline.completed"
    hydrating = Driven(program(live=False)).all(K1, K2, S1)
    assert hydrating.facts("jn")[-1] == 'failed: Join handler hydration error: Timeout("no")'


# --- order ---------------------------------------------------------------------------------------------------------


def fan_in(*, ordered: bool = True) -> Any:
    return pipeline(
        source("a"),
        source("b"),
        transform("merge", lambda event: [Event("out", event.payload["n"])], ordered_delivery=ordered),
        sink("snk", deliver),
        edges="a>merge b>merge merge>snk",
    )


def test_c60_103_the_same_order_however_inputs_arrive() -> None:
    """Every interleaving in which the inputs can stand in the journals when they are read gives one order."""
    orders = set()
    for arrival in set(itertools.permutations("aaabb")):
        driven = Driven(fan_in())
        driven.scheduler.begin()
        numbers = {"a": itertools.count(1), "b": itertools.count(11)}
        for name in arrival:
            stage: Any = next(stage for stage in driven.scheduler.stages if stage.stage.name == name)
            stage.offer({"n": next(numbers[name])})
            finished(stage.visit(at_rest=False))
        driven.scheduler.close(interrupted=False)
        orders.add(tuple(data(driven.events("merge"))))
    assert orders == {(1, 11, 2, 12, 3)}


def test_an_episode_does_not_wait_for_the_other_input() -> None:
    driven = Driven(fan_in())
    driven.scheduler.begin()
    seen = []
    for payload in ({"source": "a", "n": 1}, {"source": "a", "n": 2}, {"source": "b", "n": 11}):
        driven.scheduler.admit(payload)
        seen.append(list(data(driven.events("merge"))))
    assert seen == [[1], [1, 2], [1, 2, 11]]


def test_c60_102_stateful_stages_and_joins_give_the_same_twice() -> None:
    def records() -> list[bytes]:
        driven = Driven(joining(inner)).all(K1, S1, K2, MISSING, S1)
        counted = Driven(pipeline(source("src"), counting(2), sink("snk", deliver))).all("a", "b", "c")
        return driven.records + counted.records

    assert records() == records()


def test_signals_are_forwarded_under_their_ids() -> None:
    """§28: transforms, stateful stages, joins and sinks copy signals; a transform not its source's own verdict."""

    def admit(payload: Any) -> list[Any]:
        return [Watermark(timestamp=7)] if payload == "mark" else [Event("d", payload)]

    driven = Driven(pipeline(source("src", admit), transform("tr", same), counting(), sink("snk", deliver)))
    driven.all(1, "mark")
    for kind in (Watermark, SourceContract):
        copies = [
            [event.id for event in driven.events(name) if signals([event], kind)]
            for name in ("src", "tr", "acc", "snk")
        ]
        assert copies[0] == copies[1] == copies[2] == copies[3]
        assert len(copies[0]) == 1
    (mark,) = [event for event in driven.events("src") if signals([event], Watermark)]
    assert type(mark.processing_info.status).__name__ == "Filtered"
    own = [event for event in driven.events("tr") if signals([event], ConsumptionFinal)]
    assert [event.writer_id for event in own] == [StageWriter(driven.stage_id("tr"))]
