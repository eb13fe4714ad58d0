"""A channel's process: started in its own process group, read and written line by line, ended (spec 30 §15.4)."""

from __future__ import annotations

import errno
import os
import select
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import TIMEOUT_MAX, Condition, Thread

from msgspec import Struct

from ergo_cli.channels.group import ProcessGroup
from ergo_cli.core.time import NANOS
from ergo_cli.errors import reason
from ergo_cli.events.stream import LineTooLong, split_lines
from ergo_cli.signals import signals_held


class Line(Struct, frozen=True, gc=False):
    """A line without its line end; the frame decoders check its bytes."""

    text: bytes


class Eof(Struct, frozen=True, gc=False):
    """The end of the output: every process that held the other end has closed it."""


class Broken(Struct, frozen=True, gc=False):
    """The output cannot be read on; ``oversized``: a line exceeds the limit."""

    reason: str
    oversized: bool = False


Received = Line | Eof | Broken
"""What can be received from a process."""


_WRITE_POLL_NS = 3600 * NANOS  # poll(2) takes 32-bit milliseconds; a timeout may be weeks


class ChannelProcess:
    """A child in its own process group; threads read its stdout, line by line into a bounded queue, and its stderr.

    The caller of ``start`` must ``kill`` it, even after it has exited: it may have left children behind.
    """

    def __init__(self, group: ProcessGroup) -> None:
        process = group.child
        assert process.stdout is not None
        assert process.stderr is not None
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
        self._group = group
        self._process = process
        self._alarm = Alarm()
        self._stdout = LinePump(process.stdout.fileno(), self._alarm)
        self._stderr = TailPump(process.stderr.fileno(), self._alarm)
        try:
            self._stdout.start()
            self._stderr.start()
        except RuntimeError as error:
            raise OSError(errno.EAGAIN, str(error)) from error

    @classmethod
    def start(cls, command: Sequence[str], folder: Path | None, *, writable: bool) -> ChannelProcess:
        """Run ``command``, an argument list that no shell sees, in ``folder`` or, for None, in the current one.

        Its stdin is a pipe if ``writable``, else the null device. Raises OSError if it cannot be run.
        """
        with ExitStack() as undo:
            with signals_held():
                stdin = subprocess.PIPE if writable else subprocess.DEVNULL
                group = ProcessGroup.start(command, folder, stdin=stdin, stderr=subprocess.PIPE)
                undo.callback(group.close)  # if no reader thread can be started
                channel = cls(group)
                undo.callback(channel.kill)  # if the handler of a deferred signal raises
            undo.pop_all()
            return channel

    @property
    def pid(self) -> int:
        """The child's process id, which is that of its group too."""
        return self._process.pid

    @property
    def stderr_tail(self) -> str:
        """The last 64 KiB of its stderr so far, stripped of white space; complete after ``kill``."""
        return self._stderr.tail.decode(errors="replace").strip()

    def receive(self, timeout_ns: int) -> Received | None:
        """The next line of its stdout, or why none follows; None if neither is known within ``timeout_ns``."""
        return self._stdout.lines.take(timeout_ns)

    def send(self, line: bytes, timeout_ns: int) -> None:
        """Write a line to its stdin. Raises TimeoutError if it does not read in time, OSError if stdin is closed."""
        stdin = self._process.stdin
        assert stdin is not None, "the process was started without an input"
        if stdin.closed:
            raise BrokenPipeError(errno.EPIPE, "its input is closed")
        deadline = time.monotonic_ns() + timeout_ns
        rest = memoryview(line + b"\n")
        poller = select.poll()
        poller.register(stdin.fileno(), select.POLLOUT)
        while rest:
            left = deadline - time.monotonic_ns()
            if not poller.poll(min(max(left, 0), _WRITE_POLL_NS) * 1000 / NANOS):
                if left <= _WRITE_POLL_NS:
                    raise TimeoutError(errno.ETIMEDOUT, "it does not read its input")
                continue
            with suppress(BlockingIOError):
                rest = rest[os.write(stdin.fileno(), rest) :]

    def close_input(self) -> None:
        """Close its stdin; closing again changes nothing."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def wait(self, timeout_ns: int) -> int | None:
        """Its exit status, negative for the signal that ended it; None if it still runs after ``timeout_ns``."""
        return self._group.wait(timeout_ns)

    def kill(self) -> None:
        """Kill the child's process group, reap the child, release threads and descriptors; further calls do nothing.

        A program that left the group is out of reach and is not waited for.
        """
        if not self._group.is_alive:
            return
        self._group.end()
        self._stdout.lines.abandon()
        self._alarm.ring()
        for pump, pipe in ((self._stdout, self._process.stdout), (self._stderr, self._process.stderr)):
            pump.join()
            if pipe is not None:
                pipe.close()
        self._alarm.close()


TAIL_BYTES = 64 * 1024
"""How much of a program's stderr is kept: its last bytes."""

_CHUNK = 64 * 1024
_CHUNKS_AFTER_CLOSE = 16  # what a pipe holds at most, by default


class Alarm:
    """Wakes threads that wait for a pipe, even if a process out of reach keeps the pipe open."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()

    def ring(self) -> None:
        """Wake all waiting threads, now and later."""
        os.close(self._writer)

    def close(self) -> None:
        """Close the descriptor, once no thread waits any more."""
        os.close(self.reader)


class LinePump(Thread):
    """Reads a pipe line by line into a queue, up to the first line beyond 16 MiB."""

    def __init__(self, pipe: int, alarm: Alarm) -> None:
        super().__init__(name="ergo channel stdout", daemon=True)
        self.lines = LineQueue()
        self._pipe = pipe
        self._alarm = alarm

    def run(self) -> None:
        """Read until the pipe ends or the queue is abandoned."""
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
        """Read until the pipe ends; a read error ends it too, because stderr only serves messages."""
        try:
            for chunk in _chunks(self._pipe, self._alarm):
                self.tail = (self.tail + chunk)[-TAIL_BYTES:]
        except OSError as error:
            self.tail += f"\n(reading stderr failed: {reason(error)})".encode()


def _chunks(pipe: int, alarm: Alarm) -> Iterator[bytes]:
    """Yield what the pipe delivers until it ends or, once the alarm rings, until it is empty."""
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


QUEUE_LINES = 1024
"""How many lines may wait to be taken."""
QUEUE_BYTES = 16 * 1024 * 1024
"""How many bytes those lines may have together; a single line may have more."""


class LineQueue:
    """A bounded queue between the thread that reads lines and the one that takes them; ``put`` waits for room."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._end: Eof | Broken | None = None
        self._abandoned = False

    def put(self, line: bytes) -> bool:
        """Add a line as soon as there is room; False if the queue is abandoned."""
        with self._changed:
            while not (self._abandoned or self._has_room(len(line))):
                self._changed.wait()
            self._lines.append(line)
            self._bytes += len(line)
            self._changed.notify()
            return not self._abandoned

    def end(self, end: Eof | Broken) -> None:
        """Set the reason why no further line follows."""
        with self._changed:
            self._end = end
            self._changed.notify()

    def take(self, timeout: int) -> Received | None:
        """The next line, after the last one always the end; None if neither comes within ``timeout`` ns."""
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
        """Stop ``put`` from waiting: no line will be taken any more."""
        with self._changed:
            self._abandoned = True
            self._changed.notify()

    def _has_room(self, size: int) -> bool:
        return not self._lines or (len(self._lines) < QUEUE_LINES and self._bytes + size <= QUEUE_BYTES)
