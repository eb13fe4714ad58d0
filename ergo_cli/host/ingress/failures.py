"""The ways in which a driver breaks off, each told as an error and as an interruption (spec 30 §15.2)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from ergo_cli.errors import EventError, reason
from ergo_cli.host.arrivals import IngressFailure
from ergo_cli.host.ingress.command import quoted
from ergo_cli.host.interruption import DRIVER_IO, DRIVER_TERMINATED, PROTOCOL_VIOLATION, Interruption

_FIX_PROGRAM = "let the driver say hello, then its events, then end, and exit with status 0"
_SHOWN = 1000


class Breach(Enum):
    """What a driver did wrong: the code of the error, that of the interruption, and how it is mended."""

    PROTOCOL = "driver.protocol_invalid", PROTOCOL_VIOLATION, "write one frame of ergo-driver.v0 a line"
    TERMINATED = "driver.start_failed", DRIVER_TERMINATED, _FIX_PROGRAM
    IO = "driver.io_failed", DRIVER_IO, "let the driver keep its stdout open until it exits"


def ingress_failure(breach: Breach, command: Sequence[str], what: str, where: str, stderr: str) -> IngressFailure:
    """The failure of the driver run as ``command``: ``what`` it did, and in parentheses what it told people last."""
    code, interruption, fix = breach.value
    message = f"driver {quoted(command)} {what}{_heard(stderr)}"
    return IngressFailure(EventError(code, message, where=where, fix=fix), Interruption(interruption))


def not_spawned(command: Sequence[str], error: OSError, where: str) -> EventError:
    """The error of a program that the operating system does not run."""
    message = f"driver {quoted(command)} cannot be started: {reason(error)}"
    return EventError("driver.start_failed", message, where=where, fix="check the command and what it needs")


def ending(status: int | None) -> str:
    """How a process came to its end, None if it has not: ``exited with status 3``."""
    match status:
        case None:
            return "is still running"
        case _ if status < 0:
            return f"was ended by signal {-status}"
        case _:
            return f"exited with status {status}"


def millis(duration: int) -> str:
    """A grace of so many ns, in ms."""
    return f"{duration // 1_000_000} ms"


def _heard(stderr: str) -> str:
    if not stderr:
        return ""
    return f" ({stderr})" if len(stderr) <= _SHOWN else f" (…{stderr[-_SHOWN:]})"
