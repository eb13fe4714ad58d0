"""An agent that is to be killed: it counts the calls of its functions and dies at the one that is its last.

As a module of a project it reads the number of that call from the file ``cut`` beside it, once. Every execution leaves
the idempotency key that it got in the file ``executed``.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from ergo_cli.programs.kernel import (
    Action,
    ActionCall,
    ActionSucceeded,
    CallLLM,
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
    SnapshotCadence,
    StateUpdated,
)
from ergo_cli.programs.kernel.engine.actions import Next

State = dict[str, Any]

PLAN: list[Next] = [
    Emit([StateUpdated("begin", 1)]),
    Do(CallTool("search", {"q": "ergo"})),
    Do(CallLLM("model", ["summarise"])),
    Interrupt("first?"),
    Emit([StateUpdated("a", 2.5), StateUpdated("b", None)]),
    Do(CallTool("book", {"seats": 2})),
    Interrupt("second?"),
    Do(CallTool("mail", "done")),
]


class Life:
    """How many more calls there are; without a number there is no end."""

    calls_left: int | None = None
    executed = Path(__file__).with_name("executed")

    @classmethod
    def call(cls) -> None:
        if cls.calls_left is not None:
            cls.calls_left -= 1
            if cls.calls_left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


def initial_state(payload: Any) -> State:
    return {"at": 0, "seen": [payload]}


def step(state: State) -> Next:
    Life.call()
    return PLAN[state["at"]] if state["at"] < len(PLAN) else Complete()


def reduce(state: State, event: SequencedEvent) -> State:
    Life.call()
    match event.event:
        case StateUpdated("a", value):
            return {"at": state["at"], "seen": [*state["seen"], value]}
        case StateUpdated(_, value) | ActionSucceeded(_, value) | Resumed(value):
            return {"at": state["at"] + 1, "seen": [*state["seen"], value]}
        case _:
            return state


def execute(action: Action, call: ActionCall) -> Any:
    assert isinstance(action, CallTool | CallLLM)
    Life.call()
    with Life.executed.open("a") as executed:
        executed.write(f"{call.action_id}\n")
    Life.call()
    return {"echo": action.input}


program: KernelProgram[State] = KernelProgram(
    "mortal",
    initial_state,
    step,
    execute,
    reduce,
    extensions=Extensions(fold_first=True, on_orphan=OnOrphan.COMPLETE, cadence=SnapshotCadence(every=3, keep=2)),
)

_cut = Path(__file__).with_name("cut")
if _cut.exists():
    Life.calls_left = int(_cut.read_text())
    _cut.unlink()
