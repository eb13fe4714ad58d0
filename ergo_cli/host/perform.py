"""Perform runs and captures from start to end: processes, events, bundle and program store.

The order is that of spec 30 §10 and §13: faults of the input or the destination are found before a channel is started,
and channels have stopped before the bundle is written.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.bundle.schema import BundleSink, TextDigest
from ergo_cli.bundle.writer import BundleWriter
from ergo_cli.channels.interruption import HOST_STEP_FAILED, HOST_STOP_REQUESTED, IngressFailure, Interruption
from ergo_cli.channels.timeouts import ChannelPolicy
from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.time import StandingClock
from ergo_cli.errors import ErgoError, StepError
from ergo_cli.host.crash_journal import CrashJournal
from ergo_cli.host.driving import live_driver
from ergo_cli.host.event_input import (
    Arrivals,
    Reading,
    open_checked_lines,
    open_checked_stream,
    open_lines,
    open_stream,
)
from ergo_cli.host.failures import FailureSummary
from ergo_cli.host.files_read import check_outputs
from ergo_cli.host.loop import RunEnd, RunResources, RunSummary, run_arrivals
from ergo_cli.host.outputs import Outputs
from ergo_cli.host.run_plan import Driver, EventFile, EventLines, RunPlan, capture_path
from ergo_cli.host.timing import LiveClock, RunControl, StopHandle
from ergo_cli.project.contracts import keep_contracts
from ergo_cli.project.profiles import user_folder
from ergo_cli.project.store import ProgramStore
from ergo_cli.project.structures import keep_structure
from ergo_cli.stores.artifacts import artifact_id
from ergo_cli.stores.backends import RunStore, open_store
from ergo_cli.supervisor.journals import WaitingRuns

if TYPE_CHECKING:
    from ergo_cli.channels.egress import EgressRuntime

OnStep = Callable[[], None]


class KeepRequest(Struct, frozen=True):
    """How to keep the bundle; None takes a setting from the profile, then its default.

    ``continues``: events may belong to runs that the store has as done; otherwise they are refused. ``is_beside``: the
    bundle is written beside its destination, which stays as it is.
    """

    output: Path | None = None
    pretty: bool | None = None
    embed: bool | None = None
    continues: bool = False
    is_beside: bool = False


class RunOptions(Struct, frozen=True):
    """Options of a run: its stop handle, the path of its crash journal, the timeouts of channels.

    ``sink`` takes the records of a run that writes no bundle, ``reading`` follows how much of the events is read.
    """

    stop: StopHandle | None = None
    journal: Path | None = None
    policy: ChannelPolicy = ChannelPolicy()
    sink: BundleSink | None = None
    reading: Reading | None = None


class RunResult(Struct, frozen=True):
    """A run that ended; ``bundle`` is the path of the written bundle, ``error`` the failure of a channel.

    ``destination`` is where the bundle was to go; ``is_whole``: no channel failed, and no signal stopped the run.
    """

    summary: RunSummary
    bundle: str | None = None
    notices: tuple[Notice, ...] = ()
    interruption: Interruption | None = None
    error: ErgoError | None = None
    failures: FailureSummary = FailureSummary()
    waiting: WaitingRuns = WaitingRuns()
    destination: str | None = None
    is_whole: bool = True


def perform(
    plan: RunPlan, keep: KeepRequest | None = None, on_step: OnStep | None = None, options: RunOptions = RunOptions()
) -> RunResult:
    """Run; with ``keep`` also write a bundle and store the program. ``on_step`` is called once per event.

    Raises UsageError, EventError, EgressError, StepError, StoreError, KernelError and CaptureWriteError where nothing
    must be kept; then no file is left at the bundle's destination or beside it, and no process is left running.
    """
    control = RunControl(options.stop, plan.bounds.max_events, plan.bounds.max_duration)
    destination = None if keep is None else str(capture_path(keep.output, plan.found.profile, plan.named_after))
    check_outputs(plan, destination, options.journal)
    digest = TextDigest() if keep is not None and _has_own_code(plan) else None
    with ExitStack() as stack:
        stream = _stream(plan, control, stack, options.reading)
        store = stack.enter_context(open_run_store(plan, is_captured=keep is not None))
        outputs = stack.enter_context(_outputs(plan, keep, destination, options, digest))
        egress = stack.enter_context(open_channels(plan, options.policy))
        with _arrivals(plan, stream, control, options.policy) as arrivals:
            control.start()
            resources = RunResources(
                egress,
                outputs.on_intent,
                lasting=stream is None or plan.reads_ahead,
                vouched=bool(stream),
                store=store,
                episodes=outputs.episodes,
                continues=keep is None or keep.continues,
                accepts_plan_changes=plan.accept_plan_change,
                undispatched=plan.undispatched,
            )
            end = run_arrivals(plan.prepared, arrivals, outputs.sink, control, resources, on_step)
        end = end if egress is None else _settled(end, egress)
        is_broken, is_stopped = end.error is not None, end.interruption is not None and control.handle.stopped
        kept = outputs.keep(
            None if egress is None else egress.provenance,
            is_broken=is_broken,
            is_stopped=is_stopped,
            is_beside=keep is not None and keep.is_beside,
        )
    notices = end.notices + kept.notices + unmatched_paths(plan)
    if keep is not None:
        notices += _keep_program(plan, digest)
    return RunResult(
        end.summary,
        kept.bundle,
        notices,
        end.interruption,
        end.error,
        end.failures,
        end.waiting,
        destination,
        is_whole=not (is_broken or is_stopped),
    )


def _stream(plan: RunPlan, control: RunControl, stack: ExitStack, reading: Reading | None) -> Arrivals | None:
    """Open the events of a file or of lines in memory; None where an ingress process provides them."""
    match plan.source:
        case Driver(command=command, folder=folder):
            from ergo_cli.channels.ingress import check_command  # imported here: only runs with a process need it

            check_command(command, folder)
            return None
        case EventFile(path=path):
            opened = open_checked_stream if plan.reads_ahead else open_stream
            return stack.enter_context(opened(path, plan.prepared, control, reading))
        case EventLines() as lines if plan.reads_ahead:
            return stack.enter_context(open_checked_lines(lines, plan.prepared, control))
        case EventLines() as lines:
            return stack.enter_context(open_lines(lines, plan.prepared))
        case _:
            assert_never(plan.source)


@contextmanager
def open_run_store(plan: RunPlan, *, is_captured: bool) -> Generator[RunStore | None]:
    """Open the store of a program's runs and check that it responds; None where runs are kept in memory.

    Records of a capture carry no wall-clock time (spec 00 §13.3). Raises UsageError, StoreError.
    """
    acting = plan.prepared.program.kind.acting
    if plan.store is None or acting is None or acting.runs is None:
        yield None
        return
    clock = StandingClock() if is_captured else LiveClock()
    driver, wall_ms = live_driver("capture" if is_captured else "run"), clock.wall_ms
    with open_store(
        plan.store, user_folder(), wall_ms, acting.runs.tables, driver=driver, artifacts=plan.artifacts
    ) as store:
        store.journal.head("")
        store.artifacts.exists(artifact_id(b""))
        yield store


@contextmanager
def _outputs(
    plan: RunPlan,
    keep: KeepRequest | None,
    destination: str | None,
    options: RunOptions,
    digest: TextDigest | None,
) -> Generator[Outputs]:
    provenance = None if plan.channels is None else plan.channels.config.provenance
    with ExitStack() as stack:
        writer = None
        if keep is not None and destination is not None:
            writer = stack.enter_context(_writer(plan, keep, destination, digest))
        journal = options.journal
        program = plan.record(embed=_is_embedded(plan, keep))
        log = None if journal is None else stack.enter_context(CrashJournal(journal, plan.header, provenance, program))
        yield Outputs(writer, log, options.sink)


def _writer(plan: RunPlan, keep: KeepRequest, destination: str, digest: TextDigest | None) -> BundleWriter:
    profile = plan.found.profile
    pretty = _chosen(keep.pretty, profile is not None and profile.pretty)
    program = plan.record(embed=_is_embedded(plan, keep))
    copy = None if digest is None else digest.update
    return BundleWriter(destination, plan.header, pretty=pretty, program=program, copy=copy)


def _is_embedded(plan: RunPlan, keep: KeepRequest | None) -> bool:
    profile = plan.found.profile
    return _chosen(None if keep is None else keep.embed, profile is not None and profile.embed)


@contextmanager
def open_channels(plan: RunPlan, policy: ChannelPolicy) -> Generator[EgressRuntime | None]:
    """Start every egress channel; kill those still running on exit."""
    if plan.channels is None:
        yield None
        return
    from ergo_cli.channels.egress import EgressRuntime  # imported here: only runs with channels need it

    runtime = EgressRuntime(plan.channels.config, plan.channels.folder, policy)
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
    from ergo_cli.channels.ingress import ProcessArrivals

    driver = plan.source
    try:
        run = plan.prepared
        return ProcessArrivals.start(
            driver.command, driver.folder, policy, run.numbers, control.should_stop, run.redaction
        )
    except IngressFailure as failure:
        raise failure.error from failure


def _settled(end: RunEnd, egress: EgressRuntime) -> RunEnd:
    """Stop the channels of a run and return its end; a channel that fails to stop becomes the interruption."""
    stopped = end.interruption is not None and end.interruption.code == HOST_STOP_REQUESTED
    try:
        egress.assert_settled(host_stop=stopped)
        egress.shutdown()
    except StepError as error:
        if end.error is None:
            return replace(end, interruption=Interruption(HOST_STEP_FAILED), error=error)
        end.error.causes += (error,)
    return end


def unmatched_paths(plan: RunPlan) -> tuple[Notice, ...]:
    """A warning for each path to redact that matched nothing in what was read; a stream read whole has none."""
    redaction = plan.prepared.redaction
    unmatched = () if redaction is None else redaction.unmatched
    return tuple(Notice(f"the path '{path}' to redact matched nothing in the events read") for path in unmatched)


def _chosen(asked: bool | None, default: bool) -> bool:
    return default if asked is None else asked


def _has_own_code(plan: RunPlan) -> bool:
    has_own_code = plan.prepared.program.has_own_code
    return has_own_code is not None and has_own_code()


def _keep_program(plan: RunPlan, digest: TextDigest | None) -> tuple[Notice, ...]:
    """Keep the texts of the program; with the digest of the bundle also those of its own primitives."""
    program, adapter = plan.prepared.program, plan.prepared.adapter_provenance
    store, texts = ProgramStore.of_user(), plan.found.kept_texts
    notices: list[Notice | None] = []
    if texts:
        kept = store.keep(program.ref, program.provenance, adapter, texts, program.kind.name)
        notices.append(kept or keep_contracts(store, program) or keep_structure(store, program, adapter))
    if digest is not None:
        from ergo_cli.project.own_code import keep_own_code, own_code  # imported here: most graphs have none

        code = own_code(program, plan.found.project)
        notices.append(keep_own_code(store, digest.text(), code) if code else None)
    return tuple(notice for notice in notices if notice is not None)
