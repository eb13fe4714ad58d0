"""Kinds and states of interrupts (spec 40 §3.19)."""

from __future__ import annotations

from enum import Enum

from ergo_cli.programs.kernel.wire import Variant, Wrapper


class HumanInTheLoop(Variant, frozen=True):
    """Somebody has to say something."""


class ApprovalRequired(Variant, frozen=True):
    """Somebody has to agree."""


class ToolCallWaiting(Variant, frozen=True):
    """A tool has to answer."""


class Custom(Wrapper, frozen=True):
    """A kind of the user's own."""

    name: str


class Checkpoint(Variant, frozen=True):
    """The run can go on from here."""


class ResourceExhausted(Variant, frozen=True):
    """Something has run out."""


class ErrorRecovery(Variant, frozen=True):
    """Somebody has to decide how to go on after an error."""


InterruptKind = HumanInTheLoop | ApprovalRequired | ToolCallWaiting | Custom
KernelInterruptKind = InterruptKind | Checkpoint | ResourceExhausted | ErrorRecovery


def requires_input(kind: KernelInterruptKind) -> bool:
    """Whether an interrupt of this kind waits for somebody's input."""
    return isinstance(kind, HumanInTheLoop | ApprovalRequired | ToolCallWaiting | ErrorRecovery)


class InterruptStatus(Enum):
    """How far an interrupt has come; the last three are final."""

    PENDING = "Pending"
    RESOLVING = "Resolving"
    RESOLVED = "Resolved"
    REJECTED = "Rejected"
    EXPIRED = "Expired"
