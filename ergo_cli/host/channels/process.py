"""A channel's process: a child with a process group of its own, heard line by line (spec 30 §15.4)."""

from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from ergo_cli.core.time import NANOS
from ergo_cli.host.channels.pumps import Alarm, LinePump, TailPump
from ergo_cli.host.channels.received import Broken, Eof, Line, Received
from ergo_cli.host.channels.spawning import signals_held

__all__ = ["Broken", "ChannelProcess", "Eof", "Line", "Received", "kill_all"]

_EXIT_POLL_NS = NANOS // 100
_WRITE_POLL_NS = 3600 * NANOS  # poll(2) cannot wait for weeks, as a timeout may ask
_REAP_SECONDS = 5  # only a process that the host may not kill, such as one of another user, takes so long
_alive: set[ChannelProcess] = set()


def kill_all() -> None:
    """Send SIGKILL to the process group of every channel there is; for a signal handler, it takes no locks.

    Nothing is reaped or closed: the caller is about to exit.
    """
    for process in tuple(_alive):
        process.signal_group()


class ChannelProcess:
    """A child in its own process group; threads read its stdout, line by line into a bounded queue, and its stderr.

    The child leads its group and stays unreaped until ``kill``, so that its number names no other group before that.
    Whoever starts one must ``kill`` it, whether or not it has exited: it may have left children behind.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._alarm = Alarm()
        self._stdout = LinePump(process.stdout.fileno(), self._alarm)
        self._stderr = TailPump(process.stderr.fileno(), self._alarm)
        try:
            self._stdout.start()
            self._stderr.start()
        except RuntimeError as error:
            raise OSError(errno.EAGAIN, str(error)) from error
        _alive.add(self)

    @classmethod
    def start(cls, command: Sequence[str], folder: Path | None, *, writable: bool) -> ChannelProcess:
        """Run ``command``, an argument list that no shell sees, in ``folder`` or, for None, in the current one.

        Its stdin is a pipe if ``writable``, else the null device. Raises OSError if it cannot be run.
        """
        with ExitStack() as undo:
            with signals_held():
                child = _spawned(command, folder, writable=writable)
                undo.callback(_end, child)  # should there be no thread left to hear it with
                channel = cls(child)
                undo.callback(channel.kill)  # should the handler of a signal that was held back raise
            undo.pop_all()
            return channel

    @property
    def pid(self) -> int:
        """The child's process id, which is that of its group too."""
        return self._process.pid

    @property
    def stderr_tail(self) -> str:
        """The last 64 KiB of what it told people so far, without white space around; complete after ``kill``."""
        return self._stderr.tail.decode(errors="replace").strip()

    def receive(self, timeout_ns: int) -> Received | None:
        """The next line of its stdout, or why there is none; None if neither is known within ``timeout_ns``."""
        return self._stdout.lines.take(timeout_ns)

    def send(self, line: bytes, timeout_ns: int) -> None:
        """Write a line to its stdin. Raises TimeoutError if it does not read in time, OSError if it never will."""
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
        """Let it read the end of its input; closing again changes nothing."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def wait(self, timeout_ns: int) -> int | None:
        """Its exit status, negative for the signal that ended it; None if it lives on after ``timeout_ns``."""
        deadline = time.monotonic_ns() + timeout_ns
        pause = _EXIT_POLL_NS // 16
        while (status := self._status()) is None and (left := deadline - time.monotonic_ns()) > 0:
            time.sleep(min(pause, left) / NANOS)
            pause = min(2 * pause, _EXIT_POLL_NS)
        return status

    def kill(self) -> None:
        """End the child and all that its group holds, reap it, and give back threads and descriptors; once is enough.

        A program that left the group on its own accord is out of reach, but is not waited for.
        """
        if self not in _alive:
            return
        self.signal_group()
        _alive.discard(self)  # before it is reaped: from then on its number may be another's
        self.close_input()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP_SECONDS)
        self._stdout.lines.abandon()
        self._alarm.ring()
        for pump, pipe in ((self._stdout, self._process.stdout), (self._stderr, self._process.stderr)):
            pump.join()
            if pipe is not None:
                pipe.close()
        self._alarm.close()

    def signal_group(self) -> None:
        """Send SIGKILL to the group, which must not have been reaped."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _status(self) -> int | None:
        if self._process.returncode is not None:
            return self._process.returncode
        try:
            found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # reaped by the system, because the host was started with SIGCHLD ignored
            return 0
        if found is None:
            return None
        return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status


def _spawned(command: Sequence[str], folder: Path | None, *, writable: bool) -> subprocess.Popen[bytes]:
    try:
        process = subprocess.Popen(
            list(command),
            cwd=folder,
            stdin=subprocess.PIPE if writable else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            process_group=0,
        )
    except ValueError as error:  # a zero byte, or a character that the file system cannot name
        raise OSError(errno.EINVAL, str(error)) from error
    if process.stdin is not None:
        os.set_blocking(process.stdin.fileno(), False)
    return process


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()
