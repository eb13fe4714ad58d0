"""What the user's code can do wrong, and what becomes of the run (spec 40 §15)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from kernel_scenarios import digits
from msgspec import Struct

from ergo_cli.errors import ErgoError, StoreError
from ergo_cli.programs.kernel import AllowAll, CallTool, Complete, Do, Emit, KernelError, StateUpdated, Success
from ergo_cli.programs.kernel.engine.actions import Next
from ergo_cli.programs.kernel.engine.options import KernelMode
from ergo_cli.programs.kernel.program import Kernel
from ergo_cli.stores.memory import MemoryJournal, MemorySnapshots
from ergo_cli.testing.kernel import CollectingEffectSink, ScriptedExecutor, ScriptedStep

TOOL = Do(CallTool("t", None))


def raised(kernel: Kernel[Any]) -> KernelError:
    with pytest.raises(KernelError) as error:
        kernel.run_until_blocked("r", 0)
    assert isinstance(error.value, ErgoError)
    assert error.value.fix
    return error.value


def raising(error: Exception) -> Callable[..., Any]:
    def step(*arguments: object) -> Any:
        raise error

    return step


def test_a_step_that_raises_is_named_with_the_seq_it_would_have_had() -> None:
    error = raised(Kernel[Any](journal=MemoryJournal(), reducer=digits, step=raising(ValueError("why"))))
    assert str(error) == "Driver error: ValueError: why"
    assert (error.code, error.where) == ("kernel.driver", "run 'r' seq 1")
    assert isinstance(error.__cause__, ValueError)


@pytest.mark.parametrize("answer", [None, "Complete", [StateUpdated(None, 1)]])
def test_a_step_that_answers_something_else(answer: Any) -> None:
    error = raised(Kernel[Any](journal=MemoryJournal(), reducer=digits, step=lambda state: answer))
    assert "not Emit, Do, Interrupt or Complete" in str(error)


def test_an_emit_of_something_else() -> None:
    emit: Any = Emit(["Completed"])  # type: ignore[list-item]
    error = raised(Kernel[Any](journal=MemoryJournal(), reducer=digits, step=lambda state: emit))
    assert str(error) == "Driver error: 'Completed' is no event"


@pytest.mark.parametrize(
    ("answer", "place"),
    [
        (Emit([StateUpdated(None, {"x": float("nan")})]), "StateUpdated/x"),
        (Do(CallTool("t", [float("inf")])), "CallTool/0"),
    ],
)
def test_what_json_cannot_hold_leaves_no_trace(answer: Next, place: str) -> None:
    sink, journal = CollectingEffectSink(), MemoryJournal()
    error = raised(Kernel[Any](journal=journal, reducer=digits, step=ScriptedStep([answer]), effect_sink=sink))
    assert error.code == "kernel.not_canonical"
    assert str(error).startswith(f"Driver error: {place}: ")
    assert (journal.head("r"), sink.effects) == (0, [])


def test_a_policy_that_raises_something_denies() -> None:
    class Broken(AllowAll):
        def authorize(self, run_id: str, action: Any, context: Any) -> None:
            raise LookupError("no list")

    error = raised(Kernel[Any](journal=MemoryJournal(), reducer=digits, step=ScriptedStep([TOOL]), policy=Broken()))
    assert (str(error), error.code) == ("Policy error: LookupError: no list", "kernel.policy")


@pytest.mark.parametrize("mode", [KernelMode.REPLAY, KernelMode.VERIFY])
def test_a_live_executor_is_out_of_reach_in_replay(mode: KernelMode) -> None:
    sink, executor = CollectingEffectSink(), ScriptedExecutor([Success(1)])
    step = ScriptedStep([TOOL])
    kernel = Kernel[Any](
        journal=MemoryJournal(), reducer=digits, step=step, executor=executor, mode=mode, effect_sink=sink
    )
    error = raised(kernel)
    assert error.code == "kernel.replay_side_effect"
    assert (executor.calls, sink.effects, kernel.journal.head("r")) == ([], [], 0)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("store.corrupt", "kernel.corrupt_log"),
        ("store.conflict", "kernel.seq_conflict"),
        ("store.locked", "store.locked"),
        ("store.read_only", "store.read_only"),
        ("store.full", "store.full"),
    ],
)
def test_a_journal_that_fails_is_told_under_its_own_code_or_the_kernels(code: str, told: str) -> None:
    class Failing(MemoryJournal):
        def append(self, *arguments: Any, **named: Any) -> int:
            raise StoreError(code, "cannot write", fix="make room")

    error = raised(Kernel[Any](journal=Failing(), reducer=digits))
    assert (error.code, str(error)) == (told, "EventStore error: cannot write")
    assert isinstance(error.__cause__, StoreError)


def test_a_snapshot_store_that_fails_stops_before_any_step() -> None:
    class Failing(MemorySnapshots):
        def load_latest(self, run: str) -> Any:
            raise StoreError("store.unreachable", "gone", fix="look at the server")

    step, journal = ScriptedStep([Complete()]), MemoryJournal()
    error = raised(Kernel[Any](journal=journal, reducer=digits, step=step, snapshots=Failing()))
    assert (error.code, str(error), error.fix) == (
        "store.unreachable",
        "SnapshotStore error: gone",
        "look at the server",
    )
    assert (step.calls, journal.head("r")) == (0, 0)


def test_an_action_is_told_as_plain_values() -> None:
    class Query(Struct):
        words: list[str]

    executor, sink = ScriptedExecutor([Success(1)]), CollectingEffectSink()
    step = ScriptedStep([Do(CallTool("t", Query(["a"])))])
    Kernel[Any](
        journal=MemoryJournal(), reducer=digits, step=step, executor=executor, effect_sink=sink
    ).run_until_blocked("r", 0)
    assert executor.calls[0][0] == CallTool("t", {"words": ["a"]})
