"""What the states of a parallel run start from: the context that the states before them have made.

A state sees the initial context with the changes of the states that edges put before it, directly or through others,
and of no other state. Those changes are applied in the order of the plan; that order is of no consequence, since two
states that change one key are put in sequence by an edge, or the later one is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter

from ergo_cli.core.wire import FreeValue
from ergo_cli.programs.plan.context import changed_keys, read_snapshot, snapshot_text
from ergo_cli.programs.plan.errors import ErrorCategory, ErrorInfo, Failure, redacted
from ergo_cli.programs.plan.states import Edge
from ergo_cli.programs.plan.stream import Artifacts


class Precedence:
    """Which states come before which, by their places in the order of the plan; the bits of an int are a set."""

    def __init__(self, order: Sequence[str], edges: Sequence[Edge]) -> None:
        self.order = tuple(order)
        self.places = {state: place for place, state in enumerate(order)}
        self.parents = self._linked(edges, 1, 0)
        self.children = self._linked(edges, 0, 1)
        self.before = [0] * len(self.order)
        after = [0] * len(self.order)
        for place, parents in enumerate(self.parents):
            for parent in parents:
                self.before[place] |= self.before[parent] | 1 << parent
        for place, children in reversed(list(enumerate(self.children))):
            for child in children:
                after[place] |= after[child] | 1 << child
        whole = (1 << len(self.order)) - 1
        self._beside = [whole ^ self.before[place] ^ after[place] ^ 1 << place for place in self.places.values()]

    def are_unordered(self, one: int, other: int) -> bool:
        """Whether no edge puts one of two states before the other."""
        return bool(self._beside[one] >> other & 1)

    def has_unordered(self, place: int) -> bool:
        """Whether there is a state that may run at the same time."""
        return bool(self._beside[place])

    def _linked(self, edges: Sequence[Edge], own: int, other: int) -> list[list[int]]:
        found: list[dict[int, None]] = [{} for _ in self.order]
        for own_id, other_id in map(itemgetter(own, other), edges):
            found[self.places[own_id]][self.places[other_id]] = None
        return [list(places) for places in found]


class Claims:
    """Which states have taken a name for themselves: changed a key of the context, recorded a fact."""

    def __init__(self, precedence: Precedence) -> None:
        self._precedence = precedence
        self._claimed: dict[str, list[int]] = {}

    def claim(self, place: int, name: str) -> None:
        """Note that a state has taken a name."""
        places = self._claimed.setdefault(name, [])
        if place not in places:
            places.append(place)

    def release(self, place: int, name: str) -> None:
        """Take back a claim."""
        self._claimed[name].remove(place)

    def of(self, name: str) -> Sequence[int]:
        """The states that have taken a name."""
        return self._claimed.get(name, ())

    def rivals(self, place: int, name: str) -> Iterator[int]:
        """The states that have taken the name and are in no order with this one."""
        return (other for other in self.of(name) if self._precedence.are_unordered(place, other))

    def rival_before(self, place: int, name: str) -> int | None:
        """The first of the rivals that come before this one in the order of the plan: that one keeps the name."""
        return min((other for other in self.rivals(place, name) if other < place), default=None)


class Joins:
    """The ``Bases`` of a parallel run. ``ended`` states may be built upon; ``completed`` ones are in the stream.

    May be used by several threads. Raises StorageError and ContextError where snapshots cannot be read or kept.
    """

    def __init__(self, precedence: Precedence, artifacts: Artifacts, initial: str, allowed: frozenset[str]) -> None:
        self.precedence = precedence
        self._artifacts = artifacts
        self._initial = initial
        self._allowed = allowed
        self._snapshots: dict[int, str] = {}
        self._bases: dict[int, str] = {}
        self._changes: dict[int, Sequence[str]] = {}
        self._claims = Claims(precedence)
        self._completed = 0

    def of(self, state_id: str) -> str:
        """The snapshot that a state starts from: the initial context with the changes of the states before it."""
        place = self.precedence.places[state_id]
        base = self._bases.get(place)
        if base is None:
            base = self._bases[place] = self._joined(self.precedence.before[place], self.precedence.parents[place])
        return base

    @property
    def last(self) -> str:
        """The initial context with the changes of all completed states."""
        return self._joined(self._completed, list(_places(self._completed)))

    def completed(self, state_id: str, snapshot: str) -> None:
        """Take a state into account that has completed in the stream."""
        self.ended(state_id, snapshot)
        self._completed |= 1 << self.precedence.places[state_id]

    def ended(self, state_id: str, snapshot: str) -> None:
        """Take a state into account that has succeeded: states behind it can start."""
        place = self.precedence.places[state_id]
        if self._snapshots.get(place) == snapshot:
            return
        for key in self._changes.get(place, ()):
            self._claims.release(place, key)
        self._changes[place] = changes = self._changed(place, snapshot)
        self._snapshots[place] = snapshot
        for key in changes:
            self._claims.claim(place, key)

    def first_refused(self, state_id: str) -> int | None:
        """The first state in the order of the plan that may not complete because of what this ended one changed."""
        place = self.precedence.places[state_id]
        rivals = (max(place, rival) for key in self._changes[place] for rival in self._claims.rivals(place, key))
        return min(rivals, default=None)

    def refusal(self, state_id: str) -> Failure | None:
        """Why an ended state may not complete: one before it in the order, and in no order with it, changed a key too.

        Certain once all states before it in the order of the plan have ended.
        """
        place = self.precedence.places[state_id]
        for key in self._changes[place]:
            rival = self._claims.rival_before(place, key)
            if rival is not None:
                what = f"writes '{key}', and so does '{self.precedence.order[rival]}'"
                return overlap("overlapping_writes", state_id, what)
        return None

    def _changed(self, place: int, snapshot: str) -> Sequence[str]:
        """The keys that a state changed, ascending; none are looked for where no other state could clash with it."""
        base = self.of(self.precedence.order[place])
        if base == snapshot or not self.precedence.has_unordered(place):
            return ()
        return changed_keys(read_snapshot(self._artifacts, base), read_snapshot(self._artifacts, snapshot))

    def _joined(self, states: int, tips: Sequence[int]) -> str:
        """The context after a set of states, of which ``tips`` have all the others before them.

        Begins with the tip that has the most states before it, and applies the changes of the others to its snapshot.
        """
        if not tips:
            return self._initial
        before = self.precedence.before
        longest = max(tips, key=lambda tip: before[tip].bit_count())
        others = [place for place in _places(states & ~before[longest] & ~(1 << longest)) if self._changes[place]]
        if not others:
            return self._snapshots[longest]
        values = read_snapshot(self._artifacts, self._snapshots[longest])
        for place in others:
            _apply(values, self._changes[place], read_snapshot(self._artifacts, self._snapshots[place]))
        return self._artifacts.put(snapshot_text(values, self._allowed), self._snapshots[longest])


def overlap(code: str, state_id: str, what: str) -> Failure:
    """The failure of a state that took what another one has taken, where neither comes before the other."""
    message = f"the state '{state_id}' {what}: an edge must put one before the other"
    return Failure(state_id, redacted(ErrorInfo(code, ErrorCategory.CONTEXT, False, message)))


def _apply(values: dict[str, FreeValue], keys: Sequence[str], after: Mapping[str, FreeValue]) -> None:
    for key in keys:
        if key in after:
            values[key] = after[key]
        else:
            values.pop(key, None)


def _places(states: int) -> Iterator[int]:
    """The places in a set, ascending."""
    while states:
        lowest = states & -states
        yield lowest.bit_length() - 1
        states ^= lowest
