"""One egress channel process: ready, an answer to every intent, end (spec 30 §18)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import assert_never

from ergo_cli.core.effects import Intent
from ergo_cli.core.reading import shown
from ergo_cli.core.repeats import repeats
from ergo_cli.errors import reason
from ergo_cli.host.channels.policy import ChannelPolicy
from ergo_cli.host.channels.process import Broken, ChannelProcess, Eof, Line
from ergo_cli.host.egress.failures import ChannelFault, FaultKind
from ergo_cli.host.egress.frames import END, PROTOCOL, Ack, Frame, FrameError, Ready, decode_frame, encode_intent


class EgressChannel:
    """A running channel. Every method raises ChannelFault where the channel does not do its part."""

    def __init__(self, process: ChannelProcess, policy: ChannelPolicy) -> None:
        self._process = process
        self._policy = policy

    @classmethod
    def spawn(cls, command: Sequence[str], folder: Path | None, policy: ChannelPolicy) -> EgressChannel:
        """Start the program; it has said nothing yet."""
        try:
            process = ChannelProcess.start(command, folder, writable=True)
        except OSError as error:
            argv = json.dumps(list(command), ensure_ascii=False)
            raise ChannelFault(FaultKind.IO, f"cannot run {argv}: {reason(error)}") from error
        return cls(process, policy)

    @property
    def stderr_tail(self) -> str:
        """The end of what the program told people."""
        return self._process.stderr_tail

    def await_ready(self, kinds: Iterable[str]) -> None:
        """Wait for the ready frame, which must take all the ``kinds`` that are routed here (spec 30 §18.2)."""
        match self._process.receive(self._policy.startup):
            case None:
                within = f"{self._policy.startup // 1_000_000} ms"
                raise ChannelFault(FaultKind.TIMEOUT, f"it sent no ready frame within {within}")
            case Eof():
                raise ChannelFault(FaultKind.IO, "it closed stdout before its ready frame")
            case Broken(reason=why):
                raise ChannelFault(FaultKind.IO, why)
            case Line(text=line):
                _check_ready(_frame(line, "start-up"), kinds)

    def dispatch(self, intent: Intent, timeout: int) -> Ack:
        """Send one intent and take the next line for its answer; ``timeout`` (ns) bounds writing, then waiting."""
        self._send(encode_intent(intent), timeout)
        ack = self._answer(timeout)
        if ack.intent_id != intent.intent_id:
            detail = f"ack intent_id mismatch: expected '{intent.intent_id}', got '{ack.intent_id}'"
            raise ChannelFault(FaultKind.PROTOCOL, detail)
        if (ack.status, ack.acceptance) != ("accepted", "durable"):
            detail = f"ack must be accepted+durable, got status='{ack.status}' acceptance='{ack.acceptance}'"
            raise ChannelFault(FaultKind.PROTOCOL, detail)
        return ack

    def assert_settled(self, *, host_stop: bool) -> None:
        """Make sure that the channel is there and has nothing left to say; after a host stop it may be gone."""
        match self._process.receive(self._policy.settle):
            case None:
                return
            case Eof():
                if not host_stop:
                    raise ChannelFault(FaultKind.IO, "it closed stdout without having been told to end")
            case Broken(reason=why):
                raise ChannelFault(FaultKind.IO, why)
            case Line(text=line):
                quoted = shown(line.decode(errors="replace"))
                raise ChannelFault(FaultKind.PROTOCOL, f"unexpected frame after the last dispatch: '{quoted}'")

    def stop(self) -> None:
        """Tell the channel to end and wait until it has; its exit status does not count."""
        with suppress(OSError):  # gone already, or it does not read: what counts is whether it exits
            self._process.send(END, self._policy.shutdown)
        self._process.close_input()
        status = self._process.wait(self._policy.shutdown)
        self._process.kill()
        if status is None:
            detail = f"it did not exit within {self._policy.shutdown // 1_000_000} ms of the end frame"
            raise ChannelFault(FaultKind.IO, detail)

    def kill(self) -> None:
        """End the program and all it started at once, without a word."""
        self._process.kill()

    def _send(self, line: bytes, timeout: int) -> None:
        try:
            self._process.send(line, timeout)
        except TimeoutError as error:
            raise ChannelFault(FaultKind.TIMEOUT, "the channel does not read its input") from error
        except OSError as error:
            raise ChannelFault(FaultKind.IO, f"write intent payload: {reason(error)}") from error

    def _answer(self, timeout: int) -> Ack:
        match self._process.receive(timeout):
            case None:
                detail = f"no answer within {timeout // 1_000_000} ms"
                raise ChannelFault(FaultKind.TIMEOUT, detail)
            case Eof():
                raise ChannelFault(FaultKind.IO, "channel closed stdout while waiting for ack")
            case Broken(reason=why):
                raise ChannelFault(FaultKind.IO, why)
            case Line(text=line):
                frame = _frame(line, "ack")
        match frame:
            case Ready():
                raise ChannelFault(FaultKind.PROTOCOL, "unexpected ready frame after startup")
            case Ack():
                return frame
            case _:
                assert_never(frame)


def _frame(line: bytes, what: str) -> Frame:
    try:
        return decode_frame(line)
    except UnicodeDecodeError as error:
        raise ChannelFault(FaultKind.IO, f"stdout is not UTF-8 at byte {error.start} of the line") from error
    except FrameError as error:
        raise ChannelFault(FaultKind.PROTOCOL, f"invalid {what} frame: {error}") from error


def _check_ready(frame: Frame, kinds: Iterable[str]) -> None:
    if not isinstance(frame, Ready):
        raise ChannelFault(FaultKind.PROTOCOL, "expected a ready frame first, got an intent_ack")
    if frame.protocol != PROTOCOL:
        raise ChannelFault(FaultKind.PROTOCOL, f"expected protocol '{PROTOCOL}', got '{shown(frame.protocol)}'")
    handled = frame.handled_kinds
    for index in repeats(handled):
        raise ChannelFault(FaultKind.PROTOCOL, f"handled_kinds repeats '{shown(handled[index])}'")
    for kind in kinds:
        if kind not in handled:
            raise ChannelFault(FaultKind.PROTOCOL, f"handled_kinds lacks '{kind}', which is routed to this channel")
