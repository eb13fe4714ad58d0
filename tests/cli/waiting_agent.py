"""An agent that asks, works and is done.

Beside it, the file ``hold`` makes it wait in its work until there is a file ``release``, and ``size`` says how much it
answers. An answer "no" is one that it cannot take.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ergo_cli.programs.kernel import (
    Action,
    ActionCall,
    ActionSucceeded,
    CallTool,
    Complete,
    Do,
    Emit,
    Extensions,
    Interrupt,
    KernelProgram,
    OnOrphan,
    Resumed,
    SequencedEvent,
    StateUpdated,
)
from ergo_cli.programs.kernel.engine.actions import Next

HERE = Path(__file__).parent
PLAN: list[Next] = [Emit([StateUpdated("begin", {"n": 1})]), Interrupt({"ask": "go?"}), Do(CallTool("work", None))]


def initial_state(payload: Any) -> list[Any]:
    return [payload["amount"]]


def step(state: list[Any]) -> Next:
    return PLAN[len(state) - 1] if len(state) <= len(PLAN) else Complete()


def reduce(state: list[Any], event: SequencedEvent) -> list[Any]:
    match event.event:
        case Resumed("no"):
            raise ValueError("it only takes a yes")
        case StateUpdated(_, value) | Resumed(value) | ActionSucceeded(_, value):
            return [*state, value]
        case _:
            return state


def execute(action: Action, call: ActionCall) -> Any:
    if (HERE / "hold").exists():
        (HERE / "held").touch()
        while not (HERE / "release").exists():
            time.sleep(0.01)
    size = HERE / "size"
    return "x" * int(size.read_text()) if size.exists() else call.action_id


program: KernelProgram[list[Any]] = KernelProgram(
    "waiting", initial_state, step, execute, reduce, extensions=Extensions(fold_first=True, on_orphan=OnOrphan.COMPLETE)
)
