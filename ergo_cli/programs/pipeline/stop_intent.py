"""What was asked of a pipeline about stopping: how, why and until when (spec 60 §9.4)."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

NANOS_A_MS = 1_000_000

USER_STOP = "user_stop"
"""The reason of a stop for which none was given."""

STOP_TIMEOUT = "stop_timeout"
"""The reason of a stop that did not end in its time; it replaces any other."""

FORCED_SHUTDOWN = "Force shutdown requested"
"""The error text with which clean-up ends a stage."""


def stop_reason(message: str) -> str | None:
    """The reason with which a stage is cancelled by an error of this text; None for a failure (§13.4, C-85)."""
    if message in (FORCED_SHUTDOWN, USER_STOP):
        return USER_STOP
    return STOP_TIMEOUT if message == STOP_TIMEOUT else None


class Cancel(Struct, frozen=True):
    """Stop at once, without a drain barrier."""


class Graceful(Struct, frozen=True):
    """End the sources and let everything drain, for at most ``timeout_ms``."""

    timeout_ms: int


StopMode = Cancel | Graceful


class Applied(Struct, frozen=True):
    """The request counts; ``marker`` is the mode to write as ``stop_requested``, None where one was written before."""

    intent: StopIntent
    marker: StopMode | None


class Ignored(Struct, frozen=True):
    """A graceful request after a cancel changes nothing but the reason."""

    intent: StopIntent


class StopIntent(Struct, frozen=True):
    """The stop requests so far, as one. ``deadline_ns`` is a moment of the monotonic clock."""

    requested: bool = False
    mode: StopMode | None = None
    reason: str | None = None
    deadline_ns: int | None = None

    @property
    def label(self) -> str:
        """The reason, ``user_stop`` where none is stored."""
        return USER_STOP if self.reason is None else self.reason

    def is_due(self, now_ns: int) -> bool:
        """Whether the deadline of a graceful stop is reached."""
        return self.deadline_ns is not None and isinstance(self.mode, Graceful) and now_ns >= self.deadline_ns

    def apply(self, mode: StopMode, reason: str | None, now_ns: int) -> Applied | Ignored:
        """Take a request in.

        The first reason stays, but for ``stop_timeout``. A cancel for that reason keeps the deadline, so that clean-up
        stays bounded by it. A second graceful request sets the deadline anew.
        """
        kept = reason if reason is not None and (self.reason is None or reason == STOP_TIMEOUT) else self.reason
        asked = replace(self, requested=True, reason=USER_STOP if kept is None else kept)
        match mode:
            case Cancel():
                deadline_ns = self.deadline_ns if asked.reason == STOP_TIMEOUT else None
            case Graceful(timeout_ms):
                if isinstance(self.mode, Cancel):
                    return Ignored(asked)
                deadline_ns = now_ns + timeout_ms * NANOS_A_MS
        is_marked = self.mode is None or (isinstance(self.mode, Graceful) and isinstance(mode, Cancel))
        return Applied(replace(asked, mode=mode, deadline_ns=deadline_ns), mode if is_marked else None)
