"""Vector clocks, and the order that they give (spec 60 §5.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar

from msgspec import Struct

from ergo_cli.programs.pipeline.counters import Count, raised


class VectorClock(Struct, frozen=True):
    """How many events of each writer an event has seen, itself included; a missing writer counts 0."""

    clocks: Mapping[str, Count]

    def ticked(self, writer: str, parent: VectorClock | None = None) -> VectorClock:
        """The clock of the next event of ``writer``, whose last one had this clock, caused by one with ``parent``."""
        seen = dict(self.clocks)
        if parent is not None:
            for name, count in parent.clocks.items():
                seen[name] = max(count, seen.get(name, 0))
        seen[writer] = raised(seen.get(writer, 0))
        return VectorClock(dict(sorted(seen.items())))

    def happened_before(self, other: VectorClock) -> bool:
        """Whether an event with this clock may have caused one with the other."""
        return self._is_within(other) and not other._is_within(self)

    def is_concurrent_with(self, other: VectorClock) -> bool:
        """Whether neither event may have caused the other."""
        return not self.happened_before(other) and not other.happened_before(self)

    @property
    def rank(self) -> int:
        """The sum of all counts, which grows from cause to effect."""
        return sum(self.clocks.values())

    def _is_within(self, other: VectorClock) -> bool:
        return all(count <= other.clocks.get(name, 0) for name, count in self.clocks.items())


NEVER = VectorClock({})
"""The clock of a writer that has written nothing."""


class Clocked(Protocol):
    """Something that happened: what the causal order looks at."""

    @property
    def event_id(self) -> str:
        """The id that decides between equal ranks."""
        ...

    @property
    def vector_clock(self) -> VectorClock:
        """When it happened."""
        ...


ClockedT = TypeVar("ClockedT", bound=Clocked)


def causally_ordered(events: Iterable[ClockedT]) -> list[ClockedT]:
    """Causes before effects, by ``(rank, event id)``: total, and the same for every order of the input (H-3)."""
    return sorted(events, key=lambda event: (event.vector_clock.rank, event.event_id))
