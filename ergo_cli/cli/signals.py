"""Handlers of SIGINT and SIGTERM: raise ``Interrupted``, or first request a running run to stop."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """A signal ends the command. Not a KeyboardInterrupt, which the parser would handle itself without a message."""


def stop_on_signals() -> None:
    """Let SIGTERM end a command as Ctrl-C does; a signal that the caller ignores stays ignored."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def ignore_signals() -> None:
    """Ignore SIGINT and SIGTERM from now on."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def requesting_stop(stop: Callable[[], object], kill: Callable[[], object]) -> Generator[None]:
    """In the block, the first signal only calls ``stop``; the next one calls ``kill`` and raises ``Interrupted``."""

    def request(number: int, frame: FrameType | None) -> None:
        stop()
        _replace_handler(request, insist)

    def insist(number: int, frame: FrameType | None) -> NoReturn:
        kill()
        _interrupt(number, frame)

    _replace_handler(_interrupt, request)
    try:
        yield
    finally:
        _replace_handler(request, _interrupt)
        _replace_handler(insist, _interrupt)


def _replace_handler(
    old: Callable[[int, FrameType | None], object], new: Callable[[int, FrameType | None], object]
) -> None:
    """Install ``new`` for the signals that ``old`` handles; leave all others as they are."""
    for number in _SIGNALS:
        if signal.getsignal(number) is old:
            signal.signal(number, new)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Raise ``Interrupted`` once: further signals must not disturb the removal of half-written files."""
    ignore_signals()
    raise Interrupted
