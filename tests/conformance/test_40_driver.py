"""Spec 40 §21.1 and §21.2, the driver: C-1 to C-30, most of them as scenario documents of Annex B."""

from __future__ import annotations

from typing import Any

import pytest
from kernel_scenarios import (
    RETRY_3,
    TOOL,
    Unsigned,
    digits,
    events_of,
    play,
    preloaded,
    transient,
)

from ergo_cli.core import wire
from ergo_cli.core.json import decode as decode_json
from ergo_cli.programs.kernel.companions.verification import event_stream_hash
from ergo_cli.programs.kernel.engine.actions import Complete, Interrupt, Next, Resume, StateWrite, Success
from ergo_cli.programs.kernel.engine.errors import ActionError, Category, KernelError
from ergo_cli.programs.kernel.engine.events import (
    Completed,
    Event,
    RunBlocked,
    RunCompleted,
    RunFailed,
    SequencedEvent,
    StateUpdated,
)
from ergo_cli.programs.kernel.engine.options import KernelMode
from ergo_cli.programs.kernel.engine.state import StateUpdatedOnly
from ergo_cli.programs.kernel.program import Kernel
from ergo_cli.stores.memory import MemoryJournal, MemorySnapshots
from ergo_cli.testing.kernel import ScriptedExecutor, ScriptedStep

COMPLETED = '"Completed"'


def updated(step_id: str | None, payload: object) -> dict[str, Any]:
    return {"StateUpdated": {"step_id": step_id, "payload": payload}}


def counting_kernel(journal: MemoryJournal, snapshots: MemorySnapshots | None = None) -> Kernel[Any]:
    return Kernel(
        journal=journal,
        reducer=StateUpdatedOnly(Unsigned),
        executor=ScriptedExecutor([]),
        state=Unsigned,
        snapshots=snapshots,
    )


def kinds(events: list[str]) -> list[str]:
    return [text.split('"')[1] for text in events]


def test_c40_01_a_step_that_is_done_completes_the_run() -> None:
    played = play({"run_id": "run-complete"})
    assert played.status == RunCompleted()
    assert played.events == [COMPLETED]
    (event,) = [SequencedEvent(seq, event) for seq, event in enumerate(events_of(played.kernel, "run-complete"), 1)]
    assert wire.encode(event) == b'{"seq":1,"event":"Completed"}'


def test_c40_02_completion_is_in_the_latest_snapshot() -> None:
    played = play(
        {"run_id": "run-snapshot-complete", "snapshots": "memory", "steps": [{"Emit": [updated("node1", 1)]}]}
    )
    assert played.status == RunCompleted()
    assert played.snapshots is not None
    latest = played.snapshots.load_latest("run-snapshot-complete")
    assert latest is not None
    assert (latest.at_seq, latest.text) == (2, "1")


def test_c40_03_the_guard_of_a_replaying_kernel_traps_the_clock() -> None:
    kernel = Kernel[Any](journal=MemoryJournal(), reducer=StateUpdatedOnly(), mode=KernelMode.REPLAY)
    with pytest.raises(KernelError, match="Replay"):
        kernel.determinism_guard().check_clock_access()


def test_c40_04_the_sink_is_told_of_the_state_and_not_of_the_completion() -> None:
    played = play({"run_id": "run-effect-capture", "steps": [{"Emit": [updated("node1", 1)]}]})
    assert played.sink.recorded == [("run-effect-capture", StateWrite("node1", 1))]


def test_c40_05_the_timeline_names_the_completion() -> None:
    played = play({"run_id": "timeline-run"})
    timeline = played.kernel.run_timeline("timeline-run")
    assert timeline.run_id == "timeline-run"
    assert "Completed" in [entry.kind for entry in timeline.events]
    assert b"Completed" in wire.encode(timeline)


def test_c40_06_another_kernel_on_the_same_log_resumes() -> None:
    journal, run_id = MemoryJournal(), "run-interrupt-resume"
    first = Kernel[Any](journal=journal, reducer=StateUpdatedOnly(), step=ScriptedStep([Interrupt("pause")]))
    assert isinstance(first.run_until_blocked(run_id, 0), RunBlocked)
    second = Kernel[Any](journal=journal, reducer=StateUpdatedOnly(), step=ScriptedStep([]))
    assert second.resume(run_id, 0, Resume(1)) == RunCompleted()
    assert [text for _, text in journal.scan(run_id)] == [
        '{"Interrupted":{"value":"pause"}}',
        '{"Resumed":{"value":1}}',
        COMPLETED,
    ]
    expected = "1312324b1f5658154a766ef1f57367f84dad3c73e76a90061b8108209bbd5dec"
    assert event_stream_hash(journal, run_id) == expected


