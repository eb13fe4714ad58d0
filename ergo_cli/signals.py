"""Signals end a command, and whatever moment they come at, nothing of it is left behind.

A signal raises ``Interrupted`` once, so that the command cleans up behind itself and reports. What a part of ergo makes
that must not outlive the process, it also registers here: it is removed before the process ends, even if the exception
came at a moment when nobody could clean up. Only SIGKILL and the signals of a crash are beyond this.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130
"""The exit code of a command that a signal ended."""

_Handler = Callable[[int, FrameType | None], object]

_NO_ENDING = ("KILL STOP CONT TSTP TTIN TTOU CHLD URG WINCH INFO", "PIPE XFSZ", "SEGV BUS FPE ILL SYS TRAP")
"""Signals that cannot be handled or do not end a process; those that Python turns into errors; those of a crash."""

_kept = {f"SIG{name}" for names in _NO_ENDING for name in names.split()}
ENDING = frozenset(number for number in signal.valid_signals() if getattr(number, "name", "") not in _kept)
"""The signals that end a process: Ctrl-C, SIGTERM, the terminal's hang-up, a limit of time and all others."""

_last_acts: list[Callable[[], None]] = []


class Interrupted(BaseException):
    """A signal ends the command. Not a KeyboardInterrupt, which the parser would handle itself without a message."""


def is_of_a_signal(error: BaseException) -> bool:
    """Whether a signal is behind an exception: Python itself turns ``Interrupted`` into another one in some places."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, Interrupted | KeyboardInterrupt):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


def before_the_end(act: Callable[[], None]) -> Callable[[], None]:
    """Let ``act`` run before a command's process ends; signal handlers call it, so it must take no locks."""
    _last_acts.append(act)
    return act


def stop_on_signals() -> None:
    """Let every ending signal end a command as Ctrl-C does; a signal that the caller ignores stays ignored."""
    sys.unraisablehook = _interrupt_that_was_lost
    for number in ENDING:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _handle)


def end_with(code: int) -> None:
    """The command is done: remove what it left; a signal from now on ends the process at once, with this code.

    Python takes its handlers away in the end, so signals are ignored once no thread is waited for any more.
    """
    _react_by(lambda: _leave(code))
    _do_last_acts()
    atexit.register(_ignore_signals)


@contextmanager
def requesting_stop(stop: Callable[[], bool]) -> Generator[None]:
    """In the block, the first signal only calls ``stop``, the next one raises ``Interrupted``.

    Where ``stop`` returns False, nothing is going to heed the request, and the first signal raises it too.
    """

    def request() -> None:
        _react_by(_interrupt)
        if not stop():
            _interrupt()

    _react_by(request)
    try:
        yield
    finally:
        if _reaction is request:
            _react_by(_interrupt)


@contextmanager
def signals_held() -> Generator[None]:
    """Defer all signals until the block is left; their handlers then run in order.

    Without it, a handler that raises could lose a child or a file that has been made but is not yet registered.
    Handlers run on the main thread, so other threads have nothing to defer.
    """
    if current_thread() is not main_thread():
        yield
        return
    handlers, held = _handlers(), list[int]()
    for number in handlers:
        signal.signal(number, lambda number, _: held.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in held:
            signal.raise_signal(number)


def _handlers() -> dict[int, _Handler]:
    """The handlers that are Python functions: only those can raise."""
    found = {number: signal.getsignal(number) for number in signal.valid_signals()}
    return {number: handler for number, handler in found.items() if callable(handler)}


def _interrupt() -> NoReturn:
    """Raise ``Interrupted`` once: a second one would disturb the removal of half-written files.

    A further signal means that the removal takes too long, or that a program has swallowed the exception.
    """
    _react_by(lambda: _leave(INTERRUPTED))
    raise Interrupted


_reaction: Callable[[], object] = _interrupt


def _react_by(reaction: Callable[[], object]) -> None:
    global _reaction
    _reaction = reaction


def _handle(number: int, frame: FrameType | None) -> None:
    _reaction()


def _ignore_signals() -> None:
    for number in ENDING:
        if signal.getsignal(number) is _handle:
            signal.signal(number, signal.SIG_IGN)


def _interrupt_that_was_lost(lost: sys.UnraisableHookArgs) -> None:
    """An exception in a finalizer is printed and goes no further: one that should end the command ends it at once."""
    if isinstance(lost.exc_value, Interrupted):
        _leave(INTERRUPTED)
    sys.__unraisablehook__(lost)


def _leave(code: int) -> NoReturn:
    _do_last_acts()
    os._exit(code)


def _do_last_acts() -> None:
    for act in reversed(_last_acts):
        act()
