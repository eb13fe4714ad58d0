"""Time in a live run: the machine's clock, calls with a deadline, when to stop (spec 30 §12, 00 §13.1)."""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import TIMEOUT_MAX, Thread
from time import monotonic_ns
from typing import NoReturn, TypeVar

from ergo_cli.core.time import NANOS
from ergo_cli.programs.seat import DeadlinePassed


class LiveClock:
    """The machine's time (spec 00 §13.3); replays use ``StandingClock``."""

    def wall_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z."""
        return time.time_ns() // 1_000_000

    def monotonic_ns(self) -> int:
        """Nanoseconds since an arbitrary fixed moment; never decreases."""
        return time.monotonic_ns()

    def sleep_ns(self, duration: int) -> None:
        """Block the calling thread for ``duration`` nanoseconds."""
        time.sleep(_seconds(duration))


def _seconds(duration: int) -> float:
    """Seconds of a duration in ns, at most 146 years: half of what a wait may last, as the clock is added to it."""
    return min(duration / NANOS, TIMEOUT_MAX / 2)


T = TypeVar("T")


def call_within(limit: int, work: Callable[[], T], name: str) -> T:
    """Run ``work`` on a thread called ``name``; return or raise its result within ``limit`` ns, however many.

    Raises DeadlinePassed after that: the abandoned thread may still finish, and its result is dropped.
    """
    answers: SimpleQueue[Callable[[], T]] = SimpleQueue()
    Thread(target=_answer, args=(work, answers), name=name, daemon=True).start()
    try:
        answer = answers.get(timeout=_seconds(limit))
    except Empty:
        raise DeadlinePassed from None
    return answer()


def _answer(work: Callable[[], T], answers: SimpleQueue[Callable[[], T]]) -> None:
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - raised again in the waiting thread
        answers.put(_raising(error))
    else:
        answers.put(lambda: result)


def _raising(error: BaseException) -> Callable[[], NoReturn]:
    def raise_it() -> NoReturn:
        raise error

    return raise_it


class StopHandle:
    """A request to stop, from another thread or a signal handler; runs that share a handle share the request.

    Reaching a bound does not set it, so an unset handle can serve any number of runs.
    """

    def __init__(self) -> None:
        self.stopped = False
        """Whether a stop was requested; never reset."""
        self.heeded = False
        """Whether a run has come so far that it looks at the request after every step."""

    def stop(self) -> None:
        """Request the stop; further requests change nothing."""
        self.stopped = True

    def stop_if_heeded(self) -> bool:
        """Request the stop and return whether it is heeded: a run that is still opening its events waits for those."""
        self.stop()
        return self.heeded


class RunControl:
    """Decides when one run must stop. ``max_duration`` is ns, counted from ``start``; None means no bound."""

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
        """Heed requests to stop, and start the clock of ``max_duration``: call it once channels have been started."""
        self.handle.heeded = True
        if self._max_duration is not None:
            self._end = self._monotonic_ns() + self._max_duration

    @property
    def is_timed(self) -> bool:
        """Whether there is a time bound, so that the clock must be read after every step."""
        return self._max_duration is not None

    def left(self, committed: int) -> int | None:
        """The number of events that may still be stepped after ``committed``; None without a bound."""
        return None if self._max_events is None else max(self._max_events - committed, 0)

    def should_stop(self, committed: int = 0) -> bool:
        """Whether to stop after ``committed`` steps: on request, at the event bound or at the time bound."""
        if self.handle.stopped:
            return True
        if self._max_events is not None and committed >= self._max_events:
            return True
        return self._end is not None and self._monotonic_ns() >= self._end
