"""Ergo's scheduler and the tasks of an event loop come to the same data, however slow stages and feeds are (issue 13).

Data records are those that hold data or receipts: their types, payloads, statuses and, in order, the journal they
stand in. A stateful stage that emits by the clock, and a live join, are left out: their outputs depend on time.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Mapping
from functools import wraps
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from pipeline_loops import completed
from random_pipelines import Plan, plans, program_of

from ergo_cli.core.time import StandingClock
from ergo_cli.programs.pipeline import PipelineProgram
from ergo_cli.programs.pipeline.asyncio_driver.gates import takes_in_order
from ergo_cli.programs.pipeline.build import build_flow, build_stages
from ergo_cli.programs.pipeline.chain_events import Data, Delivery
from ergo_cli.programs.pipeline.flow import Flow
from ergo_cli.programs.pipeline.ids import CountedIds
from ergo_cli.programs.pipeline.scheduler import Scheduler
from ergo_cli.programs.pipeline.stages.source import SourceSupervisor
from ergo_cli.programs.pipeline.state_machine import name_of
from ergo_cli.stores.memory import MemoryJournal
from ergo_cli.testing.virtual_time import run_in_virtual_time

Records = Mapping[str, list[Any]]


def data_records(flow: Flow) -> Records:
    """The data records of every journal, by label."""
    journals = {
        f"{kind}:{stage.name}": journal[stage.id]
        for kind, journal in (("data", flow.data), ("error", flow.errors))
        for stage in flow.topology.stages
    }
    return {
        label: [row for record in journal.read_all_unordered() if (row := data_row(record.event)) is not None]
        for label, journal in journals.items()
    }


def data_row(event: Any) -> Any:
    match event.content:
        case Data(event_type, payload):
            return event_type, payload, event.processing_info.status
        case Delivery(receipt):
            return "receipt", receipt.result, receipt.delivery_method
        case _:
            return None


def scheduled(plan: Plan, *, in_episodes: bool) -> Records:
    """Run by ergo's scheduler, which comes to rest after each payload, or is offered all of them before."""
    program = program_of(plan)
    flow = build_flow(program, MemoryJournal(), CountedIds(program.name), StandingClock())
    scheduler = Scheduler(flow, build_stages(flow))
    scheduler.begin()
    for stage in scheduler.stages:
        if isinstance(stage, SourceSupervisor):
            for payload in plan.feeds[stage.stage.name]:
                stage.offer(payload)
                if in_episodes:
                    scheduler.run_until_rest()
    scheduler.close(interrupted=False)
    assert name_of(scheduler.state) == "Drained"
    return data_records(flow)


def slowed(delays: list[int]) -> Any:
    """Wraps handlers so that each call takes one of the delays, in milliseconds; zero is a plain call."""
    turns = iter(range(10**9))

    def wrap(_stage: str, handler: Any) -> Any:
        @wraps(handler)
        async def slow(*arguments: Any) -> Any:
            delay_ms = delays[next(turns) % len(delays)]
            if delay_ms:
                await asyncio.sleep(delay_ms / 1000)
            given = handler(*arguments)
            return await given if inspect.isawaitable(given) else given

        return slow

    return wrap


async def slow_feed(payloads: list[int], delays: list[int]) -> AsyncIterator[int]:
    for place, payload in enumerate(payloads):
        await asyncio.sleep(delays[place % len(delays)] / 1000)
        yield payload


def windows_of(program: PipelineProgram, window: int | None) -> dict[tuple[str, str], int]:
    """One window for every edge that may have one."""
    if window is None:
        return {}
    return {edge: window for edge in program.edges if not takes_in_order(program, edge[1])}


async def looped(plan: Plan, delays: list[int], feed_delays: list[int], window: int | None) -> Records:
    program = program_of(plan, slowed(delays))
    feeds = {name: slow_feed(payloads, feed_delays) for name, payloads in plan.feeds.items()}
    handle = await completed(program, feeds, windows=windows_of(program, window))
    assert name_of(handle.state) == "Drained"
    return data_records(handle.flow)


SIGNALS_UNDER_ANOTHER_WRITER = Plan(
    feeds={"a": [17, 0, 0, 0, 0, 0], "b": [0, 0], "c": []},
    stages=[
        ("transform", "d", ["a", "b"], 3),
        ("transform", "e", ["a", "d", "b"], 0),
        ("stateful", "f", ["a", "b", "e"], 1),
        ("transform", "g", ["a", "e"], 0),
        ("sink", "h", ["c", "f", "g"], 0),
    ],
)
"""A merge of outputs of stages that passed signals on, how many depends on time."""

DELAYS = st.lists(st.sampled_from([0, 0, 1, 7, 600, 2500]), min_size=1, max_size=7)


@settings(max_examples=60)
@given(plan=plans(), delays=DELAYS, feed_delays=DELAYS, window=st.sampled_from([None, 1, 2]))
@example(SIGNALS_UNDER_ANOTHER_WRITER, [0], [0], None)
def test_both_drivers_give_the_same_data_records(
    plan: Plan, delays: list[int], feed_delays: list[int], window: int | None
) -> None:
    assert run_in_virtual_time(looped(plan, delays, feed_delays, window)) == scheduled(plan, in_episodes=False)


@settings(max_examples=30)
@given(plan=plans(widest=1), delays=DELAYS, feed_delays=DELAYS)
def test_without_merges_episodes_give_them_too(plan: Plan, delays: list[int], feed_delays: list[int]) -> None:
    """A stage that merges its inputs takes what there is at the end of an episode, which a loop does not have."""
    assert run_in_virtual_time(looped(plan, delays, feed_delays, None)) == scheduled(plan, in_episodes=True)
