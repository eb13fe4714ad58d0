"""The agent: what to do next, and how its state follows from what happened. Pure; ``desk`` acts."""

from __future__ import annotations

from typing import Any

from ergo_cli.programs.kernel import (
    ActionSucceeded,
    AllowList,
    CallTool,
    Complete,
    Do,
    KernelProgram,
    Next,
    RetryWithBackoff,
    SequencedEvent,
)

GREETING = "hello"


def opened(payload: Any) -> Any:
    """The first state, from the payload of an event."""
    return {"customer": payload["customer"]}


def step(state: Any) -> Next:
    """Look the customer's language up, write to the customer, done."""
    if "language" not in state:
        return Do(CallTool("language", {"customer": state["customer"]}))
    if "sent" not in state:
        text = f"{GREETING}, {state['customer']}"
        return Do(CallTool("send", {"to": state["customer"], "text": text, "language": state["language"]}))
    return Complete()


def reduce(state: Any, event: SequencedEvent) -> Any:
    """The state after an event."""
    match event.event:
        case ActionSucceeded(_, answer):
            return {**state, **answer}
        case _:
            return state


program = KernelProgram(
    "greeter",
    opened,
    step,
    "desk:execute",  # imported by live runs only: a replay acts on nothing
    reduce,
    policy=RetryWithBackoff(AllowList(tools=["language", "send"]), max_retries=2, backoff_base_ms=5),
    version="1",
)
