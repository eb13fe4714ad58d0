"""Run one driver process: hello, events, end, exit (spec 30 §12, §15)."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ergo_cli.channels.frames import (
    DRIVER_PROTOCOL,
    DriverEnd,
    DriverFrame,
    FrameError,
    Hello,
    decode_driver_frame,
    driver_frame_type,
)
from ergo_cli.channels.interruption import (
    DRIVER_IO,
    DRIVER_TERMINATED,
    PROTOCOL_VIOLATION,
    End,
    IngressFailure,
    Interruption,
)
from ergo_cli.channels.process import Broken, ChannelProcess, Eof, Line
from ergo_cli.channels.timeouts import ChannelPolicy
from ergo_cli.core.document_fields import shown
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import EventError, reason
from ergo_cli.events.external import HostedEvent

if TYPE_CHECKING:
    from ergo_cli.events.redaction import Redaction

_LABEL = "<driver>"
_EPISODE = ("E1", 0)


class ProcessArrivals:
    """The events of a driver process; leaving its ``with`` block kills the process group.

    A driver is not asked to end when the run stops. All its events belong to one episode. With a ``redaction`` they
    come redacted, and errors show nothing of what the driver wrote.
    """

    def __init__(
        self,
        process: ChannelProcess,
        command: Sequence[str],
        policy: ChannelPolicy,
        numbers: Numbers,
        redaction: Redaction | None = None,
    ) -> None:
        self._process = process
        self._command = tuple(command)
        self._policy = policy
        self._numbers = numbers
        self._redaction = redaction
        self._frames = 0
        self.opened: list[tuple[str, int]] = []
        """``("E1", 0)`` once an event has arrived."""

    @classmethod
    def start(
        cls,
        command: Sequence[str],
        folder: Path | None,
        policy: ChannelPolicy,
        numbers: Numbers,
        should_stop: Callable[[], bool] = lambda: False,
        redaction: Redaction | None = None,
    ) -> Self:
        """Run the program in ``folder`` and wait for its hello, or until ``should_stop``.

        Raises EventError ``driver.start_failed`` if it cannot be run, IngressFailure if its first frame is late or not
        a hello; then the process has been killed.
        """
        try:
            process = ChannelProcess.start(command, folder, writable=False)
        except OSError as error:
            raise not_spawned(command, error, _LABEL) from error
        arrivals = cls(process, command, policy, numbers, redaction)
        try:
            arrivals._await_hello(should_stop)
        except BaseException:
            process.kill()
            raise
        return arrivals

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()

    @property
    def place(self) -> str:
        """``<driver>:<line>:1`` of the frame read last, ``<driver>`` before the first."""
        return f"{_LABEL}:{self._frames}:1" if self._frames else _LABEL

    def next(self, should_stop: Callable[[], bool]) -> HostedEvent | End:
        """The next event, without a time limit; FINISHED once the driver has ended after its end frame.

        ``should_stop`` is called first, every 100 ms, and before the end of the output counts as the driver's fault:
        the signal that stops the run may have ended the driver too. Raises IngressFailure, after killing the driver.
        """
        while not should_stop():
            match self._process.receive(self._policy.receive):
                case None:
                    continue
                case Line(text=line):
                    return self._follow(self._frame(line))
                case Eof() | Broken() as end:
                    return self._lost(end, should_stop)
        return End.STOPPED

    def _await_hello(self, should_stop: Callable[[], bool]) -> None:
        deadline = time.monotonic_ns() + self._policy.startup
        while not should_stop():
            left = deadline - time.monotonic_ns()
            match self._process.receive(min(left, self._policy.receive)):
                case None:
                    if left <= self._policy.receive:
                        grace = millis(self._policy.startup)
                        raise self._failure(Breach.TERMINATED, f"said no hello within {grace}")
                case Line(text=line):
                    self._check_hello(self._frame(line))
                    return
                case Eof() | Broken() as end:
                    self._lost(end, should_stop)

    def _check_hello(self, frame: DriverFrame) -> None:
        if not isinstance(frame, Hello):
            what = f"must say hello first, but its first frame is of type '{driver_frame_type(frame)}'"
            raise self._failure(Breach.PROTOCOL, what)
        if frame.protocol != DRIVER_PROTOCOL:
            what = f"speaks protocol '{shown(frame.protocol)}', expected '{DRIVER_PROTOCOL}'"
            raise self._failure(Breach.PROTOCOL, what)

    def _frame(self, line: bytes) -> DriverFrame:
        self._frames += 1
        try:
            return decode_driver_frame(line, self._numbers)
        except FrameError as error:
            what = "sent a line that is not a frame"
            if self._redaction is not None:
                raise self._failure(Breach.PROTOCOL, f"{what}: what is wrong with it {_WITHHELD}") from None
            raise self._failure(Breach.PROTOCOL, f"{what}: {error}") from error

    def _follow(self, frame: DriverFrame) -> HostedEvent | End:
        match frame:
            case HostedEvent():
                self.opened = self.opened or [_EPISODE]
                return frame if self._redaction is None else self._redaction.event(frame)
            case DriverEnd():
                return self._finish()
            case Hello():
                raise self._failure(Breach.PROTOCOL, "sent a second frame of type 'hello'")

    def _finish(self) -> End:
        """Wait for the driver to close its output and exit, both within one timeout and without another line."""
        if not self.opened:
            raise self._failure(Breach.PROTOCOL, "sent a frame of type 'end' before any event")
        deadline = time.monotonic_ns() + self._policy.termination
        match self._process.receive(self._policy.termination):
            case Line():
                self._frames += 1
                raise self._failure(Breach.PROTOCOL, "sent another line after its end frame")
            case Broken() as broken:
                raise self._unreadable(broken)
            case None:
                raise self._overstayed("close its output and exit")
            case Eof():
                status = self._process.wait(deadline - time.monotonic_ns())
        if status is None:
            raise self._overstayed("exit")
        if status != 0:
            raise self._failure(Breach.TERMINATED, f"{ending(status)} after its end frame")
        return End.FINISHED

    def _lost(self, end: Eof | Broken, should_stop: Callable[[], bool]) -> End:
        """The end of the output without end frame: STOPPED if the run must stop, else raise a failure."""
        if should_stop():
            return End.STOPPED
        if isinstance(end, Broken):
            raise self._unreadable(end)
        deadline = time.monotonic_ns() + self._policy.termination
        while (status := self._process.wait(self._policy.receive)) is None and time.monotonic_ns() < deadline:
            if should_stop():
                return End.STOPPED
        what = f"closed its output without an end frame and {ending(status)}"
        if status is None:
            what += f" after {millis(self._policy.termination)}"
        raise self._failure(Breach.TERMINATED, what)

    def _overstayed(self, duty: str) -> IngressFailure:
        grace = millis(self._policy.termination)
        return self._failure(Breach.TERMINATED, f"did not {duty} within {grace} of its end frame")

    def _unreadable(self, broken: Broken) -> IngressFailure:
        if not broken.oversized:
            return self._failure(Breach.IO, f"cannot be heard: {broken.reason}")
        self._frames += 1
        return self._failure(Breach.PROTOCOL, f"sent a line that is not a frame: {broken.reason}")

    def _failure(self, breach: Breach, what: str) -> IngressFailure:
        """The failure to raise; kills the driver first, so that its stderr is complete."""
        self._process.kill()
        said = self._process.stderr_tail
        if said and self._redaction is not None:
            said = f"its standard error {_WITHHELD}"
        return ingress_failure(breach, self._command, what, self.place, said)


_WITHHELD = "is not shown, because values of its events are redacted"
_FIX_PROGRAM = "let the driver say hello, then its events, then end, and exit with status 0"
_SHOWN = 1000


class Breach(Enum):
    """A driver's fault: the error code, the interruption code and the fix."""

    PROTOCOL = "driver.protocol_invalid", PROTOCOL_VIOLATION, "write one frame of ergo-driver.v0 a line"
    TERMINATED = "driver.start_failed", DRIVER_TERMINATED, _FIX_PROGRAM
    IO = "driver.io_failed", DRIVER_IO, "let the driver keep its stdout open until it exits"


