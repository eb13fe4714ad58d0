"""How many differences there are of each level."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.core.levels import FailOn, Level


class LevelCounts(Struct, frozen=True):
    """The number of differences of each level."""

    decision: int = 0
    evidence: int = 0
    timing: int = 0

    def __add__(self, other: LevelCounts) -> LevelCounts:
        """The differences of both."""
        return LevelCounts(self.decision + other.decision, self.evidence + other.evidence, self.timing + other.timing)

    def without(self, others: LevelCounts) -> LevelCounts:
        """Those that are not among the others."""
        return LevelCounts(
            self.decision - others.decision, self.evidence - others.evidence, self.timing - others.timing
        )

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.by_level)

    @property
    def by_level(self) -> dict[Level, int]:
        """How many differences there are of each level that has some, the gravest first."""
        numbers = zip(Level, (self.decision, self.evidence, self.timing), strict=True)
        return {level: number for level, number in numbers if number}

    def reach(self, gate: FailOn) -> bool:
        """Whether any of them fails the comparison."""
        return any(map(gate.is_reached, self.by_level))
