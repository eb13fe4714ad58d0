"""How far a call of the driver may go (spec 40 §19.1)."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.programs.kernel.errors import KernelError, driver_error
from ergo_cli.programs.kernel.policy import BudgetRules


class Limits(Struct, frozen=True, kw_only=True):
    """Limits of a kernel program: beyond one is ``kernel.step_limit``, of the last two ``kernel.budget_exceeded``.

    Steps and idle emits (empty ones in a row) count per call, retries per action, whatever the policy says, tool
    calls and model tokens over the whole run.
    """

    max_steps: int = 1_000_000
    max_idle_emits: int = 100
    max_retries: int = 1_000
    max_tool_calls: int | None = None
    max_llm_tokens: int | None = None

    @property
    def budget(self) -> BudgetRules:
        """The limits that hold over the whole run."""
        return BudgetRules(self.max_tool_calls, self.max_llm_tokens)


class StepCounter:
    """Counts the steps of one call and raises KernelError ``kernel.step_limit``; without limits it never does."""

    def __init__(self, limits: Limits | None, where: str) -> None:
        self._limits = limits
        self._where = where
        self._steps = 0
        self._idle = 0

    def step(self) -> None:
        """Another step is about to be asked for."""
        if self._limits is not None and self._steps >= self._limits.max_steps:
            raise self._reached(f"more than {self._limits.max_steps} steps in one call")
        self._steps += 1

    def emitted(self, events: int) -> None:
        """A step emitted so many events."""
        self._idle = 0 if events else self._idle + 1
        if self._limits is not None and self._idle > self._limits.max_idle_emits:
            raise self._reached(f"more than {self._limits.max_idle_emits} empty emits in a row")

    def retry_error(self, attempt: int) -> KernelError | None:
        """The error of another retry after so many, if it is one too many."""
        if self._limits is None or attempt < self._limits.max_retries:
            return None
        return self._reached(f"more than {self._limits.max_retries} retries of one action")

    def _reached(self, what: str) -> KernelError:
        return driver_error(f"step limit: {what}", code="kernel.step_limit", where=self._where)
