"""What of a plan changed since it began a run: named state by state (spec 50 §14, §23 B-4)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, cast

import msgspec
from msgspec import Struct

from ergo_cli.core.json import decode, free_text
from ergo_cli.core.wire import encode
from ergo_cli.programs.plan.errors import RunError
from ergo_cli.programs.plan.history import History
from ergo_cli.programs.plan.ids import RunId
from ergo_cli.programs.plan.manifest import RunManifest
from ergo_cli.programs.plan.states import ExecutionPlan, StateMeta


class StateShape(Struct, frozen=True):
    """What decides when a state runs, and what it says about itself; ``after`` are the states that edges put before it.

    ``meta`` is None where only a stream tells of the state.
    """

    id: str
    after: tuple[str, ...] = ()
    meta: StateMeta | None = None


class PlanShape(Struct, frozen=True):
    """A plan without its handlers: its states in order of execution."""

    states: tuple[StateShape, ...]

    @classmethod
    def of(cls, plan: ExecutionPlan, order: Sequence[str]) -> PlanShape:
        """The shape of a plan whose states run in this order."""
        before: dict[str, set[str]] = {state: set() for state in order}
        for one, other in plan.edges:
            before[other].add(one)
        metas = {state.id: state.meta for state in plan.states}
        return cls(tuple(StateShape(state, tuple(sorted(before[state])), metas[state]) for state in order))

    @classmethod
    def known(cls, history: History) -> PlanShape:
        """The beginning of the plan that a stream tells of: the states that were entered, in order."""
        return cls(tuple(map(StateShape, history.attempts)))

    def until(self, states: Sequence[str]) -> PlanShape:
        """The beginning of this plan up to the last of these states."""
        known = set(states)
        last = max((number for number, each in enumerate(self.states, 1) if each.id in known), default=0)
        return PlanShape(self.states[:last])


class PlanRefused(BaseException):
    """A run does not go on with today's plan. No Exception: the handler of a parent run must not catch it."""

    def __init__(self, error: RunError) -> None:
        super().__init__(error.message)
        self.error = error


class PlanKeeper(Protocol):
    """Knows which plan each run of a store was begun with."""

    def keep(self, run_id: RunId, plan: ExecutionPlan, order: Sequence[str]) -> None:
        """Keep the plan of a run that is about to begin or to go on. Raises StorageError."""
        ...

    def check(
        self, run_id: RunId, manifest: RunManifest, plan: ExecutionPlan, order: Sequence[str], history: History
    ) -> None:
        """Compare today's plan with the one that the run was driven by last. Raises PlanRefused, StorageError."""
        ...


def state_changes(recorded: PlanShape | None, today: PlanShape, history: History) -> list[str]:
    """One line for each state that differs, in today's order, then those that are gone.

    Without a record of the plan that began the run, the states that its stream names are compared.
    """
    if recorded is None:
        recorded = PlanShape.known(history)
        today = today.until([state.id for state in recorded.states])
    return list(_changes(recorded, today, history))


def manifest_changes(recorded: RunManifest, today: RunManifest) -> list[str]:
    """One line for each part of the manifest that differs; the run keeps what it began with."""
    one, other = _leaves(decode(encode(recorded))), _leaves(decode(encode(today)))
    names = [name for name in one | other if one.get(name) != other.get(name)]
    return [f"manifest: {name} {_text(one, name)} -> {_text(other, name)}, the run keeps the first" for name in names]


def _changes(recorded: PlanShape, today: PlanShape, history: History) -> Iterator[str]:
    before = {state.id: state for state in recorded.states}
    after = {state.id: state for state in today.states}
    common = [state.id for state in today.states if state.id in before]
    moved = _moved(common, {state.id: place for place, state in enumerate(recorded.states)})
    previous = "first"
    for state in today.states:
        standing = _standing(state.id, history)
        if state.id not in before:
            yield f"{state.id}: added, {previous} ({standing})"
        else:
            parts = [f"moved, now {previous}"] if state.id in moved else []
            parts += _inner_changes(before[state.id], state)
            if parts:
                yield f"{state.id}: {'; '.join(parts)} ({standing})"
        previous = f"after {state.id}"
    for state in recorded.states:
        if state.id not in after:
            entered = ", and no run goes on without a state that it entered" if state.id in history.attempts else ""
            yield f"{state.id}: removed ({_standing(state.id, history)}{entered})"


def _inner_changes(before: StateShape, after: StateShape) -> Iterator[str]:
    if before.meta is None or after.meta is None:
        return
    if before.after != after.after:
        yield f"after {_listed(before.after)} -> {_listed(after.after)}"
    for name in StateMeta.__struct_fields__:
        values = [_shown(getattr(shape.meta, name)) for shape in (before, after)]
        if values[0] != values[1]:
            yield f"{name} {values[0]} -> {values[1]}"


def _moved(states: Sequence[str], places: Mapping[str, int]) -> set[str]:
    """The fewest of ``states`` that must move so that all are in the order of ``places``: not in the longest run up."""
    lowest: list[int] = []
    lengths: list[int] = []
    for state in states:
        length = bisect_left(lowest, places[state])
        lowest[length : length + 1] = [places[state]]
        lengths.append(length)
    wanted, kept = len(lowest) - 1, set[str]()
    for state, length in zip(reversed(states), reversed(lengths), strict=True):
        if length == wanted:
            kept.add(state)
            wanted -= 1
    return set(states) - kept


def _standing(state: str, history: History) -> str:
    if state in history.snapshots:
        return "completed"
    if history.orphan is not None and history.orphan.state_id == state:
        return "cut off"
    return "failed" if state in history.failures else "not yet run"


def _leaves(tree: object) -> dict[str, object]:
    match tree:
        case dict():
            members = cast("dict[str, object]", tree)
            return {
                f"{name}.{path}".rstrip("."): leaf
                for name, member in members.items()
                for path, leaf in _leaves(member).items()
            }
        case _:
            return {"": tree}


def _text(leaves: Mapping[str, object], name: str) -> str:
    return free_text(leaves[name]).decode() if name in leaves else "(none)"


def _listed(states: Sequence[str]) -> str:
    return ", ".join(states) or "(none)"


def _shown(value: object) -> str:
    return msgspec.json.encode(value).decode()
