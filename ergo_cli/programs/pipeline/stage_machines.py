"""The lifecycles of stages, one table a kind (spec 60 §18, corrected by its §28).

Where a row is not that of the original: a stage that fails says so in every state (H-18), and a source bears a second
``Ready`` and a drain before it runs (H-19). A stage is not stepped once it is Drained or Failed, so that it publishes
one completion or one failure a run (H-21).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ergo_cli.programs.pipeline.state_machine import AnyState, Row, StateMachine, Step, Transition, row


class Created(Struct, frozen=True):
    """Nothing is allocated yet."""


class Initialized(Struct, frozen=True):
    """Resources are allocated, upstreams subscribed."""


class WaitingForGun(Struct, frozen=True):
    """A source that may start once it is asked to."""


class Running(Struct, frozen=True):
    """A source, transform or sink at work."""


class Accumulating(Struct, frozen=True):
    """A stateful stage takes events in."""


class Emitting(Struct, frozen=True):
    """A stateful stage writes what it has gathered."""


class Hydrating(Struct, frozen=True):
    """A join reads its reference side, until its EOF."""


class Enriching(Struct, frozen=True):
    """A join reads its stream side."""


class Live(Struct, frozen=True):
    """A join reads both sides."""


class Flushing(Struct, frozen=True):
    """A sink writes out what it holds back, asked to by itself."""


class Draining(Struct, frozen=True):
    """The last work before the end."""


class Drained(Struct, frozen=True):
    """The stage has completed."""


class Failed(Struct, frozen=True):
    """The stage has failed; ``reason`` is the first one."""

    reason: str


StageState = (
    Created
    | Initialized
    | WaitingForGun
    | Running
    | Accumulating
    | Emitting
    | Hydrating
    | Enriching
    | Live
    | Flushing
    | Draining
    | Drained
    | Failed
)


class Initialize(Struct, frozen=True):
    """The pipeline asks for resources."""


class Ready(Struct, frozen=True):
    """The pipeline lets a stage that has upstreams start, and a source wait for its start."""


class Start(Struct, frozen=True):
    """The pipeline starts a source."""


class Completed(Struct, frozen=True):
    """A source has nothing more to emit."""


class ReceivedData(Struct, frozen=True):
    """A stateful stage took an event in."""


class ShouldEmit(Struct, frozen=True):
    """A stateful stage is to write what it has gathered."""


class EmitComplete(Struct, frozen=True):
    """A stateful stage has written it."""


class ReceivedEOF(Struct, frozen=True):
    """All upstreams, or a join's reference side, have ended."""


class BeginFlush(Struct, frozen=True):
    """A sink is to write out what it holds back."""


class FlushComplete(Struct, frozen=True):
    """A sink has done so."""


class BeginDrain(Struct, frozen=True):
    """The stage is to come to its end."""


class DrainComplete(Struct, frozen=True):
    """No input is left."""


class Error(Struct, frozen=True):
    """The stage cannot go on."""

    message: str


StageEvent = (
    Initialize
    | Ready
    | Start
    | Completed
    | ReceivedData
    | ShouldEmit
    | EmitComplete
    | ReceivedEOF
    | BeginFlush
    | FlushComplete
    | BeginDrain
    | DrainComplete
    | Error
)


class AllocateResources(Struct, frozen=True):
    """Subscribe to the upstreams."""


class InitializeHandlerState(Struct, frozen=True):
    """Ask a join's handler for its first state."""


class PublishRunning(Struct, frozen=True):
    """Append ``stage running``; a finite source then appends its ``source_contract``."""


class DrainHandler(Struct, frozen=True):
    """Call a transform's ``drain()``."""


class FlushBuffers(Struct, frozen=True):
    """Call a sink's ``flush()`` and append its receipt."""


class SendEOF(Struct, frozen=True):
    """A source writes what is pending, its EOF and its own ``consumption_final``."""


class ForwardEOF(Struct, frozen=True):
    """Append the stage's own EOF, ``natural`` as upstream had it."""


class SendCompletion(Struct, frozen=True):
    """Append ``stage completed`` with the stage's metrics."""


class SendFailure(Struct, frozen=True):
    """Append ``stage failed``, or ``stage cancelled`` where the message is that of a stop (spec 60 §13.4)."""

    message: str


class Cleanup(Struct, frozen=True):
    """Release what was allocated."""


StageAction = (
    AllocateResources
    | InitializeHandlerState
    | PublishRunning
    | DrainHandler
    | FlushBuffers
    | SendEOF
    | ForwardEOF
    | SendCompletion
    | SendFailure
    | Cleanup
)

StageStep = Step[StageState, StageEvent, None, StageAction]
StageRow = Row[StageState, StageEvent, None, StageAction]
StageMachine = StateMachine[StageState, StageEvent, None, StageAction]
StageTransition = Transition[StageState, StageEvent, None, StageAction]


def move(to: StageState, *actions: StageAction) -> StageTransition:
    """The transition to a state, with its actions."""
    return lambda _state, _event, _context: Step(to, None, actions)