def ingress_failure(breach: Breach, command: Sequence[str], what: str, where: str, stderr: str) -> IngressFailure:
    """The failure of the driver run as ``command``: ``what`` it did, and in parentheses the end of its stderr."""
    code, interruption, fix = breach.value
    message = f"driver {quoted(command)} {what}{_quoted_stderr(stderr)}"
    return IngressFailure(EventError(code, message, where=where, fix=fix), Interruption(interruption))


def not_spawned(command: Sequence[str], error: OSError, where: str) -> EventError:
    """The error of a program that the operating system cannot start."""
    message = f"driver {quoted(command)} cannot be started: {reason(error)}"
    return EventError("driver.start_failed", message, where=where, fix="check the command and what it needs")


def ending(status: int | None) -> str:
    """An exit status in words, None for a running process: ``exited with status 3``."""
    match status:
        case None:
            return "is still running"
        case _ if status < 0:
            return f"was ended by signal {-status}"
        case _:
            return f"exited with status {status}"


def millis(duration: int) -> str:
    """A duration in ns as text, in ms."""
    return f"{duration // 1_000_000} ms"


def _quoted_stderr(stderr: str) -> str:
    if not stderr:
        return ""
    return f" ({stderr})" if len(stderr) <= _SHOWN else f" (…{stderr[-_SHOWN:]})"


_EXECUTE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


def quoted(command: Sequence[str]) -> str:
    """A command as errors name it: ``["python3", "driver.py"]``."""
    return json.dumps(list(command), ensure_ascii=False)


def check_command(command: Sequence[str], folder: Path | None) -> None:
    """Refuse an empty command, and one whose program is given by a path that is not an executable file.

    A relative path is taken from ``folder``, None for the current one; a bare name is left to PATH.
    Raises EventError ``driver.input_invalid``.
    """
    if not command:
        raise _invalid("the driver command is empty", "name the program that emits the events")
    program = command[0].strip()
    if not program:
        message = f"the driver command {quoted(command)} has a blank executable"
        raise _invalid(message, "name the program that emits the events")
    if os.path.dirname(program):
        _check_program(os.path.join(folder or "", program))


def _check_program(path: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        message = f"cannot inspect the driver program '{path}': {reason(error)}"
        raise _invalid(message, "check the path", path) from error
    if not stat.S_ISREG(mode):
        raise _invalid(f"the driver program '{path}' is not a file", "name the file to run", path)
    if not mode & _EXECUTE:
        fix = f"make it executable (chmod +x {path}), or name its interpreter first"
        raise _invalid(f"the driver program '{path}' is not executable", fix, path)


def _invalid(message: str, fix: str, path: str | None = None) -> EventError:
    return EventError("driver.input_invalid", message, where=path or "driver command", fix=fix)
