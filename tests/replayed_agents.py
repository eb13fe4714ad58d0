"""Small kernel programs that the replay tests capture and change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ergo_cli.programs.kernel import (
    Action,
    ActionCall,
    ActionSucceeded,
    CallTool,
    Complete,
    Do,
    Emit,
    Interrupt,
    KernelProgram,
    Resumed,
    SequencedEvent,
    StateUpdated,
    Success,
)
from ergo_cli.programs.kernel.engine.actions import Next

State = dict[str, Any]

TOOL = CallTool("t", None)

APPROVE_PROVENANCE = "kpv1:sha256:550ae98770c22d5e0aeba4c2c96606d06e019d0e4fe984fcbd314f4cd56557f4"


def approve_step(state: State) -> Next:
    """Scores an amount once, keeps the score, is done."""
    if "output" in state:
        return Emit([StateUpdated("score", {"amount": state["amount"], "score": state["output"]})])
    return Complete() if "score" in state else Do(CallTool("score", {"amount": state["amount"]}))


def approve_reduce(state: State, event: SequencedEvent) -> State:
    match event.event:
        case ActionSucceeded(_, output):
            return {**state, "output": output}
        case StateUpdated(_, payload):
            return payload
        case _:
            return state


def approve(**parts: Any) -> KernelProgram[State]:
    """The program of the bundle in spec 00 §13.4; its executor exists nowhere."""
    given = {"initial_state": lambda payload: payload, "step": approve_step, "reduce": approve_reduce, **parts}
    return KernelProgram("approve", execute="nowhere:execute", version="1", **given)


def chat_step(state: State) -> Next:
    """Answers every message by a tool, then waits for the next one."""
    if state["said"] is None:
        return Interrupt({"turn": state["turn"]})
    return Do(CallTool("answer", {"said": state["said"]}))


def chat_reduce(state: State, event: SequencedEvent) -> State:
    match event.event:
        case ActionSucceeded(_, output):
            return {"turn": state["turn"] + 1, "said": None, "last": output}
        case Resumed(value):
            return {**state, "said": value["text"]}
        case _:
            return state


def chat(**parts: Any) -> KernelProgram[State]:
    """One long run, fed by events."""
    given = {
        "initial_state": lambda payload: {"turn": 0, "said": payload["text"], "last": None},
        "step": chat_step,
        "reduce": chat_reduce,
        **parts,
    }
    return KernelProgram("chat", execute="nowhere:execute", **given)


def shout(action: Action, call: ActionCall) -> Success:
    """Answers in capitals."""
    assert isinstance(action, CallTool)
    return Success(action.input["said"].upper())


def one_tool(state: Any) -> Next:
    """Asks for one tool and is done."""
    return Complete() if state == "done" else Do(TOOL)


def done_by_result(state: Any, event: Any) -> Any:
    return "done" if event.kind == "ActionSucceeded" else state


def tool_program(**parts: Any) -> KernelProgram[Any]:
    given = {"initial_state": lambda payload: "new", "step": one_tool, "reduce": done_by_result, **parts}
    return KernelProgram("tools", execute="nowhere:execute", **given)


def half(action: Action, call: ActionCall) -> float:
    assert isinstance(action, CallTool)
    return action.input["amount"] / 10


def failing(error: Exception) -> Callable[[Action, ActionCall], Any]:
    def execute(action: Action, call: ActionCall) -> Any:
        raise error

    return execute
