"""Which change of a program reaches which divergence (spec 70 §2)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from msgspec.structs import replace

from ergo_cli.programs.changes import Change, Layer, Verb
from ergo_cli.programs.program import AnyProgram
from ergo_cli.programs.wiring import Wiring
from ergo_cli.replay.digested_states import with_members
from ergo_cli.replay.results import PRIMITIVE_CODE, BundleResult, Changes, Divergence, Outcome


def differs_in_code(result: BundleResult) -> bool:
    """Whether a difference may come from code that no fingerprint covers."""
    return any(each.cause == PRIMITIVE_CODE for each in result.divergences)


def with_changes(result: BundleResult, changes: Changes, program: AnyProgram) -> BundleResult:
    """The result with what changed since its capture; each divergence knows the changes that reach it.

    Of programs that compute, a change reaches the divergences of the nodes behind it. One that reaches none is marked
    as without effect, unless not all divergences were kept; in a match every change is.
    """
    warnings = result.warnings + changes.notices
    divergences = tuple(with_members(each, changes.found) for each in result.divergences)
    if not changes.found:
        return replace(result, warnings=warnings, divergences=divergences)
    reaching = _Reaching(changes.found, program)
    divergences = tuple(reaching.joined(each) for each in divergences)
    reached = {number for each in divergences for number in each.changes}
    is_match, all_kept = result.outcome is Outcome.MATCH, result.divergence_count == len(divergences)
    found = tuple(
        replace(change, effectless=is_match or (all_kept and _is_placed(change) and number not in reached))
        for number, change in enumerate(changes.found)
    )
    return replace(result, warnings=warnings, divergences=divergences, changes=found)


class _Reaching:
    """The changes that the values of divergences depend on, by their numbers from 0."""

    def __init__(self, changes: Sequence[Change], program: AnyProgram) -> None:
        computing = program.kind.computing
        self._changes = changes
        self._wiring = Wiring(()) if computing is None else computing.wiring(program.value)
        self._of = cache(self._behind)

    def joined(self, divergence: Divergence) -> Divergence:
        """The divergence with the changes that reach it."""
        node = divergence.origin or divergence.node
        by_key = divergence.by_key and tuple(map(self.joined, divergence.by_key))
        return replace(divergence, changes=() if node is None else self._of(node), by_key=by_key)

    def _behind(self, node: str) -> tuple[int, ...]:
        """Of a node that is gone, its removal."""
        if node in self._wiring:
            found = (self._wiring.depends(node, change.nodes) for change in self._changes)
        else:
            found = (change.verb is Verb.REMOVED and change.subject == node for change in self._changes)
        return tuple(number for number, is_behind in enumerate(found) if is_behind)


def _is_placed(change: Change) -> bool:
    """Whether it is known where in today's program a change takes effect."""
    return change.layer is Layer.PROGRAM and bool(change.nodes)
