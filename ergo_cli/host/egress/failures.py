"""What can go wrong with a channel, and how it is told: at the start, during a step, at the end (spec 30 §14, §18)."""

from __future__ import annotations

from enum import Enum
from typing import assert_never

from ergo_cli.errors import EgressError, StepError
from ergo_cli.host.interruption import (
    EGRESS_ACK_TIMEOUT,
    EGRESS_IO,
    EGRESS_PROTOCOL_VIOLATION,
    Interruption,
)


class FaultKind(Enum):
    """The three ways in which a channel can fail."""

    TIMEOUT = "timeout"
    PROTOCOL = "protocol violation"
    IO = "I/O failure"


class ChannelFault(Exception):
    """A channel that cannot be gone on with; ``detail`` says why in the words that bundles keep."""

    def __init__(self, kind: FaultKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


class DispatchFailure(StepError):
    """An intent that no channel took over durably: the run can be finalized, not continued.

    ``text`` is what the decision's ``interruption`` says, ``interruption`` why the run ended.
    """

    def __init__(self, interruption: Interruption, text: str, details: tuple[str, ...]) -> None:
        super().__init__(
            "EgressDispatchFailure",
            text,
            where=f"egress channel '{interruption.channel}'",
            fix="mend the channel program; whether it took the intent over is for its own records to tell",
            details=details,
        )
        self.interruption = interruption
        self.text = text


def dispatch_failure(channel: str, intent_id: str, fault: ChannelFault, stderr: str) -> DispatchFailure:
    """The failure of a dispatch, in the exact texts of spec 30 §14."""
    match fault.kind:
        case FaultKind.TIMEOUT:
            interruption = Interruption(EGRESS_ACK_TIMEOUT, channel, intent_id)
            failure = f"ack timeout on channel '{channel}' for intent '{intent_id}'"
            return DispatchFailure(interruption, _dispatch_text(failure), (fault.detail, *_heard(stderr)))
        case FaultKind.PROTOCOL:
            interruption = Interruption(EGRESS_PROTOCOL_VIOLATION, channel)
            failure = f"protocol violation on channel '{channel}': {fault.detail}"
        case FaultKind.IO:
            interruption = Interruption(EGRESS_IO, channel)
            failure = f"I/O failure on channel '{channel}': {fault.detail}"
        case _:
            assert_never(fault.kind)
    return DispatchFailure(interruption, _dispatch_text(failure), _heard(stderr))


def process_failure(channel: str, detail: str, stderr: str = "") -> StepError:
    """The ``EgressProcess`` error of a step or of finalization: nothing of it is recorded."""
    return StepError(
        "EgressProcess",
        f"egress channel '{channel}': {detail}",
        where=f"egress channel '{channel}'",
        fix="let the channel answer every intent once, and exit when it reads an end frame",
        details=_heard(stderr),
    )


def unrouted(kind: str) -> StepError:
    """The ``EgressProcess`` error of an intent that no channel takes."""
    return StepError(
        "EgressProcess",
        f"intent kind '{kind}' has no egress route",
        where=f"routes.{kind}",
        fix=f"add [routes.{kind}] to the egress configuration",
    )


def start_failed(channel: str, fault: ChannelFault, stderr: str) -> EgressError:
    """The error of a channel that did not come up."""
    what = "" if fault.kind is FaultKind.TIMEOUT else f"{fault.kind.value}: "
    return EgressError(
        "egress.start_failed",
        f"egress channel '{channel}' did not start: {what}{fault.detail}",
        where=f"channels.{channel}",
        fix="let the command be one that can be run and whose first line is a ready frame with every kind routed to it",
        details=_heard(stderr),
    )


def _dispatch_text(failure: str) -> str:
    return f"egress dispatch failed: {failure}"


def _heard(stderr: str) -> tuple[str, ...]:
    return (f"stderr of the channel: {stderr}",) if stderr else ()
