"""Which facts each state of a parallel run sees: those of the states before it, and its own."""

from __future__ import annotations

from collections.abc import Sequence

from ergo_cli.programs.plan.errors import Failure
from ergo_cli.programs.plan.events import Envelope, StateCompleted, StateEntered, StateFailed
from ergo_cli.programs.plan.facts import FactIndex, FactRefused
from ergo_cli.programs.plan.joins import Claims, Precedence, overlap


class RunFacts:
    """The facts of a parallel run, by the state that recorded them. May be used by several threads."""

    def __init__(self, precedence: Precedence, run_id: str, events: Sequence[Envelope]) -> None:
        self.precedence = precedence
        self.claims = Claims(precedence)
        self.common = FactIndex()
        """Facts that stand outside any attempt: every state sees them."""
        self._seen: dict[int, SeenFacts] = {}
        self._read(run_id, events)

    def of(self, place: int) -> SeenFacts:
        """The facts that a state sees."""
        if place not in self._seen:
            self._seen[place] = SeenFacts(self, place)
        return self._seen[place]

    def refusal(self, place: int, key: str) -> Failure | None:
        """Why a state may not record a key: one before it in the order, and in no order with it, has recorded it."""
        rival = self.claims.rival_before(place, key)
        if rival is None:
            return None
        order = self.precedence.order
        return overlap("overlapping_facts", order[place], f"records the fact '{key}', and so does '{order[rival]}'")

    def _read(self, run_id: str, events: Sequence[Envelope]) -> None:
        """Raises as ``FactIndex.of``."""
        index = self.common
        for envelope in events:
            match envelope.kernel:
                case StateEntered(state_id):
                    index = self.of(self.precedence.places[state_id])
                case StateCompleted() | StateFailed():
                    index = self.common
                case _:
                    index.read(run_id, [envelope])


class SeenFacts(FactIndex):
    """The facts that one state sees; those that it binds are its own."""

    def __init__(self, run: RunFacts, place: int) -> None:
        super().__init__()
        self._run = run
        self._place = place

    def get(self, key: str) -> str | None:
        """The artifact bound to a key."""
        return self._bound.get(key) or self._inherited(key).get(key)

    def bind(self, key: str, artifact: str) -> None:
        """Bind a key."""
        super().bind(key, artifact)
        self._run.claims.claim(self._place, key)

    def unbind(self, key: str) -> None:
        """Take back a binding that could not be kept."""
        super().unbind(key)
        self._run.claims.release(self._place, key)

    def check(self, key: str) -> None:
        """Raise FactRefused where the state may not record a key."""
        failure = self._run.refusal(self._place, key)
        if failure is not None:
            raise FactRefused(failure)

    def _inherited(self, key: str) -> FactIndex:
        """The facts of the state before this one that recorded the key, else those outside any attempt."""
        before = self._run.precedence.before[self._place]
        owner = next((place for place in self._run.claims.of(key) if before >> place & 1), None)
        return self._run.common if owner is None else self._run.of(owner)
