"""The last transitions of a supervisor, which a watcher of its states may miss (spec 60 §26)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from msgspec import Struct

from ergo_cli.programs.pipeline.actions import Action
from ergo_cli.programs.pipeline.lifecycle import Event, State
from ergo_cli.programs.pipeline.state_machine import name_of

KEPT = 256
"""How many transitions are kept; a pipeline makes a dozen and one for each of its stages."""


class Transited(Struct, frozen=True):
    """A transition by its names; ``at_ns`` is a moment of the monotonic clock."""

    start: str
    event: str
    end: str
    actions: tuple[str, ...]
    at_ns: int


class TransitionHistory:
    """The last transitions, oldest first; ``forgotten`` counts those before them."""

    def __init__(self, kept: int = KEPT) -> None:
        self._last: deque[Transited] = deque(maxlen=kept)
        self._noted = 0

    def note(self, start: State, event: Event, end: State, actions: Sequence[Action], at_ns: int) -> None:
        """Keep a transition, and forget the oldest one beyond the limit."""
        names = tuple(map(name_of, actions))
        self._last.append(Transited(name_of(start), name_of(event), name_of(end), names, at_ns))
        self._noted += 1

    @property
    def last(self) -> tuple[Transited, ...]:
        """The transitions that are kept."""
        return tuple(self._last)

    @property
    def forgotten(self) -> int:
        """How many are not."""
        return self._noted - len(self._last)
