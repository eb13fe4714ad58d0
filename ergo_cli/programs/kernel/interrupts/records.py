"""The two interrupt objects: the simple one, and the one with a state machine (spec 40 §3.19, §10.2)."""

from __future__ import annotations

from typing import Self

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.programs.kernel.errors import InterruptError
from ergo_cli.programs.kernel.events import Seq
from ergo_cli.programs.kernel.interrupts.kinds import (
    Checkpoint,
    InterruptKind,
    InterruptStatus,
    KernelInterruptKind,
    requires_input,
)
from ergo_cli.programs.kernel.timestamps import Timestamp
from ergo_cli.programs.kernel.wire import FreeValue


class InterruptRecord(Struct, frozen=True):
    """A simple interrupt; ``payload_schema`` is the JSON schema of the answer."""

    id: str
    thread_id: str
    kind: InterruptKind
    payload_schema: FreeValue
    created_at: Timestamp
    step_id: str | None = None


class InterruptCheckpoint(Struct, frozen=True):
    """The state that a run can go on from."""

    seq: Seq
    state_snapshot: FreeValue
    state_hash: str
    step_id: str | None
    checkpointed_at: Timestamp


class KernelInterrupt(Struct, frozen=True):
    """An interrupt with its progress. Every change gives a new value, ``updated_at`` being ``now``.

    Changes of status raise InterruptError where they are not allowed.
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
        """A pending one."""
        return cls(id, thread_id, kind, InterruptStatus.PENDING, payload_schema, None, now, now)

    def with_step(self, step_id: str, now: Timestamp) -> Self:
        """With the step that raised it."""
        return replace(self, step_id=step_id, updated_at=now)

    def with_reason(self, reason: str, now: Timestamp) -> Self:
        """With the reason for it."""
        return replace(self, reason=reason, updated_at=now)

    def with_metadata(self, metadata: FreeValue, now: Timestamp) -> Self:
        """With metadata; a resolver looks at their member ``source``."""
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
        """Whether nobody has begun to resolve it."""
        return self.status is InterruptStatus.PENDING

    @property
    def is_resolved(self) -> bool:
        """Whether it is resolved."""
        return self.status is InterruptStatus.RESOLVED

    @property
    def can_resume(self) -> bool:
        """Whether the run could go on from its checkpoint."""
        return self.checkpoint is not None and self.is_pending

    @property
    def is_checkpoint(self) -> bool:
        """Whether it only marks a checkpoint."""
        return isinstance(self.kind, Checkpoint)

    @property
    def requires_input(self) -> bool:
        """Whether it waits for somebody's input."""
        return requires_input(self.kind)

    def _moved(self, sources: tuple[InterruptStatus, ...], target: InterruptStatus, now: Timestamp) -> Self:
        if self.status not in sources:
            raise InterruptError(f"Invalid status transition from {self.status.value} to {target.value}")
        return replace(self, status=target, updated_at=now)
