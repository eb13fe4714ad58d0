"""However and whenever a pipeline in an event loop is stopped, it ends once, and every stage ends once (H-6, H-21)."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pipeline_loops import ended, events, launched, names
from random_pipelines import Plan, plans, program_of
from test_pipeline_drivers_agree import DELAYS, slow_feed, slowed, windows_of

from ergo_cli.programs.pipeline import FlowHandle, PipelineSettings
from ergo_cli.programs.pipeline.signals import Eof
from ergo_cli.programs.pipeline.state_machine import name_of
from ergo_cli.programs.pipeline.system_events import StageLifecycle
from ergo_cli.testing.virtual_time import run_in_virtual_time

ENDS = ("completed", "failed", "cancelled")


async def control(handle: FlowHandle, what: str) -> None:
    match what.partition(" "):
        case "stop", _, _:
            await handle.stop()
        case "graceful", _, limit_ms:
            await handle.stop_graceful(int(limit_ms))
        case "timeout", _, _:
            await handle.stop_cancel_timeout()
        case "abort", _, _:
            if handle.is_running:
                await handle.abort("no more")
        case "lift", _, _:
            handle.lift_windows()
        case _:
            handle.close()


Controls = list[tuple[int, str]]
"""Waits, in milliseconds, each followed by what is done with the handle."""


async def stopped(plan: Plan, delays: list[int], controls: Controls, window: int | None) -> FlowHandle:
    settings = PipelineSettings(shutdown_timeout_ms=1500)
    program = replace(program_of(plan, slowed(delays)), settings=settings)
    feeds = {name: slow_feed(payloads, delays) for name, payloads in plan.feeds.items()}
    handle = await launched(program, feeds, windows=windows_of(program, window))
    for wait_ms, what in controls:
        await asyncio.sleep(wait_ms / 1000)
        await control(handle, what)
    await ended(handle)
    assert len(asyncio.all_tasks()) == 1
    return handle


CONTROLS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 5, 20, 700, 3000]),
        st.sampled_from(["stop", "graceful 0", "graceful 30", "graceful 60000", "timeout", "abort", "close", "lift"]),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=60)
@given(plan=plans(), delays=DELAYS, controls=CONTROLS, window=st.sampled_from([None, 1]))
def test_a_stopped_pipeline_ends_once(plan: Plan, delays: list[int], controls: Controls, window: int | None) -> None:
    handle = run_in_virtual_time(stopped(plan, delays, controls, window))
    said = names(handle)
    terminal = [name for name in said if name in {f"system.pipeline.{end}" for end in ENDS}]
    assert (len(terminal), said[-1]) == (1, "system.pipeline.drained")
    assert said.count("system.pipeline.all_stages_completed") <= 1
    assert said.count("system.pipeline.stop_requested") <= 2
    for stage in handle.topology.stages:
        facts = [fact for fact in stage_facts(handle, stage.id) if fact in ENDS]
        assert len(facts) == 1
        own_eofs = [event for event in events(handle, stage.name) if is_own_eof(event, stage.id)]
        assert len(own_eofs) <= 1
    if name_of(handle.state) == "Drained":
        assert {fact for stage in handle.topology.stages for fact in stage_facts(handle, stage.id)} == {
            "running",
            "completed",
        }
    else:
        assert terminal != ["system.pipeline.completed"]


def stage_facts(handle: FlowHandle, stage: Any) -> list[str]:
    records = handle.system_journal.read_all_unordered()
    return [
        record.event.type_name.rpartition(".")[2]
        for record in records
        if isinstance(record.event.event, StageLifecycle) and record.event.event.stage_id == stage
    ]


def is_own_eof(event: Any, stage: Any) -> bool:
    signal = getattr(event.content, "signal", None)
    return isinstance(signal, Eof) and signal.writer_id is not None and signal.writer_id.id == stage
