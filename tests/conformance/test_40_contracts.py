"""Spec 40 §21.3 (modes, guard, hashes), §21.4 (policies), §21.5 (effects, step contract): C-31 to C-55."""

from __future__ import annotations

from typing import Any

import pytest
from kernel_scenarios import preloaded

from ergo_cli.core import wire
from ergo_cli.programs.kernel.companions.services import ExplicitStep, NoopEffectSink, validate_input
from ergo_cli.programs.kernel.companions.verification import event_stream_hash, tool_checksum, verify_event_stream_hash
from ergo_cli.programs.kernel.engine.actions import (
    CallTool,
    Emit,
    Initial,
    InterruptRaise,
    LLMCall,
    Resume,
    RuntimeEffect,
    Signal,
    Sleep,
    StateWrite,
    ToolCall,
    WaitSignal,
)
from ergo_cli.programs.kernel.engine.errors import ActionError, ActionErrorKind, KernelError
from ergo_cli.programs.kernel.engine.events import ActionRequested, Completed, StateUpdated
from ergo_cli.programs.kernel.engine.options import DeterminismGuard, DeterministicMode, KernelMode
from ergo_cli.programs.kernel.engine.policy import (
    AllowAll,
    AllowList,
    Fail,
    PolicyContext,
    RetryAfterMs,
    RetryWithBackoff,
)
from ergo_cli.programs.kernel.engine.state import ReplayCursor, StateCodec, StateUpdatedOnly
from ergo_cli.testing.kernel import CollectingEffectSink

TOOL = CallTool("dummy", None)
EMPTY_HASH = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_c40_31_normal_traps_nothing() -> None:
    assert not KernelMode.NORMAL.traps_nondeterminism


def test_c40_32_record_traps_nothing() -> None:
    assert not KernelMode.RECORD.traps_nondeterminism


def test_c40_33_replay_traps() -> None:
    assert KernelMode.REPLAY.traps_nondeterminism


def test_c40_34_verify_traps() -> None:
    assert KernelMode.VERIFY.traps_nondeterminism


@pytest.mark.parametrize(
    ("mode", "traps", "kernel_mode"),
    [(DeterministicMode.DETERMINISTIC, True, KernelMode.REPLAY), (DeterministicMode.LIVE, False, KernelMode.NORMAL)],
)
def test_the_deterministic_mode_maps_to_a_kernel_mode(
    mode: DeterministicMode, traps: bool, kernel_mode: KernelMode
) -> None:
    assert (mode.traps_nondeterminism, mode.kernel_mode) == (traps, kernel_mode)


def test_c40_35_the_guard_lets_a_normal_clock_pass() -> None:
    DeterminismGuard(KernelMode.NORMAL).check_clock_access()
    DeterminismGuard(KernelMode.RECORD).check_spawn_access()


def test_c40_36_the_guard_traps_the_clock_in_replay() -> None:
    with pytest.raises(KernelError) as trapped:
        DeterminismGuard(KernelMode.REPLAY).check_clock_access()
    expected = "Driver error: clock access not allowed in Replay/Verify mode (determinism guard)"
    assert str(trapped.value) == expected


def test_c40_37_the_guard_traps_threads_in_verify() -> None:
    with pytest.raises(KernelError, match="thread spawn not allowed"):
        DeterminismGuard(KernelMode.VERIFY).check_spawn_access()


def test_c40_38_the_guard_traps_randomness_in_verify() -> None:
    with pytest.raises(KernelError, match="hardware randomness not allowed"):
        DeterminismGuard(KernelMode.VERIFY).check_random_access()


def test_c40_39_the_stream_hash_is_stable() -> None:
    journal = preloaded("r", [StateUpdated("a", [1]), Completed()])
    expected = "7988c1b06413a88cc13518411cdc804d92b33d4e63d27c5aeac89f866ca26287"
    assert event_stream_hash(journal, "r") == event_stream_hash(journal, "r") == expected


