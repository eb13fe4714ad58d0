"""Requests from outside: when a supervisor looks at them, and how a request to run is answered (spec 60 §11, §12.3)."""

from __future__ import annotations

from enum import Enum

from ergo_cli.programs.pipeline import stage_machines as stages
from ergo_cli.programs.pipeline.lifecycle import (
    Created,
    Drained,
    Error,
    Failed,
    Materialized,
    Materializing,
    State,
)

CHANNEL_CAPACITY = 100
"""How many requests wait before a sender does."""

CHANNEL_CLOSED = "External control channel closed"
"""The error of a supervisor that can receive no request any more."""


class ExternalMode(Enum):
    """How a supervisor looks at its requests in a state."""

    BLOCK = "block"
    """It waits for one; dispatch is not called before."""

    IGNORE = "ignore"
    """It leaves them queued, in order."""

    POLL = "poll"
    """It takes one if there is one, and dispatches otherwise."""


def external_mode(state: State) -> ExternalMode:
    """How the pipeline's supervisor looks at its requests."""
    match state:
        case Created():
            return ExternalMode.BLOCK
        case Materializing() | Drained() | Failed():
            return ExternalMode.IGNORE
        case _:
            return ExternalMode.POLL


def when_closed(state: State) -> Error | None:
    """What the supervisor makes of a closed and empty channel: a failure in every state that is not terminal (C-43)."""
    return None if isinstance(state, Drained | Failed) else Error(CHANNEL_CLOSED)


def stage_external_mode(state: stages.StageState, *, is_source: bool) -> ExternalMode:
    """How a stage looks at its requests: sources wait until they are started, others until they are created."""
    waiting = (stages.Created, stages.Initialized, stages.WaitingForGun) if is_source else (stages.Created,)
    return ExternalMode.BLOCK if isinstance(state, waiting) else ExternalMode.POLL


def stage_when_closed(state: stages.StageState) -> stages.Error | None:
    """What a stage makes of a closed and empty channel: a failure, but where it has failed before."""
    return None if isinstance(state, stages.Failed) else stages.Error(CHANNEL_CLOSED)


class RunOutcome(Enum):
    """The answer to a request to run."""

    STARTED = "started"
    NOT_READY = "not_ready"
    ALREADY_RUNNING = "already_running"
    FINISHED = "finished"


def run_outcome(state: State) -> RunOutcome:
    """What a request to run comes to in a state; before readiness it is dropped (H-10)."""
    match state:
        case Materialized(ready=True):
            return RunOutcome.STARTED
        case Created() | Materializing() | Materialized():
            return RunOutcome.NOT_READY
        case Drained() | Failed():
            return RunOutcome.FINISHED
        case _:
            return RunOutcome.ALREADY_RUNNING
