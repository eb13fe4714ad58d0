"""The determinism guard, and services that ask it by themselves (spec 40 §8)."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from ergo_cli.core.clock import Clock
from ergo_cli.programs.kernel.errors import driver_error
from ergo_cli.programs.kernel.modes import KernelMode


class DeterminismGuard(Struct, frozen=True):
    """Refuses, in Replay and Verify, what a recorded run could not repeat. To be asked before the operation."""

    mode: KernelMode

    def check_clock_access(self) -> None:
        """Raise KernelError where no clock may be read."""
        self._check("clock access")

    def check_random_access(self) -> None:
        """Raise KernelError where no randomness may be drawn."""
        self._check("hardware randomness")

    def check_spawn_access(self) -> None:
        """Raise KernelError where no thread may be started."""
        self._check("thread spawn")

    def _check(self, what: str) -> None:
        if self.mode.traps_nondeterminism:
            raise driver_error(f"{what} not allowed in Replay/Verify mode (determinism guard)")


class GuardedClock:
    """A clock that asks the guard before it tells the time or sleeps."""

    def __init__(self, clock: Clock, guard: DeterminismGuard) -> None:
        self._clock = clock
        self._guard = guard

    def wall_ms(self) -> int:
        """Milliseconds since 1970. Raises KernelError in Replay and Verify."""
        self._guard.check_clock_access()
        return self._clock.wall_ms()

    def monotonic_ns(self) -> int:
        """Nanoseconds since some fixed moment. Raises KernelError in Replay and Verify."""
        self._guard.check_clock_access()
        return self._clock.monotonic_ns()

    def sleep_ns(self, duration: int) -> None:
        """Let time pass. Raises KernelError in Replay and Verify."""
        self._guard.check_clock_access()
        self._clock.sleep_ns(duration)


class Services:
    """Clock, randomness and threads for the user's code, each behind the guard of one mode.

    ``draw(n)`` gives n random bytes, ``start(work)`` runs work on a thread of its own.
    """

    def __init__(
        self,
        mode: KernelMode,
        *,
        clock: Clock,
        draw: Callable[[int], bytes],
        start: Callable[[Callable[[], None]], None],
    ) -> None:
        self._guard = DeterminismGuard(mode)
        self._draw = draw
        self._start = start
        self.clock: Clock = GuardedClock(clock, self._guard)

    def random(self, size: int) -> bytes:
        """So many random bytes. Raises KernelError in Replay and Verify."""
        self._guard.check_random_access()
        return self._draw(size)

    def spawn(self, work: Callable[[], None]) -> None:
        """Run ``work`` on a thread of its own. Raises KernelError in Replay and Verify."""
        self._guard.check_spawn_access()
        self._start(work)
