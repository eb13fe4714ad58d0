"""Spec 40 §19.3 and §21.13 over whole bundles: C-128 to C-131 as `ergo replay` sees them."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace
from replayed_kernels import capture, command, replay

from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.programs.kernel import (
    ActionError,
    ActionSucceeded,
    AllowAll,
    AllowList,
    CallTool,
    Complete,
    Do,
    KernelProgram,
    RetryWithBackoff,
    SequencedEvent,
    Success,
)
from ergo_cli.programs.kernel.engine.actions import Next
from ergo_cli.replay.results import Divergence, DivergenceKind, Outcome
from ergo_cli.stores.memory import MemorySnapshots
from ergo_cli.supervisor.seam import ErrKind, Failed
from ergo_cli.testing.kernel import ScriptedExecutor

RUN = "run-retry-success"
DUMMY = CallTool("dummy", None)


def step(state: Any) -> Next:
    return Do(DUMMY) if state is None else Complete()


def reduce(state: Any, event: SequencedEvent) -> Any:
    return event.event.output if isinstance(event.event, ActionSucceeded) else state


def program(**parts: Any) -> KernelProgram[Any]:
    given = {"step": step, "policy": RetryWithBackoff(AllowAll(), 3, 0), **parts}
    return KernelProgram("c15", lambda payload: None, execute="nowhere:execute", reduce=reduce, **given)


def captured(**more: Any) -> tuple[CaptureBundle, ScriptedExecutor]:
    """The capture of C-15: two transient failures, then a success."""
    failures = [ActionError.transient("transient-1"), ActionError.transient("transient-2")]
    executor = ScriptedExecutor([*failures, Success("ok")])
    return capture(program(), [command("e1")], executor, run_id=RUN, **more), executor


def diverged(bundle: CaptureBundle, today: KernelProgram[Any]) -> Divergence:
    result = replay(bundle, today)
    assert (result.outcome, result.divergence_count) == (Outcome.DIVERGED, 1)
    return result.divergences[0]


def test_c40_128_unchanged_code_matches_and_executes_nothing() -> None:
    bundle, executor = captured()
    assert len(executor.calls) == 3
    result = replay(bundle, program(), strict=True)
    assert (result.outcome, result.divergences) == (Outcome.MATCH, ())
    assert len(executor.calls) == 3


def test_c40_129_another_tool_diverges_at_the_first_record() -> None:
    bundle, _ = captured()
    found = diverged(bundle, program(step=lambda state: Do(CallTool("other", None))))
    assert (found.kind, found.cause) == (DivergenceKind.JOURNAL, "ActionMismatch")
    assert found.path == "journals[0].records[1].event.ActionRequested.payload.CallTool.tool"
    assert (found.expected, found.actual, found.node) == ("dummy", "other", f"{RUN}-1")
    assert found.log is not None
    assert (found.log.first_divergent_seq, found.log.common_prefix) == (1, 0)


def test_c40_130_completing_at_once_diverges_at_the_first_record() -> None:
    bundle, _ = captured()
    found = diverged(bundle, program(step=lambda state: Complete()))
    assert (found.cause, found.path, found.actual) == ("EventMismatch", "journals[0].records[1].event", "Completed")
    assert found.log is not None
    assert found.log.first_divergent_seq == 1


def test_c40_130_a_denied_action_replays_to_error_effect_and_empty_log() -> None:
    denying = program(policy=AllowList(tools=["other"]))
    bundle = capture(denying, [command("e1")], ScriptedExecutor([]), run_id=RUN)
    [decision] = bundle.decisions
    assert decision.termination == Failed(ErrKind.VALIDATION_FAILED)
    assert [effect.effect.kind for effect in decision.effects] == ["tool_call"]
    assert b'"code":"kernel.policy","message":"Policy error: tool not allowed: dummy"' in bundle.journals[0]
    assert b'"seq"' not in bundle.journals[0]
    assert replay(bundle, denying, strict=True).outcome is Outcome.MATCH
    assert replay(bundle, program(), strict=True).outcome is Outcome.MATCH, "what was denied then is denied now"


def test_c40_131_snapshots_change_no_bundle_and_no_replay() -> None:
    snapshots = MemorySnapshots()
    kept, _ = captured(snapshots=snapshots)
    assert snapshots.load_latest(RUN) is not None
    snapshots.drop(RUN)
    bare, _ = captured()
    assert kept.encode() == bare.encode()
    assert replay(kept, program(), strict=True) == replay(bare, program(), strict=True)
    changed = replace(program(), step=lambda state: Complete())
    assert replay(kept, changed).divergences == replay(bare, changed).divergences
