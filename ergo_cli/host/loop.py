"""Step events through a program until they end, the run must stop, or a step fails (spec 30 §11–13)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.bundle.schema import BundleSink, StepSink
from ergo_cli.channels.interruption import (
    HOST_STEP_FAILED,
    HOST_STOP_REQUESTED,
    DispatchFailure,
    End,
    IngressFailure,
    Interruption,
)
from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.digest_set import DigestSet
from ergo_cli.errors import ErgoError, EventError, StepError
from ergo_cli.events.external import HostedEvent
from ergo_cli.events.stream import EventStream
from ergo_cli.host.crash_journal import EpisodeSink
from ergo_cli.host.effects import ApplyEffects, EffectSink, IgnoreEffects, IntentDispatcher, OnIntent
from ergo_cli.host.event_input import Arrivals, StreamArrivals, stopped_too_soon
from ergo_cli.host.failures import Failures, FailureSummary
from ergo_cli.host.outputs import JournalSink, StoreFailure
from ergo_cli.host.run_plan import PreparedRun
from ergo_cli.host.sent_intents import SendIntents
from ergo_cli.host.step import BatchRunner, HostedRunner
from ergo_cli.host.timing import LiveClock, RunControl, call_within
from ergo_cli.programs.seat import Seat
from ergo_cli.stores.backends import RunStore
from ergo_cli.supervisor.journals import WaitingRuns, Waits, Warns
from ergo_cli.supervisor.seam import DecidedEffects, Decision, Outcome, RunTermination
from ergo_cli.supervisor.supervisor import UnrenderableEffect

_COMPLETED = Outcome.COMPLETED  # bound locally: enum lookup is measurable here


class Decided(Protocol):
    """The part of a step's result that every run counts."""

    @property
    def decision(self) -> Decision:
        """The supervisor's decision for the event."""
        ...

    @property
    def termination(self) -> RunTermination | None:
        """How the episode ended, if one was run."""
        ...


class Stepper(Protocol):
    """Steps the events of a run one after the other."""

    def step(self, event: HostedEvent) -> Decided:
        """Run one event. Raises StepError, DispatchFailure among them, and CaptureWriteError."""
        ...


class RunSummary(Struct, frozen=True):
    """The counts of a run; ``failed`` counts invoked episodes that did not complete.

    ``episode_event_counts`` are the labels of the episodes begun, in order, each with the number of its events.
    """

    graph_id: str
    events: int
    episodes: int
    invoked: int
    deferred: int
    skipped: int
    failed: int
    episode_event_counts: tuple[tuple[str, int], ...]


class RunEnd(Struct, frozen=True):
    """How a run ended: with its events, or with an ``interruption``, which an ``error`` may have caused.

    ``failures`` says why episodes failed, ``waiting`` which runs of a stateful program wait,
    ``notices`` warn of what the program met.
    Everything committed counts and must be kept, and so must the event whose intents a channel did not accept.
    """

    summary: RunSummary
    interruption: Interruption | None = None
    error: ErgoError | None = None
    failures: FailureSummary = FailureSummary()
    waiting: WaitingRuns = WaitingRuns()
    notices: tuple[Notice, ...] = ()


class RunResources(Struct, frozen=True):
    """The outside resources of a run.

    ``lasting``: committed steps can be neither repeated nor undone, so they are kept when a later step fails.
    ``vouched``: the source guarantees unique event ids. ``store`` keeps the runs of a stateful program (None: memory),
    ``episodes`` takes its journal entries, ``undispatched`` are kinds of intents that are recorded and go nowhere.
    ``continues`` and ``accepts_plan_changes`` are those of the ``Seat``.
    """

    dispatcher: IntentDispatcher | None = None
    on_intent: OnIntent | None = None
    lasting: bool = False
    vouched: bool = True
    store: RunStore | None = None
    episodes: EpisodeSink | None = None
    continues: bool = True
    accepts_plan_changes: bool = False
    undispatched: frozenset[str] = frozenset()


class StartedRun(Struct, frozen=True):
    """A program before its first event. ``batch`` is set where many events may be stepped together.

    ``journals`` is set for a stateful program, which is closed after the last event, ``waits`` if its runs can wait,
    ``warns`` are the parts that may have warnings.
    """

    runner: Stepper
    batch: BatchRunner | None = None
    journals: JournalSink | None = None
    waits: Waits | None = None
    warns: tuple[Warns, ...] = ()

    def close(self, interrupted: bool) -> None:
        """Close the program, once; ``interrupted``: the run ended before its events did. Raises StoreFailure."""
        if self.journals is not None:
            self.journals.close(interrupted)


