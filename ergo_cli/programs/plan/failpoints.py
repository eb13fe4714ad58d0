"""Points at which a test can stop a run as a crash would (spec 50 §22)."""

from __future__ import annotations

from enum import Enum


class Failpoint(Enum):
    """Where a run can be stopped once."""

    AFTER_ENTERED = "stop_after_entered_once"
    AFTER_HANDLER = "stop_after_handler_once"
    BEFORE_RUN_COMPLETED = "stop_before_run_completed_once"


class Failpoints:
    """The armed failpoints of an engine; each strikes once."""

    def __init__(self, *armed: Failpoint) -> None:
        self._armed = set(armed)

    def strikes(self, point: Failpoint) -> bool:
        """Whether the run stops here; disarms the point."""
        strikes = point in self._armed
        self._armed.discard(point)
        return strikes
