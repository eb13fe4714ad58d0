"""Executors that are not waited for beyond a deadline (spec 00 §13.1, 40 §19.1)."""

from __future__ import annotations

from queue import Empty, SimpleQueue
from threading import Thread

from ergo_cli.core.time import NANOS
from ergo_cli.programs.kernel.actions import Action, ActionCall, Executor
from ergo_cli.programs.kernel.deadline import deadline_exceeded
from ergo_cli.programs.kernel.wire import FreeValue


def abandoning(execute: Executor) -> Executor:
    """The same executor, given up at the deadline of each call.

    It then raises KernelError ``kernel.deadline``; the abandoned thread may still finish, and nobody hears of it.
    Without a deadline it runs on the calling thread.
    """

    def execute_in_time(action: Action, call: ActionCall) -> FreeValue:
        if call.remaining is None:
            return execute(action, call)
        answers: SimpleQueue[_Answer] = SimpleQueue()
        Thread(target=_answer, args=(execute, action, call, answers), name=call.action_id, daemon=True).start()
        try:
            result, error = answers.get(timeout=call.remaining / NANOS)
        except Empty:
            raise deadline_exceeded() from None
        if error is not None:
            raise error
        return result

    return execute_in_time


_Answer = tuple[FreeValue, BaseException | None]


def _answer(execute: Executor, action: Action, call: ActionCall, answers: SimpleQueue[_Answer]) -> None:
    try:
        answers.put((execute(action, call), None))
    except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
        answers.put((None, error))
