"""Spec 40 §21.13, what the product adds: C-128 to C-135."""

from __future__ import annotations

from typing import Any

import pytest
from kernel_scenarios import RETRY_3, TOOL, digits, events_of, play, preloaded, transient
from msgspec.structs import replace

from ergo_cli.core import wire
from ergo_cli.programs.kernel.engine.actions import Complete, Next, Resume
from ergo_cli.programs.kernel.engine.errors import KernelError
from ergo_cli.programs.kernel.engine.events import (
    ActionSucceeded,
    Completed,
    RunCompleted,
    RunLog,
    SequencedEvent,
    StateUpdated,
)
from ergo_cli.programs.kernel.engine.policy import AllowAll, RetryWithBackoff
from ergo_cli.programs.kernel.engine.state import StateUpdatedOnly
from ergo_cli.programs.kernel.program import Kernel
from ergo_cli.programs.kernel.replay.divergence import DivergenceKind, LogVerdict
from ergo_cli.programs.kernel.replay.redrive import EndingPoint, RecordedEnding, Redriven, redrive
from ergo_cli.stores.memory import MemoryJournal, MemorySnapshots
from ergo_cli.testing.kernel import CollectingEffectSink, ScriptedClock, ScriptedExecutor, ScriptedStep

RUN = "run-retry-success"
RECORDED = {
    "run_id": RUN,
    "policy": RETRY_3,
    "steps": [TOOL],
    "executor": [transient("transient-1"), transient("transient-2"), {"Success": "ok"}],
}


def driven_again(scenario: dict[str, Any], *answers: Any, ending: RecordedEnding | None = None) -> Redriven:
    """Capture a scenario, then drive it again with a step function that gives these answers."""
    played = play(scenario)
    run_id = played.run_id
    kernel = replace(
        played.kernel,
        step=ScriptedStep([wire.read(answer, Next) for answer in answers]),
        executor=ScriptedExecutor([]),
        effect_sink=CollectingEffectSink(),
    )
    records = [SequencedEvent(seq, event) for seq, event in enumerate(events_of(played.kernel, run_id), 1)]
    redriven = redrive(kernel, run_id, lambda today: today.run_until_blocked(run_id, 0), records, ending=ending)
    assert isinstance(kernel.executor, ScriptedExecutor)
    assert kernel.executor.calls == [], "replay must not reach the executor"
    assert isinstance(kernel.effect_sink, CollectingEffectSink)
    if ending is not None:
        assert kernel.effect_sink.effects == played.sink.effects
    return redriven


def test_c40_128_an_unchanged_program_matches_without_its_executor() -> None:
    redriven = driven_again(RECORDED, TOOL)
    assert redriven.report.verdict is LogVerdict.MATCH
    assert redriven.report.common_prefix == 3
    assert redriven.report.expected_hash == "241a242466bf4ea70d67d5fa36bc734742c0bb459669ac0b8477929e966c8214"
    assert redriven.status == RunCompleted()


def test_c40_129_another_tool_is_another_action() -> None:
    report = driven_again(RECORDED, {"Do": {"CallTool": {"tool": "other", "input": None}}}).report
    assert (report.verdict, report.kind) == (LogVerdict.DIVERGED, DivergenceKind.ACTION_MISMATCH)
    assert (report.first_divergent_seq, report.common_prefix) == (1, 0)
    assert report.path == "/event/ActionRequested/payload/CallTool/tool"


def test_c40_130_completing_at_once_is_another_event() -> None:
    report = driven_again(RECORDED).report
    assert (report.kind, report.first_divergent_seq) == (DivergenceKind.EVENT_MISMATCH, 1)
    assert report.actual == SequencedEvent(1, Completed())


def test_c40_130_a_denied_action_is_denied_again() -> None:
    scenario = {"run_id": "r", "steps": [TOOL], "policy": {"kind": "allow_list", "tools": ["other"]}}
    denial = play(scenario).error
    assert denial is not None
    redriven = driven_again(scenario, TOOL, ending=RecordedEnding(denial, EndingPoint.AUTHORIZATION))
    assert redriven.report.verdict is LogVerdict.MATCH
    assert (redriven.error, redriven.report.common_prefix) == (denial, 0)