def start_run(
    run: PreparedRun, sink: BundleSink, resources: RunResources, failures: Failures | None = None
) -> StartedRun:
    """Prepare a program for its first event, recording into ``sink``; ``failures`` gathers the failed episodes."""
    kind, value = run.program.kind, run.program.value
    if kind.acting is not None:
        acting = kind.acting
        seat = Seat(
            LiveClock(),
            call_within,
            run.run_id,
            resources.store,
            os.urandom,
            resources.continues,
            run.program.provenance,
            resources.accepts_plan_changes,
            environment=run.environment,
        )
        invoker = acting.invoker(value, seat)
        journals = JournalSink(invoker, sink, resources.episodes, failures)
        effects = _acting_effects(resources)
        runner = HostedRunner(
            run.program.graph_id,
            run.constraints,
            invoker,
            run.adapter,
            effects,
            journals,
            numbers=run.numbers,
            seen=None if resources.vouched else DigestSet(),
            on_intent=resources.on_intent,
            admit=partial(acting.admit, value),
            failures=failures,
        )
        waits = invoker if isinstance(invoker, Waits) else None
        warns = tuple(part for part in (invoker, effects) if isinstance(part, Warns))
        return StartedRun(runner, None, journals, waits, warns)
    assert kind.computing is not None, "a kind computes or acts"
    invoker = kind.computing.invoker(value)
    effects = ApplyEffects(run.adapter, resources.undispatched, resources.dispatcher)
    if isinstance(sink, StepSink) and _is_quiet(resources):
        batch = BatchRunner(run, invoker, effects, sink, failures)
        # A batch that fails half-way is dropped whole: if committed steps must last, each is a batch of one.
        return StartedRun(batch, None if resources.lasting else batch)
    return StartedRun(
        HostedRunner(
            run.program.graph_id,
            run.constraints,
            invoker,
            run.adapter,
            effects,
            sink,
            numbers=run.numbers,
            seen=None if resources.vouched else DigestSet(),
            on_intent=resources.on_intent,
            failures=failures,
        )
    )


def _acting_effects(resources: RunResources) -> EffectSink:
    """The sink of effects of a program that acts: intents are sent where they are routed, nothing is applied."""
    if resources.dispatcher is None:
        return IgnoreEffects()
    return SendIntents(resources.dispatcher, None if resources.store is None else resources.store.journal)


def _is_quiet(resources: RunResources) -> bool:
    """Whether steps may be batched: no channel and no observer needs a step before the next one begins."""
    return resources.vouched and resources.dispatcher is None and resources.on_intent is None


def run_stream(
    run: PreparedRun, stream: EventStream, sink: BundleSink, on_step: Callable[[], None] | None = None
) -> RunSummary:
    """Step every event of ``stream``, recording into ``sink``; ``on_step`` is called after each.

    Raises EventError or StepError at the first fault in stream order; the caller must then drop what was recorded.
    """
    return run_arrivals(run, StreamArrivals(stream), sink, RunControl(), on_step=on_step).summary


def run_arrivals(
    run: PreparedRun,
    arrivals: Arrivals,
    sink: BundleSink,
    control: RunControl,
    resources: RunResources = RunResources(),
    on_step: Callable[[], None] | None = None,
) -> RunEnd:
    """Step every event that arrives, recording into ``sink``, until there are no more or ``control`` stops the run.

    Raises EventError, StepError or CaptureWriteError where nothing must be kept: the caller then drops what was
    recorded. ``driver.output_incomplete`` is a stop before the first committed step.
    """
    failures = Failures()
    started = start_run(run, sink, resources, failures)
    tally = _Tally(run.program.graph_id, arrivals)
    if started.batch is not None and isinstance(arrivals, StreamArrivals) and not control.is_timed:
        drive = partial(_drive_together, started.batch, arrivals, control, tally, on_step)
    else:
        drive = partial(_drive, started.runner, arrivals, control, tally, on_step)
    try:
        end = _end(drive, arrivals, resources, tally)
    except BaseException:
        with suppress(StoreFailure):  # the error that ended the run takes precedence
            started.close(True)
        raise
    waiting = WaitingRuns() if started.waits is None else started.waits.waiting()
    notices = tuple(notice for part in started.warns for notice in part.notices())
    end = replace(end, waiting=waiting, notices=notices)
    try:
        started.close(end.interruption is not None)
    except StoreFailure as failure:
        end = replace(end, interruption=Interruption(HOST_STEP_FAILED), error=end.error or failure)
    return replace(end, failures=failures.summary())


