"""What ended a recorded call ends it again: failures, denials, limits, deadlines, waits (spec 40 §19.3)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from replayed_agents import (
    TOOL,
    failing,
    half,
    tool_program,
)
from replayed_kernels import capture, command, only, replay, told

from ergo_cli.programs.kernel import (
    Action,
    ActionCall,
    ActionError,
    AllowAll,
    AllowList,
    CallTool,
    Complete,
    Do,
    Emit,
    Extensions,
    Failure,
    Interrupt,
    Limits,
    OnOrphan,
    RetryWithBackoff,
    WaitSignal,
)
from ergo_cli.programs.kernel.engine.actions import Next
from ergo_cli.programs.kernel.engine.errors import driver_error
from ergo_cli.replay.results import Outcome
from ergo_cli.supervisor.seam import Constraints, ErrKind, Failed
from ergo_cli.supervisor.seam import Outcome as Ended
from ergo_cli.testing.kernel import ScriptedClock


@pytest.mark.parametrize(
    ("error", "termination"),
    [
        (ActionError.transient("gone"), Failed(ErrKind.NETWORK_TIMEOUT)),
        (ActionError.permanent("no"), Failed(ErrKind.SEMANTIC_ERROR)),
        (ValueError("no"), Failed(ErrKind.SEMANTIC_ERROR)),
    ],
)
def test_the_kind_of_a_failure_is_what_was_recorded(error: Exception, termination: Failed) -> None:
    bundle = capture(tool_program(), [command("e1")], failing(error))
    assert bundle.decisions[0].termination == termination
    assert replay(bundle, tool_program(), strict=True).outcome is Outcome.MATCH


def test_a_logical_failure_fails_again() -> None:
    bundle = capture(tool_program(), [command("e1")], lambda *_: Failure("boom"))
    assert replay(bundle, tool_program(), strict=True).outcome is Outcome.MATCH


def test_retries_of_an_action_collapse_and_those_of_the_supervisor_are_judged_one_by_one() -> None:
    answers = iter([ActionError.transient("1"), ActionError.transient("2"), ActionError.transient("3"), 7])

    def execute(action: Action, call: ActionCall) -> Any:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    program = tool_program(policy=RetryWithBackoff(AllowAll(), max_retries=1, backoff_base_ms=10))
    bundle = capture(program, [command("e1")], execute, constraints=Constraints(max_retries=3))
    assert bundle.decisions[0].retry_count == 1
    assert replay(bundle, program, strict=True).outcome is Outcome.MATCH
    found = replay(bundle, tool_program(step=lambda state: Do(CallTool("u", None)) if state == "new" else Complete()))
    assert told(found) == [
        ("journals[0].records[1].event.ActionRequested.payload.CallTool.tool", "ActionMismatch"),
        ("journals[0].records[5].event.ActionRequested.payload.CallTool.tool", "ActionMismatch"),
    ]


def test_a_program_that_is_retried_now_and_was_not() -> None:
    """A call beyond the recorded ones is not judged: what ended the last one that was stands."""
    program = tool_program(step=lambda state: Interrupt("ask"))
    bundle = capture(program, [command("e1")], half, constraints=Constraints(max_retries=2**63))
    changed = replace(program, extensions=Extensions(fold_first=False), reduce=failing(ValueError("no")))
    found = {each.path: (each.expected, each.actual) for each in replay(bundle, changed).divergences}
    assert found["termination"] == ("Completed", {"Failed": "RuntimeError"})
    assert found["retry_count"] == (0, 1)


def test_a_denied_action_is_denied_again() -> None:
    program = tool_program(policy=AllowList())
    bundle = capture(program, [command("e1")], half)
    assert [effect.effect.kind for effect in bundle.decisions[0].effects] == ["tool_call"]
    assert replay(bundle, tool_program(), strict=True).outcome is Outcome.MATCH
    found = only(replay(bundle, tool_program(step=lambda state: Complete())))
    assert found.cause == "ExtraEvents"


def test_a_budget_strikes_where_it_struck() -> None:
    endless = tool_program(step=lambda state: Do(TOOL), limits=Limits(max_tool_calls=2))
    bundle = capture(endless, [command("e1")], lambda *_: 1)
    assert b"kernel.budget_exceeded" in bundle.journals[0]
    assert replay(bundle, replace(endless, limits=Limits(max_tool_calls=9)), strict=True).outcome is Outcome.MATCH


def test_a_step_limit_is_reached_again() -> None:
    idle = tool_program(step=lambda state: Emit([]), limits=Limits(max_idle_emits=3))
    bundle = capture(idle, [command("e1")], half)
    assert replay(bundle, idle, strict=True).outcome is Outcome.MATCH


def test_retries_beyond_the_limit() -> None:
    program = tool_program(policy=RetryWithBackoff(AllowAll(), 9, 1), limits=Limits(max_retries=2))
    bundle = capture(program, [command("e1")], failing(ActionError.transient("x")))
    assert b"kernel.step_limit" in bundle.journals[0]
    assert replay(bundle, program, strict=True).outcome is Outcome.MATCH


def test_a_deadline_met_between_tries() -> None:
    program = tool_program(policy=RetryWithBackoff(AllowAll(), 9, 100))
    limits = Constraints(deadline=150_000_000)
    bundle = capture(
        program, [command("e1")], failing(ActionError.transient("x")), constraints=limits, clock=ScriptedClock()
    )
    assert bundle.decisions[0].termination is Ended.TIMED_OUT
    assert replay(bundle, program, strict=True).outcome is Outcome.MATCH, "an open request is excused by the deadline"


def test_a_deadline_met_between_steps() -> None:
    clock = ScriptedClock()

    def slow(action: Action, call: ActionCall) -> int:
        clock.advance(10)
        return 1

    bundle = capture(tool_program(), [command("e1")], slow, constraints=Constraints(deadline=5), clock=clock)
    assert bundle.decisions[0].termination is Ended.TIMED_OUT
    assert replay(bundle, tool_program(), strict=True).outcome is Outcome.MATCH


def test_an_executor_that_was_cut_off() -> None:
    bundle = capture(
        tool_program(), [command("e1")], failing(driver_error("deadline exceeded", code="kernel.deadline"))
    )
    assert bundle.decisions[0].termination is Ended.TIMED_OUT
    assert replay(bundle, tool_program(), strict=True).outcome is Outcome.MATCH


def test_a_deadline_of_zero_aborts_everything() -> None:
    bundle = capture(tool_program(), [command("e1")], half, constraints=Constraints(deadline=0))
    assert bundle.decisions[0].termination is Ended.ABORTED
    assert replay(bundle, tool_program(), strict=True).outcome is Outcome.MATCH


def test_an_answer_that_could_not_be_recorded() -> None:
    """Not strictly: a request is left open there, and no deadline excuses it."""
    bundle = capture(tool_program(), [command("e1")], lambda *_: float("nan"))
    assert b"kernel.not_canonical" in bundle.journals[0]
    assert replay(bundle, tool_program()).outcome is Outcome.MATCH
    found = only(replay(bundle, tool_program(), strict=True))
    assert (found.path, found.cause, found.actual, found.node) == (
        "journals[0].records[1]",
        "OrphanAction",
        None,
        "tools/e1-1",
    )


@pytest.mark.parametrize("policy", list(OnOrphan))
def test_a_request_left_by_a_deadline_is_taken_up_again(policy: OnOrphan) -> None:
    """The next attempt of a timed-out call does with the open request what the program says."""
    clock, tries = ScriptedClock(), iter([60, 0, 0])

    class Executor:
        def __call__(self, action: Action, call: ActionCall) -> int:
            if delay := next(tries):
                raise ActionError.rate_limited("later", delay)
            return 1

        def lookup(self, action_id: str) -> None:
            return None

    program = tool_program(extensions=Extensions(fold_first=True, on_orphan=policy))
    limits = Constraints(deadline=50_000_000, max_retries=1)
    bundle = capture(program, [command("e1")], Executor(), constraints=limits, clock=clock)
    assert bundle.decisions[0].retry_count == 1
    assert replay(bundle, program, strict=True).outcome is Outcome.MATCH


def test_signals_that_a_run_waits_for() -> None:
    def waits(state: Any) -> Next:
        return Do(WaitSignal("go")) if state == "new" else Complete()

    program = tool_program(step=waits, extensions=Extensions(fold_first=True, built_in_waits=True))
    bundle = capture(program, [command("e1"), command("e2", x=1)], half, run_id="one")
    assert b'"wait_signal":"go"' in bundle.journals[0]
    assert replay(bundle, program, strict=True).outcome is Outcome.MATCH
