"""How tasks wait: for a bell that others ring, at most for a time (spec 60 §1.2, §26)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from threading import get_ident

from ergo_cli.core.time import NANOS
from ergo_cli.stores.journals import EventJournal


class LoopClock:
    """The time of the running event loop, in which all waiting is done; ``wall_ms`` reads the wall clock."""

    def __init__(self, wall_ms: Callable[[], int]) -> None:
        self.wall_ms = wall_ms
        self._loop = asyncio.get_running_loop()

    def monotonic_ns(self) -> int:
        """Nanoseconds since some fixed moment; never goes back."""
        return round(self._loop.time() * NANOS)


class Bell:
    """Wakes one task, from any thread. A ring is kept until ``hush``, so that none is missed."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = get_ident()
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake the task, or keep it from waiting next time."""
        if get_ident() == self._thread:
            self._rung.set()
        else:
            self._loop.call_soon_threadsafe(self._rung.set)

    def hush(self) -> None:
        """Forget the rings so far."""
        self._rung.clear()

    async def wait(self, limit_ns: int | None) -> None:
        """Wait for a ring, for at most ``limit_ns`` where there is a limit."""
        timer = None if limit_ns is None else self._loop.call_later(limit_ns / NANOS, self._rung.set)
        try:
            await self._rung.wait()
        finally:
            if timer is not None:
                timer.cancel()


class RingingJournal:
    """An EventJournal over another one; an append to a run rings the bells of those who read it."""

    def __init__(self, journal: EventJournal) -> None:
        self._journal = journal
        self._bells: dict[str, list[Bell]] = defaultdict(list)

    def ring_for(self, run: str, bell: Bell) -> None:
        """Ring a bell after every append to a run."""
        self._bells[run].append(bell)

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        """Append to the underlying journal, then wake the readers."""
        head = self._journal.append(run, texts, expected_head)
        for bell in self._bells[run]:
            bell.ring()
        return head

    def scan(self, run: str, start: int = 1, to: int | None = None) -> Iterator[tuple[int, str]]:
        """The records of the underlying journal."""
        return self._journal.scan(run, start, to)

    def head(self, run: str) -> int:
        """The head of the underlying journal."""
        return self._journal.head(run)

    def runs(self) -> list[str]:
        """The runs of the underlying journal."""
        return self._journal.runs()
