"""Suspension of a run's worker: running, suspended, waiting for input (spec 40 §3.20, §10.3)."""

from __future__ import annotations

from enum import Enum
from typing import Self

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.programs.kernel.errors import InterruptError
from ergo_cli.programs.kernel.timestamps import Timestamp


class SuspensionState(Enum):
    """Where a worker stands."""

    RUNNING = "Running"
    SUSPENDED = "Suspended"
    WAITING_INPUT = "WaitingInput"


class ExecutionSuspension(Struct, frozen=True):
    """A run's suspension; every change gives a new value and raises InterruptError where it is not allowed."""

    run_id: str
    state: SuspensionState
    state_changed_at: Timestamp
    reason: str | None = None

    @classmethod
    def new(cls, run_id: str, now: Timestamp) -> Self:
        """A running one."""
        return cls(run_id, SuspensionState.RUNNING, now)

    @property
    def is_running(self) -> bool:
        """Whether the worker runs."""
        return self.state is SuspensionState.RUNNING

    @property
    def is_suspended(self) -> bool:
        """Whether it does not."""
        return not self.is_running

    def suspend(self, reason: str, now: Timestamp) -> Self:
        """Running → Suspended, for this reason."""
        return self._moved(SuspensionState.RUNNING, SuspensionState.SUSPENDED, reason, now)

    def wait_input(self, now: Timestamp) -> Self:
        """Suspended → WaitingInput."""
        return self._moved(SuspensionState.SUSPENDED, SuspensionState.WAITING_INPUT, self.reason, now)

    def resume(self, now: Timestamp) -> Self:
        """WaitingInput → Running; the reason is gone."""
        return self._moved(SuspensionState.WAITING_INPUT, SuspensionState.RUNNING, None, now)

    def _moved(self, source: SuspensionState, target: SuspensionState, reason: str | None, now: Timestamp) -> Self:
        if self.state is not source:
            raise InterruptError(f"Invalid state transition from {self.state.value} to {target.value}")
        return replace(self, state=target, reason=reason, state_changed_at=now)
