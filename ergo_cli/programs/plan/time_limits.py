"""Time limits of states: a handler that takes too long is abandoned, and records nothing more (spec 50 §23, B-13)."""

from __future__ import annotations

from threading import RLock
from types import TracebackType

from ergo_cli.programs.plan.errors import ErrorCategory, ErrorInfo, Failure
from ergo_cli.programs.plan.manifest import Delay
from ergo_cli.programs.plan.stream import Turn

STATE_TIMEOUT = "state_timeout"
"""The code of an attempt whose handler was abandoned; a replay takes it as given."""


class AttemptOver(BaseException):
    """Ends an abandoned handler where it wants to record something. No Exception: it must not catch it."""


class Gate:
    """Lets the handler of an attempt record until the attempt is over: a context around each record.

    ``outer`` is that of the parent run's attempt, for the attempt of a child.
    """

    def __init__(self, outer: Turn) -> None:
        self._outer = outer
        self._lock = RLock()
        self._is_shut = False

    def shut(self) -> None:
        """End the attempt, once what is being recorded now is recorded."""
        with self._lock:
            self._is_shut = True

    def __enter__(self) -> None:
        self._lock.acquire()
        if self._is_shut:
            self._lock.release()
            raise AttemptOver
        try:
            self._outer.__enter__()
        except BaseException:
            self._lock.release()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._outer.__exit__(None, None, None)
        self._lock.release()


def timed_out(state_id: str, limit: Delay) -> Failure:
    """The failure of an attempt whose handler was abandoned; the retry policy may try again."""
    message = f"the handler did not end within {limit.ns / 10**9:g} s"
    return Failure(state_id, ErrorInfo(STATE_TIMEOUT, ErrorCategory.UNKNOWN, True, message))
