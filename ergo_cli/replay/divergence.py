"""A difference as a value that every report can tell (spec 00 §12.7)."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from ergo_cli.core.json import JsonValue


class DivergenceKind(Enum):
    """What differs."""

    DECISION = "decision"
    TERMINATION = "termination"
    DECISION_MISSING = "decision_missing"
    DECISION_EXTRA = "decision_extra"
    EFFECT_CHANGED = "effect_changed"
    EFFECT_MISSING = "effect_missing"
    EFFECT_EXTRA = "effect_extra"
    EFFECT_ORDER = "effect_order"
    JOURNAL = "journal"
    PROGRAM = "program"
    EVENT_MISSING = "event_missing"
    EVENT_EXTRA = "event_extra"
    EVENT_MOVED = "event_moved"
    EVENT_CHANGED = "event_changed"
    HEADER = "header"
    EVIDENCE = "evidence"


_EFFECT_KINDS = frozenset(
    {
        DivergenceKind.EFFECT_CHANGED,
        DivergenceKind.EFFECT_MISSING,
        DivergenceKind.EFFECT_EXTRA,
        DivergenceKind.EFFECT_ORDER,
    }
)


class LogDifference(Struct, frozen=True):
    """Where the log of a run parts from the recorded one (spec 40 §9.2): what text reports tell beside the leaf.

    ``expected`` and ``actual`` are whole records, None where a side has none; the hashes are those of the two event
    streams, or of the two states. ``error`` is what ended today's call, where the recorded one went on.
    """

    run_id: str
    first_divergent_seq: int
    common_prefix: int
    expected: JsonValue
    actual: JsonValue
    expected_hash: str | None
    actual_hash: str | None
    error: str | None = None


class Divergence(Struct, frozen=True):
    """One difference between what was recorded and what came out now (in a diff: between A and B)."""

    seq: int
    """Position in the decision stream, from 0: of the recording, for an extra of the other side."""
    event_id: str | None
    episode_id: int | None
    kind: DivergenceKind
    path: str
    """Inside the decision: ``effects[0].writes[1].value.Number``; empty where the whole decision or event is meant.

    Of a journal: ``journals[0].records[1].event.ActionRequested.payload``.
    """
    expected: JsonValue
    """What the recording (A) has; None where it has nothing."""
    actual: JsonValue
    """What came out now (what B has); None where there is nothing."""
    occurrence: int = 0
    """How many earlier events have the same id."""
    code: str | None = None
    """What the original would have called it; None in a diff."""
    node: str | None = None
    """Authoring path of the action that made the effect; in a journal the step or the action."""
    origin: str | None = None
    """Authoring path of the first node whose output differs from the recorded program's."""
    cause: str | None = None
    """``numbers``, ``program_changed``, ``adapter_changed``, the kind of a log's difference (40 §9.2), or None."""
    log: LogDifference | None = None
    """Of a journal: the difference in full."""


def replay_code(kind: DivergenceKind) -> str:
    """The original's code for a divergence of a replay."""
    if kind in _EFFECT_KINDS:
        return "replay.effect_mismatch"
    if kind is DivergenceKind.PROGRAM:
        return "replay.host_step_failed"
    if kind is DivergenceKind.JOURNAL:
        return "replay.journal_mismatch"
    return "replay.decision_mismatch"


class Divergences:
    """Collects divergences: counts all, keeps the first ``limit``."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.count = 0
        self.kept: list[Divergence] = []

    @property
    def full(self) -> bool:
        """Whether further divergences are only counted."""
        return len(self.kept) >= self.limit

    def add(self, divergence: Divergence) -> None:
        """Count one more; keep it while there is room."""
        self.count += 1
        if not self.full:
            self.kept.append(divergence)
