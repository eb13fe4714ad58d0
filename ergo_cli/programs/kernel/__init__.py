"""Step-kernel programs: a step function, a reducer, an executor and a policy over an event log (spec 40).

The names below are what a user's program is written with.
"""

from __future__ import annotations

from ergo_cli.programs.kernel.action_error import ActionError
from ergo_cli.programs.kernel.actions import Action, ActionCall, CallLLM, CallTool, Failure, Sleep, Success, WaitSignal
from ergo_cli.programs.kernel.backoff_policy import RetryWithBackoff
from ergo_cli.programs.kernel.errors import KernelError, denied
from ergo_cli.programs.kernel.events import (
    ActionFailed,
    ActionRequested,
    ActionSucceeded,
    Completed,
    Event,
    Interrupted,
    Resumed,
    SequencedEvent,
    StateUpdated,
)
from ergo_cli.programs.kernel.extensions import Extensions, OnOrphan
from ergo_cli.programs.kernel.kernel import Kernel
from ergo_cli.programs.kernel.limits import Limits
from ergo_cli.programs.kernel.policy import AllowAll, AllowList, BudgetRules, Policy
from ergo_cli.programs.kernel.program import KernelProgram
from ergo_cli.programs.kernel.reducers import state_updated_only
from ergo_cli.programs.kernel.signals import Resume, Signal
from ergo_cli.programs.kernel.snapshotting import SnapshotCadence
from ergo_cli.programs.kernel.steps import Complete, Do, Emit, Interrupt, Next

__all__ = [
    "Action",
    "ActionCall",
    "ActionError",
    "ActionFailed",
    "ActionRequested",
    "ActionSucceeded",
    "AllowAll",
    "AllowList",
    "BudgetRules",
    "CallLLM",
    "CallTool",
    "Complete",
    "Completed",
    "Do",
    "Emit",
    "Event",
    "Extensions",
    "Failure",
    "Interrupt",
    "Interrupted",
    "Kernel",
    "KernelError",
    "KernelProgram",
    "Limits",
    "Next",
    "OnOrphan",
    "Policy",
    "Resume",
    "Resumed",
    "RetryWithBackoff",
    "SequencedEvent",
    "Signal",
    "Sleep",
    "SnapshotCadence",
    "StateUpdated",
    "Success",
    "WaitSignal",
    "denied",
    "state_updated_only",
]
