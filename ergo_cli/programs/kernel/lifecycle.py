"""Where a run stands, read from its log (spec 40 §10.1, §11.1, §19.1)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import assert_never

from msgspec import Struct

from ergo_cli.programs.kernel.events import (
    ActionFailed,
    ActionRequested,
    ActionSucceeded,
    Completed,
    Event,
    Interrupted,
    Resumed,
    SequencedEvent,
    StateUpdated,
)
from ergo_cli.programs.kernel.run_log import RunLog

_TAIL = 64  # events; as a rule the last lifecycle event is among them


class DerivedStatus(Enum):
    """What the last event that says anything says about a run."""

    EMPTY = "Empty"
    ACTIVE = "Active"
    BLOCKED = "Blocked"
    FAILED = "Failed"
    COMPLETED = "Completed"


class LogEnd(Struct, frozen=True):
    """The end of a run's log.

    ``lifecycle`` is the last of Interrupted, Resumed and Completed; ``broken_off`` says that an ActionFailed came
    after it, or that the log ends in a request without result.
    """

    head: int = 0
    lifecycle: Interrupted | Resumed | Completed | None = None
    last: Event | None = None
    broken_off: bool = False

    @property
    def is_interrupted(self) -> bool:
        """Whether the run waits to be resumed (§10.1)."""
        return isinstance(self.lifecycle, Interrupted)

    @property
    def is_completed(self) -> bool:
        """Whether the run is done."""
        return isinstance(self.lifecycle, Completed)


def log_end(events: Iterable[SequencedEvent]) -> LogEnd:
    """The end of a log that is given whole, or from some event on that is not behind its last lifecycle event."""
    head, lifecycle, last, failed = 0, None, None, False
    for event in events:
        head, last = event.seq, event.event
        match last:
            case Interrupted() | Resumed() | Completed():
                lifecycle, failed = last, False
            case ActionFailed():
                failed = True
            case _:
                pass
    return LogEnd(head, lifecycle, last, failed or isinstance(last, ActionRequested))


def end_of_log(log: RunLog) -> LogEnd:
    """The end of a log, read from behind and no further than it must. Raises KernelError as ``RunLog.scan`` does."""
    head, length = log.head(), _TAIL
    while True:
        start = max(head - length + 1, 1)
        end = log_end(log.scan(start, head))
        if end.lifecycle is not None or start == 1:
            return end
        length *= 4


def status_after(event: Event) -> DerivedStatus:
    """Where a run stands after this event."""
    match event:
        case Interrupted():
            return DerivedStatus.BLOCKED
        case Completed():
            return DerivedStatus.COMPLETED
        case ActionFailed():
            return DerivedStatus.FAILED
        case StateUpdated() | ActionRequested() | ActionSucceeded() | Resumed():
            return DerivedStatus.ACTIVE
        case _:
            assert_never(event)
