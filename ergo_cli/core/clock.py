"""What may be asked of time: the one seam through which programs see a clock or sleep (spec 00 §13.3)."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """A wall clock, a monotonic clock and a sleep that belong together."""

    def wall_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds since some fixed moment; never goes back."""
        ...

    def sleep_ns(self, duration: int) -> None:
        """Return after so many nanoseconds."""
        ...


class StandingClock:
    """Time that never passes: always zero, and every sleep is over at once. What captures and replays run on."""

    def wall_ms(self) -> int:
        """Zero."""
        return 0

    def monotonic_ns(self) -> int:
        """Zero."""
        return 0

    def sleep_ns(self, duration: int) -> None:
        """Return at once."""
