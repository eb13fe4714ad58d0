"""Flows driven by tasks of an event loop whose time is made up, and readings of what they leave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from ergo_cli.programs.pipeline import FlowFailed, FlowHandle, PipelineProgram, PipelineSettings, launch
from ergo_cli.programs.pipeline.asyncio_driver.feeds import Feed
from ergo_cli.programs.pipeline.asyncio_driver.waiting import LoopClock
from ergo_cli.programs.pipeline.ids import CountedIds
from ergo_cli.programs.pipeline.lifecycle import State
from ergo_cli.programs.pipeline.state_machine import name_of

MANUAL = PipelineSettings(startup_mode="manual")


async def launched(program: PipelineProgram, feeds: Mapping[str, Feed], **options: Any) -> FlowHandle:
    return await launch(program, feeds, ids=CountedIds(program.name), wall_ms=lambda: 0, **options)


async def completed(program: PipelineProgram, feeds: Mapping[str, Feed], **options: Any) -> FlowHandle:
    handle = await launched(program, feeds, **options)
    await handle.run()
    return handle


async def reached(handle: FlowHandle, wanted: Callable[[State], bool]) -> None:
    """Wait for a published state; a flow that ends without it is a failure."""
    async for state in handle.watch_state():
        if wanted(state):
            return
    raise AssertionError(f"the flow ended as {handle.state}")


async def reached_state(handle: FlowHandle, name: str) -> None:
    await reached(handle, lambda state: name_of(state) == name)


async def until(condition: Callable[[], bool]) -> None:
    """Wait, in steps of a millisecond of the loop's time, for at most an hour of it."""
    for _ in range(3_600_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never came")


async def ended(handle: FlowHandle) -> FlowFailed | None:
    """Wait for the end; returns the failure, if it is one."""
    try:
        await handle.wait()
    except FlowFailed as failed:
        return failed
    return None


def now() -> float:
    return asyncio.get_running_loop().time()


def clock() -> LoopClock:
    return LoopClock(lambda: 0)


def names(handle: FlowHandle) -> list[str]:
    """The names of the events of the system journal."""
    return [record.event.type_name for record in handle.system_journal.read_all_unordered()]


def stage_id(handle: FlowHandle, name: str) -> Any:
    return next(stage.id for stage in handle.topology.stages if stage.name == name)


def events(handle: FlowHandle, label: str) -> list[Any]:
    """The events of a data journal, or of an error journal (``error:tr``)."""
    kind, _, name = label.rpartition(":")
    journals = handle.flow.errors if kind == "error" else handle.flow.data
    return [record.event for record in journals[stage_id(handle, name)].read_all_unordered()]


def facts(handle: FlowHandle, stage: str) -> list[str]:
    """What a stage said of itself: ``running``, ``failed: text``, ``cancelled: reason``."""
    said: list[str] = []
    for record in handle.system_journal.read_all_unordered():
        event = record.event
        if getattr(event.event, "stage_id", None) == stage_id(handle, stage):
            fact: Any = event.event.fact
            text = getattr(fact, "error", getattr(fact, "reason", None))
            name = event.type_name.rpartition(".")[2]
            said.append(name if text is None else f"{name}: {text}")
    return said


def transitions(handle: FlowHandle) -> list[tuple[str, str, str]]:
    return [(made.start, made.event, made.end) for made in handle.transitions]
