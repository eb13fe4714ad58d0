"""Runs and captures from start to end: processes started and stopped, events run, bundle and program kept.

The order is that of spec 30 §10 and §13: what is wrong with the input or the destination is found before a channel is
started, and channels are at rest before the bundle is written.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.bundle.sink import BundleSink
from ergo_cli.bundle.writer import BundleWriter
from ergo_cli.core.clock import StandingClock
from ergo_cli.core.notices import Notice
from ergo_cli.errors import ErgoError, StepError, UsageError
from ergo_cli.host.arrivals import Arrivals, IngressFailure
from ergo_cli.host.channels.policy import ChannelPolicy
from ergo_cli.host.clock import LiveClock
from ergo_cli.host.interruption import HOST_STEP_FAILED, HOST_STOP_REQUESTED, Interruption
from ergo_cli.host.journaling import RunJournal
from ergo_cli.host.keeping import Keeper
from ergo_cli.host.opening import open_checked_lines, open_checked_stream, open_lines, open_stream
from ergo_cli.host.places import is_same_place, keep_apart
from ergo_cli.host.planning import Driver, EventFile, EventLines, RunPlan
from ergo_cli.host.running import RunEnd, RunSummary, World, run_arrivals
from ergo_cli.host.sources import STANDARD_INPUT
from ergo_cli.host.stopping import RunControl, StopHandle
from ergo_cli.project.captures import capture_path
from ergo_cli.project.run_store import user_folder
from ergo_cli.project.store import ProgramStore
from ergo_cli.stores.locating import RunStore, open_store

if TYPE_CHECKING:
    from ergo_cli.host.egress.runtime import EgressRuntime

OnStep = Callable[[], None]


class KeepRequest(Struct, frozen=True):
    """How to keep the bundle; None leaves a thing to the profile, then to its default."""

    output: Path | None = None
    pretty: bool | None = None
    embed: bool | None = None


class RunOptions(Struct, frozen=True):
    """How a run is gone about: who may stop it, where its crash journal goes, how long channels are waited for.

    ``sink`` takes the records of a run that keeps no bundle.
    """

    stop: StopHandle | None = None
    journal: Path | None = None
    policy: ChannelPolicy = ChannelPolicy()
    sink: BundleSink | None = None


class RunResult(Struct, frozen=True):
    """A run that came to an end; ``bundle`` is the path of what was kept, ``error`` is what broke a channel's run."""

    summary: RunSummary
    bundle: str | None = None
    notices: tuple[Notice, ...] = ()
    interruption: Interruption | None = None
    error: ErgoError | None = None


def perform(
    plan: RunPlan, keep: KeepRequest | None = None, on_step: OnStep | None = None, options: RunOptions = RunOptions()
) -> RunResult:
    """Run; with ``keep`` also keep a bundle, and the program in the program store. ``on_step``: once an event.

    Raises UsageError, EventError, EgressError, StepError, StoreError, KernelError and CaptureWriteError where nothing
    is to be kept; then nothing is left at the bundle's destination or beside it, and no process.
    """
    control = RunControl(options.stop, plan.bounds.max_events, plan.bounds.max_duration)
    destination = None if keep is None else str(capture_path(keep.output, plan.found.profile, plan.graph))
    _check_places(plan, destination, options.journal)
    with ExitStack() as stack:
        stream = _stream(plan, control, stack)
        store = None if plan.store is None else stack.enter_context(_store(plan.store, is_captured=keep is not None))
        keeper = stack.enter_context(_keeper(plan, keep, destination, options))
        egress = stack.enter_context(open_channels(plan, options.policy))
        with _arrivals(plan, stream, control, options.policy) as arrivals:
            control.start()
            world = World(
                egress,
                keeper.on_intent,
                lasting=stream is None or plan.reads_ahead,
                vouched=bool(stream),
                store=store,
                episodes=keeper.episodes,
            )
            end = run_arrivals(plan.prepared, arrivals, keeper.sink, control, world, on_step)
        end = end if egress is None else _settled(end, egress)
        notices = keeper.keep(end, None if egress is None else egress.provenance)
    if keep is not None:
        notices += _keep_program(plan)
    return RunResult(end.summary, destination, notices, end.interruption, end.error)


def _check_places(plan: RunPlan, destination: str | None, journal: Path | None) -> None:
    """A journal in the bundle's place would be replaced by it, and the bundle then removed for the journal."""
    if destination is None:
        return
    if isinstance(plan.source, EventFile) and plan.source.path != STANDARD_INPUT:
        keep_apart(destination, plan.source.path, "the stream of events")
    if plan.graph is not None:
        keep_apart(destination, plan.graph, "the graph")
    if journal is not None and is_same_place(destination, journal):
        message = f"bundle and journal cannot both be '{journal}'"
        fix = "name another file with --journal"
        raise UsageError("cli.conflicting_options", message, where="option --journal", fix=fix)


