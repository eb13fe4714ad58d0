"""The state-machine engine of every supervisor: a table of transitions, hooks and timeouts (spec 60 §8).

A machine holds no state. ``step`` takes state, event and context and returns the next ones with the actions to run;
running them is the caller's part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar, cast

from msgspec import Struct
from msgspec.structs import replace

S = TypeVar("S")
E = TypeVar("E")
C = TypeVar("C")
A = TypeVar("A")
OneState = TypeVar("OneState")
OneEvent = TypeVar("OneEvent")


class Timeout(Struct, Generic[E], frozen=True):
    """The event that is due ``after_ns`` after a state was entered."""

    after_ns: int
    event: E


class Step(Struct, Generic[S, E, C, A], frozen=True):
    """What a transition leads to: the next state and context, and the actions to run in order.

    ``timeout`` is what the caller arms now; None clears the one before.
    """

    state: S
    context: C
    actions: tuple[A, ...] = ()
    timeout: Timeout[E] | None = None


Transition = Callable[[S, E, C], Step[S, E, C, A]]
"""``(state, event, context)`` → the step; performs no I/O."""

Hook = Callable[[S, C], tuple[C, tuple[A, ...]]]
"""``(state, context)`` → the context and the actions of leaving or entering the state."""

Row = tuple[type, type, Transition[S, E, C, A]]
"""One line of a table: class of the state, class of the event, transition."""


class AnyState(Struct, frozen=True):
    """In a row: every state that has no row of its own for the event."""


class UnhandledEvent(Exception):
    """No row fits; ``state`` and ``event`` are names."""

    def __init__(self, state: str, event: str) -> None:
        super().__init__(f"Unhandled event '{event}' in state '{state}'")
        self.state = state
        self.event = event


class EntryFailed(Exception):
    """The entry hook of a state raised; the state of ``reached`` counts as entered. The cause is chained."""

    def __init__(self, reached: Step[object, object, object, object]) -> None:
        super().__init__(f"the entry hook of state '{name_of(reached.state)}' failed")
        self.reached = reached


def name_of(value: object) -> str:
    """The name of a state, an event or an action: that of its class."""
    return type(value).__name__


def row(
    state: type[OneState] | type[AnyState],
    event: type[OneEvent],
    then: Callable[[OneState, OneEvent, C], Step[S, E, C, A]],
) -> Row[S, E, C, A]:
    """A row of a table; ``then`` is only called with a state and an event of its classes."""
    return state, event, cast("Transition[S, E, C, A]", then)


class StateMachine(Generic[S, E, C, A]):
    """Rows keyed by the names of state and event, payloads aside (C-41).

    The row of the state comes first, then that of ``AnyState``, then ``unhandled``. Two rows with one key are a mistake
    of the author: ValueError.
    """

    def __init__(
        self,
        rows: Iterable[Row[S, E, C, A]],
        *,
        on_exit: Mapping[type, Hook[S, C, A]] | None = None,
        on_entry: Mapping[type, Hook[S, C, A]] | None = None,
        timeouts: Mapping[type, Timeout[E]] | None = None,
        unhandled: Transition[S, E, C, A] | None = None,
    ) -> None:
        self._table: dict[tuple[type, type], Transition[S, E, C, A]] = {}
        for state, event, then in rows:
            if (state, event) in self._table:
                raise ValueError(f"two rows for event '{event.__name__}' in state '{state.__name__}'")
            self._table[state, event] = then
        self._on_exit = on_exit or {}
        self._on_entry = on_entry or {}
        self._timeouts = timeouts or {}
        self._unhandled = unhandled

    def step(self, state: S, event: E, context: C) -> Step[S, E, C, A]:
        """Apply an event; actions come in the order exit, entry, transition, also where the state stays.

        Raises UnhandledEvent, EntryFailed, and what a transition or an exit hook raises: the state is then as before.
        """
        moved = self._transition(state, event)(state, event, context)
        context, leaving = self._run(self._on_exit, state, moved.context)
        reached = replace(moved, context=context, actions=leaving, timeout=self._timeouts.get(type(moved.state)))
        try:
            context, entering = self._run(self._on_entry, moved.state, context)
        except Exception as cause:
            raise EntryFailed(cast("Step[object, object, object, object]", reached)) from cause
        return replace(reached, context=context, actions=leaving + entering + moved.actions)

    def handles(self, state: S, event: E) -> bool:
        """Whether a row fits, that of ``AnyState`` included."""
        return (type(state), type(event)) in self._table or (AnyState, type(event)) in self._table

    def _transition(self, state: S, event: E) -> Transition[S, E, C, A]:
        key = type(event)
        found = self._table.get((type(state), key)) or self._table.get((AnyState, key)) or self._unhandled
        if found is None:
            raise UnhandledEvent(name_of(state), name_of(event))
        return found

    def _run(self, hooks: Mapping[type, Hook[S, C, A]], state: S, context: C) -> tuple[C, tuple[A, ...]]:
        hook = hooks.get(type(state))
        return hook(state, context) if hook else (context, ())
