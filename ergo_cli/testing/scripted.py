"""An invoker with scripted terminations, for tests and for replaying schedules (spec 10 §17)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from ergo_cli.core.values import Effect, ProducedEffect
from ergo_cli.events.external import Context
from ergo_cli.supervisor.seam import Outcome, RunTermination


class ScriptedInvoker:
    """Answers each run from the queue of its event id, else with ``default``; graph id and context are ignored.

    A deadline of zero is ``ABORTED`` and leaves the queue unchanged (RTHANDLE-ID-1).
    """

    def __init__(self, default: RunTermination = Outcome.COMPLETED) -> None:
        self._default = default
        self._scripts: dict[str, deque[RunTermination]] = {}
        self._effects: dict[str, list[Effect]] = {}
        self._pending: list[Effect] = []
        self.calls: list[str] = []
        """The event id of every run, in order."""

    def script(self, event_id: str, terminations: Iterable[RunTermination]) -> None:
        """Set how the next runs of this event end; replaces an earlier script."""
        self._scripts[event_id] = deque(terminations)

    def give_effects(self, event_id: str, effects: Iterable[Effect]) -> None:
        """Set the effects of every completed run of this event."""
        self._effects[event_id] = list(effects)

    def run(self, graph_id: str, event_id: str, context: Context, deadline: int | None) -> RunTermination:
        """End the episode as scripted. Its effects replace those of an earlier attempt (HST-4)."""
        self.calls.append(event_id)
        termination = self._next(event_id, deadline)
        completed = termination is Outcome.COMPLETED
        self._pending = list(self._effects.get(event_id, ())) if completed else []
        return termination

    @property
    def run_calls(self) -> int:
        """How many times ``run`` was called."""
        return len(self.calls)

    @property
    def pending(self) -> int:
        """How many effects wait to be drained."""
        return len(self._pending)

    def drain(self) -> list[Effect]:
        """The effects of the last attempt; empties the buffer."""
        drained, self._pending = self._pending, []
        return drained

    def drain_rendered(self) -> list[ProducedEffect]:
        """As ``drain``, in the form that the host takes. Raises ValueError for an effect that JSON cannot hold."""
        return list(map(ProducedEffect.of, self.drain()))

    def _next(self, event_id: str, deadline: int | None) -> RunTermination:
        if deadline == 0:
            return Outcome.ABORTED
        script = self._scripts.get(event_id)
        return script.popleft() if script else self._default
