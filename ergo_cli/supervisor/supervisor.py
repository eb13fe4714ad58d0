"""The supervisor decides when an episode runs, not what it computes (spec 10 §19); the step that all runs share."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush

from msgspec import Struct

from ergo_cli.core.time import saturating_add, saturating_sub
from ergo_cli.errors import CaptureWriteError
from ergo_cli.events.external import Context, EventKind, ExternalEvent
from ergo_cli.supervisor.retries import retryable
from ergo_cli.supervisor.seam import (
    Constraints,
    DecidedEffects,
    Decision,
    DecisionLog,
    EffectfulInvoker,
    LogEntry,
    Outcome,
    RunTermination,
    RuntimeInvoker,
)

_LAST_EPISODE = 2**64 - 1

OnFailure = Callable[[str, RunTermination], None]
"""Called for an episode that did not complete after all its retries, with the id of the event it was decided for."""

# Bound here: enum lookup is measurable in ``on_event``.
_PUMP, _INVOKE, _COMPLETED = EventKind.PUMP, Decision.INVOKE, Outcome.COMPLETED


class _Work(Struct, frozen=True):
    """A deferred episode: the id and the context of its origin event (SUP-TICK-1)."""

    event_id: str
    context: Context


class Supervisor:
    """Decides when an episode runs: one decision per event, in event order (SUP-1 … SUP-7).

    The clock is the latest event time seen (SUP-NOW-1); deferred work is served by Pump events, one item each.
    """

    def __init__(
        self,
        graph_id: str,
        constraints: Constraints,
        log: DecisionLog,
        runtime: RuntimeInvoker,
        on_failure: OnFailure | None = None,
    ) -> None:
        self._graph_id = graph_id
        self._constraints = constraints
        self._deadline = constraints.deadline
        self._max_retries = constraints.max_retries
        self._rate_limited = constraints.rate_window is not None and constraints.max_per_window is not None
        self._limited = constraints.max_in_flight is not None or self._rate_limited
        self._log = log.log
        self._run = runtime.run
        self._on_failure = on_failure
        self._next_episode = 0
        self._in_flight = 0
        self._recent: deque[int] = deque()
        self._clock = 0
        self._deferred: list[tuple[int, int, _Work]] = []  # a heap; episode ids break ties

    def on_event(self, event: ExternalEvent) -> None:
        """Decide one event, run the episode if admitted, log exactly one decision."""
        now = self._clock
        if event.at > now:
            self._clock = now = event.at
        is_pump = event.kind is _PUMP
        if is_pump and self._deferred and self._deferred[0][0] <= now:
            _, episode, work = heappop(self._deferred)
            origin_id, context = work.event_id, work.context
        else:
            episode = self._next_episode
            self._next_episode = episode + (episode < _LAST_EPISODE)
            origin_id, context = event.event_id, event.context
            if is_pump:
                self._defer(event, episode, None)
                return
        if self._limited:
            later = self._next_slot(now)
            if later is not None:
                heappush(self._deferred, (later, episode, _Work(origin_id, context)))
                self._defer(event, episode, later)
                return
            if self._rate_limited:
                self._recent.append(now)
        deadline, retries = self._deadline, 0
        self._in_flight += 1
        termination = self._run(self._graph_id, origin_id, context, deadline)
        if termination is not _COMPLETED:
            while retries < self._max_retries and retryable(termination):
                retries += 1
                termination = self._run(self._graph_id, origin_id, context, deadline)
            if termination is not _COMPLETED and self._on_failure is not None:
                self._on_failure(event.event_id, termination)
        self._in_flight -= 1
        self._log(LogEntry(self._graph_id, event, _INVOKE, None, episode, deadline, termination, retries))

    def _next_slot(self, now: int) -> int | None:
        """The time in ns at which refused work can run; saturation is checked before the rate limit."""
        saturation = self._constraints.max_in_flight
        if saturation is not None and self._in_flight >= saturation:
            return now
        window, admissions = self._constraints.rate_window, self._constraints.max_per_window
        if window is None or admissions is None:
            return None
        while self._recent and saturating_sub(now, self._recent[0]) >= window:
            self._recent.popleft()
        if self._recent and len(self._recent) >= admissions:
            return saturating_add(now, saturating_sub(window, saturating_sub(now, self._recent[0])))
        return None

    def _defer(self, event: ExternalEvent, episode: int, until: int | None) -> None:
        self._log(LogEntry(self._graph_id, event, Decision.DEFER, until, episode, self._deadline, None, 0))


class UnrenderableEffect(CaptureWriteError):
    """An effect that JSON cannot hold: a number that is not finite, or a text that is not valid Unicode."""

    def __init__(self, event_id: str, error: ValueError) -> None:
        where = f"event '{event_id}'"
        message = f"the effects of event '{event_id}' cannot be serialized: {error}"
        super().__init__("Serialize", message, where=where, fix="let the action emit finite numbers and valid text")


class Decider:
    """Decides events in order; each decision comes with the effects of the episode that ran for it."""

    def __init__(
        self,
        graph_id: str,
        constraints: Constraints,
        invoker: EffectfulInvoker,
        on_failure: OnFailure | None = None,
    ) -> None:
        self._entries: list[LogEntry] = []
        self.log = self._entries.append
        self._take_entry = self._entries.pop
        self._on_event = Supervisor(graph_id, constraints, self, invoker, on_failure).on_event
        self._drain = invoker.drain_rendered

    def decide(self, event: ExternalEvent) -> DecidedEffects:
        """The decision for ``event``, and the effects of the last attempt, in program order.

        Raises UnrenderableEffect.
        """
        self._on_event(event)
        try:
            effects = self._drain()
        except ValueError as error:
            raise UnrenderableEffect(event.event_id, error) from error
        return self._take_entry(), effects
