"""Limits, budgets and deadlines of the driver (spec 40 §19.1, §20)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from kernel_scenarios import digits, preloaded

from ergo_cli.programs.kernel import (
    ActionError,
    ActionFailed,
    ActionRequested,
    ActionSucceeded,
    AllowAll,
    BudgetRules,
    CallLLM,
    CallTool,
    Complete,
    Do,
    Emit,
    KernelError,
    Limits,
    RetryWithBackoff,
    StateUpdated,
    Success,
)
from ergo_cli.programs.kernel.engine.actions import Next
from ergo_cli.programs.kernel.engine.events import RunCompleted
from ergo_cli.programs.kernel.program import Kernel
from ergo_cli.stores.journals import EventJournal
from ergo_cli.stores.memory import MemoryJournal
from ergo_cli.testing.kernel import CollectingEffectSink, ScriptedClock, ScriptedExecutor, ScriptedStep

TOOL, MODEL = Do(CallTool("t", None)), Do(CallLLM("p", None))
MS = 1_000_000


def kernel_of(answers: Iterable[Next], results: Iterable[Any] = (), **parts: Any) -> Kernel[Any]:
    return Kernel(
        **{
            "journal": MemoryJournal(),
            "reducer": digits,
            "step": ScriptedStep(answers),
            "executor": ScriptedExecutor(results),
            **parts,
        }
    )


def kinds(journal: EventJournal, run_id: str = "r") -> list[str]:
    return [text.split('"')[1] for _, text in journal.scan(run_id)]


def refused(kernel: Kernel[Any], code: str) -> KernelError:
    with pytest.raises(KernelError) as error:
        kernel.run_until_blocked("r", 0)
    assert error.value.code == code
    assert error.value.fix
    return error.value


def test_a_call_takes_no_more_steps_than_allowed() -> None:
    emits = [Emit([StateUpdated(None, 0)])] * 3
    error = refused(kernel_of(emits, limits=Limits(max_steps=2)), "kernel.step_limit")
    assert str(error) == "Driver error: step limit: more than 2 steps in one call"
    assert error.where == "run 'r'"
    kernel = kernel_of(emits, limits=Limits(max_steps=4))
    assert kernel.run_until_blocked("r", 0) == RunCompleted()


def test_empty_emits_in_a_row_are_counted() -> None:
    idle: list[Next] = [Emit([])] * 3
    refused(kernel_of(idle, limits=Limits(max_idle_emits=2)), "kernel.step_limit")
    busy = [Emit([]), Emit([]), Emit([StateUpdated(None, 0)]), Emit([]), Emit([])]
    assert kernel_of(busy, limits=Limits(max_idle_emits=2)).run_until_blocked("r", 0) == RunCompleted()


def test_a_bare_kernel_has_no_limits() -> None:
    assert kernel_of([Emit([])] * 500).run_until_blocked("r", 0) == RunCompleted()


def test_retries_have_a_ceiling_whatever_the_policy_says() -> None:
    kernel = kernel_of([TOOL], [ActionError.rate_limited("slow", 0)] * 9, limits=Limits(max_retries=3))
    refused(kernel, "kernel.step_limit")
    assert isinstance(kernel.executor, ScriptedExecutor)
    assert len(kernel.executor.calls) == 4
    text = dict(kernel.journal.scan("r"))[2]
    assert '"error":"Driver error: step limit: more than 3 retries of one action"' in text


def test_tool_calls_are_counted_from_the_log() -> None:
    journal, sink = MemoryJournal(), CollectingEffectSink()
    limits = Limits(max_tool_calls=2)
    first = kernel_of([TOOL], [Success(1)], journal=journal, limits=limits)
    assert first.run_until_blocked("r", 0) == RunCompleted()
    again = kernel_of([MODEL, TOOL, TOOL], [Success(1)] * 3, journal=journal, limits=limits, effect_sink=sink)
    error = refused(again, "kernel.budget_exceeded")
    assert str(error) == "Policy error: budget exceeded: max_tool_calls 2, 2 spent"
    assert kinds(journal).count("ActionRequested") == 3
    assert len(sink.effects) == 3, "the effect comes before the authorization"


@pytest.mark.parametrize(
    "usage", [10, {"total_tokens": 10, "input_tokens": 1}, {"input_tokens": 7, "output_tokens": 3}]
)
def test_model_tokens_are_counted_from_the_outputs(usage: object) -> None:
    kernel = kernel_of([MODEL] * 4, [Success({"usage": usage})] * 4, limits=Limits(max_llm_tokens=20))
    refused(kernel, "kernel.budget_exceeded")
    assert kinds(kernel.journal).count("ActionSucceeded") == 2


def test_only_model_outputs_spend_tokens() -> None:
    answers, results = [TOOL, MODEL, MODEL, MODEL], [Success({"usage": 99}), Success("x"), ActionError.permanent("no")]
    kernel = kernel_of(answers, results, limits=Limits(max_llm_tokens=1))
    kernel.run_until_blocked("r", 0)
    assert kinds(kernel.journal)[-1] == "ActionFailed"


def test_a_policy_has_a_budget_of_its_own_and_the_tighter_one_counts() -> None:
    class Thrifty(AllowAll):
        def budget(self) -> BudgetRules:
            return BudgetRules(max_tool_calls=1)

    for parts in ({}, {"limits": Limits(max_tool_calls=5)}):
        kernel = kernel_of([TOOL, TOOL], [Success(1)] * 2, policy=RetryWithBackoff(Thrifty(), 1, 1), **parts)
        refused(kernel, "kernel.budget_exceeded")


def test_a_passed_deadline_stops_before_a_step() -> None:
    step = ScriptedStep([TOOL])
    kernel = kernel_of([], clock=ScriptedClock(5), deadline=5, step=step)
    error = refused(kernel, "kernel.deadline")
    assert str(error) == "Driver error: deadline exceeded"
    assert (step.calls, kernel.journal.head("r")) == (0, 0)


def test_a_deadline_that_passes_before_the_executor_leaves_the_request_open() -> None:
    class Slow(CollectingEffectSink):
        def record(self, run_id: str, effect: Any) -> None:
            clock.advance(10)

    clock = ScriptedClock()
    kernel = kernel_of([TOOL], clock=clock, deadline=10, effect_sink=Slow())
    refused(kernel, "kernel.deadline")
    assert kinds(kernel.journal) == ["ActionRequested"]
    assert isinstance(kernel.executor, ScriptedExecutor)
    assert kernel.executor.calls == []


def test_back_off_waits_no_longer_than_the_deadline() -> None:
    clock = ScriptedClock()
    kernel = kernel_of(
        [TOOL],
        [ActionError.transient("x")] * 9,
        clock=clock,
        deadline=250 * MS,
        policy=RetryWithBackoff(AllowAll(), 9, 100),
    )
    refused(kernel, "kernel.deadline")
    assert clock.sleeps == [100 * MS, 150 * MS]
    assert kinds(kernel.journal) == ["ActionRequested"]


def test_an_executor_is_told_its_key_and_how_much_time_is_left() -> None:
    clock = ScriptedClock(40)
    executor = ScriptedExecutor([ActionError.transient("x"), Success(1)])
    kernel = kernel_of(
        [TOOL], clock=clock, deadline=100 * MS, executor=executor, policy=RetryWithBackoff(AllowAll(), 1, 10)
    )
    kernel.run_until_blocked("r", 0)
    assert [(call.run_id, call.action_id, call.remaining) for _, call in executor.calls] == [
        ("r", "r-1", 100 * MS - 40),
        ("r", "r-1", 90 * MS - 40),
    ]


def test_budget_counts_go_on_over_what_a_restart_finds() -> None:
    request = ActionRequested("r-1", {"CallLLM": {"input": None, "provider": "p"}})
    spent = [
        request,
        ActionSucceeded("r-1", {"usage": 5}),
        ActionRequested("r-3", {"CallTool": {}}),
        ActionFailed("r-3", ""),
    ]
    kernel = kernel_of([MODEL, Complete()], journal=preloaded("r", spent), limits=Limits(max_llm_tokens=5))
    refused(kernel, "kernel.budget_exceeded")
