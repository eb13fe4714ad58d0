"""Interrupts and suspensions as records with a status (spec 40 §3.19–3.20, §10.2–10.5)."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Generic, Protocol, Self, TypeVar, cast

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.wire import FreeValue, Timestamp, Variant, Wrapper
from ergo_cli.programs.kernel.engine.errors import InterruptError
from ergo_cli.programs.kernel.engine.events import Seq


class HumanInTheLoop(Variant, frozen=True):
    """A person has to answer."""


class ApprovalRequired(Variant, frozen=True):
    """A person has to approve."""


class ToolCallWaiting(Variant, frozen=True):
    """A tool has to answer."""


class Custom(Wrapper, frozen=True):
    """A kind that the user defines."""

    name: str


class Checkpoint(Variant, frozen=True):
    """The run can continue from here."""


class ResourceExhausted(Variant, frozen=True):
    """A resource is exhausted."""


class ErrorRecovery(Variant, frozen=True):
    """A person has to decide how to continue after an error."""


InterruptKind = HumanInTheLoop | ApprovalRequired | ToolCallWaiting | Custom


KernelInterruptKind = InterruptKind | Checkpoint | ResourceExhausted | ErrorRecovery


def requires_input(kind: KernelInterruptKind) -> bool:
    """Whether an interrupt of this kind waits for input."""
    return isinstance(kind, HumanInTheLoop | ApprovalRequired | ToolCallWaiting | ErrorRecovery)


class InterruptStatus(Enum):
    """The status of an interrupt; the last three are final."""

    PENDING = "Pending"
    RESOLVING = "Resolving"
    RESOLVED = "Resolved"
    REJECTED = "Rejected"
    EXPIRED = "Expired"


class InterruptRecord(Struct, frozen=True):
    """A simple interrupt; ``payload_schema`` is the JSON schema of the answer."""

    id: str
    thread_id: str
    kind: InterruptKind
    payload_schema: FreeValue
    created_at: Timestamp
    step_id: str | None = None


class InterruptCheckpoint(Struct, frozen=True):
    """A state that a run can continue from."""

    seq: Seq
    state_snapshot: FreeValue
    state_hash: str
    step_id: str | None
    checkpointed_at: Timestamp


class KernelInterrupt(Struct, frozen=True):
    """An interrupt with a status. Every change returns a new value with ``updated_at`` set to ``now``.

    Changes of status raise InterruptError if the present status does not allow them.
    """

    id: str
    thread_id: str
    kind: KernelInterruptKind
    status: InterruptStatus
    payload_schema: FreeValue
    checkpoint: InterruptCheckpoint | None
    created_at: Timestamp
    updated_at: Timestamp
    step_id: str | None = None
    reason: str | None = None
    metadata: FreeValue = None

    @classmethod
    def new(cls, id: str, thread_id: str, kind: KernelInterruptKind, payload_schema: FreeValue, now: Timestamp) -> Self:
        """A pending interrupt."""
        return cls(id, thread_id, kind, InterruptStatus.PENDING, payload_schema, None, now, now)

    def with_step(self, step_id: str, now: Timestamp) -> Self:
        """With the step that raised it."""
        return replace(self, step_id=step_id, updated_at=now)

    def with_reason(self, reason: str, now: Timestamp) -> Self:
        """With the reason for it."""
        return replace(self, reason=reason, updated_at=now)

    def with_metadata(self, metadata: FreeValue, now: Timestamp) -> Self:
        """With metadata; a resolver reads their member ``source``."""
        return replace(self, metadata=metadata, updated_at=now)

    def with_checkpoint(self, checkpoint: InterruptCheckpoint, now: Timestamp) -> Self:
        """With a checkpoint."""
        return replace(self, checkpoint=checkpoint, updated_at=now)

    def start_resolving(self, now: Timestamp) -> Self:
        """Pending → Resolving."""
        return self._moved((InterruptStatus.PENDING,), InterruptStatus.RESOLVING, now)

    def resolve(self, now: Timestamp) -> Self:
        """Resolving → Resolved."""
        return self._moved((InterruptStatus.RESOLVING,), InterruptStatus.RESOLVED, now)

    def reject(self, reason: str, now: Timestamp) -> Self:
        """Pending or Resolving → Rejected, for this reason."""
        open_states = (InterruptStatus.PENDING, InterruptStatus.RESOLVING)
        return replace(self._moved(open_states, InterruptStatus.REJECTED, now), reason=reason)

    def expire(self, now: Timestamp) -> Self:
        """Pending or Resolving → Expired."""
        open_states = (InterruptStatus.PENDING, InterruptStatus.RESOLVING)
        return self._moved(open_states, InterruptStatus.EXPIRED, now)

    @property
    def is_pending(self) -> bool:
        """Whether it is still pending."""
        return self.status is InterruptStatus.PENDING

    @property
    def is_resolved(self) -> bool:
        """Whether it is resolved."""
        return self.status is InterruptStatus.RESOLVED

    @property
    def can_resume(self) -> bool:
        """Whether the run can continue from its checkpoint."""
        return self.checkpoint is not None and self.is_pending

    @property
    def is_checkpoint(self) -> bool:
        """Whether it is a mere checkpoint."""
        return isinstance(self.kind, Checkpoint)

    @property
    def requires_input(self) -> bool:
        """Whether it waits for input."""
        return requires_input(self.kind)

    def _moved(self, sources: tuple[InterruptStatus, ...], target: InterruptStatus, now: Timestamp) -> Self:
        if self.status not in sources:
            raise InterruptError(f"Invalid status transition from {self.status.value} to {target.value}")
        return replace(self, status=target, updated_at=now)


UI, AGENT, POLICY_ENGINE, API = "ui", "agent", "policy_engine", "api"
"""The usual sources of answers; any other name is a source that the user defines."""


Handler = Callable[[InterruptRecord | KernelInterrupt], FreeValue]
"""Gives the answer to an interrupt."""


class UnifiedInterruptResolver:
    """One handler per source; the last one registered wins."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}

    def register(self, source: str, handler: Handler) -> None:
        """Register the handler of a source."""
        self._handlers[source] = handler

    def resolve(self, interrupt: InterruptRecord | KernelInterrupt) -> FreeValue:
        """The answer of the handler of the interrupt's source (``metadata.source``), else of ``api``.

        Raises InterruptError if neither has a handler.
        """
        handler = self._handlers.get(_source_of(interrupt)) or self._handlers.get(API)
        if handler is None:
            raise InterruptError(f"Resolver error: No handler for source: {_source_of(interrupt)}")
        return handler(interrupt)


