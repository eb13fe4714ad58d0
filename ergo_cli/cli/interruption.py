"""SIGINT and SIGTERM as one exception, raised once."""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn


class Interrupted(BaseException):
    """Somebody wants the command to end. No KeyboardInterrupt, which the parser would answer itself, without a word."""


def stop_on_signals() -> None:
    """Let SIGTERM end a command as Ctrl-C does; a signal that the caller ignores stays ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Stop once: further signals must not disturb the clearing away of what is half written."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Interrupted
