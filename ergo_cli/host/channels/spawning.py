"""Signals that wait while a child is being born (spec 30 §12)."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

_Handler = Callable[[int, FrameType | None], object]


@contextmanager
def signals_held() -> Generator[None]:
    """Within, SIGINT and SIGTERM wait; their handlers see them in order once it is left.

    A handler that raises would else lose a child that runs, but that nobody knows of yet. Handlers run on the main
    thread, so that nothing has to be held on another.
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


def _handlers() -> dict[signal.Signals, _Handler]:
    """The handlers that are functions of Python's: only those can raise."""
    found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    return {number: handler for number, handler in found.items() if callable(handler)}