def _source_of(interrupt: InterruptRecord | KernelInterrupt) -> str:
    metadata = interrupt.metadata if isinstance(interrupt, KernelInterrupt) else None
    source = cast("dict[str, object]", metadata).get("source") if isinstance(metadata, dict) else None
    return source if isinstance(source, str) else API


I = TypeVar("I", InterruptRecord, KernelInterrupt)  # noqa: E741 - one letter, as type variables go


class InterruptStore(Protocol[I]):
    """Interrupts by id."""

    def save(self, interrupt: I) -> None:
        """Insert an interrupt, or replace the one with its id."""
        ...

    def load(self, id: str) -> I | None:
        """The interrupt with this id, None if there is none."""
        ...

    def load_for_run(self, run_id: str) -> list[I]:
        """The interrupts of a run, by time of creation, then id."""
        ...

    def delete(self, id: str) -> None:
        """Delete the interrupt with this id, if there is one."""
        ...


class MemoryInterruptStore(Generic[I]):
    """Interrupts in memory."""

    def __init__(self) -> None:
        self._by_id: dict[str, I] = {}

    def save(self, interrupt: I) -> None:
        """Insert an interrupt, or replace the one with its id."""
        self._by_id[interrupt.id] = interrupt

    def load(self, id: str) -> I | None:
        """The interrupt with this id, None if there is none."""
        return self._by_id.get(id)

    def load_for_run(self, run_id: str) -> list[I]:
        """The interrupts of a run, by time of creation, then id."""
        found = [interrupt for interrupt in self._by_id.values() if interrupt.thread_id == run_id]
        return sorted(found, key=lambda interrupt: (interrupt.created_at, interrupt.id))

    def delete(self, id: str) -> None:
        """Delete the interrupt with this id, if there is one."""
        self._by_id.pop(id, None)


class SuspensionState(Enum):
    """The state of a run's worker."""

    RUNNING = "Running"
    SUSPENDED = "Suspended"
    WAITING_INPUT = "WaitingInput"


class ExecutionSuspension(Struct, frozen=True):
    """A run's suspension; every change returns a new value, or raises InterruptError if it is not allowed."""

    run_id: str
    state: SuspensionState
    state_changed_at: Timestamp
    reason: str | None = None

    @classmethod
    def new(cls, run_id: str, now: Timestamp) -> Self:
        """A running worker."""
        return cls(run_id, SuspensionState.RUNNING, now)

    @property
    def is_running(self) -> bool:
        """Whether the worker runs."""
        return self.state is SuspensionState.RUNNING

    @property
    def is_suspended(self) -> bool:
        """Whether the worker does not run."""
        return not self.is_running

    def suspend(self, reason: str, now: Timestamp) -> Self:
        """Running → Suspended, for this reason."""
        return self._moved(SuspensionState.RUNNING, SuspensionState.SUSPENDED, reason, now)

    def wait_input(self, now: Timestamp) -> Self:
        """Suspended → WaitingInput."""
        return self._moved(SuspensionState.SUSPENDED, SuspensionState.WAITING_INPUT, self.reason, now)

    def resume(self, now: Timestamp) -> Self:
        """WaitingInput → Running; clears the reason."""
        return self._moved(SuspensionState.WAITING_INPUT, SuspensionState.RUNNING, None, now)

    def _moved(self, source: SuspensionState, target: SuspensionState, reason: str | None, now: Timestamp) -> Self:
        if self.state is not source:
            raise InterruptError(f"Invalid state transition from {self.state.value} to {target.value}")
        return replace(self, state=target, reason=reason, state_changed_at=now)
