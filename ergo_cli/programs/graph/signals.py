"""What travels over Event edges: decisions of triggers and outcomes of actions (spec 20 §2.1)."""

from __future__ import annotations

from enum import Enum


class TriggerEvent(Enum):
    """Whether a trigger decided that its event happens."""

    EMITTED = "Emitted"
    NOT_EMITTED = "NotEmitted"


class ActionOutcome(Enum):
    """What became of an action's attempt. ``SKIPPED`` comes from the engine alone: the action was not called."""

    ATTEMPTED = "Attempted"
    COMPLETED = "Completed"
    REJECTED = "Rejected"
    CANCELLED = "Cancelled"
    FAILED = "Failed"
    SKIPPED = "Skipped"
