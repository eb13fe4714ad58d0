"""How much a difference of two recordings weighs, and which differences fail a comparison."""

from __future__ import annotations

from enum import Enum


class Level(Enum):
    """What a difference is about, the gravest first.

    ``DECISION``: what was decided or done is another. ``EVIDENCE``: the same was, and a record, receipt or digest of
    it is another. ``TIMING``: only a schedule, a deadline or a time stands elsewhere.
    """

    DECISION = "decision"
    EVIDENCE = "evidence"
    TIMING = "timing"


class FailOn(Enum):
    """The least grave difference that fails a comparison."""

    DECISION = "decision"
    EVIDENCE = "evidence"
    ANY = "any"

    def is_reached(self, level: Level) -> bool:
        """Whether a difference of this level fails the comparison."""
        match self:
            case FailOn.ANY:
                return True
            case FailOn.EVIDENCE:
                return level is not Level.TIMING
            case FailOn.DECISION:
                return level is Level.DECISION
