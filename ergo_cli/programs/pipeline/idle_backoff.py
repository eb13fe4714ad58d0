"""How long a loop that found nothing to do waits (spec 60 §18.1, §19.3)."""

from __future__ import annotations

IDLE_CAP_MS = 10
"""The longest wait of a source that has nothing to emit."""

BLOCKED_CAP_MS = 50
"""The longest wait of a writer that has no credit."""


class IdleBackoff:
    """Waits of 1 ms, doubled up to a cap; work sets them back (C-55)."""

    def __init__(self, cap_ms: int) -> None:
        self._cap_ms = cap_ms
        self._next_ms = 1

    def next_ms(self) -> int:
        """How long to wait this time."""
        waiting_ms = min(self._next_ms, self._cap_ms)
        self._next_ms = waiting_ms * 2
        return waiting_ms

    def reset(self) -> None:
        """There was work."""
        self._next_ms = 1
