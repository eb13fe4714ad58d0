"""Which change of a program reaches which divergence (spec 70 §2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import groupby

from msgspec.structs import replace

from ergo_cli.programs.changes import Change, Layer, Verb, placed
from ergo_cli.programs.parts import SaysParts
from ergo_cli.programs.program import AnyProgram
from ergo_cli.programs.wiring import Wiring
from ergo_cli.replay.digested_states import with_members
from ergo_cli.replay.reaching_records import ReachingRecords
from ergo_cli.replay.results import (
    EFFECT_KINDS,
    PRIMITIVE_CODE,
    BundleResult,
    Changes,
    Divergence,
    DivergenceKind,
    Outcome,
)

MADE_BY_PROGRAM = EFFECT_KINDS | {DivergenceKind.TERMINATION}


def differs_in_code(result: BundleResult) -> bool:
    """Whether a difference may come from code that no fingerprint covers."""
    return any(each.cause == PRIMITIVE_CODE for each in result.divergences)


def with_changes(result: BundleResult, changes: Changes, program: AnyProgram | None) -> BundleResult:
    """The result with what changed since its capture; each divergence knows the changes that reach it.

    A change reaches the divergences of the nodes that depend on those that it is in. One that is in nodes and reaches
    none is marked as without effect, unless not all divergences were kept, or of one that the program made the node is
    not known; in a match every change is. ``program`` is None where what depends on what is not known.
    """
    warnings = result.warnings + changes.notices
    divergences = tuple(with_members(each, changes.found) for each in result.divergences)
    if not changes.found:
        return replace(result, warnings=warnings, divergences=divergences)
    acting = None if program is None else program.kind.acting
    if program is not None and isinstance(acting, SaysParts):
        reaching = ReachingRecords(changes.found, acting.reach(program.value))
    else:
        reaching = _ReachingValues(changes.found, program)
    by_decision = groupby(divergences, lambda each: (each.seq, each.event_id))
    divergences = tuple(each for _, decision in by_decision for each in reaching.of_decision(list(decision)))
    reached = {number for each in divergences for number in reaching.reached_by(each)}
    is_match = result.outcome is Outcome.MATCH
    are_located = acting is not None or all(map(_is_located, divergences))
    all_known = are_located and result.divergence_count == len(divergences)
    out_of_reach = {number for number, change in enumerate(changes.found) if _is_placed(change)} - reached
    effectless = out_of_reach if all_known else set[int]()
    found = tuple(
        replace(change, effectless=is_match or change.effectless or number in effectless)
        for number, change in enumerate(changes.found)
    )
    return replace(result, warnings=warnings, divergences=divergences, changes=found)


def with_places(result: BundleResult, program: AnyProgram) -> BundleResult:
    """The result whose divergences know where in today's files their values are made, of a program that computes."""
    computing = program.kind.computing
    if computing is None or not result.divergences:
        return result
    places = computing.places(program.value)
    return replace(result, divergences=tuple(_with_place(each, places) for each in result.divergences))


def _with_place(divergence: Divergence, places: Mapping[str, str]) -> Divergence:
    """The divergence with the place of the node that its value comes from: the origin, else the one that made it."""
    nodes = (divergence.origin, divergence.node)
    place = next((places[node] for node in nodes if node is not None and node in places), None)
    file, line = placed(place)
    return divergence if file is None else replace(divergence, place=(file, line))


class _ReachingValues:
    """The changes that the values of divergences depend on, by their numbers from 0."""

    def __init__(self, changes: Sequence[Change], program: AnyProgram | None) -> None:
        computing = None if program is None else program.kind.computing
        self._changes = changes
        self._wiring = Wiring(()) if program is None or computing is None else computing.wiring(program.value)
        self._of = cache(self._behind)
        numbered = enumerate(changes if computing is not None else ())
        self._renumbering = tuple(
            number for number, change in numbered if change.layer is Layer.PROGRAM and _is_of_node(change)
        )

    def of_decision(self, divergences: Sequence[Divergence]) -> list[Divergence]:
        """The divergences of one decision with the changes that reach them.

        An effect that none reaches stands elsewhere for the sake of those beside it, else of a node that is new or
        gone: nodes run by their numbers, which such a node shifts.
        """
        joined = [_by_both_pairings(each, self._reached) for each in divergences]
        beside = {number for one in joined for each in (one, *(one.by_key or ())) for number in each.changes}
        shifting = tuple(sorted(beside)) or self._renumbering
        return [_by_both_pairings(each, partial(_shifted, shifting)) for each in joined]

    def reached_by(self, divergence: Divergence) -> Sequence[int]:
        """The changes that reach a divergence."""
        return divergence.changes

    def _reached(self, divergence: Divergence) -> Divergence:
        """The divergence with the changes behind its node; where there are none, with those behind its origin."""
        numbers: tuple[int, ...] = ()
        for node in (divergence.node, divergence.origin):
            numbers = numbers or (() if node is None else self._of(node))
        return replace(divergence, changes=(*numbers, *self._of_constraints(divergence)))

    def _of_constraints(self, divergence: Divergence) -> Iterator[int]:
        """The constraints that the supervisor's part of a decision can come from; of a header, the one it names."""
        for number, change in enumerate(self._changes):
            if change.layer is Layer.CONSTRAINTS and not change.effectless:
                is_named = divergence.path.startswith(f"header.config.{change.subject}")
                if divergence.kind is DivergenceKind.DECISION or is_named:
                    yield number

    def _behind(self, node: str) -> tuple[int, ...]:
        """Of a node that is gone, its removal."""
        if node in self._wiring:
            found = (self._wiring.depends(node, change.nodes) for change in self._changes)
        else:
            found = (change.verb is Verb.REMOVED and change.subject == node for change in self._changes)
        return tuple(number for number, is_behind in enumerate(found) if is_behind)


def _by_both_pairings(divergence: Divergence, joined: Callable[[Divergence], Divergence]) -> Divergence:
    """The divergence, and those that text reports show in its place, each ``joined``."""
    return replace(joined(divergence), by_key=divergence.by_key and tuple(map(joined, divergence.by_key)))


def _shifted(changes: tuple[int, ...], divergence: Divergence) -> Divergence:
    """An effect, or the order of effects, that no change reaches by itself, with ``changes``."""
    is_shifted = divergence.node is not None and not divergence.changes
    return replace(divergence, changes=changes) if is_shifted else divergence


def _is_of_node(change: Change) -> bool:
    """Whether a node is new or gone."""
    if change.verb is Verb.ADDED:
        return change.nodes == (change.subject,)
    return change.verb is Verb.REMOVED and not change.nodes and not change.idle


def _is_located(divergence: Divergence) -> bool:
    """Whether the node is known that a divergence comes from, if it comes from one."""
    return divergence.kind not in MADE_BY_PROGRAM or (divergence.origin or divergence.node) is not None


def _is_placed(change: Change) -> bool:
    """Whether it is known where in today's program a change takes effect."""
    return change.layer is Layer.PROGRAM and bool(change.nodes)