def test_c40_07_a_snapshot_stands_when_blocked_is_returned() -> None:
    scenario = {
        "run_id": "run-interrupt-checkpoint",
        "initial_state": 7,
        "snapshots": "memory",
        "steps": [{"Interrupt": {"value": "pause"}}],
    }
    played = play(scenario)
    assert isinstance(played.status, RunBlocked)
    assert played.saved == [(1, "7")]


def test_c40_08_replay_executes_nothing() -> None:
    kernel = counting_kernel(preloaded("r", [StateUpdated("n1", 42), Completed()]))
    assert kernel.replay("r", 0) == 42
    assert isinstance(kernel.executor, ScriptedExecutor)
    assert kernel.executor.calls == []


def test_c40_09_two_replays_are_equal() -> None:
    kernel = counting_kernel(preloaded("r", [StateUpdated("a", 10), StateUpdated("b", 20), Completed()]))
    assert kernel.replay("r", 0) == kernel.replay("r", 0) == 20


def test_c40_10_retries_that_lead_to_success_leave_no_failure() -> None:
    scenario = {
        "run_id": "run-retry-ok",
        "steps": [TOOL],
        "policy": RETRY_3,
        "executor": [transient("transient"), transient("transient"), {"Success": "ok"}],
    }
    played = play(scenario)
    assert played.status == RunCompleted()
    assert kinds(played.events) == ["ActionRequested", "ActionSucceeded", "Completed"]


def test_c40_11_a_failed_action_fails_the_run_for_good() -> None:
    played = play({"run_id": "run-fail", "steps": [TOOL], "executor": [{"Err": {"Driver": "mock"}}]})
    assert played.status == RunFailed(recoverable=False)
    assert played.events == [
        '{"ActionRequested":{"action_id":"run-fail-1","payload":{"CallTool":{"input":null,"tool":"dummy"}}}}',
        '{"ActionFailed":{"action_id":"run-fail-1","error":"Driver error: mock"}}',
    ]


def test_c40_12_replay_from_a_snapshot_folds_the_tail_alone() -> None:
    events: list[Event] = [StateUpdated("a", 10), StateUpdated("b", 20), StateUpdated("c", 30), Completed()]
    snapshots = MemorySnapshots()
    snapshots.save("r", 2, "20")
    seen: list[int] = []
    kernel = counting_kernel(preloaded("r", events), snapshots)
    inner = kernel.reducer

    def watched(state: Any, event: SequencedEvent) -> Any:
        seen.append(event.seq)
        return inner(state, event)

    watching = Kernel[Any](journal=kernel.journal, reducer=watched, snapshots=snapshots, state=Unsigned)
    assert watching.replay_from_snapshot("r", 0) == 30
    assert seen == [3, 4]


def test_c40_13_a_run_goes_on_from_its_snapshot() -> None:
    seen: list[int] = []
    reduce = StateUpdatedOnly(Unsigned)

    def counting(state: Any, event: SequencedEvent) -> Any:
        seen.append(event.seq)
        return reduce(state, event)

    snapshots = MemorySnapshots()
    snapshots.save("r", 2, "2")
    journal = preloaded("r", [StateUpdated("a", 1), StateUpdated("b", 2), StateUpdated("c", 3)])
    kernel = Kernel[Any](journal=journal, reducer=counting, state=Unsigned, snapshots=snapshots)
    assert kernel.run_until_blocked("r", 0) == RunCompleted()
    assert seen == [3, 4]
    latest = snapshots.load_latest("r")
    assert latest is not None
    assert (latest.at_seq, latest.text) == (4, "3")


def test_c40_14_a_failure_result_has_one_terminal_event() -> None:
    played = play({"run_id": "run-action-failure", "steps": [TOOL], "executor": [{"Failure": "boom"}]})
    assert played.status == RunFailed()
    assert kinds(played.events) == ["ActionRequested", "ActionFailed"]
    assert played.events[1] == '{"ActionFailed":{"action_id":"run-action-failure-1","error":"boom"}}'


def test_c40_15_retries_add_no_request() -> None:
    played = play(RETRY_SUCCESS)
    assert played.status == RunCompleted()
    assert len(played.executor.calls) == 3
    assert kinds(played.events) == ["ActionRequested", "ActionSucceeded", "Completed"]


