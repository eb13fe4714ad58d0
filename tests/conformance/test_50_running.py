"""Spec 50 §24, running: C-65 to C-79."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from plan_lab import (
    CONFIG_M1,
    EMPTY,
    RUN,
    S1,
    S2,
    X1,
    Lab,
    World,
    calls,
    fails,
    nothing,
    tagged,
    write_x,
)

from ergo_cli.programs.plan.engine import Phase
from ergo_cli.programs.plan.errors import ErrorCategory, StateError
from ergo_cli.programs.plan.events import RunCompleted, RunStatus, StateCompleted, StateEntered, StateFailed
from ergo_cli.programs.plan.failpoints import Failpoint
from ergo_cli.programs.plan.manifest import Delay, Exponential, Fixed, run_config
from ergo_cli.programs.plan.states import Handler, SnapshotPolicy, State, StateOutcome

TAG = "apply_side_effect"
SKIPPING = replace(CONFIG_M1, skip_tags=(TAG,))
MS = 10**6


def raises(error: Exception) -> Handler:
    def handle(ctx: Any, io: Any, rec: Any) -> None:
        raise error

    return handle


def attempts(lab: Lab) -> list[int]:
    return [entered.attempt for entered in lab.of(StateEntered)]


def test_c50_65_one_state() -> None:
    lab = Lab(write_x)
    result = lab.start()
    assert (result.run_id, result.phase, result.final_snapshot_id) == (RUN, Phase.COMPLETED, X1)
    assert lab.events == "RS SE0 SC RC"
    assert [(each.run_id, each.seq, each.ts_millis) for each in lab.stream] == [(RUN, n, None) for n in (1, 2, 3, 4)]
    assert lab.of(StateEntered) == [StateEntered(S1, 0, EMPTY)]
    assert lab.of(RunCompleted) == [RunCompleted(RunStatus.COMPLETED, X1)]


def test_c50_66_a_state_begins_where_the_one_before_ended() -> None:
    lab = Lab(nothing, write_x, edges=[(S2, S1)])
    assert lab.start().phase is Phase.COMPLETED
    assert [entered.state_id for entered in lab.of(StateEntered)] == [S2, S1]
    assert lab.of(StateEntered)[1].base_snapshot_id == lab.of(StateCompleted)[0].context_snapshot_id == X1


def test_c50_67_a_state_that_changes_nothing() -> None:
    lab = Lab(nothing)
    lab.start({"x": 1})
    assert lab.of(StateCompleted) == [StateCompleted(S1, X1)]


def test_c50_68_a_failure_that_is_retried() -> None:
    lab = Lab(fails(retryable=True, times=1))
    assert lab.start().phase is Phase.COMPLETED
    assert attempts(lab) == [0, 1]
    assert lab.events == "RS SE0 SF SE1 SC RC"


def test_c50_69_a_failure_that_is_not() -> None:
    lab = Lab(fails(retryable=False), write_x)
    result = lab.start()
    assert (result.phase, result.final_snapshot_id) == (Phase.FAILED, EMPTY)
    assert lab.events == "RS SE0 SF RC"
    assert lab.of(RunCompleted) == [RunCompleted(RunStatus.FAILED, EMPTY)]
    assert [entered.state_id for entered in lab.of(StateEntered)] == [S1]


@pytest.mark.parametrize(("max_attempts", "made"), [(3, [0, 1, 2]), (1, [0]), (0, [0])])
def test_c50_70_attempts_are_used_up(max_attempts: int, made: list[int]) -> None:
    lab = Lab(fails(retryable=True), config=run_config(max_attempts=max_attempts))
    result = lab.start()
    assert (result.phase, result.final_snapshot_id) == (Phase.FAILED, EMPTY)
    assert attempts(lab) == made
    assert len(lab.of(StateFailed)) == len(made)


def test_c50_71_every_attempt_begins_anew() -> None:
    """The handler asserts that what an attempt before wrote is not there."""
    lab = Lab(fails(retryable=True, times=2))
    assert lab.start({"x": 1}).final_snapshot_id == X1
    assert {entered.base_snapshot_id for entered in lab.of(StateEntered)} == {X1}


@pytest.mark.parametrize(
    ("backoff", "waits"),
    [
        (Exponential(Delay(100 * MS), Delay(350 * MS)), [100, 200, 350, 350]),
        (Fixed(Delay(250 * MS)), [250] * 4),
    ],
)
def test_c50_72_waits_follow_the_attempt_that_failed(backoff: Any, waits: list[int]) -> None:
    lab = Lab(fails(retryable=True), config=run_config(max_attempts=5, backoff=backoff))
    lab.start()
    assert [sleep // MS for sleep in lab.sleeps] == waits


@pytest.mark.parametrize(("named", "recorded"), [(None, S1), ("a.b.c", "a.b.c")])
def test_c50_73_the_state_of_a_failure(named: str | None, recorded: str) -> None:
    lab = Lab(raises(StateError.of("closed", "no", state_id=named)))
    lab.start()
    [failed] = lab.of(StateFailed)
    assert (failed.state_id, failed.error.state_id, failed.failure_snapshot_id) == (S1, recorded, None)


def test_c50_74_a_failure_keeps_no_secret() -> None:
    error = StateError.of("secret_error", "password leaked: hunter2", details={"private_key": "0123"})
    lab = Lab(raises(error))
    assert lab.start().phase is Phase.FAILED
    assert (lab.failure.message, lab.failure.details) == ("error details redacted", None)
    assert not lab.kept("hunter2")
    assert not lab.kept("private_key")


def test_c50_75_a_state_that_is_skipped() -> None:
    lab = Lab(State(S1, write_x), tagged(S2, raises(AssertionError("it ran")), TAG), edges=[(S1, S2)], config=SKIPPING)
    assert lab.start().final_snapshot_id == X1
    assert lab.events == "RS SE0 SC SE0 SC RC"
    assert lab.of(StateEntered)[1] == StateEntered(S2, 0, X1)
    assert lab.of(StateCompleted) == [StateCompleted(S1, X1), StateCompleted(S2, X1)]


def test_c50_76_without_skip_tags_tagged_states_run() -> None:
    lab = Lab(tagged(S1, write_x, TAG))
    assert lab.start().final_snapshot_id == X1


def test_c50_76_a_skipped_state_makes_no_transport_and_uses_no_failpoint() -> None:
    world = World({"n": 0})
    states = (tagged(S1, calls(), TAG), State(S2, calls()))
    lab = Lab(*states, config=SKIPPING, world=world, failpoints=[Failpoint.AFTER_HANDLER])
    assert lab.start().phase is Phase.RUNNING
    assert lab.events == "RS SE0 SC SE0 FR"
    assert [env.state_id for env in world.makes] == [S2]


@pytest.mark.parametrize("policy", SnapshotPolicy)
def test_c50_77_every_success_leaves_a_snapshot(policy: SnapshotPolicy) -> None:
    def handle(ctx: Any, io: Any, rec: Any) -> StateOutcome:
        ctx.write("x", 1)
        return StateOutcome(policy)

    lab = Lab(handle)
    lab.start()
    assert lab.of(StateCompleted) == [StateCompleted(S1, X1)]
    assert lab.artifacts.exists(X1)


@pytest.mark.parametrize(
    ("value", "code"),
    [({"deep": [1.0]}, "context_snapshot_not_canonical"), ({"deep": ["bearer x"]}, "secrets_detected")],
)
def test_c50_78_a_context_that_cannot_be_kept_fails_its_state(value: Any, code: str) -> None:
    lab = Lab(lambda ctx, io, rec: ctx.write("x", value))
    result = lab.start()
    assert (result.phase, result.final_snapshot_id) == (Phase.FAILED, EMPTY)
    assert (lab.failure.code, lab.failure.category, lab.failure.retryable) == (code, ErrorCategory.CONTEXT, False)
    assert lab.events == "RS SE0 SF RC"
    assert lab.resume() == result


def test_c50_79_an_exception_leaves_its_class_alone() -> None:
    lab = Lab(raises(KeyError("hunter2")))
    assert lab.start().phase is Phase.FAILED
    assert (lab.failure.code, lab.failure.message, lab.failure.category, lab.failure.retryable) == (
        "handler_exception",
        "KeyError",
        ErrorCategory.UNKNOWN,
        False,
    )
    assert not lab.kept("hunter2")


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, GeneratorExit])
def test_what_interrupts_the_process_leaves_the_attempt_open(interruption: type[BaseException]) -> None:
    def handle(ctx: Any, io: Any, rec: Any) -> None:
        raise interruption

    lab = Lab(handle)
    with pytest.raises(interruption):
        lab.start()
    assert lab.events == "RS SE0"
