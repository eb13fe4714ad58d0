"""The egress channels of a run: started together, sent one intent at a time, stopped together (spec 30 §14, §18)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import assert_never

from ergo_cli.bundle.schema import IntentAck
from ergo_cli.channels.egress_config import EgressConfig
from ergo_cli.channels.frames import (
    EGRESS_END,
    EGRESS_PROTOCOL,
    Ack,
    EgressFrame,
    FrameError,
    Ready,
    decode_egress_frame,
    encode_intent,
)
from ergo_cli.channels.interruption import (
    EGRESS_ACK_TIMEOUT,
    EGRESS_IO,
    EGRESS_PROTOCOL_VIOLATION,
    DispatchFailure,
    Interruption,
)
from ergo_cli.channels.process import Broken, ChannelProcess, Eof, Line
from ergo_cli.channels.timeouts import ChannelPolicy
from ergo_cli.core.diagnostics import repeats
from ergo_cli.core.document_fields import shown
from ergo_cli.core.values import Intent
from ergo_cli.errors import EgressError, StepError, headline, reason


class EgressRuntime:
    """Owns the channel processes of one run; ``folder`` is where they work, None for the current one.

    The caller of ``start`` must call ``shutdown`` or ``kill``. A failed dispatch kills all channels; finalizing then
    has nothing to do.
    """

    def __init__(self, config: EgressConfig, folder: Path | None, policy: ChannelPolicy) -> None:
        self.config = config
        self.provenance = config.provenance
        self._folder = folder
        self._policy = policy
        self._channels: dict[str, EgressChannel] = {}

    def start(self) -> None:
        """Start every channel, ascending by id, each once the one before is ready.

        Raises EgressError ``egress.start_failed`` naming the channel; then all are killed.
        """
        for name, command in sorted(self.config.channels.items()):
            try:
                self._channels[name] = EgressChannel.spawn(command, self._folder, self._policy)
                self._channels[name].await_ready(self.config.kinds_of(name))
            except ChannelFault as fault:
                raise start_failed(name, fault, self._killed_stderr(name)) from fault

    def dispatch(self, kind: str, intent: Intent) -> IntentAck:
        """Send an intent once to the channel of its kind and wait for the durable acknowledgement.

        Raises DispatchFailure for a channel that fails, after killing all; StepError ``EgressProcess`` where
        ``kind`` has no route or its channel does not run.
        """
        route = self.config.routes.get(kind)
        if route is None:
            raise unrouted(kind)
        channel = self._channels.get(route.channel)
        if channel is None:
            raise process_failure(route.channel, "it is not running")
        try:
            ack = channel.dispatch(intent, self.config.ack_timeout(kind))
        except ChannelFault as fault:
            stderr = self._killed_stderr(route.channel)
            raise dispatch_failure(route.channel, intent.intent_id, fault, stderr) from fault
        return IntentAck(ack.intent_id, route.channel, ack.status, ack.acceptance, ack.egress_ref)

    def assert_settled(self, *, host_stop: bool) -> None:
        """Check that every channel runs and has no unread output (spec 30 §18.5).

        ``host_stop``: the run was asked to stop, and the same signal may have ended a channel.
        Raises StepError ``EgressProcess`` for the first that fails.
        """
        for name, channel in self._channels.items():
            try:
                channel.assert_settled(host_stop=host_stop)
            except ChannelFault as fault:
                raise process_failure(name, fault.detail, channel.stderr_tail) from fault

    def shutdown(self) -> None:
        """Send every channel the end frame and wait for each to exit (spec 30 §18.6).

        Raises StepError ``EgressProcess`` for the first failure, after all have ended; no process is left.
        """
        failures: list[StepError] = []
        for name, channel in self._channels.items():
            try:
                channel.stop()
            except ChannelFault as fault:
                failures.append(process_failure(name, fault.detail, channel.stderr_tail))
        self._channels.clear()
        if failures:
            raise headline(failures)

    def kill(self) -> None:
        """Kill every channel, without an end frame."""
        while self._channels:
            self._channels.popitem()[1].kill()

    def _killed_stderr(self, name: str) -> str:
        """Kill every channel and return the stderr of the one called ``name``, which is complete then."""
        channel = self._channels.get(name)
        self.kill()
        return "" if channel is None else channel.stderr_tail


class EgressChannel:
    """A running channel process: ready frame, an answer to every intent, end. Methods raise ChannelFault."""

    def __init__(self, process: ChannelProcess, policy: ChannelPolicy) -> None:
        self._process = process
        self._policy = policy

    @classmethod
    def spawn(cls, command: Sequence[str], folder: Path | None, policy: ChannelPolicy) -> EgressChannel:
        """Start the program, without waiting for its ready frame."""
        try:
            process = ChannelProcess.start(command, folder, writable=True)
        except OSError as error:
            argv = json.dumps(list(command), ensure_ascii=False)
            raise ChannelFault(FaultKind.IO, f"cannot run {argv}: {reason(error)}") from error
        return cls(process, policy)

    @property
    def stderr_tail(self) -> str:
        """The end of the program's stderr."""
        return self._process.stderr_tail

    def await_ready(self, kinds: Iterable[str]) -> None:
        """Wait for the ready frame, which must name all the ``kinds`` that are routed here (spec 30 §18.2)."""
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
        """Send one intent and read its acknowledgement; ``timeout`` (ns) bounds writing, then waiting."""
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
        """Check that the channel runs and has no unread output; after a host stop it may have ended."""
        match self._process.receive(self._policy.settle):
            case None:
                return
            case Eof():
                if not host_stop:
                    raise ChannelFault(FaultKind.IO, "it closed stdout before the end frame")
            case Broken(reason=why):
                raise ChannelFault(FaultKind.IO, why)
            case Line(text=line):
                quoted = shown(line.decode(errors="replace"))
                raise ChannelFault(FaultKind.PROTOCOL, f"unexpected frame after the last dispatch: '{quoted}'")

    def stop(self) -> None:
        """Send the end frame and wait for the process to exit; its exit status does not count."""
        with suppress(OSError):  # ended already, or it does not read: only its exit counts
            self._process.send(EGRESS_END, self._policy.shutdown)
        self._process.close_input()
        status = self._process.wait(self._policy.shutdown)
        self._process.kill()
        if status is None:
            detail = f"it did not exit within {self._policy.shutdown // 1_000_000} ms of the end frame"
            raise ChannelFault(FaultKind.IO, detail)

    def kill(self) -> None:
        """Kill the process group, without an end frame."""
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


