"""Until when a call of the driver may go on (spec 40 §19.1)."""

from __future__ import annotations

from ergo_cli.core.clock import Clock
from ergo_cli.programs.kernel.errors import KernelError, driver_error

_MILLISECOND = 1_000_000


class Deadline:
    """A moment on a monotonic clock, in ns, or none; all waits of a call go through it."""

    def __init__(self, clock: Clock, moment: int | None) -> None:
        self._clock = clock
        self._moment = moment

    def remaining(self) -> int | None:
        """How many nanoseconds are left, at least 0; None without a deadline."""
        return None if self._moment is None else max(self._moment - self._clock.monotonic_ns(), 0)

    def check(self) -> None:
        """Raise KernelError ``kernel.deadline`` once it has passed."""
        if self.remaining() == 0:
            raise deadline_exceeded()

    def wait_ms(self, millis: int) -> None:
        """Sleep so long, or until the deadline, which is then raised as by ``check``."""
        duration, remaining = millis * _MILLISECOND, self.remaining()
        if duration:
            self._clock.sleep_ns(duration if remaining is None else min(duration, remaining))
        self.check()


def deadline_exceeded() -> KernelError:
    """The error of a call that came to its deadline, and of an executor that had to be cut off there."""
    return driver_error("deadline exceeded", code="kernel.deadline")


def is_deadline(error: KernelError) -> bool:
    """Whether this is the error of a passed deadline."""
    return error.code == "kernel.deadline"
