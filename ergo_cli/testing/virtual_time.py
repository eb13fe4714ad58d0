"""An event loop whose time is made up: every wait ends at once, in the order of the loop's own time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

DEADLOCK_S = 20
"""The real seconds after which a loop without a timer, that waits for threads and sockets alone, is given up."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop whose clock begins at zero and moves on to the next timer as soon as nothing else can run."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_LeapingSelector(self))

    def time(self) -> float:
        """The seconds that have passed in this loop."""
        return self._now

    def leap(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds


class _LeapingSelector(selectors.SelectSelector):
    """Lets time pass instead of waiting for it. Without a timer it waits for what threads and sockets do."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready; where nothing is, the time of ``timeout`` has passed."""
        if timeout is None:
            ready = super().select(DEADLOCK_S)
            if not ready:
                raise RuntimeError("nothing wakes this loop: every task waits for another one")
            return ready
        ready = super().select(0)
        if not ready:
            self._loop.leap(timeout)
        return ready


def run_in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end; no wait in it takes real time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
