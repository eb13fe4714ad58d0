"""One attempt of one state (spec 50 §13)."""

from __future__ import annotations

from collections.abc import Callable, Set
from contextlib import nullcontext
from typing import Protocol

from msgspec import Struct

from ergo_cli.core.time import Clock
from ergo_cli.programs.plan.context import StagedContext, read_snapshot, snapshot_text
from ergo_cli.programs.plan.deadlines import Deadline
from ergo_cli.programs.plan.errors import (
    ContextError,
    Failure,
    NotFound,
    StorageError,
    storage_info,
)
from ergo_cli.programs.plan.events import StateCompleted, StateEntered, StateFailed
from ergo_cli.programs.plan.facts import FactIndex, FactIo, LiveIo, Ordinals, ReplayIo, Supervision
from ergo_cli.programs.plan.failpoints import Failpoint, Failpoints
from ergo_cli.programs.plan.handlers import call_handler, snapshot_failure
from ergo_cli.programs.plan.manifest import IoMode, RunConfig
from ergo_cli.programs.plan.recorder import FilteredRecorder
from ergo_cli.programs.plan.states import State
from ergo_cli.programs.plan.stream import (
    Appender,
    Artifacts,
    HandlersArtifacts,
    HandlersWriter,
    LimitedWriter,
    Turn,
    Writer,
)
from ergo_cli.programs.plan.time_limits import Gate, timed_out
from ergo_cli.programs.plan.transports import TransportEnv, TransportFactory
from ergo_cli.programs.seat import CallWithin, DeadlinePassed


class Succeeded(Struct, frozen=True):
    """An attempt ended well; ``snapshot`` is the context after it."""

    snapshot: str


class FailedAttempt(Struct, frozen=True):
    """An attempt failed; in a recording its number is higher than it would be today where some were cut off."""

    retryable: bool
    attempt: int


class Stopped(Struct, frozen=True):
    """A failpoint stopped the run inside an attempt, which stays open."""


AttemptResult = Succeeded | FailedAttempt | Stopped


class Attempts(Protocol):
    """Executes attempts: live, or against a recording."""

    def execute(self, state: State, attempt: int, base: str) -> AttemptResult:
        """Run one attempt on the snapshot ``base``. Raises RunError and what the stores raise."""
        ...

    def settle(self) -> None:
        """Return once nothing of the run is running."""
        ...


