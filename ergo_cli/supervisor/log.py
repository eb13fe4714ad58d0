"""The decision log: write-only for the supervisor (SUP-7, spec 10 §21)."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from msgspec import Struct

from ergo_cli.core.effects import ProducedEffect
from ergo_cli.events.external import ExternalEvent
from ergo_cli.supervisor.seam import RunTermination


class Decision(Enum):
    """What was decided for one event. The supervisor never decides ``SKIP``; the format has it."""

    INVOKE = "Invoke"
    SKIP = "Skip"
    DEFER = "Defer"


class LogEntry(Struct, frozen=True, gc=False):
    """One decision. ``schedule_at`` and ``deadline`` in ns; ``termination`` is given exactly with ``INVOKE``."""

    graph_id: str
    event: ExternalEvent
    decision: Decision
    schedule_at: int | None
    episode_id: int
    deadline: int | None
    termination: RunTermination | None
    retry_count: int


DecidedEffects = tuple[LogEntry, list[ProducedEffect]]
"""A decision, and what the episode that ran for it wants done."""


class DecisionLog(Protocol):
    """Takes decisions, gives nothing back."""

    def log(self, entry: LogEntry, /) -> None:
        """Append one decision."""
        ...