def test_c40_40_another_hash_is_a_mismatch() -> None:
    with pytest.raises(KernelError) as mismatch:
        verify_event_stream_hash(preloaded("r", [Completed()]), "r", bytes(32))
    assert str(mismatch.value) == (
        "Driver error: replay mismatch: event stream hash differs from expected (determinism verify)"
    )


def test_c40_41_replaying_changes_no_hash() -> None:
    events = [
        StateUpdated("prepare", {"counter": 1, "label": "captured"}),
        StateUpdated("replay", {"counter": 2, "label": "validated"}),
        Completed(),
    ]
    journal = preloaded("r", events)
    cursor = ReplayCursor[Any](journal, StateUpdatedOnly())
    expected = "c9ae7ecc3ab58aaa2ba8d821e0112b2f0669005ae67426bf45536ed83fd9b68d"
    assert event_stream_hash(journal, "r") == expected
    initial = {"counter": 0, "label": "start"}
    replays = [cursor.replay("r", initial), cursor.replay("r", initial)]
    assert replays == [{"counter": 2, "label": "validated"}] * 2
    assert event_stream_hash(journal, "r") == expected


@pytest.mark.parametrize(
    ("events", "stream", "requests"),
    [
        ([], EMPTY_HASH, EMPTY_HASH),
        (
            [ActionRequested("a1", {"tool": "foo"})],
            "b7b31371efaaa89e262189847a0ad664960e68ae3ce57a91dad908bc31c7f436",
            "1dd3e5f3367d9d419c301003956c0da96e5dc28db3b0476811c1ff05f1fe5328",
        ),
        (
            [ActionRequested("a1", {"tool": "foo", "input": 1}), ActionRequested("a2", {"tool": "bar", "input": 2})],
            "2be2a169f683d4178e5bbe70006dc97ebeb389102779bb763b0d0dc8dc977af4",
            "ef317aec815907fb08e79e68beeb4982229607f6f1f4a5a259e7f8774d7705aa",
        ),
    ],
)
def test_annex_a_streams_and_checksums_of_stored_logs(events: list[Any], stream: str, requests: str) -> None:
    journal = preloaded("r", events)
    assert (event_stream_hash(journal, "r"), tool_checksum(journal, "r")) == (stream, requests)


@pytest.mark.parametrize(
    ("state", "digest"),
    [
        (0, "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9"),
        (1, "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"),
        (2, "d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35"),
        (
            {"counter": 2, "label": "validated"},
            "4649e30f6e2f508f2dacf87067b77e704bbca85c69593b1f44da9d55502e2486",
        ),
    ],
)
def test_annex_a_state_hashes(state: object, digest: str) -> None:
    assert StateCodec[Any]().digest(state) == digest


def test_c40_42_permanent_is_never_retried() -> None:
    assert AllowList(["dummy"]).retry_decision(ActionError.permanent("x"), TOOL, 0) == Fail()


def test_c40_43_back_off_until_retries_run_out() -> None:
    policy = RetryWithBackoff(AllowAll(), 2, 10)
    decisions = [policy.retry_decision(ActionError.transient("x"), TOOL, attempt) for attempt in range(3)]
    assert decisions == [RetryAfterMs(10), RetryAfterMs(20), Fail()]


def test_c40_44_a_rate_limit_names_its_own_wait() -> None:
    policy = RetryWithBackoff(AllowAll(), 3, 100, backoff_cap_ms=5, jitter_ratio=1.0)
    assert policy.retry_decision(ActionError.rate_limited("x", 2500), TOOL, 0) == RetryAfterMs(2500)
    unnamed = ActionError(ActionErrorKind.RATE_LIMITED, "x")
    assert policy.retry_decision(unnamed, TOOL, 0) == RetryAfterMs(5)
    assert AllowAll().retry_decision(unnamed, TOOL, 0) == Fail()


def test_c40_45_exponential_growth() -> None:
    policy = RetryWithBackoff(AllowAll(), 5, 50, backoff_cap_ms=500)
    error = ActionError.transient("x")
    decisions = [policy.retry_decision(error, TOOL, attempt) for attempt in range(3)]
    assert decisions == [RetryAfterMs(50), RetryAfterMs(100), RetryAfterMs(200)]