class LiveAttempts(Struct, frozen=True):
    """Runs handlers and records what they do."""

    artifacts: Artifacts
    writer: Writer
    config: RunConfig
    facts: FactIndex
    transports: TransportFactory
    clock: Clock
    entropy: Callable[[int], bytes]
    deadline: Deadline
    failpoints: Failpoints
    allowed_names: Set[str] = frozenset()
    effectful: frozenset[str] | None = None
    """Namespaces whose calls are queued as intents, in a run under a supervisor; None in one without."""
    on_refusal: Callable[[str, ContextError], object] = lambda state_id, error: None
    """Takes the error of a state's context that cannot be kept, whose record has no name that looks like a secret."""
    within: CallWithin | None = None
    """Keeps the time limits of states; without it they have none."""
    turn: Turn = nullcontext()
    veto: Callable[[str, str], Failure | None] | None = None
    """Why a state may not complete with a snapshot."""

    def execute(self, state: State, attempt: int, base: str) -> AttemptResult:
        """Enter the state, call its handler on the base snapshot, record the result.

        An attempt that a crash, a store or the deadline cuts off stays open in the stream. Raises DeadlineReached, and
        StoreFailed where a store failed under the handler.
        """
        is_skipped = not set(self.config.skip_tags).isdisjoint(state.meta.tags)
        values = self._check_exists(base) if is_skipped else read_snapshot(self.artifacts, base)
        self.writer.append(StateEntered(state.id, attempt, base))
        if is_skipped:
            return self._complete(state.id, base)
        if self.failpoints.strikes(Failpoint.AFTER_ENTERED):
            return Stopped()
        context = StagedContext(values)
        failure = self._called(state, attempt, context)
        if self.failpoints.strikes(Failpoint.AFTER_HANDLER):
            return Stopped()
        if failure is not None:
            return self._fail(state.id, attempt, failure)
        try:
            text = snapshot_text(context.dump(), self.allowed_names)
        except ContextError as error:
            self.on_refusal(state.id, error)
            return self._fail(state.id, attempt, snapshot_failure(state.id, error))
        return self._complete(state.id, self.artifacts.put(text, base))

    def _called(self, state: State, attempt: int, context: StagedContext) -> Failure | None:
        """Call the handler; one that exceeds the limit of its state is abandoned, and fails the attempt."""
        limit, within = state.meta.timeout, self.within
        if limit is None or within is None:
            return self._call(state, attempt, context, self.turn)
        gate = Gate(self.turn)
        try:
            return within(limit.ns, lambda: self._call(state, attempt, context, gate), state.id)
        except DeadlinePassed:
            gate.shut()
            return timed_out(state.id, limit)

    def _call(self, state: State, attempt: int, context: StagedContext, turn: Turn) -> Failure | None:
        recorder = FilteredRecorder(self.config.event_profile, self.appender(turn), self.allowed_names)
        return call_handler(state, context, self.io_of(state, attempt, turn), recorder, self.deadline.seconds_left)

    def appender(self, turn: Turn) -> Appender:
        """Where the events of a handler go: under a supervisor a store that fails stops the run."""
        limited = LimitedWriter(self.writer, turn)
        return limited if self.effectful is None else HandlersWriter(limited)

    def settle(self) -> None:
        """Return at once: nothing runs but an attempt."""

    def supervision(self, state: State, attempt: int) -> Supervision | None:
        """What a supervisor asks of the calls of an attempt; None without one."""
        if self.effectful is None:
            return None
        return Supervision(state.id, attempt, state.meta.idempotency, self.effectful)

    def io_of(self, state: State, attempt: int, turn: Turn = nullcontext()) -> FactIo:
        """What the handler of an attempt asks the world with; each record is made in ``turn``."""
        run_id = self.writer.run_id
        ordinals = Ordinals(run_id, state.id, attempt)
        if self.config.io_mode is IoMode.REPLAY:
            retryable = self.config.replay_missing_fact_retryable
            return ReplayIo(self.facts, self.artifacts, ordinals, missing_retryable=retryable)
        transport = self.transports.make(TransportEnv(run_id, state.id, attempt, turn))
        return LiveIo(
            self.facts,
            self.artifacts if self.effectful is None else HandlersArtifacts(self.artifacts),
            self.appender(turn),
            transport,
            ordinals,
            self.clock.wall_ms,
            self.entropy,
            self.supervision(state, attempt),
            self.allowed_names,
            turn,
        )

    def _check_exists(self, base: str) -> dict[str, object]:
        check_exists(self.artifacts, base, self.writer.run_id)
        return {}

    def _complete(self, state_id: str, snapshot: str) -> AttemptResult:
        failure = None if self.veto is None else self.veto(state_id, snapshot)
        if failure is not None:
            return self._fail(state_id, 0, failure)
        self.writer.append(StateCompleted(state_id, snapshot))
        return Succeeded(snapshot)

    def _fail(self, state_id: str, attempt: int, failure: Failure) -> FailedAttempt:
        self.writer.append(StateFailed(state_id, failure, None))
        return FailedAttempt(failure.info.retryable, attempt)


def check_exists(artifacts: Artifacts, snapshot: str, run_id: str) -> None:
    """Raise StorageError ``plan.artifact_missing`` for a snapshot that is not in the store."""
    if not artifacts.exists(snapshot):
        message = f"the snapshot {snapshot} of run '{run_id}' is not in the store"
        raise StorageError(NotFound(storage_info("artifact_missing", message)), where=f"run '{run_id}'")