def test_c40_16_exhausted_retries_tell_the_last_error() -> None:
    scenario = {
        **RETRY_SUCCESS,
        "run_id": "run-retry-fail",
        "policy": {**RETRY_3, "max_retries": 1},
        "executor": [transient("transient-1"), transient("transient-2"), transient("transient-3")],
    }
    played = play(scenario)
    assert played.status == RunFailed()
    assert len(played.executor.calls) == 2
    assert kinds(played.events) == ["ActionRequested", "ActionFailed"]
    assert '"error":"Executor: transient-2"' in played.events[1]


def test_c40_17_a_denied_tool_leaves_one_effect_and_no_event() -> None:
    played = play({"run_id": "r", "steps": [TOOL], "policy": {"kind": "allow_list", "tools": ["other"]}})
    assert str(played.error) == "Policy error: tool not allowed: dummy"
    assert played.events == []
    assert played.effects == [{"ToolCall": {"tool": "dummy", "input": None}}]


def test_c40_18_a_denied_provider() -> None:
    step = {"Do": {"CallLLM": {"provider": "p1", "input": None}}}
    played = play({"run_id": "r", "steps": [step], "policy": {"kind": "allow_list", "tools": ["p1"]}})
    assert str(played.error) == "Policy error: provider not allowed: p1"
    assert played.events == []


def test_c40_19_an_empty_emit_appends_nothing() -> None:
    assert play({"run_id": "r", "steps": [{"Emit": []}]}).events == [COMPLETED]


def test_c40_20_a_batch_has_its_effects_in_order() -> None:
    played = play({"run_id": "r", "steps": [{"Emit": [updated("node1", 1), updated(None, 2)]}]})
    assert kinds(played.events) == ["StateUpdated", "StateUpdated", "Completed"]
    assert played.effects == [
        {"StateWrite": {"step_id": "node1", "payload": 1}},
        {"StateWrite": {"step_id": None, "payload": 2}},
    ]


def test_c40_21_a_step_that_raises_appends_nothing() -> None:
    played = play({"run_id": "r", "steps": [{"Err": {"Driver": "boom"}}]})
    assert str(played.error) == "Driver error: boom"
    assert played.events == []


def test_c40_22_an_event_that_the_reducer_refuses_stays_in_the_log() -> None:
    played = play({"run_id": "r", "steps": [{"Emit": [updated(None, "str")]}]})
    assert played.error is not None
    assert played.error.category is Category.EVENT_STORE
    assert played.error.code == "kernel.event_store"
    assert played.error.where == "run 'r' seq 1"
    assert played.events == ['{"StateUpdated":{"step_id":null,"payload":"str"}}']


def test_c40_23_sleep_and_wait_are_the_executors_affair() -> None:
    played = play(SLEEP)
    assert [call.action_id for _, call in played.executor.calls] == ["run-sleep-1", "run-sleep-3"]
    assert played.effects == []
    assert len(played.events) == 5
    assert played.events[4] == COMPLETED


def test_c40_24_a_failure_result_ends_the_retries() -> None:
    played = play(RETRY_MIXED)
    assert played.status == RunFailed()
    assert len(played.executor.calls) == 2
    assert '"error":"hard"' in played.events[1]


def test_c40_25_the_default_rule_waits_for_rate_limits_only() -> None:
    played = play(RATE_DEFAULT)
    assert played.status == RunCompleted()
    assert (len(played.executor.calls), played.waits_ms) == (2, [1])
    failed = play({"run_id": "r", "steps": [TOOL], "executor": [transient("x")]})
    assert failed.status == RunFailed()
    assert '"error":"Executor: x"' in failed.events[1]


def test_c40_26_a_completed_run_is_protected_only_if_asked() -> None:
    journal = MemoryJournal()
    kernel = Kernel[Any](journal=journal, reducer=StateUpdatedOnly())
    kernel.run_until_blocked("r", 0)
    with pytest.raises(KernelError) as refused:
        kernel.resume("r", 0, Resume(1))
    assert refused.value.code == "kernel.not_blocked"
    with pytest.raises(KernelError) as refused:
        kernel.run_until_blocked("r", 0, strict=True)
    assert refused.value.code == "kernel.already_completed"
    assert journal.head("r") == 1
    kernel.resume("r", 0, Resume(1), strict=False)
    kernel.run_until_blocked("r", 0)
    assert [text for _, text in journal.scan("r")] == [COMPLETED, '{"Resumed":{"value":1}}', COMPLETED, COMPLETED]


