"""Where interrupts are kept while they are open (spec 40 §10.4)."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from ergo_cli.programs.kernel.interrupts.records import InterruptRecord, KernelInterrupt

I = TypeVar("I", InterruptRecord, KernelInterrupt)  # noqa: E741 - one letter, as type variables go


class InterruptStore(Protocol[I]):
    """Interrupts by id."""

    def save(self, interrupt: I) -> None:
        """Insert it, or replace the one with its id."""
        ...

    def load(self, id: str) -> I | None:
        """The one with this id."""
        ...

    def load_for_run(self, run_id: str) -> list[I]:
        """All of a run, by time of creation, then id."""
        ...

    def delete(self, id: str) -> None:
        """Forget it; one that is not there is no fault."""
        ...


class MemoryInterruptStore(Generic[I]):
    """Interrupts in memory."""

    def __init__(self) -> None:
        self._by_id: dict[str, I] = {}

    def save(self, interrupt: I) -> None:
        """Insert it, or replace the one with its id."""
        self._by_id[interrupt.id] = interrupt

    def load(self, id: str) -> I | None:
        """The one with this id."""
        return self._by_id.get(id)

    def load_for_run(self, run_id: str) -> list[I]:
        """All of a run, by time of creation, then id."""
        found = [interrupt for interrupt in self._by_id.values() if interrupt.thread_id == run_id]
        return sorted(found, key=lambda interrupt: (interrupt.created_at, interrupt.id))

    def delete(self, id: str) -> None:
        """Forget it; one that is not there is no fault."""
        self._by_id.pop(id, None)
