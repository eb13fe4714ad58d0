"""The engine: start a run, run its states in order, resume it from its stream alone (spec 50 §14–16)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from contextlib import nullcontext
from enum import Enum
from typing import Protocol

from msgspec import Struct

from ergo_cli.core import wire
from ergo_cli.core.json import JsonError, NotCanonicalError, decode
from ergo_cli.core.time import Clock, StandingClock
from ergo_cli.core.wire import FreeValue, WireError
from ergo_cli.programs.plan.attempts import Attempts, FailedAttempt, LiveAttempts, Stopped, Succeeded, check_exists
from ergo_cli.programs.plan.canonical import FloatNotAllowed, SecretsNotAllowed, refusal
from ergo_cli.programs.plan.context import read_snapshot, snapshot_text
from ergo_cli.programs.plan.deadlines import Deadline
from ergo_cli.programs.plan.errors import (
    Concurrency,
    ContextError,
    ErrorCategory,
    ErrorInfo,
    Failure,
    NotFound,
    PlanError,
    RunError,
    StorageError,
    in_run,
    invalid_plan,
    not_readable,
    storage_info,
)
from ergo_cli.programs.plan.events import Envelope, RunCompleted, RunStarted, RunStatus, StateCompleted, StateFailed
from ergo_cli.programs.plan.facts import FactIndex
from ergo_cli.programs.plan.failpoints import Failpoint, Failpoints
from ergo_cli.programs.plan.history import History, read_history
from ergo_cli.programs.plan.ids import MAX_ATTEMPT, RunId
from ergo_cli.programs.plan.leases import children_of, driving
from ergo_cli.programs.plan.manifest import ExecutionMode, RunConfig, RunManifest, Sequential
from ergo_cli.programs.plan.plan_changes import PlanKeeper
from ergo_cli.programs.plan.states import ExecutionPlan, order_of
from ergo_cli.programs.plan.stream import Artifacts, StoreFailed, Streams, Turn, Writer
from ergo_cli.programs.plan.transports import NoTransports, TransportFactory
from ergo_cli.programs.seat import CallWithin
from ergo_cli.stores.artifacts import ArtifactStore, artifact_id
from ergo_cli.stores.journals import EventJournal
from ergo_cli.stores.leases import HeldLease, Leases


class Phase(Enum):
    """Where a run stands; ``RUNNING`` is one that stopped and can be resumed."""

    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


class RunResult(Struct, frozen=True):
    """How a call left a run: its phase, and the last snapshot of a completed state."""

    run_id: RunId
    phase: Phase
    final_snapshot_id: str | None


class StartRun(Struct, frozen=True, kw_only=True):
    """What a run is started with. ``run_id`` None makes a random one."""

    manifest: RunManifest
    manifest_id: str
    plan: ExecutionPlan
    run_config: RunConfig
    initial_context: Mapping[str, FreeValue]
    run_id: RunId | None = None


class PlanResolver(Protocol):
    """Makes the plan of a manifest: always the same, and without reaching for the world."""

    def resolve(self, manifest: RunManifest) -> ExecutionPlan:
        """The plan. Raises RunError."""
        ...


class StartPoint(Struct, frozen=True):
    """The attempt that a resumed run begins with."""

    state_id: str
    attempt: int
    base: str


class Bases(Protocol):
    """The snapshots that the states of a run start from, and the one that the run has come to."""

    def of(self, state_id: str) -> str:
        """The snapshot that a state starts from, once the states before it have completed."""
        ...

    def completed(self, state_id: str, snapshot: str) -> None:
        """Take a completed state into account."""
        ...

    @property
    def last(self) -> str:
        """The context after all states that have completed."""
        ...


class Progress(Struct, frozen=True):
    """A run being driven: its plan, its stream, and how far it had come before."""

    plan: ExecutionPlan
    order: tuple[str, ...]
    config: RunConfig
    started: RunStarted
    writer: Writer
    bases: Bases
    completed: Collection[str] = ()
    start: StartPoint | None = None


class Scheduler(Protocol):
    """Decides which states of a run go on at a time, and what each of them starts from."""

    def check(self, mode: ExecutionMode) -> None:
        """Raise RunError ``plan.unsupported_execution_mode`` for a mode that it does not honour."""
        ...

    def bases(self, engine: Engine, plan: ExecutionPlan, order: Sequence[str], history: History) -> Bases:
        """The bases of a run of this history."""
        ...

    def run(self, engine: Engine, run: Progress, events: Sequence[Envelope]) -> RunResult:
        """Drive a run, whose stream holds ``events``, with ``Engine.run_states``."""
        ...


class LastSnapshot:
    """Each state starts from what the one before it left."""

    def __init__(self, snapshot: str) -> None:
        self.last = snapshot

    def of(self, state_id: str) -> str:
        """The last snapshot."""
        return self.last

    def completed(self, state_id: str, snapshot: str) -> None:
        """Go on from the snapshot of a completed state."""
        self.last = snapshot


class OneByOne(Struct, frozen=True):
    """Runs one state at a time, and honours no other mode."""

    def check(self, mode: ExecutionMode) -> None:
        """Raise RunError ``plan.unsupported_execution_mode`` unless the mode is ``Sequential``."""
        if not isinstance(mode, Sequential):
            raise invalid_plan("unsupported_execution_mode", "states are run one at a time")

    def bases(self, engine: Engine, plan: ExecutionPlan, order: Sequence[str], history: History) -> LastSnapshot:
        """The snapshot of the state completed last, else the initial one."""
        return LastSnapshot(_checkpoint(history))

    def run(self, engine: Engine, run: Progress, events: Sequence[Envelope]) -> RunResult:
        """Run the states in the calling thread."""
        facts = FactIndex.of(run.writer.run_id, events)
        return engine.run_states(run, engine.attempts_of(run.writer, run.config, facts))


class Engine(Struct, frozen=True, kw_only=True):
    """Drives runs in a journal and a store of artifacts. It holds no run: one engine may drive many.

    ``deadline`` stops a run between attempts and while it waits. ``max_orphan_recoveries`` is how often a state that
    never ends is tried again by ``resume``. ``allowed_names`` are texts that look like secrets and are none.
    ``effectful`` puts the runs under a supervisor (``Supervision``). ``on_refusal`` is that of ``LiveAttempts``.
    ``leases`` are those of the journal: without them two processes may drive one run, and the second append fails.
    ``plans`` refuses to continue a run with another plan than the one that it was begun with (PlanRefused).
    ``within`` keeps the time limits of states, ``turn`` is what each record is made in. ``scheduler`` decides which
    modes are honoured.
    """

    journal: EventJournal
    artifact_store: ArtifactStore
    resolver: PlanResolver
    entropy: Callable[[int], bytes]
    transports: TransportFactory = NoTransports()
    clock: Clock = StandingClock()
    deadline: int | None = None
    max_orphan_recoveries: int = 10
    allowed_names: Set[str] = frozenset()
    failpoints: Failpoints = Failpoints()
    effectful: frozenset[str] | None = None
    on_refusal: Callable[[str, ContextError], object] = lambda state_id, error: None
    leases: Leases | None = None
    within: CallWithin | None = None
    turn: Turn = nullcontext()
    plans: PlanKeeper | None = None
    scheduler: Scheduler = OneByOne()

    def start(self, start: StartRun) -> RunResult:
        """Begin a run and drive it to its end. Raises RunError; until the run has begun nothing is appended."""
        run_id = RunId.random(self.entropy(16)) if start.run_id is None else start.run_id
        with _RunErrors(run_id):
            self._check_start(start)
            order = order_of(start.plan)
            if not self.artifacts.exists(start.manifest_id):
                message = f"the manifest {start.manifest_id} is not in the store"
                raise StorageError(NotFound(storage_info("manifest_not_found", message)))
            with driving(self.leases, run_id):
                return self._begin(start, run_id, order)

    def resume(self, run_id: RunId) -> RunResult:
        """Continue a run from where its stream ends. Raises RunError; a finished run answers from its stream."""
        with _RunErrors(run_id), driving(self.leases, run_id) as lease:
            history, events = self._history(run_id)
            if history.completed is not None:
                ended = history.completed
                if lease is not None:
                    lease.has_ended = True
                return RunResult(run_id, Phase(ended.status.value), ended.final_snapshot_id)
            if self.is_cancelled(run_id):
                return self._cancel(history, run_id)
            manifest = self._manifest(history, run_id)
            plan = self.resolver.resolve(manifest)
            if plan.op_id != manifest.op_id:
                message = f"the plan is of operation '{plan.op_id}', the run of '{manifest.op_id}'"
                raise invalid_plan("plan_op_id_mismatch", message, where=f"run '{run_id}'")
            writer = Writer(self.streams, run_id, self.turn)
            order = order_of(plan)
            if self.plans is not None:
                self.plans.check(run_id, manifest, plan, order, history)
            _check_recovery(history, order, run_id)
            bases = self.scheduler.bases(self, plan, order, history)
            if self.plans is not None:
                self.plans.keep(run_id, plan, order)
            return self._continue(manifest, plan, order, history, events, writer, bases)

    def cancel(self, run_id: RunId) -> RunResult:
        """End a run as cancelled, with the runs that it spawned; a finished one answers from its stream.

        Nothing is resolved and no handler called. Raises RunError, ``plan.run_busy`` where another drives one of them.
        """
        with _RunErrors(run_id), driving(self.leases, run_id):
            history, _ = self._history(run_id)
            if history.completed is None:
                return self._cancel(history, run_id)
            return RunResult(run_id, Phase(history.completed.status.value), history.completed.final_snapshot_id)

    def children(self, run_id: RunId) -> list[RunId]:
        """The runs that a run has spawned and that have not ended, as far as their leases tell. Raises RunError."""
        with _RunErrors(run_id):
            return [] if self.leases is None else children_of(self.leases, run_id)

    def is_cancelled(self, run_id: RunId) -> bool:
        """Whether somebody has asked for the end of a run, as far as its driver has seen."""
        lease = self._lease(run_id)
        return lease is not None and lease.is_cancelled

    def started(self, run_id: RunId) -> RunStarted:
        """How a run began: its operation, manifest and initial snapshot. Raises RunError."""
        with _RunErrors(run_id):
            return _started(self._history(run_id)[0])

    def snapshot(self, snapshot: str) -> dict[str, FreeValue]:
        """The context of a snapshot. Raises RunError."""
        with _RunErrors():
            return read_snapshot(self.artifacts, snapshot)

    def _begin(self, start: StartRun, run_id: RunId, order: tuple[str, ...]) -> RunResult:
        writer = Writer(self.streams, run_id, self.turn)
        if writer.head:
            raise _already_exists(run_id)
        initial = self.artifacts.put(snapshot_text(start.initial_context, self.allowed_names))
        if self.plans is not None:
            self.plans.keep(run_id, start.plan, order)
        history = History()
        history.started = RunStarted(start.plan.op_id, start.manifest_id, initial)
        writer.append(history.started)
        bases = self.scheduler.bases(self, start.plan, order, history)
        return self.scheduler.run(
            self, Progress(start.plan, order, start.run_config, history.started, writer, bases), ()
        )

    def _continue(
        self,
        manifest: RunManifest,
        plan: ExecutionPlan,
        order: tuple[str, ...],
        history: History,
        events: list[Envelope],
        writer: Writer,
        bases: Bases,
    ) -> RunResult:
        """The rows R11 to R16 of spec 50 §16.2, the first that fits."""
        config, orphan = manifest.run_config, history.orphan
        upcoming = next((state for state in order if state not in history.snapshots), None)
        if orphan is not None:
            if orphan.superseded >= self.max_orphan_recoveries:
                return self._give_up(writer, orphan.state_id, bases.last)
            start = StartPoint(orphan.state_id, _following(orphan.attempt), orphan.base_snapshot_id)
        elif upcoming is None:
            return self._finish(writer, RunStatus.COMPLETED, bases.last)
        elif (failure := history.failures.get(upcoming)) is not None:
            if not failure.retryable or failure.attempt + 1 >= config.retry_policy.max_attempts:
                return self._finish(writer, RunStatus.FAILED, bases.last)
            start = StartPoint(upcoming, _following(failure.attempt), failure.base_snapshot_id)
        else:
            start = StartPoint(upcoming, history.attempts.get(upcoming, -1) + 1, bases.of(upcoming))
        completed, started = history.snapshots.keys(), _started(history)
        progress = Progress(plan, order, config, started, writer, bases, completed, start)
        return self.scheduler.run(self, progress, events)

    def run_states(self, run: Progress, attempts: Attempts) -> RunResult:
        """Run the states that are left, in order, each until it succeeds or may not be tried again (spec 50 §14)."""
        deadline, retries = self._deadline(run.writer.run_id), run.config.retry_policy
        states = {state.id: state for state in run.plan.states}
        for node in run.order:
            if node in run.completed:
                continue
            state = states[node]
            attempt, base = 0, run.bases.of(node)
            if run.start is not None and node == run.start.state_id:
                attempt, base = run.start.attempt, run.start.base
            while True:
                deadline.check()
                if self.is_cancelled(run.writer.run_id):
                    attempts.settle()
                    return self.finish_cancelled(run.writer, run.bases.last)
                with _RunErrors(run.writer.run_id, f"{node}#{attempt}"):
                    result = attempts.execute(state, attempt, base)
                match result:
                    case Succeeded(snapshot):
                        run.bases.completed(node, snapshot)
                        break
                    case Stopped():
                        return RunResult(run.writer.run_id, Phase.RUNNING, run.bases.last)
                    case FailedAttempt(retryable, failed):
                        if not retryable or failed + 1 >= retries.max_attempts:
                            return self._finish(run.writer, RunStatus.FAILED, run.bases.last)
                        deadline.sleep(retries.backoff.after(failed))
                        attempt = _following(failed)
        return self._finish(run.writer, RunStatus.COMPLETED, run.bases.last)

    def _finish(self, writer: Writer, status: RunStatus, snapshot: str) -> RunResult:
        if self.failpoints.strikes(Failpoint.BEFORE_RUN_COMPLETED):
            return RunResult(writer.run_id, Phase.RUNNING, snapshot)
        if status is RunStatus.COMPLETED:
            check_exists(self.artifacts, snapshot, writer.run_id)
        writer.append(RunCompleted(status, snapshot))
        lease = self._lease(writer.run_id)
        if lease is not None:
            lease.has_ended = True
        return RunResult(writer.run_id, Phase(status.value), snapshot)

    def finish_cancelled(self, writer: Writer, snapshot: str) -> RunResult:
        """End a run as cancelled, and the runs that it spawned. Raises RunError."""
        for child in self.children(writer.run_id):
            self.cancel(child)
        return self._finish(writer, RunStatus.CANCELLED, snapshot)

    def _cancel(self, history: History, run_id: RunId) -> RunResult:
        """End a run that was read; an attempt that was cut off fails, since a run ends between two attempts."""
        writer = Writer(self.streams, run_id, self.turn)
        if history.orphan is not None:
            state_id, message = history.orphan.state_id, "the attempt was cut off, its run cancelled"
            info = ErrorInfo("run_cancelled", ErrorCategory.UNKNOWN, False, message)
            writer.append(StateFailed(state_id, Failure(state_id, info), None))
        return self.finish_cancelled(writer, _checkpoint(history))

    def _give_up(self, writer: Writer, state_id: str, checkpoint: str) -> RunResult:
        message = f"the state did not end in {self.max_orphan_recoveries + 1} attempts"
        info = ErrorInfo("orphan_recoveries_exhausted", ErrorCategory.UNKNOWN, False, message)
        writer.append(StateFailed(state_id, Failure(state_id, info), None))
        return self._finish(writer, RunStatus.FAILED, checkpoint)

    def attempts_of(self, writer: Writer, config: RunConfig, facts: FactIndex) -> LiveAttempts:
        """What executes the attempts of a run; a replay has its own."""
        return LiveAttempts(
            self.artifacts,
            writer,
            config,
            facts,
            self.transports,
            self.clock,
            self.entropy,
            self._deadline(writer.run_id),
            self.failpoints,
            self.allowed_names,
            self.effectful,
            self.on_refusal,
            within=self.within,
            turn=self.turn,
        )

    def _history(self, run_id: RunId) -> tuple[History, list[Envelope]]:
        if not self.streams.head(run_id):
            message = f"the stream of run '{run_id}' was not found"
            raise StorageError(NotFound(storage_info("run_not_found", message)), where=f"run '{run_id}'")
        events = self.streams.read(run_id)
        return read_history(run_id, events), events

    def _manifest(self, history: History, run_id: RunId) -> RunManifest:
        """The stored manifest of a run; refused in the order undecodable, damaged, of another shape."""
        started = _started(history)
        manifest = read_manifest(self.artifacts, started.manifest_id)
        self.scheduler.check(manifest.run_config.execution_mode)
        if started.op_id != manifest.op_id:
            message = f"the run began operation '{started.op_id}', its manifest is of '{manifest.op_id}'"
            raise invalid_plan("run_started_op_id_mismatch", message, where=f"run '{run_id}' seq 1")
        return manifest

    def _check_start(self, start: StartRun) -> None:
        """The contract of ``start``, in its order: mode, manifest, its id, operation, configuration."""
        self.scheduler.check(start.run_config.execution_mode)
        if artifact_id(_manifest_text(start.manifest, self.allowed_names)) != start.manifest_id:
            raise invalid_plan("manifest_id_mismatch", f"the manifest's id is not {start.manifest_id}")
        if start.manifest.op_id != start.plan.op_id:
            message = f"the manifest is of operation '{start.manifest.op_id}', the plan of '{start.plan.op_id}'"
            raise invalid_plan("manifest_op_id_mismatch", message)
        if start.manifest.run_config != start.run_config:
            raise invalid_plan("run_config_mismatch", "the run's configuration is not the manifest's")

    @property
    def streams(self) -> Streams:
        """The streams of its runs."""
        return Streams(self.journal)

    @property
    def artifacts(self) -> Artifacts:
        """The artifacts of its runs."""
        return Artifacts(self.artifact_store)

    def _lease(self, run_id: RunId) -> HeldLease | None:
        return None if self.leases is None else self.leases.held.get(run_id)

    def _deadline(self, run_id: RunId) -> Deadline:
        return Deadline(self.clock, self.deadline, self._lease(run_id))


def read_manifest(artifacts: Artifacts, manifest_id: str) -> RunManifest:
    """A stored manifest.

    Raises StorageError; ContextError ``plan.manifest_decode_failed``, then RunError ``plan.manifest_corrupt`` for bytes
    of another digest, then ContextError ``plan.manifest_deserialize_failed``.
    """
    data = artifacts.read(manifest_id)
    where = f"artifact {manifest_id}"
    try:
        value = decode(data)
    except JsonError as error:
        message = f"the manifest {manifest_id} is not JSON: {error}"
        raise not_readable("manifest_decode_failed", message, where) from error
    if artifact_id(data) != manifest_id:
        message = f"the bytes of the manifest {manifest_id} have another digest"
        raise invalid_plan("manifest_corrupt", message, where=where)
    try:
        return wire.read(value, RunManifest)
    except WireError as error:
        message = f"the artifact {manifest_id} is not a manifest: {error}"
        raise not_readable("manifest_deserialize_failed", message, where) from error


def is_given_up(end: StateCompleted | StateFailed) -> bool:
    """Whether an attempt was closed without being made again, because too many before it had not ended."""
    return isinstance(end, StateFailed) and end.error.info.code == "orphan_recoveries_exhausted"


class _RunErrors:
    """Turns every other plan error into the RunError that stands for it, and says which run and attempt it ended."""

    def __init__(self, run_id: str | None = None, attempt: str | None = None) -> None:
        self._run_id = run_id
        self._attempt = attempt

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        found = error.error if isinstance(error, StoreFailed) else error
        if not isinstance(found, PlanError):
            return
        if self._run_id is not None:
            found.where = in_run(found.where, self._run_id, self._attempt)
        if error is not found or not isinstance(found, RunError):
            raise RunError.of(found) from found


def _manifest_text(manifest: RunManifest, allowed: Set[str]) -> bytes:
    try:
        return manifest.canonical(allowed)
    except SecretsNotAllowed as error:
        raise invalid_plan("secrets_detected", f"the manifest is refused: {refusal(error)}") from error
    except FloatNotAllowed as error:
        raise invalid_plan("manifest_not_canonical", f"the manifest is refused: {refusal(error)}") from error
    except NotCanonicalError as error:
        raise invalid_plan("manifest_serialize_failed", f"the manifest is refused: {refusal(error)}") from error


def _check_recovery(history: History, order: tuple[str, ...], run_id: str) -> None:
    """Refuse a plan that is not the one that an unfinished run began (spec 50 §14)."""
    where, known = f"run '{run_id}'", set(order)
    lost = next((state for state in (*history.attempts, *history.snapshots) if state not in known), None)
    if lost is not None:
        message = f"the run entered the state '{lost}', which the plan does not have"
        raise invalid_plan("recovery_state_not_in_plan", message, where=where)
    orphan = history.orphan
    if orphan is not None and orphan.state_id in history.snapshots:
        message = f"the state '{orphan.state_id}' is entered again although it is completed"
        raise invalid_plan("start_state_already_completed", message, where=where)
    if orphan is not None:
        before = order[: order.index(orphan.state_id)]
        skipped = next((state for state in before if state not in history.snapshots), None)
        if skipped is not None:
            message = f"the state '{skipped}' comes before '{orphan.state_id}' now, and was never run"
            raise invalid_plan("recovery_plan_order_changed", message, where=where)


def _checkpoint(history: History) -> str:
    """The snapshot of the state completed last, else the initial one."""
    return history.checkpoint or _started(history).initial_snapshot_id


def _started(history: History) -> RunStarted:
    """How the run of a history began."""
    assert history.started is not None, "a history without a beginning is refused"
    return history.started


def _following(attempt: int) -> int:
    if attempt >= MAX_ATTEMPT:
        raise invalid_plan("invalid_plan", "the state has been tried as often as attempts can be counted")
    return attempt + 1


def _already_exists(run_id: RunId) -> StorageError:
    message = f"the run '{run_id}' exists"
    return StorageError(Concurrency(storage_info("run_already_exists", message)), where=f"run '{run_id}'")