def test_c40_131_snapshots_change_no_replay() -> None:
    scenario = {
        "run_id": "r",
        "reducer": "digits",
        "snapshots": "memory",
        "steps": [TOOL, {"Interrupt": {"value": 1}}],
        "executor": [{"Success": 1}],
        "resume": [{"Resume": 1}],
    }
    played = play(scenario)
    with_snapshots = played.kernel.replay_from_snapshot("r", 0)
    assert played.snapshots is not None
    played.snapshots.drop("r")
    assert played.kernel.replay_from_snapshot("r", 0) == with_snapshots == played.kernel.replay("r", 0)


def test_c40_132_a_snapshot_ahead_of_the_log_is_refused() -> None:
    snapshots = MemorySnapshots()
    snapshots.save("r", 3, "1")
    kernel = Kernel[Any](journal=preloaded("r", [Completed()]), reducer=digits, snapshots=snapshots)
    for attempt in (kernel.run_until_blocked, kernel.replay_from_snapshot):
        with pytest.raises(KernelError) as refused:
            attempt("r", 0)
        assert refused.value.code == "kernel.snapshot_ahead"
        assert refused.value.where == "run 'r' seq 3"
    assert kernel.journal.head("r") == 1


def test_c40_133_waits_go_through_the_injected_sleep() -> None:
    scenario = {
        "run_id": "r",
        "steps": [TOOL],
        "policy": {**RETRY_3, "max_retries": 5, "backoff_base_ms": 50, "backoff_cap_ms": 500},
        "executor": [transient("1"), transient("2"), transient("3"), {"Success": 1}],
    }
    played = play(scenario)
    assert played.status == RunCompleted()
    assert played.waits_ms == [50, 100, 200]


def test_c40_134_another_head_is_a_conflict() -> None:
    journal = preloaded("r", [Completed()])
    log = RunLog(journal, "r")
    with pytest.raises(KernelError) as refused:
        log.append(log.batch([Completed()], 0), 0)
    assert refused.value.code == "kernel.seq_conflict"
    assert str(refused.value).startswith("EventStore error: ")
    assert journal.head("r") == 1


def test_c40_134_a_second_driver_is_noticed() -> None:
    """Somebody else appends to the run while its action is executed."""
    journal = MemoryJournal()

    def interfering(action: object, call: object) -> object:
        journal.append("r", ['"Completed"'])
        return 1

    kernel = Kernel[Any](
        journal=journal, reducer=digits, step=ScriptedStep([wire.read(TOOL, Next)]), executor=interfering
    )
    with pytest.raises(KernelError) as refused:
        kernel.run_until_blocked("r", 0)
    assert refused.value.code == "kernel.seq_conflict"
    assert not any(isinstance(event, ActionSucceeded) for event in events_of(kernel, "r"))


@pytest.mark.parametrize("events", [[], [StateUpdated(None, 1)], [Completed()]])
def test_c40_135_only_a_blocked_run_is_resumed(events: list[Any]) -> None:
    kernel = Kernel[Any](journal=preloaded("r", events), reducer=StateUpdatedOnly(), step=ScriptedStep([Complete()]))
    with pytest.raises(KernelError) as refused:
        kernel.resume("r", 0, Resume(1))
    assert refused.value.code == "kernel.not_blocked"
    assert refused.value.fix
    assert kernel.journal.head("r") == len(events)


def test_c40_133_the_clock_is_the_only_way_to_wait() -> None:
    clock = ScriptedClock()
    kernel = Kernel[Any](
        journal=MemoryJournal(),
        reducer=digits,
        step=ScriptedStep([wire.read(TOOL, Next)]),
        executor=ScriptedExecutor([]),
        policy=RetryWithBackoff(AllowAll(), 0, 50),
        clock=clock,
    )
    kernel.run_until_blocked("r", 0)
    assert clock.sleeps == []
