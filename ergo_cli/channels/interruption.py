"""Reasons for the early end of a run, and the exceptions by which a channel ends it (spec 30 §13.1)."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from ergo_cli.errors import EventError, StepError

HOST_STOP_REQUESTED = "host_stop_requested"
DRIVER_TERMINATED = "driver_terminated"
PROTOCOL_VIOLATION = "protocol_violation"
DRIVER_IO = "driver_io"
EGRESS_ACK_TIMEOUT = "egress_ack_timeout"
EGRESS_PROTOCOL_VIOLATION = "egress_protocol_violation"
EGRESS_IO = "egress_io"
HOST_STEP_FAILED = "host_step_failed"


class Interruption(Struct, frozen=True, omit_defaults=True):
    """One reason, by its code; egress reasons name the channel, a missing acknowledgement also its intent."""

    code: str
    channel: str | None = None
    intent_id: str | None = None


class End(Enum):
    """The reason why no further event arrives."""

    FINISHED = "finished"
    """The source ended."""
    STOPPED = "stopped"
    """The run must stop: ``should_stop`` returned true while waiting."""


class IngressFailure(Exception):
    """A source that failed: raise ``error`` before the first committed step, report ``interruption`` after it."""

    def __init__(self, error: EventError, interruption: Interruption) -> None:
        super().__init__(error.message)
        self.error = error
        self.interruption = interruption


class DispatchFailure(StepError):
    """An intent without durable acknowledgement: the run can be finalized, not continued.

    ``text`` goes into the decision's ``interruption``; ``interruption`` is the reason of the run's end.
    """

    def __init__(self, interruption: Interruption, text: str, details: tuple[str, ...]) -> None:
        super().__init__(
            "EgressDispatchFailure",
            text,
            where=f"egress channel '{interruption.channel}'",
            fix="mend the channel program; its own records show whether it took the intent over",
            details=details,
        )
        self.interruption = interruption
        self.text = text
