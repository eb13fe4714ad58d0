"""States, their metadata, and plans of them: validation and order (spec 50 §7)."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct

from ergo_cli.core.wire import Variant
from ergo_cli.programs.plan.errors import RunError, invalid_plan, json_form
from ergo_cli.programs.plan.ids import StateId
from ergo_cli.programs.plan.manifest import Delay

if TYPE_CHECKING:
    from ergo_cli.programs.plan.context import Context
    from ergo_cli.programs.plan.facts import FactIo
    from ergo_cli.programs.plan.recorder import Recorder


class DependsOnStrategy(Enum):
    """A hint for authors; the engine ignores it."""

    LATEST = "Latest"
    EARLIEST = "Earliest"
    LATEST_SUCCESSFUL = "LatestSuccessful"


class SideEffects(Enum):
    """What a state does to the world. A pipeline's planner asks for an idempotency key where it changes something."""

    PURE = "Pure"
    READ_ONLY_IO = "ReadOnlyIo"
    APPLY_SIDE_EFFECT = "ApplySideEffect"


class StateMeta(Struct, frozen=True, kw_only=True):
    """What a state says about itself. ``tags`` are matched with ``skip_tags``; ``depends_on`` is a hint for authors."""

    tags: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    depends_on_strategy: DependsOnStrategy = DependsOnStrategy.LATEST
    side_effects: SideEffects = SideEffects.PURE
    idempotency: str | None = None
    """The idempotency key; None where the state has none."""
    timeout: Delay | None = None
    """How long a live handler may take; past it it is abandoned, and its attempt fails. No part of a manifest."""


class SnapshotPolicy(Enum):
    """When a state wants its context kept; the engine keeps it on success and never on failure."""

    NEVER = "Never"
    ON_SUCCESS = "OnSuccess"
    ALWAYS = "Always"


class StateOutcome(Struct, frozen=True):
    """What a handler may return; None is the same as ``StateOutcome()``."""

    snapshot: SnapshotPolicy = SnapshotPolicy.ON_SUCCESS


HandlerResult = StateOutcome | Awaitable[StateOutcome | None] | None

Handler = Callable[["Context", "FactIo", "Recorder"], HandlerResult]
"""``handle(ctx, io, rec)``, plain or ``async``: reads and writes the context, calls the world, emits domain events."""


class State(Struct, frozen=True):
    """One state of a plan: its id ``<machine>.<step>.<state>``, its handler and what it says about itself."""

    id: str
    handle: Handler
    meta: StateMeta = StateMeta()


Edge = tuple[str, str]
"""``(before, after)``: the first state completes before the second begins."""


class ExecutionPlan(Struct, frozen=True):
    """States and edges. The order in which they are listed decides the order of states that do not depend on others."""

    op_id: str
    states: tuple[State, ...]
    edges: tuple[Edge, ...] = ()


class EmptyPlan(Variant, frozen=True):
    """A plan has no states."""


class DuplicateStateId(Variant, frozen=True):
    """Two states have one id."""

    state_id: StateId


class MissingStateForEdge(Variant, frozen=True):
    """An edge names a state that the plan does not have."""

    missing: StateId


class CircularDependency(Variant, frozen=True):
    """States wait for each other, or for such states; in plan order."""

    cycle: tuple[StateId, ...]


PlanFault = EmptyPlan | DuplicateStateId | MissingStateForEdge | CircularDependency


def ordered(states: Sequence[str], edges: Sequence[Edge]) -> tuple[str, ...] | PlanFault:
    """The order of execution: first in, first out, seeded and released in the order of the lists (spec 50 §7.4)."""
    if not states:
        return EmptyPlan()
    if len(set(states)) < len(states):
        return DuplicateStateId(_first_repeated(states))
    successors: dict[str, list[str]] = {state: [] for state in states}
    waiting = dict.fromkeys(states, 0)
    for before, after in edges:
        for end in (before, after):
            if end not in waiting:
                return MissingStateForEdge(end)
        successors[before].append(after)
        waiting[after] += 1
    ready = deque(state for state in states if not waiting[state])
    order: list[str] = []
    while ready:
        state = ready.popleft()
        order.append(state)
        for after in successors[state]:
            waiting[after] -= 1
            if not waiting[after]:
                ready.append(after)
    if len(order) < len(states):
        return CircularDependency(tuple(state for state in states if waiting[state]))
    return tuple(order)


def order_of(plan: ExecutionPlan, where: str | None = None) -> tuple[str, ...]:
    """The order of a plan's states. Raises RunError ``plan.invalid_plan`` at ``where``, the fault in ``details``."""
    result = ordered([state.id for state in plan.states], plan.edges)
    if isinstance(result, tuple):
        return result
    raise _invalid(plan.op_id, result, where)


def _first_repeated(states: Sequence[str]) -> str:
    seen: set[str] = set()
    for state in states:
        if state in seen:
            return state
        seen.add(state)
    raise AssertionError("no state is repeated")


def _invalid(op_id: str, fault: PlanFault, where: str | None) -> RunError:
    match fault:
        case EmptyPlan():
            message = "it has no states"
        case DuplicateStateId(state_id):
            message = f"two states have the id '{state_id}'"
        case MissingStateForEdge(missing):
            message = f"an edge names the state '{missing}', which it does not have"
        case CircularDependency(cycle):
            message = f"these states wait for each other: {', '.join(cycle)}"
    message = f"the plan of '{op_id}' is invalid: {message}"
    return invalid_plan("invalid_plan", message, where=where, details=json_form(fault))
