from __future__ import annotations

from threading import Event, current_thread

import pytest

from ergo_cli.host.abandonment import abandoning
from ergo_cli.host.clock import LiveClock
from ergo_cli.programs.kernel import ActionCall, ActionError, CallTool, KernelError, KernelProgram
from ergo_cli.programs.kernel.steps import Do
from ergo_cli.stores.memory import MemoryJournal

TOOL = CallTool("t", None)
SECOND = 1_000_000_000


def test_an_answer_in_time_is_passed_on() -> None:
    execute = abandoning(lambda action, call: [action.tool, call.action_id])
    assert execute(TOOL, ActionCall("r", "r-1", 60 * SECOND)) == ["t", "r-1"]


def test_an_error_in_time_is_raised() -> None:
    def failing(action: object, call: object) -> None:
        raise ActionError.transient("busy")

    with pytest.raises(ActionError, match="busy"):
        abandoning(failing)(TOOL, ActionCall("r", "r-1", 60 * SECOND))


def test_without_a_deadline_nothing_is_started() -> None:
    execute = abandoning(lambda action, call: current_thread())
    assert execute(TOOL, ActionCall("r", "r-1")) is current_thread()


def test_a_hanging_executor_is_cut_off_and_its_request_closed() -> None:
    """40 §19.1: the request gets its ActionFailed, the call ends with ``kernel.deadline``."""
    released = Event()
    program = KernelProgram("hang", lambda payload: 0, lambda state: Do(TOOL), lambda action, call: released.wait())
    journal, clock = MemoryJournal(), LiveClock()
    assert callable(program.execute)
    executor = abandoning(program.execute)
    kernel = program.kernel(journal, executor, clock=clock, deadline=clock.monotonic_ns() + SECOND // 50)
    with pytest.raises(KernelError) as cut_off:
        kernel.run_until_blocked("r", 0)
    released.set()
    assert cut_off.value.code == "kernel.deadline"
    assert [text for _, text in journal.scan("r")][1] == (
        '{"ActionFailed":{"action_id":"r-1","error":"Driver error: deadline exceeded"}}'
    )