def test_c40_27_one_snapshot_for_each_folded_event() -> None:
    scenario = {
        "run_id": "r",
        "reducer": "digits",
        "snapshots": "memory",
        "steps": [{"Emit": [updated(None, 0), updated(None, 0)]}, TOOL, {"Interrupt": {"value": 1}}],
        "executor": [{"Success": 1}],
    }
    before = [(1, "1"), (2, "11"), (3, "112"), (4, "1123"), (5, "11235")]
    assert play(scenario).saved == before
    played = play({**scenario, "resume": [{"Resume": 1}]})
    assert played.saved == [*before, (6, "112356"), (7, "1123567")]
    assert played.kernel.replay("r", 0) == played.kernel.replay_from_snapshot("r", 999) == 1123567


def test_c40_28_an_emitted_completion_does_not_stop_the_run() -> None:
    played = play({"run_id": "r", "steps": [{"Emit": ["Completed"]}]})
    assert played.status == RunCompleted()
    assert played.events == [COMPLETED, COMPLETED]


def test_c40_29_a_full_disk_under_the_snapshots_keeps_the_event() -> None:
    played = play({"run_id": "r", "snapshots": "memory", "snapshots_full": "disk full"})
    assert str(played.error) == "SnapshotStore error: disk full"
    assert played.kernel.journal.head("r") == 1


def test_c40_30_two_identical_runs_are_byte_identical() -> None:
    assert play(RETRY_SUCCESS).document() == play(RETRY_SUCCESS).document()


RETRY_SUCCESS = {
    "run_id": "run-retry-success",
    "initial_state": 0,
    "reducer": "state_updated_only",
    "snapshots": "memory",
    "mode": "Normal",
    "policy": RETRY_3,
    "preload": [],
    "preload_snapshots": [],
    "steps": [TOOL, "Complete"],
    "executor": [transient("transient-1"), transient("transient-2"), {"Success": "ok"}],
    "resume": [],
}
SLEEP = {
    "run_id": "run-sleep",
    "steps": [{"Do": {"Sleep": {"millis": 5}}}, {"Do": {"WaitSignal": {"name": "go"}}}],
    "executor": [{"Success": None}, {"Success": {"v": 1}}],
}
RETRY_MIXED = {
    "run_id": "run-retry-mixed",
    "steps": [TOOL],
    "policy": RETRY_3,
    "executor": [transient("soft"), {"Failure": "hard"}],
}
RATE_LIMITED = {"Err": {"Executor": {"kind": "RateLimited", "message": "slow down", "retry_after_ms": 1}}}
RATE_DEFAULT = {"run_id": "run-rate-default", "steps": [TOOL], "executor": [RATE_LIMITED, {"Success": 1}]}
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
FAILED_RUNS = {
    "run-retry-fail": {
        "run_id": "run-retry-fail",
        "steps": [TOOL],
        "policy": {**RETRY_3, "max_retries": 1},
        "executor": [transient("transient-1"), transient("transient-2")],
    },
    "run-action-failure": {"run_id": "run-action-failure", "steps": [TOOL], "executor": [{"Failure": "boom"}]},
    "run-fail": {"run_id": "run-fail", "steps": [TOOL], "executor": [{"Err": {"Driver": "mock"}}]},
}


