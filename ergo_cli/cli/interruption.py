"""SIGINT and SIGTERM: an exception that ends a command, or first a request to a run that can stop by itself."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """Somebody wants the command to end. No KeyboardInterrupt, which the parser would answer itself, without a word."""


def stop_on_signals() -> None:
    """Let SIGTERM end a command as Ctrl-C does; a signal that the caller ignores stays ignored."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def ignore_signals() -> None:
    """Let no further signal end the command."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def requesting_stop(stop: Callable[[], object], kill: Callable[[], object]) -> Generator[None]:
    """Within, the first signal only calls ``stop``; the next calls ``kill`` and ends the command as everywhere else."""

    def request(number: int, frame: FrameType | None) -> None:
        stop()
        _replace(request, insist)

    def insist(number: int, frame: FrameType | None) -> NoReturn:
        kill()
        _interrupt(number, frame)

    _replace(_interrupt, request)
    try:
        yield
    finally:
        _replace(request, _interrupt)
        _replace(insist, _interrupt)


def _replace(old: Callable[[int, FrameType | None], object], new: Callable[[int, FrameType | None], object]) -> None:
    """Let ``new`` handle what ``old`` handled; signals that neither of us handles are left as they are."""
    for number in _SIGNALS:
        if signal.getsignal(number) is old:
            signal.signal(number, new)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Stop once: further signals must not disturb the clearing away of what is half written."""
    ignore_signals()
    raise Interrupted
