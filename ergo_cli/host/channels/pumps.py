"""The threads that empty a child's pipes, so that it never waits for the host (spec 30 §15.4)."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from threading import Thread

from ergo_cli.errors import reason
from ergo_cli.events.lines import LineTooLong, split_lines
from ergo_cli.host.channels.received import Broken, Eof, LineQueue

TAIL_BYTES = 64 * 1024
"""How much of what a program told people is kept: the end of it."""

_CHUNK = 64 * 1024
_CHUNKS_AFTER_CLOSE = 16  # as much as a pipe holds at most, by default


class Alarm:
    """Wakes threads that wait for a pipe, even one that a process out of reach holds open."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()

    def ring(self) -> None:
        """Wake all that wait, now and later."""
        os.close(self._writer)

    def close(self) -> None:
        """Give the descriptor back, once no thread waits any more."""
        os.close(self.reader)


class LinePump(Thread):
    """Reads a pipe line by line into a queue, up to the first line beyond 16 MiB."""

    def __init__(self, pipe: int, alarm: Alarm) -> None:
        super().__init__(name="ergo channel stdout", daemon=True)
        self.lines = LineQueue()
        self._pipe = pipe
        self._alarm = alarm

    def run(self) -> None:
        """Read until the pipe ends or nobody takes lines any more."""
        end = Broken("the reader of its stdout was lost")
        try:
            end = self._read()
        finally:
            self.lines.end(end)

    def _read(self) -> Eof | Broken:
        try:
            for _, line in split_lines(_chunks(self._pipe, self._alarm)):
                if not self.lines.put(line):
                    break
        except LineTooLong as error:
            return Broken(str(error), oversized=True)
        except OSError as error:
            return Broken(f"reading its stdout failed: {reason(error)}")
        return Eof()


class TailPump(Thread):
    """Reads a pipe and keeps the last 64 KiB of it."""

    def __init__(self, pipe: int, alarm: Alarm) -> None:
        super().__init__(name="ergo channel stderr", daemon=True)
        self.tail = b""
        self._pipe = pipe
        self._alarm = alarm

    def run(self) -> None:
        """Read until the pipe ends; a pipe that cannot be read ends too, for nothing depends on it."""
        try:
            for chunk in _chunks(self._pipe, self._alarm):
                self.tail = (self.tail + chunk)[-TAIL_BYTES:]
        except OSError as error:
            self.tail += f"\n(reading stderr failed: {reason(error)})".encode()


def _chunks(pipe: int, alarm: Alarm) -> Iterator[bytes]:
    """What comes through the pipe until it ends or, once the alarm rings, until it is empty."""
    poller = select.poll()
    poller.register(pipe, select.POLLIN)
    poller.register(alarm.reader, select.POLLIN)
    left = _CHUNKS_AFTER_CLOSE
    while left:
        ready = [descriptor for descriptor, _ in poller.poll()]
        if pipe not in ready:
            return
        chunk = os.read(pipe, _CHUNK)
        if not chunk:
            return
        yield chunk
        left -= alarm.reader in ready
