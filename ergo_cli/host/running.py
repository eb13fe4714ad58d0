"""Events through a program until they end, the run must stop, or something breaks (spec 30 §11–13)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from msgspec import Struct

from ergo_cli.bundle.sink import BundleSink
from ergo_cli.errors import ErgoError, EventError, StepError
from ergo_cli.events.hosted import HostedEvent
from ergo_cli.events.stream import EventStream
from ergo_cli.host.arrivals import Arrivals, End, IngressFailure, StreamArrivals
from ergo_cli.host.egress.failures import DispatchFailure
from ergo_cli.host.enrichment import OnIntent, UnrenderableEffect
from ergo_cli.host.episodes import EpisodeSink, StoreFailure
from ergo_cli.host.hosting import BatchStepper, Decided, Stepper, hosting
from ergo_cli.host.interruption import HOST_STEP_FAILED, HOST_STOP_REQUESTED, Interruption
from ergo_cli.host.preparation import PreparedRun
from ergo_cli.host.realisation import IntentDispatcher
from ergo_cli.host.runner import HostedRunner
from ergo_cli.host.stopping import RunControl
from ergo_cli.stores.locating import RunStore
from ergo_cli.supervisor.log import DecidedEffects, Decision
from ergo_cli.supervisor.seam import Outcome

_COMPLETED = Outcome.COMPLETED  # looking up a member of an enumeration is felt once an event


class RunSummary(Struct, frozen=True):
    """What a run came to; ``failed`` counts invoked episodes that did not complete.

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
    """How a run ended: as its events did, or with an ``interruption``, behind which an ``error`` may stand.

    Whatever was committed counts and is to be kept, and so is the event whose intents a channel did not take over.
    """

    summary: RunSummary
    interruption: Interruption | None = None
    error: ErgoError | None = None


class World(Struct, frozen=True):
    """What of the world a run touches.

    ``lasting``: what was committed cannot be asked for or taken back, so that it is kept when a later step fails.
    ``vouched``: the source sees to it that event ids are unique. ``store`` keeps the runs of a stateful program, None
    being memory, and ``episodes`` what its episodes recorded.
    """

    dispatcher: IntentDispatcher | None = None
    on_intent: OnIntent | None = None
    lasting: bool = False
    vouched: bool = True
    store: RunStore | None = None
    episodes: EpisodeSink | None = None


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
    world: World = World(),
    on_step: Callable[[], None] | None = None,
) -> RunEnd:
    """Step every event that arrives, recording into ``sink``, until there are no more or ``control`` says stop.

    Raises EventError, StepError or CaptureWriteError where nothing is to be kept: what was recorded must then be
    dropped. ``driver.output_incomplete`` is a stop before the first committed step.
    """
    engaged = hosting(run.program, run.run_id).engage(run, sink, world)
    tally = _Tally(run.program.graph_id, arrivals)
    if engaged.lane is not None and isinstance(arrivals, StreamArrivals) and not control.is_timed:
        drive = partial(_drive_together, engaged.lane, arrivals, control, tally, on_step)
    else:
        drive = partial(_drive, engaged.runner, arrivals, control, tally, on_step)
    end = _end(drive, arrivals, world, tally)
    engaged.close(end.interruption is not None)
    return end


def _end(drive: Callable[[], End], arrivals: Arrivals, world: World, tally: _Tally) -> RunEnd:
    """How a run ended; what ends it without anything to keep is raised."""
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
        if not (world.lasting and tally.committed):
            _placed(error, arrivals)
            raise
        return RunEnd(tally.summary(), Interruption(HOST_STEP_FAILED), _placed(error, arrivals))
    if ended is End.FINISHED:
        return RunEnd(tally.summary())
    if not tally.committed:
        raise stopped_too_soon()
    return RunEnd(tally.summary(), Interruption(HOST_STOP_REQUESTED))


def hosted_runner(run: PreparedRun, sink: BundleSink, world: World) -> HostedRunner:
    """A runner at its beginning, for a caller who looks at every step; ``sink`` is none of a file."""
    runner = hosting(run.program, run.run_id).engage(run, sink, world).runner
    assert isinstance(runner, HostedRunner), "only a bundle's writer takes its steps another way"
    return runner


def _drive(
    runner: Stepper,
    arrivals: Arrivals,
    control: RunControl,
    tally: _Tally,
    on_step: Callable[[], None] | None,
) -> End:
    """The loop of every run: one event is stepped, with all that follows from it, before the next is asked for."""

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
    lane: BatchStepper,
    arrivals: StreamArrivals,
    control: RunControl,
    tally: _Tally,
    on_step: Callable[[], None] | None,
) -> End:
    """The same loop, but as many events at a time are asked for as were read together."""
    while not control.should_stop(tally.committed):
        events = arrivals.together()
        if isinstance(events, End):
            return events
        taken: list[DecidedEffects] = []
        try:
            lane.steps(events[: control.left(tally.committed)], taken, on_step, control.handle)
        finally:
            arrivals.reached(len(taken))
            tally.commit([entry for entry, _ in taken])
    return End.STOPPED


def stopped_too_soon() -> EventError:
    """The error of a run that was stopped before its first committed step."""
    message = "the run was stopped before its first event was committed: there is nothing to keep"
    fix = "let it run longer, or raise --max-events or --max-duration"
    return EventError("driver.output_incomplete", message, where="canonical host ingress", fix=fix)


class _Tally:
    """Counts what is kept of a run."""

    def __init__(self, graph_id: str, arrivals: Arrivals) -> None:
        self.committed = 0
        self._graph_id = graph_id
        self._arrivals = arrivals
        self._interrupted = 0
        self._deferred = 0
        self._skipped = 0
        self._failed = 0

    def commit(self, steps: Sequence[Decided]) -> None:
        """Steps are done."""
        self.committed += len(steps)
        for step in [step for step in steps if step.termination is not _COMPLETED]:
            if step.decision is Decision.INVOKE:
                self._failed += 1
            elif step.decision is Decision.DEFER:
                self._deferred += 1
            else:
                self._skipped += 1

    def interrupted(self) -> None:
        """A step was broken off by a channel: its event was invoked and is kept."""
        self._interrupted = 1

    def summary(self) -> RunSummary:
        """The counts so far; episodes count once an event of theirs does."""
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
    """How many of the first ``events`` events each episode has; those that began after them are left out."""
    begun = [(label, first) for label, first in opened if first < events]
    ends = [first for _, first in begun[1:]] + [events]
    return tuple((label, end - first) for (label, first), end in zip(begun, ends, strict=True))


def _placed(error: ErgoError, arrivals: Arrivals) -> ErgoError:
    """A step's error, its event's place in front; a stream tells its own."""
    if not isinstance(error, EventError):
        error.where = f"{arrivals.place} {error.where}" if error.where else arrivals.place
    return error
