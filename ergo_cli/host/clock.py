"""The real clock of live runs."""

from __future__ import annotations

import time

from ergo_cli.core.time import NANOS


class LiveClock:
    """The machine's time (spec 00 §13.3); replay never gets one."""

    def wall_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z."""
        return time.time_ns() // 1_000_000

    def monotonic_ns(self) -> int:
        """Nanoseconds since some fixed moment; never goes back."""
        return time.monotonic_ns()

    def sleep_ns(self, duration: int) -> None:
        """Block the calling thread for so many nanoseconds."""
        time.sleep(duration / NANOS)