def _frame(line: bytes, what: str) -> EgressFrame:
    try:
        return decode_egress_frame(line)
    except UnicodeDecodeError as error:
        raise ChannelFault(FaultKind.IO, f"stdout is not UTF-8 at byte {error.start} of the line") from error
    except FrameError as error:
        raise ChannelFault(FaultKind.PROTOCOL, f"invalid {what} frame: {error}") from error


def _check_ready(frame: EgressFrame, kinds: Iterable[str]) -> None:
    if not isinstance(frame, Ready):
        raise ChannelFault(FaultKind.PROTOCOL, "expected a ready frame first, got an intent_ack")
    if frame.protocol != EGRESS_PROTOCOL:
        raise ChannelFault(FaultKind.PROTOCOL, f"expected protocol '{EGRESS_PROTOCOL}', got '{shown(frame.protocol)}'")
    handled = frame.handled_kinds
    for index in repeats(handled):
        raise ChannelFault(FaultKind.PROTOCOL, f"handled_kinds repeats '{shown(handled[index])}'")
    for kind in kinds:
        if kind not in handled:
            raise ChannelFault(FaultKind.PROTOCOL, f"handled_kinds lacks '{kind}', which is routed to this channel")


class FaultKind(Enum):
    """How a channel can fail."""

    TIMEOUT = "timeout"
    PROTOCOL = "protocol violation"
    IO = "I/O failure"


class ChannelFault(Exception):
    """A channel that failed; ``detail`` is the reason as bundles record it."""

    def __init__(self, kind: FaultKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


def dispatch_failure(channel: str, intent_id: str, fault: ChannelFault, stderr: str) -> DispatchFailure:
    """The failure of a dispatch, in the exact texts of spec 30 §14."""
    match fault.kind:
        case FaultKind.TIMEOUT:
            interruption = Interruption(EGRESS_ACK_TIMEOUT, channel, intent_id)
            failure = f"ack timeout on channel '{channel}' for intent '{intent_id}'"
            return DispatchFailure(interruption, _dispatch_text(failure), (fault.detail, *_stderr_details(stderr)))
        case FaultKind.PROTOCOL:
            interruption = Interruption(EGRESS_PROTOCOL_VIOLATION, channel)
            failure = f"protocol violation on channel '{channel}': {fault.detail}"
        case FaultKind.IO:
            interruption = Interruption(EGRESS_IO, channel)
            failure = f"I/O failure on channel '{channel}': {fault.detail}"
        case _:
            assert_never(fault.kind)
    return DispatchFailure(interruption, _dispatch_text(failure), _stderr_details(stderr))


def process_failure(channel: str, detail: str, stderr: str = "") -> StepError:
    """The ``EgressProcess`` error of a step or of finalization, which is not recorded."""
    return StepError(
        "EgressProcess",
        f"egress channel '{channel}': {detail}",
        where=f"egress channel '{channel}'",
        fix="let the channel answer every intent once, and exit when it reads an end frame",
        details=_stderr_details(stderr),
    )


def unrouted(kind: str) -> StepError:
    """The ``EgressProcess`` error of an intent whose kind has no route."""
    return StepError(
        "EgressProcess",
        f"intent kind '{kind}' has no egress route",
        where=f"routes.{kind}",
        fix=f"add [routes.{kind}] to the egress configuration",
    )


def start_failed(channel: str, fault: ChannelFault, stderr: str) -> EgressError:
    """The error of a channel that did not start."""
    what = "" if fault.kind is FaultKind.TIMEOUT else f"{fault.kind.value}: "
    return EgressError(
        "egress.start_failed",
        f"egress channel '{channel}' did not start: {what}{fault.detail}",
        where=f"channels.{channel}",
        fix="let the command be one that can be run and whose first line is a ready frame with every kind routed to it",
        details=_stderr_details(stderr),
    )


def _dispatch_text(failure: str) -> str:
    return f"egress dispatch failed: {failure}"


def _stderr_details(stderr: str) -> tuple[str, ...]:
    return (f"stderr of the channel: {stderr}",) if stderr else ()
