"""The events of a driver process: hello, events, end, exit (spec 30 §12, §15)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from ergo_cli.core.numbers import Numbers
from ergo_cli.core.reading import shown
from ergo_cli.events.hosted import HostedEvent
from ergo_cli.host.arrivals import End, IngressFailure
from ergo_cli.host.channels.policy import ChannelPolicy
from ergo_cli.host.channels.process import Broken, ChannelProcess, Eof, Line
from ergo_cli.host.ingress.failures import Breach, ending, ingress_failure, millis, not_spawned
from ergo_cli.host.ingress.frames import PROTOCOL, Frame, FrameError, Hello, decode_frame, frame_type
from ergo_cli.host.ingress.frames import End as EndFrame

_LABEL = "<driver>"
_EPISODE = ("E1", 0)


class ProcessArrivals:
    """What a driver process sends, event by event; leaving its ``with`` block kills all that is left of the process.

    A driver that was stopped is not asked to end. All its events are of one episode.
    """

    def __init__(
        self, process: ChannelProcess, command: Sequence[str], policy: ChannelPolicy, numbers: Numbers
    ) -> None:
        self._process = process
        self._command = tuple(command)
        self._policy = policy
        self._numbers = numbers
        self._frames = 0
        self.opened: list[tuple[str, int]] = []
        """``E1`` and 0 once an event has arrived."""

    @classmethod
    def start(
        cls,
        command: Sequence[str],
        folder: Path | None,
        policy: ChannelPolicy,
        numbers: Numbers,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Self:
        """Run the program in ``folder`` and wait for its hello, or until ``should_stop``.

        Raises EventError ``driver.start_failed`` if it cannot be run, IngressFailure if it does not say hello in time
        or says something else; then nothing of it is left.
        """
        try:
            process = ChannelProcess.start(command, folder, writable=False)
        except OSError as error:
            raise not_spawned(command, error, _LABEL) from error
        arrivals = cls(process, command, policy, numbers)
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
        """The next event, waited for without limit; FINISHED once the driver has ended as it should.

        ``should_stop`` is asked before anything else, every 100 ms, and before the end of the output counts as the
        driver's fault, which the same signal may have ended. Raises IngressFailure; then the driver is gone.
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

    def _check_hello(self, frame: Frame) -> None:
        if not isinstance(frame, Hello):
            what = f"must say hello first, but its first frame is of type '{frame_type(frame)}'"
            raise self._failure(Breach.PROTOCOL, what)
        if frame.protocol != PROTOCOL:
            what = f"speaks protocol '{shown(frame.protocol)}', expected '{PROTOCOL}'"
            raise self._failure(Breach.PROTOCOL, what)

    def _frame(self, line: bytes) -> Frame:
        self._frames += 1
        try:
            return decode_frame(line, self._numbers)
        except FrameError as error:
            raise self._failure(Breach.PROTOCOL, f"sent a line that is no frame: {error}") from error

    def _follow(self, frame: Frame) -> HostedEvent | End:
        match frame:
            case HostedEvent():
                self.opened = self.opened or [_EPISODE]
                return frame
            case EndFrame():
                return self._finish()
            case Hello():
                raise self._failure(Breach.PROTOCOL, "sent a second frame of type 'hello'")

    def _finish(self) -> End:
        """After its end frame a driver has one grace to close its output and exit, without another line."""
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
        """What the end of the output means: STOPPED if that has been asked for, else a failure, raised."""
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
        return self._failure(Breach.PROTOCOL, f"sent a line that is no frame: {broken.reason}")

    def _failure(self, breach: Breach, what: str) -> IngressFailure:
        """The failure to raise: the driver is gone first, so that all it told people is known."""
        self._process.kill()
        return ingress_failure(breach, self._command, what, self.place, self._process.stderr_tail)
