"""What the driver does where a program asks for it: fold first, orphans, waits, snapshots, attempts (spec 40 §20)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from kernel_scenarios import ObservedSnapshots, digits, preloaded
from msgspec import Struct

from ergo_cli.programs.kernel import (
    Action,
    ActionCall,
    ActionError,
    ActionRequested,
    AllowAll,
    CallTool,
    Complete,
    Do,
    Emit,
    Extensions,
    Failure,
    Interrupt,
    Interrupted,
    KernelError,
    KernelProgram,
    OnOrphan,
    Resume,
    RetryWithBackoff,
    Signal,
    Sleep,
    SnapshotCadence,
    StateUpdated,
    Success,
    WaitSignal,
)
from ergo_cli.programs.kernel.engine.actions import ActionResult, Next, SignalWait, action_value
from ergo_cli.programs.kernel.engine.errors import ActionErrorKind
from ergo_cli.programs.kernel.engine.events import BlockedInfo, RunBlocked, RunCompleted, RunFailed
from ergo_cli.programs.kernel.engine.policy import Attempt, JournalAttemptLog, LastAttempt
from ergo_cli.programs.kernel.engine.state import StateUpdatedOnly
from ergo_cli.programs.kernel.program import Kernel
from ergo_cli.stores.journals import EventJournal
from ergo_cli.stores.memory import MemoryJournal, MemorySnapshots
from ergo_cli.testing.kernel import CollectingEffectSink, ScriptedClock, ScriptedExecutor, ScriptedStep

TOOL = CallTool("t", None)
WAIT = WaitSignal("approve")
WAITS = Extensions(built_in_waits=True)


def kernel_of(answers: Iterable[Next | Exception], results: Iterable[Any] = (), **parts: Any) -> Kernel[Any]:
    return Kernel(
        **{
            "journal": MemoryJournal(),
            "reducer": digits,
            "step": ScriptedStep(answers),
            "executor": ScriptedExecutor(results),
            **parts,
        }
    )


def texts(journal: EventJournal, run_id: str = "r") -> list[str]:
    return [text for _, text in journal.scan(run_id)]


def orphaned(action: Action = TOOL) -> MemoryJournal:
    return preloaded("r", [ActionRequested("r-1", action_value(action))])


def code_of(kernel: Kernel[Any], run_id: str = "r") -> str:
    with pytest.raises(KernelError) as error:
        kernel.run_until_blocked(run_id, 0)
    return error.value.code


class TestFoldFirst:
    def test_what_the_reducer_refuses_never_reaches_the_log(self) -> None:
        kernel = kernel_of(
            [Emit([StateUpdated(None, 1), StateUpdated(None, "x")])],
            reducer=StateUpdatedOnly(int),
            state=int,
            extensions=Extensions(fold_first=True),
        )
        assert code_of(kernel) == "kernel.event_store"
        assert kernel.journal.head("r") == 0

    def test_a_reducer_that_raises_is_named_with_its_seq(self) -> None:
        def broken(state: Any, event: Any) -> Any:
            raise ZeroDivisionError("by zero")

        kernel = kernel_of([Complete()], reducer=broken, extensions=Extensions(fold_first=True))
        with pytest.raises(KernelError) as error:
            kernel.run_until_blocked("r", 0)
        assert str(error.value) == "Reducer error: ZeroDivisionError: by zero"
        assert (error.value.code, error.value.where) == ("kernel.reducer", "run 'r' seq 1")
        assert kernel.journal.head("r") == 0

    def test_a_state_that_is_no_json_never_comes_to_be(self) -> None:
        kernel = kernel_of(
            [Emit([StateUpdated(None, 1e308)])],
            reducer=lambda state, event: {"total": event.event.payload * 10},
            extensions=Extensions(fold_first=True),
        )
        with pytest.raises(KernelError) as error:
            kernel.run_until_blocked("r", 0)
        assert str(error.value) == "Driver error: state/total: inf is no JSON number"
        assert (error.value.code, kernel.journal.head("r")) == ("kernel.not_canonical", 0)

    def test_a_reducer_that_changes_its_state_in_place_does_no_harm(self) -> None:
        def appending(state: list[int], event: Any) -> list[int]:
            state.append(event.seq)
            return state

        kernel = kernel_of([Emit([StateUpdated(None, 1)])], reducer=appending, extensions=Extensions(fold_first=True))
        kernel.run_until_blocked("r", [])
        assert kernel.replay("r", []) == [1, 2]


class TestOrphans:
    def test_by_default_the_step_is_asked_anew(self) -> None:
        kernel = kernel_of([Do(TOOL)], [Success(1)], journal=orphaned())
        assert kernel.run_until_blocked("r", 0) == RunCompleted()
        assert '"action_id":"r-2"' in texts(kernel.journal)[1]

    def test_completed_under_its_own_id_as_if_there_had_been_no_crash(self) -> None:
        whole = kernel_of([Do(TOOL)], [Success("ok")])
        whole.run_until_blocked("r", 0)
        kernel = kernel_of(
            [Complete()], [Success("ok")], journal=orphaned(), extensions=Extensions(on_orphan=OnOrphan.COMPLETE)
        )
        assert kernel.run_until_blocked("r", 0) == RunCompleted()
        assert texts(kernel.journal) == texts(whole.journal)
        assert isinstance(kernel.executor, ScriptedExecutor)
        assert [call.action_id for _, call in kernel.executor.calls] == ["r-1"]

    def test_failed(self) -> None:
        kernel = kernel_of([Complete()], journal=orphaned(), extensions=Extensions(on_orphan=OnOrphan.FAIL))
        assert kernel.run_until_blocked("r", 0) == RunFailed()
        assert texts(kernel.journal)[1:] == [
            '{"ActionFailed":{"action_id":"r-1","error":"Driver error: the request was left without result"}}'
        ]

    @pytest.mark.parametrize(
        ("known", "status", "calls", "last"),
        [
            (Success(7), RunCompleted(), 0, '{"ActionSucceeded":{"action_id":"r-1","output":7}}'),
            (Failure("no"), RunFailed(), 0, '{"ActionFailed":{"action_id":"r-1","error":"no"}}'),
            (None, RunCompleted(), 1, '{"ActionSucceeded":{"action_id":"r-1","output":"ok"}}'),
        ],
    )
    def test_looked_up(self, known: ActionResult | None, status: object, calls: int, last: str) -> None:
        class Remembering(ScriptedExecutor):
            def lookup(self, action_id: str) -> ActionResult | None:
                assert action_id == "r-1"
                return known

        executor, extensions = Remembering([Success("ok")]), Extensions(on_orphan=OnOrphan.LOOKUP)
        kernel = kernel_of([Complete()], journal=orphaned(), executor=executor, extensions=extensions)
        assert kernel.run_until_blocked("r", 0) == status
        assert len(executor.calls) == calls
        assert texts(kernel.journal)[1] == last

    def test_an_executor_without_lookup_is_an_error(self) -> None:
        kernel = kernel_of([], journal=orphaned(), extensions=Extensions(on_orphan=OnOrphan.LOOKUP))
        assert code_of(kernel) == "kernel.driver"

    def test_a_request_that_holds_no_action_is_an_error(self) -> None:
        journal = preloaded("r", [ActionRequested("r-1", {"Dance": {}})])
        kernel = kernel_of([], journal=journal, extensions=Extensions(on_orphan=OnOrphan.COMPLETE))
        assert code_of(kernel) == "kernel.driver"
        assert journal.head("r") == 1


class TestBuiltInWaits:
    def test_a_sleep_is_slept_by_the_driver(self) -> None:
        clock = ScriptedClock()
        kernel = kernel_of([Do(Sleep(250))], clock=clock, extensions=WAITS)
        assert kernel.run_until_blocked("r", 0) == RunCompleted()
        assert clock.sleeps == [250_000_000]
        assert texts(kernel.journal)[1] == '{"ActionSucceeded":{"action_id":"r-1","output":null}}'

    def test_a_wait_blocks_until_its_signal_comes(self) -> None:
        sink = CollectingEffectSink()
        kernel = kernel_of([Do(WAIT)], extensions=WAITS, effect_sink=sink)
        blocked = RunBlocked(BlockedInfo(wait_signal="approve"))
        assert kernel.run_until_blocked("r", 0) == blocked
        assert kernel.run_until_blocked("r", 0) == blocked, "asked again it still waits, and says so"
        assert (kernel.journal.head("r"), sink.effects) == (1, [SignalWait("approve")])
        assert kernel.resume("r", 0, Signal("approve", {"by": "ann"})) == RunCompleted()
        assert texts(kernel.journal)[1:] == [
            '{"ActionSucceeded":{"action_id":"r-1","output":{"by":"ann"}}}',
            '"Completed"',
        ]

    def test_a_nameless_resumption_answers_it_too(self) -> None:
        kernel = kernel_of([Do(WAIT)], extensions=WAITS)
        kernel.run_until_blocked("r", 0)
        assert kernel.resume("r", 0, Resume(1)) == RunCompleted()

    def test_another_signal_is_unexpected(self) -> None:
        kernel = kernel_of([Do(WAIT)], extensions=WAITS)
        kernel.run_until_blocked("r", 0)
        with pytest.raises(KernelError, match="waits for signal 'approve', not 'deny'") as error:
            kernel.resume("r", 0, Signal("deny", 1))
        assert (error.value.code, kernel.journal.head("r")) == ("kernel.signal_unexpected", 1)

    def test_a_signal_to_a_run_that_waits_for_none_is_unexpected(self) -> None:
        kernel = kernel_of([Interrupt(1)], extensions=WAITS)
        kernel.run_until_blocked("r", 0)
        with pytest.raises(KernelError) as error:
            kernel.resume("r", 0, Signal("approve", 1))
        assert error.value.code == "kernel.signal_unexpected"
        assert kernel.resume("r", 0, Resume(1)) == RunCompleted()

    def test_a_sleep_ends_at_the_deadline(self) -> None:
        clock = ScriptedClock()
        kernel = kernel_of([Do(Sleep(250))], clock=clock, deadline=1_000_000, extensions=WAITS)
        assert code_of(kernel) == "kernel.deadline"
        assert clock.sleeps == [1_000_000]
        assert "Driver error: deadline exceeded" in texts(kernel.journal)[1]


class TestSnapshots:
    def test_every_so_many_events_and_at_interrupts(self) -> None:
        snapshots = ObservedSnapshots()
        extensions = Extensions(cadence=SnapshotCadence(every=3))
        emits = [Emit([StateUpdated(None, 0)])] * 4
        kernel = kernel_of([*emits, Interrupt(1)], snapshots=snapshots, extensions=extensions)
        kernel.run_until_blocked("r", 0)
        assert [seq for seq, _ in snapshots.saved] == [3, 5]
        assert kernel.resume("r", 0, Resume(1)) == RunCompleted()
        assert [seq for seq, _ in snapshots.saved] == [3, 5, 6, 7]

    def test_only_the_last_ones_are_kept(self) -> None:
        class Pruned(MemorySnapshots):
            kept: list[int] = []

            def prune(self, run: str, keep: int) -> None:
                self.kept.append(keep)

        snapshots = Pruned()
        kernel = kernel_of([], snapshots=snapshots, extensions=Extensions(cadence=SnapshotCadence(every=0, keep=2)))
        kernel.run_until_blocked("r", 0)
        assert snapshots.kept == [2]

    def test_a_snapshot_of_another_version_is_never_read(self) -> None:
        snapshots = MemorySnapshots()
        snapshots.save("r", 1, "5", version=1)
        kernel = kernel_of([], journal=preloaded("r", [Interrupted(1)]), snapshots=snapshots)
        with pytest.raises(KernelError, match="state of version 1, the program's is 0") as error:
            kernel.run_until_blocked("r", 0)
        assert (error.value.code, error.value.where) == ("kernel.schema_version", "run 'r' seq 1")
        newer = kernel_of([], journal=kernel.journal, snapshots=snapshots, extensions=Extensions(state_version=1))
        assert newer.run_until_blocked("r", 0) == RunCompleted()

    def test_a_snapshot_that_is_no_state_is_refused(self) -> None:
        snapshots = MemorySnapshots()
        snapshots.save("r", 1, '"five"')
        kernel = kernel_of([], journal=preloaded("r", [Interrupted(1)]), snapshots=snapshots, state=int)
        with pytest.raises(KernelError, match="SnapshotStore error: decode state: Expected `int`") as error:
            kernel.run_until_blocked("r", 0)
        assert error.value.code == "kernel.schema_version"

    def test_a_run_goes_on_in_a_journal_that_begins_at_its_head(self) -> None:
        journal = MemoryJournal.starting_at({"r": 7})
        snapshots = MemorySnapshots()
        snapshots.save("r", 7, "41")
        kernel = kernel_of([Do(TOOL)], [Success(1)], journal=journal, snapshots=snapshots)
        assert kernel.run_until_blocked("r", 0) == RunCompleted()
        assert [seq for seq, _ in journal.scan("r", 8)] == [8, 9, 10]
        assert '"r-8"' in dict(journal.scan("r", 8))[8]


class TestAttempts:
    def test_failed_tries_stand_in_a_journal_of_their_own(self) -> None:
        log = JournalAttemptLog(MemoryJournal())
        last = LastAttempt(log)
        kernel = kernel_of(
            [Do(TOOL)],
            [ActionError.transient("one"), ActionError.permanent("two")],
            policy=RetryWithBackoff(AllowAll(), 3, 50),
            attempts=last,
        )
        assert kernel.run_until_blocked("r", 0) == RunFailed()
        assert log.attempts("r") == [
            Attempt("r-1", 0, ActionErrorKind.TRANSIENT, "one", 50),
            Attempt("r-1", 1, ActionErrorKind.PERMANENT, "two", None),
        ]
        assert last.last == Attempt("r-1", 1, ActionErrorKind.PERMANENT, "two", None)
        assert kernel.journal.head("r") == 2


class Order(Struct):
    amount: int
    approved: bool = False


class TestPrograms:
    def test_a_typed_program_from_payload_to_completion(self) -> None:
        """00 §13.2: step, reduce and execute over a msgspec struct."""

        def step(state: Order) -> Next:
            if state.approved:
                return Complete()
            return Do(CallTool("approve", {"amount": state.amount}))

        def reduce(state: Order, event: Any) -> Order:
            match event.event:
                case Interrupted():
                    return state
                case _ if type(event.event).__name__ == "ActionSucceeded":
                    return Order(state.amount, event.event.output)
                case _:
                    return state

        def execute(action: Action, call: ActionCall) -> bool:
            assert action == CallTool("approve", {"amount": 5})
            return True

        program = KernelProgram(
            "orders", lambda payload: Order(payload["amount"]), step, execute, reduce=reduce, state=Order
        )
        snapshots = ObservedSnapshots()
        kernel = program.kernel(MemoryJournal(), execute, snapshots=snapshots)
        assert kernel.run_until_blocked("orders/e1", program.first_state({"amount": 5})) == RunCompleted()
        assert snapshots.saved[-1] == (3, '{"amount":5,"approved":true}')
        assert kernel.replay_from_snapshot("orders/e1", Order(5)) == Order(5, True)
        assert kernel.extensions.fold_first

    def test_the_default_reducer_makes_states_of_the_declared_type(self) -> None:
        emitted: list[Next] = [Emit([StateUpdated("s", Order(7, True))])]
        program = KernelProgram("orders", lambda payload: Order(0), ScriptedStep(emitted), "shop:execute", state=Order)
        kernel = program.kernel(MemoryJournal(), ScriptedExecutor([]))
        kernel.run_until_blocked("r", Order(0))
        assert kernel.replay("r", Order(0)) == Order(7, True)
        assert texts(kernel.journal)[0] == ('{"StateUpdated":{"step_id":"s","payload":{"amount":7,"approved":true}}}')

    def test_an_initial_state_that_cannot_be_made_is_told(self) -> None:
        program = KernelProgram("p", lambda payload: payload["amount"], ScriptedStep([]), "x:y")
        with pytest.raises(KernelError) as error:
            program.first_state({})
        assert str(error.value) == "Driver error: initial_state: KeyError: 'amount'"