def _end(drive: Callable[[], End], arrivals: Arrivals, resources: RunResources, tally: _Tally) -> RunEnd:
    """Drive a run and return how it ended; raises the error of a run of which nothing must be kept."""
    try:
        ended = drive()
    except DispatchFailure as failure:
        tally.interrupted()
        return RunEnd(tally.summary(), failure.interruption, _placed(failure, arrivals))
    except IngressFailure as failure:
        if not tally.committed:
            raise failure.error from failure
        return RunEnd(tally.summary(), failure.interruption, failure.error)
    except StoreFailure as failure:
        if not tally.committed:
            raise _placed(failure.error, arrivals) from failure
        return RunEnd(tally.summary(), Interruption(HOST_STEP_FAILED), _placed(failure, arrivals))
    except (StepError, EventError, UnrenderableEffect) as error:
        if not (resources.lasting and tally.committed):
            _placed(error, arrivals)
            raise
        return RunEnd(tally.summary(), Interruption(HOST_STEP_FAILED), _placed(error, arrivals))
    if ended is End.FINISHED:
        return RunEnd(tally.summary())
    if not tally.committed:
        raise stopped_too_soon()
    return RunEnd(tally.summary(), Interruption(HOST_STOP_REQUESTED))


def _drive(
    runner: Stepper,
    arrivals: Arrivals,
    control: RunControl,
    tally: _Tally,
    on_step: Callable[[], None] | None,
) -> End:
    """Step one event at a time; all its effects are realised before the next event is requested."""

    def should_stop() -> bool:
        return control.should_stop(tally.committed)

    while not control.should_stop(tally.committed):
        event = arrivals.next(should_stop)
        if not isinstance(event, HostedEvent):
            return event
        tally.commit((runner.step(event),))
        if on_step is not None:
            on_step()
    return End.STOPPED


def _drive_together(
    batch: BatchRunner,
    arrivals: StreamArrivals,
    control: RunControl,
    tally: _Tally,
    on_step: Callable[[], None] | None,
) -> End:
    """Step batches: all events that were read together."""
    while not control.should_stop(tally.committed):
        events = arrivals.together()
        if isinstance(events, End):
            return events
        taken: list[DecidedEffects] = []
        try:
            batch.steps(events[: control.left(tally.committed)], taken, on_step, control.handle)
        finally:
            arrivals.reached(len(taken))
            tally.commit([entry for entry, _ in taken])
    return End.STOPPED


class _Tally:
    """Counts the kept steps of a run."""

    def __init__(self, graph_id: str, arrivals: Arrivals) -> None:
        self.committed = 0
        self._graph_id = graph_id
        self._arrivals = arrivals
        self._interrupted = 0
        self._deferred = 0
        self._skipped = 0
        self._failed = 0

    def commit(self, steps: Sequence[Decided]) -> None:
        """Count committed steps."""
        self.committed += len(steps)
        for step in [step for step in steps if step.termination is not _COMPLETED]:
            if step.decision is Decision.INVOKE:
                self._failed += 1
            elif step.decision is Decision.DEFER:
                self._deferred += 1
            else:
                self._skipped += 1

    def interrupted(self) -> None:
        """Count a step that a channel broke off: its event was invoked and is kept."""
        self._interrupted = 1

    def summary(self) -> RunSummary:
        """The counts so far; an episode counts once one of its events does."""
        events = self.committed + self._interrupted
        episodes = _event_counts(self._arrivals.opened, events)
        return RunSummary(
            self._graph_id,
            events,
            len(episodes),
            events - self._deferred - self._skipped,
            self._deferred,
            self._skipped,
            self._failed,
            episodes,
        )


def _event_counts(opened: Sequence[tuple[str, int]], events: int) -> tuple[tuple[str, int], ...]:
    """The number of the first ``events`` events in each episode; episodes that begin later are left out."""
    begun = [(label, first) for label, first in opened if first < events]
    ends = [first for _, first in begun[1:]] + [events]
    return tuple((label, end - first) for (label, first), end in zip(begun, ends, strict=True))


def _placed(error: ErgoError, arrivals: Arrivals) -> ErgoError:
    """Prefix a step's error with its event's place; errors of a stream have one already."""
    if not isinstance(error, EventError):
        error.where = f"{arrivals.place} {error.where}" if error.where else arrivals.place
    return error
