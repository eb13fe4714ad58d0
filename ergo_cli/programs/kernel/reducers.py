"""Reducers: how a state follows from the events (spec 40 §4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from ergo_cli.programs.kernel.errors import Category, KernelError, at, spelled
from ergo_cli.programs.kernel.events import SequencedEvent, StateUpdated
from ergo_cli.programs.kernel.state import StateCodec

S = TypeVar("S")

Reducer = Callable[[S, SequencedEvent], S]
"""``reduce(state, event)``: the state after an event. Pure; sees every event of a run, in order, once per fold."""


class StateUpdatedOnly:
    """Takes the payload of each StateUpdated as the whole new state, of the declared type if there is one."""

    def __init__(self, kind: Any = None) -> None:
        self._codec: StateCodec[Any] = StateCodec(kind)

    def __call__(self, state: Any, event: SequencedEvent) -> Any:
        """The new state. Raises KernelError of category EventStore for a payload of another type."""
        if not isinstance(event.event, StateUpdated):
            return state
        try:
            return self._codec.of_value(event.event.payload)
        except ValueError as error:
            raise KernelError(Category.EVENT_STORE, str(error)) from error


state_updated_only = StateUpdatedOnly()
"""The default reducer of a program; its states are of the type that the program declares."""


def fold_one(reducer: Reducer[S], state: S, event: SequencedEvent, run_id: str) -> S:
    """The state after one event.

    Raises KernelError: the reducer's own as it is, any other exception of it as category Reducer.
    """
    try:
        return reducer(state, event)
    except KernelError as error:
        error.where = error.where or at(run_id, event.seq)
        raise
    except Exception as error:
        raise KernelError(Category.REDUCER, spelled(error), where=at(run_id, event.seq)) from error


def fold(reducer: Reducer[S], state: S, events: Iterable[SequencedEvent], run_id: str) -> S:
    """The state after all of these events. Raises KernelError as ``fold_one`` does."""
    for event in events:
        state = fold_one(reducer, state, event, run_id)
    return state