def _stream(plan: RunPlan, control: RunControl, stack: ExitStack) -> Arrivals | None:
    """The events of a file or of lines at hand, opened; None where a process is to be started."""
    match plan.source:
        case Driver(command=command, folder=folder):
            from ergo_cli.host.ingress.command import check_command  # only runs with a process pay for the import

            check_command(command, folder)
            return None
        case EventFile(path=path):
            opened = open_checked_stream if plan.reads_ahead else open_stream
            return stack.enter_context(opened(path, plan.prepared, control))
        case EventLines() as lines if plan.reads_ahead:
            return stack.enter_context(open_checked_lines(lines, plan.prepared, control))
        case EventLines() as lines:
            return stack.enter_context(open_lines(lines, plan.prepared))
        case _:
            assert_never(plan.source)


def _store(named: str, *, is_captured: bool) -> RunStore:
    """The store of a stateful program's runs, seen to be there; records of a capture have no time (spec 00 §13.3)."""
    clock = StandingClock() if is_captured else LiveClock()
    store = open_store(named, user_folder(), clock.wall_ms)
    try:
        store.journal.head("")
    except BaseException:
        store.close()
        raise
    return store


@contextmanager
def _keeper(plan: RunPlan, keep: KeepRequest | None, destination: str | None, options: RunOptions) -> Generator[Keeper]:
    provenance = None if plan.egress is None else plan.egress.config.provenance
    with ExitStack() as stack:
        writer = None
        if keep is not None and destination is not None:
            writer = stack.enter_context(_writer(plan, keep, destination))
        journal = options.journal
        program = plan.record(embed=_is_embedded(plan, keep)) if plan.hosting.is_stateful else None
        log = None if journal is None else stack.enter_context(RunJournal(journal, plan.header, provenance, program))
        yield Keeper(writer, log, options.sink)


def _writer(plan: RunPlan, keep: KeepRequest, destination: str) -> BundleWriter:
    profile = plan.found.profile
    pretty = _chosen(keep.pretty, profile is not None and profile.pretty)
    program = plan.record(embed=_is_embedded(plan, keep))
    return BundleWriter(destination, plan.header, pretty=pretty, program=program)


def _is_embedded(plan: RunPlan, keep: KeepRequest | None) -> bool:
    profile = plan.found.profile
    return _chosen(None if keep is None else keep.embed, profile is not None and profile.embed)


@contextmanager
def open_channels(plan: RunPlan, policy: ChannelPolicy) -> Generator[EgressRuntime | None]:
    """Every egress channel, started; whatever is left of them at the end is killed."""
    if plan.egress is None:
        yield None
        return
    from ergo_cli.host.egress.runtime import EgressRuntime  # only runs with channels pay for the import

    runtime = EgressRuntime(plan.egress.config, plan.egress.folder, policy)
    try:
        runtime.start()
        yield runtime
    finally:
        runtime.kill()


def _arrivals(
    plan: RunPlan, stream: Arrivals | None, control: RunControl, policy: ChannelPolicy
) -> AbstractContextManager[Arrivals]:
    if stream is not None or not isinstance(plan.source, Driver):
        assert stream is not None
        return nullcontext(stream)
    from ergo_cli.host.ingress.driver import ProcessArrivals

    driver = plan.source
    try:
        return ProcessArrivals.start(driver.command, driver.folder, policy, plan.prepared.numbers, control.should_stop)
    except IngressFailure as failure:
        raise failure.error from failure


def _settled(end: RunEnd, egress: EgressRuntime) -> RunEnd:
    """The end of a run whose channels are at rest; one that does not come to rest is why it was interrupted."""
    stopped = end.interruption is not None and end.interruption.code == HOST_STOP_REQUESTED
    try:
        egress.assert_settled(host_stop=stopped)
        egress.shutdown()
    except StepError as error:
        if end.error is None:
            return replace(end, interruption=Interruption(HOST_STEP_FAILED), error=error)
        end.error.causes += (error,)
    return end


def _chosen(asked: bool | None, default: bool) -> bool:
    return default if asked is None else asked


def _keep_program(plan: RunPlan) -> tuple[Notice, ...]:
    run = plan.prepared
    if not plan.found.sources:
        return ()
    store = ProgramStore.of_user()
    notice = store.keep(run.program.ref, run.program.provenance, run.adapter_provenance, plan.found.sources)
    return () if notice is None else (notice,)
