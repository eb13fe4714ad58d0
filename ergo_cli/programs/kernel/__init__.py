"""Step-kernel programs: a step function, a reducer, an executor and a policy over an event log (spec 40).

The names below are what a user's program is written with.
"""

from __future__ import annotations

from ergo_cli.programs.kernel.engine.actions import (
    Action,
    ActionCall,
    CallLLM,
    CallTool,
    Complete,
    Do,
    Emit,
    Failure,
    Interrupt,
    Next,
    Resume,
    Signal,
    Sleep,
    Success,
    WaitSignal,
)
from ergo_cli.programs.kernel.engine.errors import ActionError, KernelError, denied
from ergo_cli.programs.kernel.engine.events import (
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
from ergo_cli.programs.kernel.engine.options import Extensions, OnOrphan
from ergo_cli.programs.kernel.engine.policy import AllowAll, AllowList, BudgetRules, Limits, Policy, RetryWithBackoff
from ergo_cli.programs.kernel.engine.state import SnapshotCadence, state_updated_only
from ergo_cli.programs.kernel.program import Kernel, KernelProgram

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
