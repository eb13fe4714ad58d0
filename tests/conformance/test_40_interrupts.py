"""Spec 40 §21.8, interrupt objects and suspension: C-81 to C-93."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ergo_cli.core.wire import Timestamp
from ergo_cli.programs.kernel.companions.interrupts import (
    AGENT,
    API,
    POLICY_ENGINE,
    UI,
    ApprovalRequired,
    Checkpoint,
    Custom,
    ErrorRecovery,
    ExecutionSuspension,
    HumanInTheLoop,
    InterruptCheckpoint,
    InterruptKind,
    InterruptRecord,
    InterruptStatus,
    KernelInterrupt,
    KernelInterruptKind,
    MemoryInterruptStore,
    ResourceExhausted,
    SuspensionState,
    ToolCallWaiting,
    UnifiedInterruptResolver,
)
from ergo_cli.programs.kernel.engine.errors import InterruptError

NOON, LATER = Timestamp.from_wire("2026-03-01T12:00:00Z"), Timestamp.from_wire("2026-03-01T13:00:00Z")


def simple(
    id: str, run_id: str = "run-1", kind: InterruptKind = HumanInTheLoop(), at: Timestamp = NOON
) -> InterruptRecord:
    return InterruptRecord(id, run_id, kind, {"type": "string"}, at)


def rich(kind: KernelInterruptKind = HumanInTheLoop()) -> KernelInterrupt:
    return KernelInterrupt.new("ki-1", "run-1", kind, {}, NOON)


def test_c40_81_an_interrupt_is_kept() -> None:
    store = MemoryInterruptStore[InterruptRecord]()
    store.save(simple("intr-1"))
    assert store.load("intr-1") == simple("intr-1")


def test_c40_82_the_interrupts_of_a_run_in_order() -> None:
    store = MemoryInterruptStore[InterruptRecord]()
    for interrupt in (simple("i1", "run-a", at=LATER), simple("i2", "run-b"), simple("i3", "run-a")):
        store.save(interrupt)
    assert [interrupt.id for interrupt in store.load_for_run("run-a")] == ["i3", "i1"]


def test_c40_83_an_interrupt_is_forgotten_twice() -> None:
    store = MemoryInterruptStore[InterruptRecord]()
    store.save(simple("i1", kind=Custom("test")))
    store.delete("i1")
    assert store.load("i1") is None
    store.delete("i1")
    assert store.load_for_run("run-1") == []


def test_c40_84_a_resolver_asks_the_source_then_the_api() -> None:
    resolver = UnifiedInterruptResolver()
    with pytest.raises(InterruptError) as nobody:
        resolver.resolve(simple("i1"))
    assert str(nobody.value) == "Resolver error: No handler for source: api"
    for source in (UI, AGENT, POLICY_ENGINE, API):
        resolver.register(source, lambda interrupt, source=source: source)
    assert resolver.resolve(simple("i1")) == "api"
    assert resolver.resolve(rich().with_metadata({"source": "agent"}, NOON)) == "agent"
    assert resolver.resolve(rich().with_metadata({"source": "nobody"}, NOON)) == "api"


def test_c40_85_a_new_one_is_pending() -> None:
    assert rich().is_pending
    assert not rich().is_resolved


def test_c40_86_it_can_resume_from_a_checkpoint_while_pending() -> None:
    checkpoint = InterruptCheckpoint(10, {"counter": 5}, "abc123", "step-1", NOON)
    interrupt = rich().with_checkpoint(checkpoint, LATER)
    assert interrupt.can_resume
    assert interrupt.updated_at == LATER
    assert not rich().can_resume
    assert not interrupt.start_resolving(LATER).can_resume


@pytest.mark.parametrize(
    ("kind", "required"),
    [
        (HumanInTheLoop(), True),
        (ApprovalRequired(), True),
        (ToolCallWaiting(), True),
        (ErrorRecovery(), True),
        (Checkpoint(), False),
        (ResourceExhausted(), False),
        (Custom("x"), False),
    ],
)
def test_c40_87_who_waits_for_input(kind: KernelInterruptKind, required: bool) -> None:
    assert rich(kind).requires_input is required
    assert rich(kind).is_checkpoint is isinstance(kind, Checkpoint)


def test_c40_88_resolving() -> None:
    resolved = rich().start_resolving(LATER).resolve(LATER)
    assert resolved.is_resolved
    assert resolved.updated_at == LATER
    with pytest.raises(InterruptError) as refused:
        rich().resolve(LATER)
    assert str(refused.value) == "Invalid status transition from Pending to Resolved"
    with pytest.raises(InterruptError, match="from Resolving to Resolving"):
        rich().start_resolving(LATER).start_resolving(LATER)


def test_c40_88_rejected_and_expired_are_final() -> None:
    rejected = rich().reject("no", LATER)
    assert (rejected.status, rejected.reason) == (InterruptStatus.REJECTED, "no")
    expired = rich().start_resolving(NOON).expire(LATER)
    assert expired.status is InterruptStatus.EXPIRED
    for final in (rejected, expired, rich().start_resolving(NOON).resolve(NOON)):
        changes: list[Callable[[], KernelInterrupt]] = [
            lambda final=final: final.start_resolving(LATER),
            lambda final=final: final.resolve(LATER),
            lambda final=final: final.expire(LATER),
            lambda final=final: final.reject("again", LATER),
        ]
        for change in changes:
            with pytest.raises(InterruptError, match=f"from {final.status.value} to "):
                change()


def test_builders_refresh_the_time() -> None:
    interrupt = rich().with_step("s", LATER).with_reason("why", LATER)
    assert (interrupt.step_id, interrupt.reason, interrupt.updated_at) == ("s", "why", LATER)


def test_c40_89_a_new_suspension_runs() -> None:
    new = ExecutionSuspension.new("r", NOON)
    assert new.is_running
    assert not new.is_suspended


def test_c40_90_91_92_round_the_circle() -> None:
    suspended = ExecutionSuspension.new("r", NOON).suspend("user requested", LATER)
    assert (suspended.state, suspended.reason, suspended.is_suspended) == (
        SuspensionState.SUSPENDED,
        "user requested",
        True,
    )
    waiting = suspended.wait_input(LATER)
    assert (waiting.state, waiting.reason, waiting.is_suspended) == (
        SuspensionState.WAITING_INPUT,
        "user requested",
        True,
    )
    running = waiting.resume(LATER)
    assert (running.state, running.reason, running.state_changed_at) == (SuspensionState.RUNNING, None, LATER)


@pytest.mark.parametrize(
    ("state", "change", "target"),
    [
        ("Running", "wait_input", "WaitingInput"),
        ("Running", "resume", "Running"),
        ("Suspended", "suspend", "Suspended"),
        ("Suspended", "resume", "Running"),
        ("WaitingInput", "suspend", "Suspended"),
        ("WaitingInput", "wait_input", "WaitingInput"),
    ],
)
def test_c40_93_every_illegal_change_fails_and_changes_nothing(state: str, change: str, target: str) -> None:
    suspension = ExecutionSuspension("r", SuspensionState(state), NOON, "why")
    arguments = ("again", LATER) if change == "suspend" else (LATER,)
    with pytest.raises(InterruptError) as refused:
        getattr(suspension, change)(*arguments)
    assert str(refused.value) == f"Invalid state transition from {state} to {target}"
    assert suspension == ExecutionSuspension("r", SuspensionState(state), NOON, "why")
