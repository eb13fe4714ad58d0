"""What a stream says about its run: open attempts, checkpoints, failures (spec 50 §11, §16.1)."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from ergo_cli.programs.plan.errors import RunError, invalid_plan
from ergo_cli.programs.plan.events import (
    Envelope,
    RunCompleted,
    RunStarted,
    StateCompleted,
    StateEntered,
    StateFailed,
)


class OpenAttempt(Struct, frozen=True):
    """An attempt that has begun and not ended; ``superseded`` counts those before it that never ended."""

    state_id: str
    attempt: int
    base_snapshot_id: str
    entered_seq: int
    superseded: int = 0

    def is_superseded_by(self, entered: StateEntered) -> bool:
        """Whether ``entered`` repeats this attempt after a crash: same state, same base, a higher number."""
        return (
            entered.state_id == self.state_id
            and entered.base_snapshot_id == self.base_snapshot_id
            and entered.attempt > self.attempt
        )


class LastFailure(Struct, frozen=True):
    """The latest failure of a state: the attempt, the snapshot that it started from, whether it may be retried."""

    attempt: int
    base_snapshot_id: str
    retryable: bool


class EnvelopeFault(ValueError):
    """A stream that no run can have written; ``variant`` names the rule, ``seq`` the event."""

    def __init__(self, variant: str, seq: int) -> None:
        super().__init__(f"{variant} at seq {seq}")
        self.variant = variant
        self.seq = seq


class History:
    """The history of one run, read event by event. ``read`` raises EnvelopeFault."""

    def __init__(self) -> None:
        self.run_id: str | None = None
        self.head = 0
        self.started: RunStarted | None = None
        self.completed: RunCompleted | None = None
        self.orphan: OpenAttempt | None = None
        self.checkpoint: str | None = None
        self.snapshots: dict[str, str] = {}
        """The context snapshot of every completed state."""
        self.failures: dict[str, LastFailure] = {}
        self.attempts: dict[str, int] = {}
        """The number of the latest attempt of every state that was entered."""

    @classmethod
    def of(cls, events: Sequence[Envelope]) -> History:
        """The history of a whole stream."""
        history = cls()
        for event in events:
            history.read(event)
        return history

    def read(self, envelope: Envelope) -> None:
        """Take one event into account."""
        seq = envelope.seq
        if self.run_id is None:
            self.run_id = envelope.run_id
        elif envelope.run_id != self.run_id:
            raise EnvelopeFault("RunIdMismatch", seq)
        elif seq <= self.head:
            raise EnvelopeFault("NonMonotonicSeq", seq)
        self.head = seq
        match envelope.kernel:
            case None:
                return
            case RunStarted() as event:
                self._start(event, seq)
            case StateEntered() as event:
                self._enter(event, seq)
            case StateCompleted() as event:
                self._close(event.state_id, seq)
                self.checkpoint = self.snapshots[event.state_id] = event.context_snapshot_id
            case StateFailed() as event:
                attempt = self._close(event.state_id, seq)
                self.failures[event.state_id] = LastFailure(
                    attempt.attempt, attempt.base_snapshot_id, event.error.info.retryable
                )
            case RunCompleted() as event:
                self._outside_attempt(seq)
                self.completed = event

    def _start(self, event: RunStarted, seq: int) -> None:
        self._outside_attempt(seq)
        if self.started is not None:
            raise EnvelopeFault("DuplicateRunStarted", seq)
        self.started = event

    def _enter(self, event: StateEntered, seq: int) -> None:
        self._before_end(seq)
        superseded = 0
        if self.orphan is not None:
            if not self.orphan.is_superseded_by(event):
                raise EnvelopeFault("NestedStateEntered", seq)
            superseded = self.orphan.superseded + 1
        self.orphan = OpenAttempt(event.state_id, event.attempt, event.base_snapshot_id, seq, superseded)
        self.attempts[event.state_id] = event.attempt

    def _close(self, state_id: str, seq: int) -> OpenAttempt:
        attempt = self.orphan
        if attempt is None:
            raise EnvelopeFault("TerminalWithoutEntered", seq)
        if attempt.state_id != state_id:
            raise EnvelopeFault("TerminalStateIdMismatch", seq)
        self.orphan = None
        return attempt

    def _outside_attempt(self, seq: int) -> None:
        if self.orphan is not None:
            raise EnvelopeFault("UnexpectedKernelInsideAttempt", seq)
        self._before_end(seq)

    def _before_end(self, seq: int) -> None:
        if self.completed is not None:
            raise EnvelopeFault("EventAfterRunCompleted", seq)


def read_history(run_id: str, events: Sequence[Envelope]) -> History:
    """The history of a run's stream.

    Raises RunError ``plan.invalid_attempt_envelopes``, ``plan.run_id_mismatch``, ``plan.missing_run_started``.
    """
    try:
        history = History.of(events)
    except EnvelopeFault as fault:
        message = f"the stream of run '{run_id}' is not one that a run can write: {fault}"
        details = {"seq": fault.seq, "variant": fault.variant}
        where = f"run '{run_id}' seq {fault.seq}"
        raise invalid_plan("invalid_attempt_envelopes", message, where=where, details=details) from fault
    if history.run_id != run_id:
        message = f"the stream of run '{run_id}' holds events of run '{history.run_id}'"
        raise invalid_plan("run_id_mismatch", message, where=f"run '{run_id}' seq 1")
    if history.started is None:
        raise _not_started(run_id)
    return history


def _not_started(run_id: str) -> RunError:
    message = f"the stream of run '{run_id}' does not say how it was started"
    return invalid_plan("missing_run_started", message, where=f"run '{run_id}'")
