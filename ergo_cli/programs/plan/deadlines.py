"""How long a run may go on: until a moment, and until somebody cancels it (spec 50 §21, §23 B-13)."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.core.time import NANOS, Clock
from ergo_cli.programs.plan.leases import look_again
from ergo_cli.stores.leases import HeldLease

_LOOK_NS = NANOS // 4
"""How long a sleep may be until the store is asked whether the run is cancelled."""


class DeadlineReached(BaseException):
    """The run stops here and can be resumed. No Exception: a handler must not catch it."""


class Deadline(Struct, frozen=True):
    """A moment of a clock in ns, None is no limit; and the lease that a request to cancel comes by."""

    clock: Clock
    moment: int | None = None
    lease: HeldLease | None = None

    def check(self) -> None:
        """Raise DeadlineReached once the moment is past."""
        if self.moment is not None and self.clock.monotonic_ns() >= self.moment:
            raise DeadlineReached

    def sleep(self, duration: int) -> None:
        """Sleep ``duration`` ns, but not past the moment, nor on once the run is cancelled.

        Raises DeadlineReached at the moment, and StorageError ``plan.run_busy`` where the lease is lost.
        """
        left = self._left()
        duration = duration if left is None else min(duration, left)
        if self.lease is None:
            self._sleep(duration)
        else:
            self._sleep_under(self.lease, duration)
        self.check()

    def _sleep(self, duration: int) -> None:
        if duration:
            self.clock.sleep_ns(duration)

    def _sleep_under(self, lease: HeldLease, duration: int) -> None:
        while duration and not lease.is_cancelled:
            self._sleep(min(duration, _LOOK_NS))
            duration -= min(duration, _LOOK_NS)
            look_again(lease)

    def seconds_left(self) -> float | None:
        """How long an ``async`` handler may still run, None without a limit."""
        left = self._left()
        return None if left is None else left / NANOS

    def _left(self) -> int | None:
        return None if self.moment is None else max(self.moment - self.clock.monotonic_ns(), 0)
