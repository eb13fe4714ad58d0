"""The moment until which a run may go on (spec 50 §21)."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.core.time import NANOS, Clock


class DeadlineReached(BaseException):
    """The run stops here and can be resumed. No Exception: a handler must not catch it."""


class Deadline(Struct, frozen=True):
    """A moment of a clock in ns; None is no limit."""

    clock: Clock
    moment: int | None = None

    def check(self) -> None:
        """Raise DeadlineReached once the moment is past."""
        if self.moment is not None and self.clock.monotonic_ns() >= self.moment:
            raise DeadlineReached

    def sleep(self, duration: int) -> None:
        """Sleep ``duration`` ns, but not past the moment. Raises DeadlineReached at it."""
        if duration:
            left = self._left()
            self.clock.sleep_ns(duration if left is None else min(duration, left))
        self.check()

    def seconds_left(self) -> float | None:
        """How long an ``async`` handler may still run, None without a limit."""
        left = self._left()
        return None if left is None else left / NANOS

    def _left(self) -> int | None:
        return None if self.moment is None else max(self.moment - self.clock.monotonic_ns(), 0)
