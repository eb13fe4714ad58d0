"""Stopping a run from outside, and the bounds it may be given (spec 30 §12)."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns

STOP_LATENCY_NS = 100_000_000
"""How long a wait may last before the stop is looked at again."""


class StopHandle:
    """A request to stop, from another thread or a signal handler; runs that share a handle share the request.

    A bound that is reached does not set it: a handle that nobody asked to stop may serve any number of runs.
    """

    def __init__(self) -> None:
        self.stopped = False
        """Whether the stop was asked for; never unset."""

    def stop(self) -> None:
        """Ask for the stop; asking again changes nothing."""
        self.stopped = True


class RunControl:
    """Says when one run must stop. ``max_duration`` is ns, counted from ``start``; None leaves a bound out."""

    def __init__(
        self,
        handle: StopHandle | None = None,
        max_events: int | None = None,
        max_duration: int | None = None,
        monotonic_ns: Callable[[], int] = monotonic_ns,
    ) -> None:
        self.handle = handle or StopHandle()
        self._max_events = max_events
        self._max_duration = max_duration
        self._monotonic_ns = monotonic_ns
        self._end: int | None = None

    def start(self) -> None:
        """Start the clock of ``max_duration``: call it once channels have been started."""
        if self._max_duration is not None:
            self._end = self._monotonic_ns() + self._max_duration

    @property
    def is_timed(self) -> bool:
        """Whether time is a bound, so that the clock must be looked at after every step."""
        return self._max_duration is not None

    def left(self, committed: int) -> int | None:
        """How many events may still be stepped after ``committed``; None where there is no bound."""
        return None if self._max_events is None else max(self._max_events - committed, 0)

    def should_stop(self, committed: int = 0) -> bool:
        """Whether to stop after ``committed`` steps: asked to, out of events, or out of time."""
        if self.handle.stopped:
            return True
        if self._max_events is not None and committed >= self._max_events:
            return True
        return self._end is not None and self._monotonic_ns() >= self._end
