"""A run up to the end of a recorded episode, folded record by record with today's reducer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ergo_cli.core.json import JsonValue, Location, canonical, decode, render
from ergo_cli.core.members import members, value_at
from ergo_cli.programs.kernel.engine.actions import no_execution
from ergo_cli.programs.kernel.engine.errors import KernelError
from ergo_cli.programs.kernel.engine.events import SequencedEvent
from ergo_cli.programs.kernel.engine.state import fold_one
from ergo_cli.programs.kernel.program import Kernel, KernelProgram
from ergo_cli.programs.kernel.recorded import KernelEpisode
from ergo_cli.programs.kernel.watching import members_read
from ergo_cli.stores.memory import MemoryJournal

_MOST_MEMBERS = 10_000


class History:
    """The records of a run, from 1, and its states, each as a JSON value and as its text.

    The states begin with the first one; they end early where today's reducer raises, and there are none where the
    first one is no state of today's program.
    """

    def __init__(
        self, kernel: Kernel[Any], run_id: str, initial: bytes | None, events: Sequence[SequencedEvent]
    ) -> None:
        self._kernel = kernel
        self.events = events
        self.texts = list(_states(kernel, run_id, initial, events))
        self.states: list[JsonValue] = list(map(decode, self.texts))

    @classmethod
    def of_episode(cls, program: KernelProgram[Any], episode: KernelEpisode) -> History:
        """The run of an episode up to its end."""
        last = episode.calls[-1]
        kernel = program.kernel(MemoryJournal(), no_execution)
        return cls(kernel, episode.run_id, last.initial, [*last.before, *last.events])

    def before(self, seq: int) -> JsonValue:
        """The state before a record, or the last that is known."""
        return self.states[min(seq, len(self.states)) - 1] if self.states else None

    def read(self, seq: int) -> list[Location]:
        """The members of the state before a record that today's step function reads."""
        return members_read(self._kernel, self.before(seq)) if 0 < seq <= len(self.states) else []

    def seen(self, seq: int) -> tuple[tuple[str, JsonValue], ...]:
        """The same members by their paths, each with its value; None for one that the state lacks."""
        state = self.before(seq)
        return tuple((render(place), value_at(state, place)) for place in self.read(seq))

    def writer(self, member: Location, seq: int) -> int:
        """The last record before ``seq`` that changed a member of the state; 0 for the first state."""
        last = min(seq, len(self.states)) - 1
        values = [canonical(value_at(state, member)) for state in self.states[: last + 1]]
        return next((at for at in range(last, 0, -1) if values[at] != values[at - 1]), 0)


def named_members(states: Sequence[JsonValue]) -> dict[str, Location]:
    """The members of states by their paths: ``summary.label``, ``words[0]``."""
    found: dict[str, Location] = {}
    for state in states:
        for place, _ in members(state):
            if len(found) >= _MOST_MEMBERS:
                return found
            found.setdefault(render(place), place)
    return found


def _states(
    kernel: Kernel[Any], run_id: str, initial: bytes | None, events: Sequence[SequencedEvent]
) -> Iterator[bytes]:
    codec = kernel.codec
    if initial is None:
        return
    try:
        state = codec.decode(initial)
        yield initial
        for event in events:
            state = fold_one(kernel.reducer, codec.copy(state), event, run_id)
            yield codec.encode(state)
    except (ValueError, KernelError):
        return