@pytest.mark.parametrize(
    ("scenario", "stream", "requests"),
    [
        ({"run_id": "x"}, "926e4c28843d018508ae301af907fe819c5ba5a0c7dd86cd978ea2751d599680", EMPTY),
        (
            {"run_id": "x", "steps": [{"Emit": [updated("a", [1])]}], "state": Any},
            "7988c1b06413a88cc13518411cdc804d92b33d4e63d27c5aeac89f866ca26287",
            EMPTY,
        ),
        (
            {"run_id": "x", "steps": [{"Interrupt": {"value": "pause"}}]},
            "25ad5a8cb73694c1cdea2246b84c208d18d305f70a34d4ca6a7b5ea29f22539b",
            EMPTY,
        ),
        (
            {"run_id": "x", "steps": [{"Interrupt": {"value": "pause"}}], "resume": [{"Resume": 1}]},
            "1312324b1f5658154a766ef1f57367f84dad3c73e76a90061b8108209bbd5dec",
            EMPTY,
        ),
        (
            {"run_id": "x", "steps": [{"Emit": [updated("node1", 1), updated(None, 2)]}]},
            "4943d6fc82c180c1529053ef39bf95d57d3090dbc5ea2160d76c4ec25dce0bd1",
            EMPTY,
        ),
        (
            RETRY_SUCCESS,
            "241a242466bf4ea70d67d5fa36bc734742c0bb459669ac0b8477929e966c8214",
            "3797d3c03985b35bb57c3fdeb869b23076aff1493591c29f34a3d782bbab9b1a",
        ),
        (
            FAILED_RUNS["run-retry-fail"],
            "502e701eb4d6595b9c7da8b4228d61dcc2083fe636c1222f51f69d6b3b9e3941",
            "70ace031ee40c509e035f44968ce0203ca667a97229eadfbf97c1fe504bf7b9a",
        ),
        (
            FAILED_RUNS["run-action-failure"],
            "2f02826d17dce957f94b95a483828af6c123b6dcffeebb12dd3cc343aa72a29c",
            "7c0bfe70f9ee5aad6887700d0bf6ef72aceea633b52104dc1ad1ca58ff6ce2b2",
        ),
        (
            FAILED_RUNS["run-fail"],
            "a2909eb8d21b18d0b527d38e1f7774edd65b56cce1cd4233451c7e801d4ff01f",
            "63a31a021fff49daffa40d8bce4fbfcde828f6781cc17731b8cc22e76f395c31",
        ),
        (
            SLEEP,
            "99313ea1b32eed2cbafd141b575056c6bdcd5585f7a62941ac60e0444bc034c0",
            "cc64105c63a8581bb975bc6ae373bebc5e8cc48bb25adcfb6ef9c0323ea2fa5e",
        ),
        (
            RETRY_MIXED,
            "6f96ccdf5eec0efcf32fd58cf822ab92f1d9bcde7526b974b1923c1d13dfcc84",
            "d7e75fe21bf15ffd56bf1230a40c9d7fa2812489e7abc09b14e97e7232be16ad",
        ),
        (
            RATE_DEFAULT,
            "a345ff22cf339a3a1f7c085bca3cdfacd044017288e6d6747f8f40dfc4fa1325",
            "97c16ebe1379d409558c7302a9bd30530947bba86a161ac8ccb20214494b8b93",
        ),
    ],
)
def test_annex_a_streams_and_checksums_of_driven_runs(scenario: dict[str, Any], stream: str, requests: str) -> None:
    document = decode_json(play(scenario).document())
    assert document["event_stream_hash"] == stream
    assert document["tool_checksum"] == requests


def test_annex_b_a_scenario_document_in_full() -> None:
    events = [
        '{"ActionRequested":{"action_id":"run-retry-success-1","payload":{"CallTool":{"input":null,"tool":"dummy"}}}}',
        '{"ActionSucceeded":{"action_id":"run-retry-success-1","output":"ok"}}',
        COMPLETED,
    ]
    document = decode_json(play(RETRY_SUCCESS).document())
    assert document == {
        "status": {"status": "Completed"},
        "error": None,
        "events": [decode_json(text.encode()) for text in events],
        "event_stream_hash": "241a242466bf4ea70d67d5fa36bc734742c0bb459669ac0b8477929e966c8214",
        "tool_checksum": "3797d3c03985b35bb57c3fdeb869b23076aff1493591c29f34a3d782bbab9b1a",
        "state": 0,
        "state_hash": "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9",
        "effects": [{"ToolCall": {"tool": "dummy", "input": None}}],
        "snapshots": [[1, 0], [2, 0], [3, 0]],
        "executor_calls": 3,
        "waits_ms": [],
        "timeline": {
            "run_id": "run-retry-success",
            "events": [
                {"seq": 1, "kind": "ActionRequested", "action_id": "run-retry-success-1"},
                {"seq": 2, "kind": "ActionSucceeded", "action_id": "run-retry-success-1"},
                {"seq": 3, "kind": "Completed"},
            ],
            "final_status": {"status": "Completed"},
        },
    }


def test_seed_a_foreign_exception_is_permanent_and_named() -> None:
    """40 §3.5: what is no KernelError becomes category Driver, with its class."""
    executor = ScriptedExecutor([KeyError("k"), Success(1)])
    kernel = Kernel[Any](
        journal=MemoryJournal(),
        reducer=digits,
        step=ScriptedStep([wire.read(TOOL, Next), Complete()]),
        executor=executor,
    )
    assert kernel.run_until_blocked("r", 0) == RunFailed()
    assert '"error":"Driver error: KeyError: \'k\'"' in dict(kernel.journal.scan("r"))[2]
    assert ActionError.of(KernelError(Category.DRIVER, "mock")).text == "Driver error: mock"