CEILING = 2**64 - 1
VECTORS: list[tuple[int, int | None, float, dict[int, int]]] = [
    (50, 500, 0.0, {0: 50, 1: 100, 2: 200, 3: 400, 4: 500, 99: 500}),
    (
        100,
        None,
        0.5,
        {
            0: 100,
            1: 231,
            2: 524,
            3: 1172,
            4: 1792,
            5: 4080,
            6: 9152,
            7: 13888,
            10: 107520,
            63: 18446744073709551615,
        },
    ),
    (
        100,
        1000,
        1.0,
        {0: 100, 1: 262, 2: 648, 3: 1544, 4: 1240, 5: 1550, 6: 1860, 7: 1170, 10: 1100, 99: 1690},
    ),
    (3, None, 0.1, {0: 3, 1: 6, 2: 12, 3: 26, 4: 49, 5: 101, 6: 208, 7: 390, 10: 3102}),
    (9223372036854775807, None, 0.0, {0: 9223372036854775807, 1: 18446744073709551614, 2: 18446744073709551615}),
    (1, 1000, 1.0, {138547333: 1270}),
]


@pytest.mark.parametrize(("base", "cap", "jitter", "delays"), VECTORS)
def test_c40_46_every_vector_of_the_delay(base: int, cap: int | None, jitter: float, delays: dict[int, int]) -> None:
    policy = RetryWithBackoff(AllowAll(), 2**32 - 1, base, backoff_cap_ms=cap, jitter_ratio=jitter)
    error = ActionError.transient("x")
    assert {attempt: policy.delay_ms(error, attempt) for attempt in delays} == delays


@pytest.mark.parametrize("jitter", [-0.1, 1.1, float("nan")])
def test_c40_46_a_jitter_outside_its_range_is_refused(jitter: float) -> None:
    with pytest.raises(ValueError, match="jitter_ratio"):
        RetryWithBackoff(AllowAll(), 1, 1, jitter_ratio=jitter)


def test_c40_47_an_empty_set_allows_nothing_but_waiting() -> None:
    policy = AllowList(providers=["p"])
    with pytest.raises(KernelError, match="tool not allowed: dummy") as refused:
        policy.authorize("r", TOOL, PolicyContext())
    assert refused.value.code == "kernel.policy"
    policy.authorize("r", Sleep(1), PolicyContext())
    policy.authorize("r", WaitSignal("go"), PolicyContext())


def test_c40_48_an_effect_survives_a_round_trip() -> None:
    effect = LLMCall("openai", {"model": "gpt-4"})
    assert wire.decode(wire.encode(effect), RuntimeEffect) == effect


def test_c40_49_the_noop_sink_takes_anything() -> None:
    sink, effect = NoopEffectSink(), StateWrite(None, None)
    sink.record("r", effect)
    assert effect == StateWrite(None, None)


def test_c40_50_a_sink_is_told_of_each_effect() -> None:
    sink = CollectingEffectSink()
    sink.record("r", ToolCall("t", None))
    sink.record("r", InterruptRaise(True))
    assert len(sink.effects) == 2


@pytest.mark.parametrize(
    "step_input",
    [
        pytest.param(Initial(), id="test_c40_51"),
        pytest.param(Resume({"ok": True}), id="test_c40_52"),
        pytest.param(Signal("evt", 1), id="test_c40_54"),
    ],
)
def test_c40_51_52_54_valid_inputs(step_input: Initial | Resume | Signal) -> None:
    answer = ExplicitStep[int](lambda state: Emit([])).execute(0, step_input)
    assert answer == Emit([])


def test_c40_53_a_signal_needs_a_name() -> None:
    with pytest.raises(KernelError) as refused:
        validate_input(Signal("", 1))
    assert str(refused.value) == "Driver error: ExecutionStepInput::Signal name must be non-empty"


def test_c40_55_a_plain_step_satisfies_the_contract() -> None:
    step = ExplicitStep[int](lambda state: Emit([StateUpdated(None, state + 1)]))
    assert step.execute(1, Initial()) == Emit([StateUpdated(None, 2)])
