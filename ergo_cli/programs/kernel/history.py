"""A run up to the end of a recorded episode, folded record by record with today's reducer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

from ergo_cli.core.json import Item, JsonValue, Location, Member, canonical, decode, render
from ergo_cli.programs.kernel.engine.actions import no_execution
from ergo_cli.programs.kernel.engine.errors import KernelError
from ergo_cli.programs.kernel.engine.events import SequencedEvent
from ergo_cli.programs.kernel.engine.state import fold_one
from ergo_cli.programs.kernel.program import KernelProgram
from ergo_cli.programs.kernel.recorded import KernelEpisode
from ergo_cli.stores.memory import MemoryJournal

S = TypeVar("S")

_MOST_MEMBERS = 10_000


class History(Generic[S]):
    """The records of a run, from 1, and the states between them as JSON values.

    ``states`` begins with the first state; it ends early where today's reducer raises, and is empty where the recorded
    first state is none of today's program.
    """

    def __init__(self, program: KernelProgram[S], episode: KernelEpisode) -> None:
        last = episode.calls[-1]
        self.run = last.run
        self.events: Sequence[SequencedEvent] = [*last.before, *last.events]
        self.states: list[JsonValue] = list(_states(program, episode.run_id, last.initial, self.events))

    def before(self, seq: int) -> JsonValue:
        """The state before a record, or the last that is known."""
        return self.states[min(seq, len(self.states)) - 1] if self.states else None

    def writer(self, member: Location, seq: int) -> int:
        """The last record before ``seq`` that changed a member of the state; 0 for the first state."""
        last = min(seq, len(self.states)) - 1
        values = [canonical(value_at(state, member)) for state in self.states[: last + 1]]
        return next((at for at in range(last, 0, -1) if values[at] != values[at - 1]), 0)


def members(value: JsonValue, at: Location = ()) -> Iterator[tuple[Location, JsonValue]]:
    """Every member of a state, a whole before its parts."""
    parts: Iterator[tuple[Member | Item, JsonValue]] = iter(())
    if isinstance(value, dict):
        parts = ((Member(name), part) for name, part in value.items())
    elif isinstance(value, list):
        parts = ((Item(index), part) for index, part in enumerate(value))
    for step, part in parts:
        yield (*at, step), part
        yield from members(part, (*at, step))


def named_members(states: Sequence[JsonValue]) -> dict[str, Location]:
    """The members of states by their paths: ``summary.label``, ``words[0]``."""
    found: dict[str, Location] = {}
    for state in states:
        for place, _ in members(state):
            if len(found) >= _MOST_MEMBERS:
                return found
            found.setdefault(render(place), place)
    return found


def value_at(value: JsonValue, member: Location) -> JsonValue:
    """The member of a state; None where it has none."""
    for step in member:
        match value, step:
            case dict(), Member(name):
                value = value.get(name)
            case list(), Item(index) if index < len(value):
                value = value[index]
            case _:
                return None
    return value


def _states(
    program: KernelProgram[Any], run_id: str, initial: bytes | None, events: Sequence[SequencedEvent]
) -> Iterator[JsonValue]:
    kernel = program.kernel(MemoryJournal(), no_execution)
    codec = kernel.codec
    if initial is None:
        return
    try:
        state = codec.decode(initial)
        yield decode(initial)
        for event in events:
            state = fold_one(kernel.reducer, codec.copy(state), event, run_id)
            yield decode(codec.encode(state))
    except (ValueError, KernelError):
        return
