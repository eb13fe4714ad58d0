"""Build a flow and start its tasks (spec 60 §12.1)."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Executor
from functools import partial
from typing import cast

from ergo_cli.errors import headline
from ergo_cli.programs.pipeline.archive import Archive
from ergo_cli.programs.pipeline.asyncio_driver.archive_replay import ArchiveReplay
from ergo_cli.programs.pipeline.asyncio_driver.channel import ControlChannel, StateWatcher
from ergo_cli.programs.pipeline.asyncio_driver.feeds import Feed, Feeder, is_feed
from ergo_cli.programs.pipeline.asyncio_driver.gates import Gates, bad_windows
from ergo_cli.programs.pipeline.asyncio_driver.handle import FlowHandle
from ergo_cli.programs.pipeline.asyncio_driver.stage_task import StageTask
from ergo_cli.programs.pipeline.asyncio_driver.supervision import supervise
from ergo_cli.programs.pipeline.asyncio_driver.waiting import Bell, LoopClock, RingingJournal
from ergo_cli.programs.pipeline.authoring import Source
from ergo_cli.programs.pipeline.build import build_flow, build_stages
from ergo_cli.programs.pipeline.checks import check_pipeline
from ergo_cli.programs.pipeline.durability import Durability
from ergo_cli.programs.pipeline.effects import EffectHistory
from ergo_cli.programs.pipeline.errors import PipelineError
from ergo_cli.programs.pipeline.ids import IdSource
from ergo_cli.programs.pipeline.lifecycle import Error, Materialize
from ergo_cli.programs.pipeline.program import EdgePair, PipelineProgram
from ergo_cli.programs.pipeline.stages.source import SourceSupervisor
from ergo_cli.programs.pipeline.stages.supervisor import StageSupervisor
from ergo_cli.programs.pipeline.stored_flows import keep_manifest, kept_manifest
from ergo_cli.programs.pipeline.supervisor import PipelineSupervisor
from ergo_cli.stores.journals import EventJournal
from ergo_cli.stores.memory import MemoryJournal

NO_WINDOWS: Mapping[EdgePair, int] = {}


async def launch(
    program: PipelineProgram,
    feeds: Mapping[str, Feed] | Archive,
    *,
    ids: IdSource,
    wall_ms: Callable[[], int],
    store: EventJournal | None = None,
    windows: Mapping[EdgePair, int] = NO_WINDOWS,
    threads: Executor | None = None,
    history: EffectHistory | None = None,
    log: Callable[[str], object] = lambda _line: None,
) -> FlowHandle:
    """Build a flow of a program in the running event loop and start its tasks; it runs by itself unless its startup
    mode is ``manual``.

    ``feeds`` gives each source, by its name, its payloads: an iterable, an async one, or a function ``next()`` that
    gives a list of payloads, an empty one for now, None at the end. An ``Archive`` in place of feeds is replayed: every
    source admits again what it recorded; effects get their recorded outcomes and are not executed.

    ``wall_ms`` reads the wall clock; all waiting is done in the loop's time. ``windows`` limits edges to so many events
    that their reader has not yet worked off. ``threads`` runs plain handlers, so that they may block. ``store``
    keeps journals and manifest of the flow, which otherwise stand in memory; the whole flow is one episode to the
    setting ``fsync``. ``log`` takes lines for people.

    Raises what ``check_pipeline`` raises, PipelineError ``pipeline.no_feed``, ``pipeline.invalid_feed`` and
    ``pipeline.invalid_window``, as ``Archive.source``, and JournalError.
    """
    check_pipeline(program)
    replay: ArchiveReplay | None = None
    if isinstance(feeds, Archive):
        replay = ArchiveReplay(feeds, program)
        feeds, history = replay.feeds, replay.history() if history is None else history
    faults = [*_bad_feeds(program, feeds), *bad_windows(program, windows)]
    if faults:
        raise headline(faults)
    durability = Durability(MemoryJournal() if store is None else store, program.settings.fsync_mode)
    journal = RingingJournal(durability.journal)
    clock, gates = LoopClock(wall_ms), Gates()
    call = call_here if threads is None else partial(call_on, threads)
    flow = build_flow(
        program,
        journal,
        ids,
        clock,
        history=history,
        call=call,
        gate=gates.of,
        is_timed=True,
        effect_recorded=durability.effect_recorded,
    )
    if replay is not None:
        replay.flow = flow
        for name in replay.left_out:
            log(f"source '{name}' of the archive is not replayed: the program has no source of this name")
    gates.limit(flow.topology, windows)
    if store is not None and kept_manifest(store, flow.id.display) is None:
        keep_manifest(store, flow.id.display, program.manifest(flow.id, flow.topology))
    bell = Bell()
    journal.ring_for(flow.system.run, bell)
    supervisor: PipelineSupervisor

    def broken(text: str) -> None:
        supervisor.request(Error(text))
        bell.ring()

    def task_of(stage: StageSupervisor) -> StageTask:
        own = Bell()
        for upstream in flow.topology.upstream_stages(stage.stage.id):
            journal.ring_for(flow.data[upstream].run, own)
        is_source = isinstance(stage, SourceSupervisor)
        return StageTask(
            stage,
            clock=clock,
            bell=own,
            gate=gates.of(stage.stage.id),
            feeder=Feeder(stage, feeds[stage.stage.name], call, own, clock) if is_source else None,
            ended=lambda task: gates.lift(task.stage.id),
            broken=broken,
        )

    tasks = [task_of(stage) for stage in build_stages(flow)]
    supervisor = PipelineSupervisor(flow, tasks, log, startup=program.settings.startup)
    channel, watcher = ControlChannel(bell), StateWatcher(supervisor.state)
    await channel.send(Materialize())

    async def supervised() -> None:
        try:
            await supervise(supervisor, channel, watcher, bell)
        finally:
            durability.episode_ended()

    task = asyncio.create_task(supervised(), name=f"pipeline {flow.name}")
    return FlowHandle(flow, supervisor, task, channel, watcher, clock, gates)


async def call_here(handler: Callable[..., object], *arguments: object) -> object:
    """What a handler gives; while an ``async`` one waits, other stages move."""
    given = handler(*arguments)
    return await cast("Awaitable[object]", given) if inspect.isawaitable(given) else given


async def call_on(threads: Executor, handler: Callable[..., object], *arguments: object) -> object:
    """What a handler gives, a plain one on a thread, so that other stages move while it blocks."""
    if inspect.iscoroutinefunction(handler):
        return await handler(*arguments)
    given = await asyncio.get_running_loop().run_in_executor(threads, partial(_called, handler, arguments))
    return await cast("Awaitable[object]", given) if inspect.isawaitable(given) else given


def _called(handler: Callable[..., object], arguments: tuple[object, ...]) -> object:
    try:
        return handler(*arguments)
    except StopIteration as error:  # no future can hold it
        raise RuntimeError("the handler raised StopIteration") from error


def _bad_feeds(program: PipelineProgram, feeds: Mapping[str, Feed]) -> Iterator[PipelineError]:
    if not isinstance(cast("object", feeds), Mapping):
        message, fix = (
            f"the feeds are of type {type(feeds).__name__}",
            "give a mapping of the names of sources to feeds, or an Archive",
        )
        yield PipelineError("pipeline.invalid_feed", message, where=f"pipeline '{program.name}'", fix=fix)
        return
    sources = [stage.name for stage in program.stages if isinstance(stage, Source)]
    for name in sources:
        if name not in feeds:
            yield _no_feed(f"the source '{name}' has no feed", f"stage '{name}'", "give every source a feed")
        elif not is_feed(feeds[name]):
            message = f"the feed of the source '{name}' is of type {type(feeds[name]).__name__}"
            fix = "give a list of payloads, another iterable, an async one, or a function that gives lists of payloads"
            yield PipelineError("pipeline.invalid_feed", message, where=f"stage '{name}'", fix=fix)
    for name in feeds:
        if name not in sources:
            known = ", ".join(f"'{source}'" for source in sources)
            yield _no_feed(f"a feed names '{name}'", f"pipeline '{program.name}'", f"feed the sources: {known}")


def _no_feed(message: str, where: str, fix: str) -> PipelineError:
    return PipelineError("pipeline.no_feed", message, where=where, fix=fix)
