"""Which change of a program that acts reaches which record or effect: those in the parts behind it (spec 70 §2)."""

from __future__ import annotations

from collections.abc import Sequence, Set

from msgspec.structs import replace

from ergo_cli.programs.changes import Change, Verb
from ergo_cli.programs.parts import Reach
from ergo_cli.replay.results import Divergence, DivergenceKind

_MADE_BY_PROGRAM = frozenset(
    {
        DivergenceKind.JOURNAL,
        DivergenceKind.TERMINATION,
        DivergenceKind.EFFECT_CHANGED,
        DivergenceKind.EFFECT_MISSING,
        DivergenceKind.EFFECT_EXTRA,
        DivergenceKind.EFFECT_ORDER,
        DivergenceKind.PROGRAM,
    }
)


class ReachingRecords:
    """The changes that records and effects can come from, by their numbers from 0."""

    def __init__(self, changes: Sequence[Change], reach: Reach) -> None:
        self._changes = changes
        self._reach = reach

    def of_decision(self, divergences: Sequence[Divergence]) -> list[Divergence]:
        """The divergences of one decision, each with the changes behind the first part that differs."""
        return list(map(self._reached, divergences))

    def reached_by(self, divergence: Divergence) -> Sequence[int]:
        """The changes behind the part of a record too, whichever part differs first."""
        if divergence.journal is None or divergence.origin is None:
            return divergence.changes
        return (*divergence.changes, *self._behind(divergence.node, divergence))

    def _reached(self, divergence: Divergence) -> Divergence:
        by_key = divergence.by_key and tuple(map(self._reached, divergence.by_key))
        changes = self._behind(divergence.origin or divergence.node, divergence)
        return replace(divergence, changes=changes, by_key=by_key)

    def _behind(self, node: str | None, divergence: Divergence) -> tuple[int, ...]:
        """Of a part that is gone, its removal."""
        if divergence.kind not in _MADE_BY_PROGRAM:
            return ()
        parts = self._reach(node, divergence.journal)
        return tuple(number for number, change in enumerate(self._changes) if _is_in(change, parts))


def _is_in(change: Change, parts: Set[str]) -> bool:
    return not parts.isdisjoint(change.nodes) or (change.verb is Verb.REMOVED and change.subject in parts)