def stay(state: StageState, event: StageEvent, context: None) -> StageStep:
    """The transition that changes nothing."""
    return Step(state, None)


def fail(state: StageState, event: Error, context: None) -> StageStep:
    """The transition of a stage that fails."""
    return Step(Failed(event.message), None, (SendFailure(event.message), Cleanup()))


def ended(*completion: StageAction) -> StageTransition:
    """The transition to Drained: what completes the stage, then clean-up."""
    return move(Drained(), *completion, Cleanup())


# fmt: off
_ERRORS: list[StageRow] = [
    row(AnyState,      Error,      fail),
    row(Failed,        Error,      stay),
]

_SOURCE: list[StageRow] = [
    row(Created,       Initialize, move(Initialized(), AllocateResources())),
    row(Created,       BeginDrain, move(Draining())),
    row(Initialized,   Ready,      move(WaitingForGun())),
    row(Initialized,   BeginDrain, move(Draining())),
    row(WaitingForGun, Ready,      stay),
    row(WaitingForGun, Start,      move(Running(), PublishRunning())),
    row(WaitingForGun, BeginDrain, move(Draining())),
    row(Running,       Ready,      stay),
    row(Running,       BeginDrain, move(Draining())),
    row(Draining,      Ready,      stay),
    row(Draining,      BeginDrain, stay),
    row(Draining,      Completed,  ended(SendEOF(), SendCompletion())),
]

_FINITE: list[StageRow] = [
    row(Running,       Completed,  move(Draining())),
]

_TRANSFORM: list[StageRow] = [
    row(Created,       Initialize,    move(Initialized(), AllocateResources())),
    row(Initialized,   Ready,         move(Running(), PublishRunning())),
    row(Running,       Ready,         stay),
    row(Running,       ReceivedEOF,   move(Draining())),
    row(Running,       BeginDrain,    move(Draining())),
    row(Draining,      BeginDrain,    stay),
    row(Draining,      DrainComplete, ended(DrainHandler(), ForwardEOF(), SendCompletion())),
]

_STATEFUL: list[StageRow] = [
    row(Created,       Initialize,    move(Initialized(), AllocateResources())),
    row(Initialized,   Ready,         move(Accumulating(), PublishRunning())),
    row(Accumulating,  Ready,         stay),
    row(Accumulating,  ShouldEmit,    move(Emitting())),
    row(Accumulating,  ReceivedEOF,   move(Draining())),
    row(Emitting,      Ready,         stay),
    row(Emitting,      EmitComplete,  move(Accumulating())),
    row(Draining,      DrainComplete, ended(ForwardEOF(), SendCompletion())),
]

_JOIN: list[StageRow] = [
    row(Created,       Initialize,    move(Initialized(), AllocateResources())),
    row(Hydrating,     Ready,         stay),
    row(Hydrating,     ReceivedEOF,   move(Enriching())),
    row(Enriching,     Ready,         stay),
    row(Enriching,     ReceivedEOF,   move(Draining())),
    row(Enriching,     BeginDrain,    move(Draining())),
    row(Live,          Ready,         stay),
    row(Live,          ReceivedEOF,   move(Draining())),
    row(Live,          BeginDrain,    move(Draining())),
    row(Draining,      DrainComplete, ended(ForwardEOF(), SendCompletion())),
]

_FINITE_EOF: list[StageRow] = [
    row(Initialized,   Ready,         move(Hydrating(), InitializeHandlerState(), PublishRunning())),
]

_LIVE: list[StageRow] = [
    row(Initialized,   Ready,         move(Live(), InitializeHandlerState(), PublishRunning())),
]

_SINK: list[StageRow] = [
    row(Created,       Initialize,    move(Initialized(), AllocateResources())),
    row(Initialized,   Ready,         move(Running(), PublishRunning())),
    row(Running,       Ready,         stay),
    row(Running,       ReceivedEOF,   ended(FlushBuffers(), SendCompletion())),
    row(Running,       BeginFlush,    move(Flushing(), FlushBuffers())),
    row(Flushing,      Ready,         stay),
    row(Flushing,      FlushComplete, move(Draining())),
    row(Draining,      Ready,         stay),
    row(Draining,      BeginDrain,    ended(SendCompletion())),
]
# fmt: on


def _machine(*tables: Sequence[StageRow]) -> StageMachine:
    return StateMachine(line for table in (*tables, _ERRORS) for line in table)


FINITE_SOURCE = _machine(_SOURCE, _FINITE)
"""Sources that end by themselves, with plain and with async handlers."""

INFINITE_SOURCE = _machine(_SOURCE)
"""Sources that end when they are drained, with plain and with async handlers."""

TRANSFORM = _machine(_TRANSFORM)
STATEFUL = _machine(_STATEFUL)
JOIN_FINITE_EOF = _machine(_JOIN, _FINITE_EOF)
"""Joins that read their reference side to its end first."""

JOIN_LIVE = _machine(_JOIN, _LIVE)
"""Joins that read both sides at once."""

SINK = _machine(_SINK)
