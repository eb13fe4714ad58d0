"""What comes out of a channel process, and the queue it comes through."""

from __future__ import annotations

from collections import deque
from threading import TIMEOUT_MAX, Condition

from msgspec import Struct

from ergo_cli.core.time import NANOS

QUEUE_LINES = 1024
"""How many lines may wait to be taken."""
QUEUE_BYTES = 16 * 1024 * 1024
"""How many bytes those lines may have together, unless it is one line alone."""


class Line(Struct, frozen=True, gc=False):
    """A line, without its line end; what its bytes say is for the frame decoders to judge."""

    text: bytes


class Eof(Struct, frozen=True, gc=False):
    """Nothing more will come: every process that held the other end has closed it."""


class Broken(Struct, frozen=True, gc=False):
    """Nothing more can be read; ``oversized``: because a line went beyond the limit."""

    reason: str
    oversized: bool = False


Received = Line | Eof | Broken


class LineQueue:
    """Lines on their way from the thread that reads them to the one that takes them; the first waits for room."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._end: Eof | Broken | None = None
        self._abandoned = False

    def put(self, line: bytes) -> bool:
        """Add a line as soon as there is room; False if nobody will take it."""
        with self._changed:
            while not (self._abandoned or self._has_room(len(line))):
                self._changed.wait()
            self._lines.append(line)
            self._bytes += len(line)
            self._changed.notify()
            return not self._abandoned

    def end(self, end: Eof | Broken) -> None:
        """Say why no further line will be put."""
        with self._changed:
            self._end = end
            self._changed.notify()

    def take(self, timeout: int) -> Received | None:
        """The next line; once all are taken the end, again and again; None if neither comes within ``timeout`` ns."""
        with self._changed:
            if not self._lines and self._end is None:
                self._changed.wait_for(lambda: self._lines or self._end, min(max(timeout, 0) / NANOS, TIMEOUT_MAX))
            if not self._lines:
                return self._end
            line = self._lines.popleft()
            self._bytes -= len(line)
            self._changed.notify()
            return Line(line)

    def abandon(self) -> None:
        """Let ``put`` wait no more: nobody takes lines now."""
        with self._changed:
            self._abandoned = True
            self._changed.notify()

    def _has_room(self, size: int) -> bool:
        return not self._lines or (len(self._lines) < QUEUE_LINES and self._bytes + size <= QUEUE_BYTES)
