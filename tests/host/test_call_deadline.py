"""Calls that take too long are given up: any function, and the executor of a kernel program (spec 40 §19.1)."""

from __future__ import annotations

import json
from threading import Event, Thread, current_thread
from typing import Any

import pytest

from ergo_cli.core.time import MAX_NS
from ergo_cli.events.external import EventKind, ExternalEvent
from ergo_cli.host.timing import LiveClock, call_within
from ergo_cli.programs.kernel import Action, ActionCall, ActionError, CallTool, Complete, Do, KernelProgram
from ergo_cli.programs.kernel.engine.actions import Executor
from ergo_cli.programs.kernel.kind import KIND
from ergo_cli.programs.seat import DeadlinePassed, Seat
from ergo_cli.stores.backends import memory_store
from ergo_cli.supervisor.seam import ErrKind, Failed, Outcome

TOOL = CallTool("t", None)
SECOND = 1_000_000_000


def test_an_answer_in_time_is_passed_on() -> None:
    assert call_within(60 * SECOND, lambda: ["t", "r-1"], "r-1") == ["t", "r-1"]


@pytest.mark.parametrize("limit", [2**63 - 1, 2**63, MAX_NS])
def test_an_endless_limit_is_the_longest_wait_there_is(limit: int) -> None:
    assert call_within(limit, lambda: "t", "r-1") == "t"


def test_an_endless_sleep_sleeps() -> None:
    slept = Event()

    def sleep() -> None:
        slept.set()
        LiveClock().sleep_ns(MAX_NS)
        slept.clear()

    thread = Thread(target=sleep, daemon=True)
    thread.start()
    assert slept.wait(60)
    thread.join(0.05)
    assert thread.is_alive()


def test_a_call_has_a_thread_of_its_own_that_keeps_no_process_alive() -> None:
    thread = call_within(60 * SECOND, current_thread, "r-1")
    assert (thread.name, thread.daemon, thread is current_thread()) == ("r-1", True, False)


def test_an_error_in_time_is_raised() -> None:
    def failing() -> None:
        raise ActionError.transient("busy")

    with pytest.raises(ActionError, match="busy"):
        call_within(60 * SECOND, failing, "r-1")


def test_a_call_that_takes_too_long_is_given_up() -> None:
    released = Event()
    with pytest.raises(DeadlinePassed):
        call_within(SECOND // 100, released.wait, "r-1")
    released.set()


class Seated:
    """One call of a kernel program with the host's clock and deadline guard: how it ended, its log, its end frame."""

    def __init__(self, execute: Executor, deadline: int | None) -> None:
        program: KernelProgram[Any] = KernelProgram("g", lambda payload: 0, one_tool, execute, done_by_answer)
        store = memory_store()
        invoker = KIND.acting.invoker(program, Seat(LiveClock(), call_within, store=store))
        event = ExternalEvent.with_payload("e1", EventKind.COMMAND, 0, b"")
        self.termination = invoker.run("g", "e1", event.context, deadline)
        self.log = [json.loads(text) for _, text in store.journal.scan("g/e1")]
        [journal] = invoker.drain_journals()
        self.end: Any = json.loads(journal.records[-1])["end"]


def one_tool(state: Any) -> Complete | Do:
    return Complete() if state else Do(TOOL)


def done_by_answer(state: Any, event: Any) -> Any:
    return 1 if event.kind == "ActionSucceeded" else state


def test_an_executors_answer_in_time_is_recorded() -> None:
    called: list[tuple[Action, str, int | None]] = []
    threads: list[Thread] = []

    def execute(action: Action, call: ActionCall) -> Any:
        called.append((action, call.action_id, call.remaining))
        threads.append(current_thread())
        return "answer"

    seated = Seated(execute, 60 * SECOND)
    assert seated.termination is Outcome.COMPLETED
    assert seated.log[1:] == [{"ActionSucceeded": {"action_id": "g/e1-1", "output": "answer"}}, "Completed"]
    [(action, action_id, remaining)] = called
    assert (action, action_id, threads[0].name) == (TOOL, "g/e1-1", "g/e1-1")
    assert remaining is not None
    assert 0 < remaining <= 60 * SECOND


def test_an_executors_error_in_time_is_recorded() -> None:
    def execute(action: Action, call: ActionCall) -> None:
        raise ActionError.transient("busy")

    seated = Seated(execute, 60 * SECOND)
    assert seated.termination == Failed(ErrKind.NETWORK_TIMEOUT)
    assert list(seated.log[1]) == ["ActionFailed"]
    assert "busy" in seated.log[1]["ActionFailed"]["error"]


def test_without_a_deadline_nothing_is_started() -> None:
    threads: list[Thread] = []
    seated = Seated(lambda action, call: threads.append(current_thread()), None)
    assert (seated.termination, threads) == (Outcome.COMPLETED, [current_thread()])


def test_a_hanging_executor_is_cut_off_and_its_request_closed() -> None:
    """40 §19.1: the request gets its ActionFailed, the call ends with ``kernel.deadline``."""
    released = Event()
    seated = Seated(lambda action, call: released.wait(), SECOND // 2)
    released.set()
    assert (seated.termination, seated.end["error"]["code"]) == (Outcome.TIMED_OUT, "kernel.deadline")
    assert seated.log[1:] == [{"ActionFailed": {"action_id": "g/e1-1", "error": "Driver error: deadline exceeded"}}]
