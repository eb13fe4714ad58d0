"""Which change of a program reaches which divergence (spec 70 §2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from ergo_cli.programs.changes import Change, Layer, Verb
from ergo_cli.programs.program import AnyProgram
from ergo_cli.replay.digested_states import with_members
from ergo_cli.replay.results import PRIMITIVE_CODE, BundleResult, Changes, Divergence, Outcome

NOTHING: Mapping[str, frozenset[str]] = {}


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
    upstream = _upstream(program)
    divergences = tuple(_joined(each, changes.found, upstream) for each in divergences)
    reached = {number for each in divergences for number in each.changes}
    is_match, all_kept = result.outcome is Outcome.MATCH, result.divergence_count == len(divergences)
    found = tuple(
        replace(change, effectless=is_match or (all_kept and _is_placed(change) and number not in reached))
        for number, change in enumerate(changes.found)
    )
    return replace(result, warnings=warnings, divergences=divergences, changes=found)


def _upstream(program: AnyProgram) -> Mapping[str, frozenset[str]]:
    computing = program.kind.computing
    return NOTHING if computing is None else computing.upstream(program.value)


def _joined(divergence: Divergence, changes: Sequence[Change], upstream: Mapping[str, frozenset[str]]) -> Divergence:
    by_key = divergence.by_key and tuple(_joined(each, changes, upstream) for each in divergence.by_key)
    return replace(divergence, changes=_reaching(divergence, changes, upstream), by_key=by_key)


def _reaching(
    divergence: Divergence, changes: Sequence[Change], upstream: Mapping[str, frozenset[str]]
) -> tuple[int, ...]:
    """The numbers of the changes that the value of a divergence depends on; of a node that is gone, its removal."""
    node = divergence.origin or divergence.node
    if node is None:
        return ()
    behind = upstream.get(node)
    if behind is None:
        gone = (change.verb is Verb.REMOVED and change.subject == node for change in changes)
        return tuple(number for number, is_gone in enumerate(gone) if is_gone)
    return tuple(number for number, change in enumerate(changes) if not behind.isdisjoint(change.nodes))


def _is_placed(change: Change) -> bool:
    """Whether it is known where in today's program a change takes effect."""
    return change.layer is Layer.PROGRAM and bool(change.nodes)
