"""Spec 50 §24, resume: C-110 to C-127, with the worked recoveries of §16.3."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace
from plan_lab import (
    CONFIG_M1,
    EMPTY,
    M1,
    N0,
    NONE,
    RUN,
    S1,
    S2,
    X1,
    Lab,
    World,
    calls,
    code_of,
    fails,
    nothing,
    write_x,
)

from ergo_cli.programs.plan.engine import Phase, RunResult
from ergo_cli.programs.plan.errors import ErrorCategory, ErrorInfo, Failure, RunError, invalid_plan
from ergo_cli.programs.plan.events import (
    DomainEvent,
    KernelEvent,
    RunCompleted,
    RunStarted,
    RunStatus,
    StateCompleted,
    StateEntered,
    StateFailed,
)
from ergo_cli.programs.plan.failpoints import Failpoint, Failpoints
from ergo_cli.programs.plan.manifest import FanOutJoin, RunManifest, run_config
from ergo_cli.programs.plan.states import ExecutionPlan, State

CHAIN = ((S1, S2),)
MAX_ATTEMPT = 2**32 - 1


def entered(attempt: int = 0, base: str = EMPTY, state: str = S1) -> StateEntered:
    return StateEntered(state, attempt, base)


def failed(*, retryable: bool, state: str = S1) -> StateFailed:
    return StateFailed(state, Failure(state, ErrorInfo("flaky", ErrorCategory.UNKNOWN, retryable, "")), None)


def refusal(lab: Lab) -> str:
    """The error of a resume that writes nothing."""
    before = lab.head
    with pytest.raises(RunError) as refused:
        lab.resume()
    assert lab.head == before
    return code_of(refused.value)


def raises(ctx: Any, io: Any, rec: Any) -> None:
    raise AssertionError("the handler ran")


# --- histories that cannot be resumed


def test_c50_110_an_unknown_run() -> None:
    lab = Lab(raises)
    assert refusal(lab) == "Storage.NotFound run_not_found"
    assert lab.journal.runs() == []


def test_c50_111_a_stream_that_no_run_can_write() -> None:
    assert refusal(Lab(raises).seed(StateCompleted(S1, X1))) == "InvalidPlan invalid_attempt_envelopes"


def test_c50_111_the_stream_of_another_run() -> None:
    lab = Lab(raises)
    lab.append(RunStarted("op", M1, EMPTY), run="22222222-2222-4333-8444-555555555555")
    assert refusal(lab) == "InvalidPlan run_id_mismatch"


def test_c50_111_a_stream_without_a_beginning() -> None:
    lab = Lab(raises)
    lab.append(DomainEvent("note", 1))
    assert refusal(lab) == "InvalidPlan missing_run_started"


@pytest.mark.parametrize("status", RunStatus)
@pytest.mark.parametrize("snapshot", [X1, None])
def test_c50_112_a_run_that_ended_answers_from_its_stream(status: RunStatus, snapshot: str | None) -> None:
    lab = Lab(raises)
    lab.append(RunStarted("op", M1, EMPTY), RunCompleted(status, snapshot))
    assert lab.resume() == lab.resume() == RunResult(RUN, Phase(status.value), snapshot)
    assert (lab.head, lab.resolved, lab.artifacts.exists(M1)) == (2, 0, False)


# --- manifests and plans


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "Storage.NotFound artifact_not_found"),
        (b"\xff garbage", "Context.Serialization manifest_decode_failed"),
        (b'{"op_id":"other"}', "InvalidPlan manifest_corrupt"),
    ],
)
def test_c50_113_a_manifest_that_is_lost_or_damaged(content: bytes | None, code: str) -> None:
    lab = Lab(raises)
    lab.append(RunStarted("op", NONE, EMPTY))
    if content is not None:
        vars(lab.artifacts)["_contents"][NONE] = content
    assert refusal(lab) == code


def test_c50_113_what_is_no_manifest() -> None:
    lab = Lab(raises)
    lab.append(RunStarted("op", lab.artifacts.put(b"{}"), EMPTY))
    assert refusal(lab) == "Context.Serialization manifest_deserialize_failed"


def test_c50_114_a_manifest_that_asks_for_concurrent_states() -> None:
    lab = Lab(raises, config=replace(CONFIG_M1, execution_mode=FanOutJoin(2))).seed()
    assert refusal(lab) == "InvalidPlan unsupported_execution_mode"


def test_c50_114_a_run_of_another_operation() -> None:
    lab = Lab(raises)
    lab.append(RunStarted("other", lab.keep_manifest(), EMPTY))
    assert refusal(lab) == "InvalidPlan run_started_op_id_mismatch"


def test_c50_114_a_plan_of_another_operation() -> None:
    lab = Lab(raises).seed()
    lab.plan = ExecutionPlan("other", lab.plan.states)
    assert refusal(lab) == "InvalidPlan plan_op_id_mismatch"


def test_c50_114_the_error_of_a_resolver_passes_unchanged() -> None:
    error = invalid_plan("op_not_found", "no such operation")

    class Refusing:
        def resolve(self, manifest: RunManifest) -> ExecutionPlan:
            raise error

    lab = Lab(raises).seed()
    lab.engine = replace(lab.engine, resolver=Refusing())
    with pytest.raises(RunError) as refused:
        lab.resume()
    assert refused.value is error


# --- attempts that were cut off


@pytest.mark.parametrize("point", [Failpoint.AFTER_HANDLER, Failpoint.AFTER_ENTERED])
def test_c50_115_an_attempt_that_was_cut_off_is_made_again(point: Failpoint) -> None:
    """The first worked recovery; the handler asserts that no x was left."""
    lab = Lab(write_x, failpoints=[point])
    assert lab.start() == RunResult(RUN, Phase.RUNNING, EMPTY)
    assert lab.events == "RS SE0"
    assert lab.resume() == RunResult(RUN, Phase.COMPLETED, X1)
    assert lab.events == "RS SE0 SE1 SC RC"
    assert lab.of(StateEntered) == [entered(0), entered(1)]
    assert json.loads(lab.artifacts.get(X1)) == {"x": 1}


def test_c50_116_its_facts_are_shared() -> None:
    world = World(lambda call: {"n": len(world.calls) - 1})
    lab = Lab(calls(), world=world, failpoints=[Failpoint.AFTER_HANDLER])
    lab.start()
    assert lab.resume().phase is Phase.COMPLETED
    assert lab.events == "RS SE0 FR SE1 SC RC"
    assert len(world.calls) == 1
    assert [bound.payload_id for bound in lab.facts] == [N0]


def test_c50_117_the_first_attempt_of_a_recovery_needs_no_permission() -> None:
    lab = Lab(fails(retryable=True), config=run_config(max_attempts=1), failpoints=[Failpoint.AFTER_HANDLER])
    lab.start()
    assert lab.resume() == RunResult(RUN, Phase.FAILED, EMPTY)
    assert lab.events == "RS SE0 SE1 SF RC"


def test_c50_118_a_recovered_run_can_be_resumed_again() -> None:
    """The fourth worked recovery."""
    lab = Lab(write_x, failpoints=[Failpoint.AFTER_HANDLER])
    lab.start()
    first = lab.resume()
    assert lab.resume() == lab.resume() == first == RunResult(RUN, Phase.COMPLETED, X1)
    assert lab.head == 5


def test_c50_119_an_attempt_that_is_cut_off_twice() -> None:
    world = World(lambda call: {"n": len(world.calls) - 1})
    lab = Lab(calls(), world=world, failpoints=[Failpoint.AFTER_ENTERED, Failpoint.AFTER_HANDLER])
    assert lab.start().phase is Phase.RUNNING
    assert lab.resume().phase is Phase.RUNNING
    assert lab.resume().phase is Phase.COMPLETED
    assert lab.events == "RS SE0 SE1 FR SE2 SC RC"
    assert len(world.calls) == 1


def test_a_state_that_never_ends_is_given_up() -> None:
    lab = Lab(raises).seed(*map(entered, range(11)))
    assert lab.resume() == RunResult(RUN, Phase.FAILED, EMPTY)
    assert lab.events.endswith("SE10 SF RC")
    assert (lab.failure.code, lab.failure.retryable) == ("orphan_recoveries_exhausted", False)
    once_less = Lab(write_x).seed(*map(entered, range(10)))
    assert once_less.resume().phase is Phase.COMPLETED


# --- the other ways to go on


def test_c50_120_a_run_whose_states_are_done_is_ended() -> None:
    lab = Lab(raises).seed(entered(), StateCompleted(S1, X1))
    lab.artifacts.put(b'{"x":1}')
    assert lab.resume() == RunResult(RUN, Phase.COMPLETED, X1)
    assert lab.of(RunCompleted) == [RunCompleted(RunStatus.COMPLETED, X1)]
    assert lab.events == "RS SE0 SC RC"


@pytest.mark.parametrize(
    "events",
    [
        [entered(), failed(retryable=False)],
        [entered(2), failed(retryable=True)],
        [entered(), failed(retryable=True), entered(1), failed(retryable=True), entered(2), failed(retryable=True)],
    ],
    ids=["not retryable", "used up", "used up one by one"],
)
def test_c50_121_a_run_that_failed_for_good_is_ended(events: list[KernelEvent]) -> None:
    lab = Lab(raises).seed(*events)
    assert lab.resume() == RunResult(RUN, Phase.FAILED, EMPTY)
    assert lab.of(RunCompleted) == [RunCompleted(RunStatus.FAILED, EMPTY)]


def test_c50_122_a_failure_is_retried_without_a_wait() -> None:
    lab = Lab(write_x).seed(entered(), failed(retryable=True))
    assert lab.resume() == RunResult(RUN, Phase.COMPLETED, X1)
    assert lab.of(StateEntered)[1] == entered(1)
    assert lab.sleeps == []


def test_c50_123_a_run_that_only_began() -> None:
    lab = Lab(write_x).seed()
    assert lab.resume() == RunResult(RUN, Phase.COMPLETED, X1)
    assert lab.events == "RS SE0 SC RC"


def test_c50_123_a_run_between_two_states() -> None:
    lab = Lab(raises, nothing, edges=CHAIN).seed(entered(), StateCompleted(S1, X1))
    lab.artifacts.put(b'{"x":1}')
    assert lab.resume() == RunResult(RUN, Phase.COMPLETED, X1)
    assert lab.of(StateEntered)[1] == entered(0, X1, S2)


@pytest.mark.parametrize("events", [[], [entered()], [entered(), StateCompleted(S1, X1)]])
def test_c50_124_a_plan_that_became_invalid(events: list[KernelEvent]) -> None:
    lab = Lab().seed(*events)
    assert refusal(lab) == "InvalidPlan invalid_plan"


@pytest.mark.parametrize(
    "events", [[entered()], [entered(), StateCompleted(S1, X1)], [entered(), failed(retryable=True)]]
)
def test_c50_125_a_state_that_the_plan_lost(events: list[KernelEvent]) -> None:
    lab = Lab(State(S2, raises)).seed(*events)
    assert refusal(lab) == "InvalidPlan recovery_state_not_in_plan"


def test_a_state_that_was_put_before_the_one_that_was_cut_off() -> None:
    lab = Lab(raises, raises, edges=((S2, S1),)).seed(entered())
    assert refusal(lab) == "InvalidPlan recovery_plan_order_changed"


def test_a_state_that_is_entered_after_it_was_completed() -> None:
    lab = Lab(raises, raises).seed(entered(), StateCompleted(S1, X1), entered(1, X1))
    assert refusal(lab) == "InvalidPlan start_state_already_completed"


def test_attempts_that_can_be_counted_no_further() -> None:
    assert refusal(Lab(raises).seed(entered(MAX_ATTEMPT))) == "InvalidPlan invalid_plan"


def test_c50_126_a_failpoint_strikes_once() -> None:
    lab = Lab(write_x, nothing, edges=CHAIN, failpoints=[Failpoint.AFTER_HANDLER])
    assert lab.start().phase is Phase.RUNNING
    assert lab.resume().phase is Phase.COMPLETED
    assert lab.events == "RS SE0 SE1 SC SE0 SC RC"


def test_c50_126_a_failpoint_strikes_whatever_the_handler_did() -> None:
    lab = Lab(fails(retryable=False), failpoints=[Failpoint.AFTER_HANDLER])
    assert lab.start().phase is Phase.RUNNING
    assert lab.events == "RS SE0"


def test_a_failpoint_before_the_end_of_the_run() -> None:
    lab = Lab(write_x, failpoints=[Failpoint.BEFORE_RUN_COMPLETED])
    assert lab.start() == RunResult(RUN, Phase.RUNNING, X1)
    assert lab.resume() == RunResult(RUN, Phase.COMPLETED, X1)
    assert lab.events == "RS SE0 SC RC"


@pytest.mark.parametrize("seeded", [[], [entered()], [entered(), failed(retryable=True)]])
def test_c50_127_another_writer_wins(seeded: list[KernelEvent]) -> None:
    lab = Lab(raises).seed(*seeded)
    before = lab.events
    lab.journal.race_at = lab.head + 1
    with pytest.raises(RunError) as refused:
        lab.resume()
    assert code_of(refused.value) == "Storage.Concurrency event_store_concurrency"
    assert lab.events == f"{before} intruder"


def test_an_append_that_fails_is_made_again_by_resume() -> None:
    """Whatever the number of the append, and whatever stood before it."""
    for seq in range(1, 7):
        lab = Lab(write_x, nothing, edges=CHAIN)
        lab.journal.full_at = seq
        with pytest.raises(RunError) as refused:
            lab.start()
        assert code_of(refused.value) == "Storage.Other event_store_io"
        assert lab.head == seq - 1
        lab.engine = replace(lab.engine, failpoints=Failpoints())
        assert (lab.resume() if lab.head else lab.start()) == RunResult(RUN, Phase.COMPLETED, X1)
