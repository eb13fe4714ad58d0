"""The lifecycle of a pipeline: its states, its events and the one table of its transitions (spec 60 §9, C-39)."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from ergo_cli.programs.pipeline import actions as do
from ergo_cli.programs.pipeline.actions import Action
from ergo_cli.programs.pipeline.causes import OtherCause, ViolationCause
from ergo_cli.programs.pipeline.ids import StageId
from ergo_cli.programs.pipeline.state_machine import (
    AnyState,
    Row,
    StateMachine,
    Step,
    Transition,
    UnhandledEvent,
    name_of,
    row,
)
from ergo_cli.programs.pipeline.stop_intent import (
    STOP_TIMEOUT,
    Applied,
    Cancel,
    Graceful,
    Ignored,
    StopIntent,
    StopMode,
)


class Created(Struct, frozen=True):
    """Nothing exists yet."""


class Materializing(Struct, frozen=True):
    """Stages are being initialised."""


class Materialized(Struct, frozen=True):
    """Stages that have upstreams are asked to start; ``ready`` once all of them run."""

    ready: bool


class Running(Struct, frozen=True):
    """Sources are asked to start."""


class SourceCompleted(Struct, frozen=True):
    """Every source has ended and its readers confirm it."""


class Draining(Struct, frozen=True):
    """Waits for all stages and all contracts."""


class Drained(Struct, frozen=True):
    """Ended: a success, or a graceful stop that finished."""


class AbortRequested(Struct, frozen=True):
    """A gating contract failed; the next state is Failed."""

    reason: ViolationCause
    upstream: StageId | None


class Failed(Struct, frozen=True):
    """Ended: a failure, or a stop that did not wait."""

    reason: str
    failure_cause: ViolationCause | None


State = (
    Created | Materializing | Materialized | Running | SourceCompleted | Draining | Drained | AbortRequested | Failed
)


def is_terminal(state: State) -> bool:
    """Whether nothing follows (C-38)."""
    return isinstance(state, Drained | Failed)


class Materialize(Struct, frozen=True):
    """Bring the stages into being."""


class MaterializationComplete(Struct, frozen=True):
    """Every stage is initialised."""


class StageReadinessComplete(Struct, frozen=True):
    """Every stage that has upstreams runs."""


class Run(Struct, frozen=True):
    """Start the sources."""


class StopRequested(Struct, frozen=True):
    """Stop; ``now_ns`` is the moment of the monotonic clock from which a graceful stop counts its time."""

    mode: StopMode
    reason: str | None
    now_ns: int


class Shutdown(Struct, frozen=True):
    """All sources have ended."""


class BeginDrain(Struct, frozen=True):
    """Go over to draining."""


class Abort(Struct, frozen=True):
    """A gating contract failed."""

    reason: ViolationCause
    upstream: StageId | None


class StageCompleted(Struct, frozen=True):
    """A stage says that it has completed."""

    stage: StageId


class AllStagesCompleted(Struct, frozen=True):
    """Every stage has completed and every gating contract has passed."""


class Error(Struct, frozen=True):
    """Something failed."""

    message: str


Event = (
    Materialize
    | MaterializationComplete
    | StageReadinessComplete
    | Run
    | StopRequested
    | Shutdown
    | BeginDrain
    | Abort
    | StageCompleted
    | AllStagesCompleted
    | Error
)

Move = Step[State, Event, StopIntent, Action]
"""The next state, the stop intent and the actions."""


def move(to: State, *actions: Action) -> Transition[State, Event, StopIntent, Action]:
    """Go to a state with these actions."""
    return lambda _state, _event, stop: Step(to, stop, actions)


def stay(state: State, event: Event, stop: StopIntent) -> Move:
    """Change nothing."""
    return Step(state, stop)


def ready(state: Materialized, event: StageReadinessComplete, stop: StopIntent) -> Move:
    """Become ready, once."""
    if state.ready:
        raise UnhandledEvent(name_of(state), name_of(event))
    return Step(Materialized(ready=True), stop, (do.WritePipelineReadyForRun(),))


def run_once_ready(state: Materialized, event: Run, stop: StopIntent) -> Move:
    """Start the sources; before readiness the request is dropped (H-10)."""
    return Step(Running(), stop, (do.NotifySourceStart(),)) if state.ready else Step(state, stop)


def note_completion(state: State, event: StageCompleted, stop: StopIntent) -> Move:
    """Stay and note that a stage has completed."""
    return Step(state, stop, (do.HandleStageCompleted(event.stage),))


def abort(state: State, event: Abort, stop: StopIntent) -> Move:
    """Mark the journals of all stages and listen no more (§15.5)."""
    actions = (do.WritePipelineAbort(event.reason, event.upstream), do.AbortTeardown())
    return Step(AbortRequested(event.reason, event.upstream), stop, actions)


def fail(*actions: Action) -> Callable[[State, Error, StopIntent], Move]:
    """Fail with the message of the error and no cause."""
    return lambda _state, error, stop: Step(Failed(error.message, None), stop, actions)


def fail_or_time_out(*actions: Action) -> Callable[[State, Error, StopIntent], Move]:
    """Fail; the message ``stop_timeout`` is a stop that took too long, and a cancel from then on (C-36)."""

    def then(state: State, error: Error, stop: StopIntent) -> Move:
        if error.message != STOP_TIMEOUT:
            return fail(*actions)(state, error, stop)
        cancelled = stop.apply(Cancel(), STOP_TIMEOUT, now_ns=0).intent
        return Step(Failed(error.message, OtherCause(STOP_TIMEOUT)), cancelled, actions)

    return then


def fail_for_abort(*actions: Action) -> Callable[[AbortRequested, Error, StopIntent], Move]:
    """Fail because of the contract that failed before."""
    return lambda aborted, error, stop: Step(Failed(error.message, aborted.reason), stop, actions)


def cancel_before_start(state: State, event: StopRequested, stop: StopIntent) -> Move:
    """End at once, whatever the mode; the marker is always written."""
    intent = stop.apply(event.mode, event.reason, event.now_ns).intent
    return _cancelled(intent, do.WritePipelineStopRequested(event.mode))


def stop_by(to: State, *then: Action) -> Callable[[State, StopRequested, StopIntent], Move]:
    """End at once when cancelled; when stopped gracefully, go to a state with these actions.

    The marker is written where the mode is new (§9.4); a graceful request after a cancel changes no state.
    """

    def stopping(state: State, event: StopRequested, stop: StopIntent) -> Move:
        match stop.apply(event.mode, event.reason, event.now_ns):
            case Ignored(intent):
                return Step(state, intent)
            case Applied(intent, marker):
                marking = () if marker is None else (do.WritePipelineStopRequested(marker),)
                if isinstance(event.mode, Graceful):
                    return Step(to, intent, marking + then)
                return _cancelled(intent, *marking)

    return stopping


def _cancelled(intent: StopIntent, *marking: Action) -> Move:
    failed = Failed(intent.label, OtherCause(intent.label))
    return Step(failed, intent, (*marking, do.DrainMetrics(), do.Cleanup()))


_BY_SHUTDOWN = AbortRequested(OtherCause("shutdown_requested"), None)
_SUBSCRIBE = (do.StartCompletionSubscription(), do.StartMetricsAggregator(), do.NotifyStagesStart())
_END = (do.DrainMetrics(), do.Cleanup())

# fmt: off
TABLE: list[Row[State, Event, StopIntent, Action]] = [
    #   state            event                    transition
    row(Created,         Materialize,             move(Materializing(), do.CreateStages())),
    row(Created,         Run,                     stay),                                             # H-8
    row(Created,         Error,                   fail(do.Cleanup())),                               # H-9

    row(Materializing,   MaterializationComplete, move(Materialized(ready=False), *_SUBSCRIBE)),
    row(Materializing,   Run,                     stay),                                             # H-8
    row(Materializing,   StopRequested,           cancel_before_start),
    row(Materializing,   Error,                   fail(*_END)),

    row(Materialized,    StageReadinessComplete,  ready),
    row(Materialized,    Run,                     run_once_ready),                                   # H-10
    row(Materialized,    StopRequested,           cancel_before_start),
    row(Materialized,    Error,                   fail_or_time_out(do.Cleanup())),

    row(Running,         Run,                     stay),
    row(Running,         StageCompleted,          note_completion),
    row(Running,         Shutdown,                move(SourceCompleted())),
    row(Running,         Abort,                   abort),
    row(Running,         AllStagesCompleted,      move(Drained(), *_END)),
    row(Running,         StopRequested,           stop_by(Draining(), do.StopSources(), do.BeginDrain())),
    row(Running,         Error,                   fail(*_END)),

    row(SourceCompleted, Run,                     stay),
    row(SourceCompleted, BeginDrain,              move(Draining(), do.BeginDrain())),
    row(SourceCompleted, StopRequested,           stop_by(SourceCompleted(), do.StopSources())),
    row(SourceCompleted, Error,                   fail(*_END)),                                      # H-9

    row(Draining,        Run,                     stay),
    row(Draining,        StageCompleted,          note_completion),
    row(Draining,        AllStagesCompleted,      move(Drained(), *_END)),
    row(Draining,        Abort,                   abort),
    row(Draining,        StopRequested,           stop_by(Draining(), do.StopSources())),
    row(Draining,        Error,                   fail_or_time_out(do.Cleanup())),

    row(AbortRequested,  Run,                     stay),
    row(AbortRequested,  Shutdown,                move(_BY_SHUTDOWN, do.Cleanup())),
    row(AbortRequested,  Error,                   fail_for_abort(*_END)),

    row(AnyState,        StopRequested,           stay),
]
# fmt: on

LIFECYCLE = StateMachine(TABLE)
"""The machine of the table; its context is the stop intent. Other pairs raise UnhandledEvent (§8.1 rule 3)."""
