"""What a replay or a diff found out (spec 00 §7, §12.8)."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from ergo_cli.bundle.inspection import DecisionCounts
from ergo_cli.core.notices import Notice
from ergo_cli.errors import ErgoError
from ergo_cli.replay.divergence import Divergence


class Outcome(Enum):
    """How a comparison ended."""

    MATCH = "match"
    DIVERGED = "diverged"
    REFUSED = "refused"


class Episode(Struct, frozen=True):
    """One decision in short: the context that a text report shows before the first divergence."""

    seq: int
    event_id: str
    episode_id: int
    decision: str
    termination: str | None
    effects: int


class BundleResult(Struct, frozen=True):
    """One bundle's result; ``events`` and ``decisions`` are None where it was refused before anything ran.

    ``base`` is A of a diff. ``divergence_count`` is exact, ``divergences`` holds the first of them.
    """

    path: str
    outcome: Outcome
    error: ErgoError | None = None
    events: int | None = None
    decisions: DecisionCounts | None = None
    warnings: tuple[Notice, ...] = ()
    divergence_count: int = 0
    divergences: tuple[Divergence, ...] = ()
    graph_id: str | None = None
    base: str | None = None
    before_first: tuple[Episode, ...] = ()
    """The episodes before the first divergence, at most three."""
    found_by: str | None = None
    """Which rule found the program (spec 00 §3)."""
