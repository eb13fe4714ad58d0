"""Runs of kernel programs in a store: listed, shown, resumed, forked (spec 00 §13.8, 40 §10–11)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from ergo_cli.core import wire
from ergo_cli.core.json import JsonValue
from ergo_cli.core.time import Clock
from ergo_cli.errors import ErgoError, UsageError
from ergo_cli.programs.kernel.calls import is_run_id
from ergo_cli.programs.kernel.engine.actions import Resume
from ergo_cli.programs.kernel.engine.errors import Category, KernelError, at
from ergo_cli.programs.kernel.engine.events import (
    ActionRequested,
    BlockedInfo,
    Event,
    Interrupted,
    RunBlocked,
    RunCompleted,
    RunLog,
    RunStatus,
    SequencedEvent,
    end_of_log,
)
from ergo_cli.programs.kernel.engine.policy import JournalAttemptLog
from ergo_cli.programs.kernel.engine.state import InitialStates, copy_initial_state, initial_name
from ergo_cli.programs.kernel.leases import driving
from ergo_cli.programs.kernel.program import Kernel, KernelProgram
from ergo_cli.programs.kernel.runs.timeline import derived_status, ids_of, run_timeline
from ergo_cli.programs.kernel.tables import KERNEL_TABLES
from ergo_cli.programs.runs import (
    CancelledRun,
    Export,
    ForkedRun,
    ListedRun,
    Request,
    ResumedRun,
    Resumption,
    RunParts,
    RunRecord,
    ShownRun,
    Snapshot,
    Standing,
    TimedRun,
    run_not_found,
)
from ergo_cli.programs.seat import CallWithin
from ergo_cli.stores.backends import RunStore
from ergo_cli.stores.database import RunTables

_LAST_EVENTS = 5


class KernelRuns(Struct, frozen=True):
    """What ``ergo runs`` can do with the runs of kernel programs."""

    tables: RunTables = KERNEL_TABLES
    exports: Mapping[str, Export] = {}

    def is_run_id(self, text: str) -> bool:
        """Whether a text can name a run (spec 40 §3.1)."""
        return is_run_id(text)

    def run_ids(self, store: RunStore) -> list[str]:
        """The ids of all runs of the journal that can name one, ascending. Raises StoreError."""
        return list(filter(is_run_id, store.journal.runs()))

    def has(self, store: RunStore, run_id: str) -> bool:
        """Whether a run has events. Raises StoreError."""
        return is_run_id(run_id) and store.journal.head(run_id) > 0

    def list(self, store: RunStore) -> list[ListedRun]:
        """Every run, ascending by id; of each log only the end is read. Raises StoreError for a fault of the store."""
        return [_listed(store, run_id) for run_id in store.journal.runs()]

    def show(self, store: RunStore, run_id: str) -> ShownRun:
        """The status of a run; reads its whole log.

        Raises StoreError ``store.not_found``, and KernelError for a log that cannot be read.
        """
        _check_exists(store, run_id)
        timeline = run_timeline(store.journal, run_id)
        log = RunLog(store.journal, run_id)
        end = end_of_log(log)
        snapshot = store.snapshots.load_latest(run_id)
        interrupt = end.lifecycle if isinstance(end.lifecycle, Interrupted) else None
        return ShownRun(
            run_id=run_id,
            head=end.head,
            status=wire.encode(timeline.final_status),
            standing=_standing(store, run_id),
            snapshot=None if snapshot is None else Snapshot(snapshot.at_seq, snapshot.version),
            interrupt=None if interrupt is None else wire.encode(interrupt),
            question=None if interrupt is None else wire.encode(interrupt.value),
            request=_request(end.last) if isinstance(end.last, ActionRequested) else None,
            last_records=[_record(event) for event in log.scan(max(end.head - _LAST_EVENTS + 1, 1))],
        )

    def timeline(self, store: RunStore, run_id: str) -> TimedRun:
        """A run event by event. Raises as ``show``."""
        _check_exists(store, run_id)
        timeline = run_timeline(store.journal, run_id)
        return TimedRun(
            run_id=run_id,
            records=[wire.encode(entry) for entry in timeline.events],
            rows=[(entry.seq, entry.kind, entry.step_id, entry.action_id) for entry in timeline.events],
            final_status=wire.encode(timeline.final_status),
            standing=_standing(store, run_id),
        )

    def resume(
        self,
        store: RunStore,
        program: KernelProgram[Any],
        run_id: str,
        asked: Resumption,
        clock: Clock,
        entropy: Callable[[int], bytes] = bytes,
        within: CallWithin | None = None,
    ) -> ResumedRun:
        """Resume a run without a deadline; ``program.execute`` is resolved.

        Raises StoreError ``store.not_found``, and KernelError: ``kernel.not_blocked`` for an answer that is not
        awaited, ``kernel.already_completed`` for a run that is done, and whatever the program's functions raise;
        UsageError ``cli.missing_required_option`` where nothing says what the initial state is.
        """
        _check_exists(store, run_id)
        with driving(store.leases, run_id):
            return self._resume(store, program, run_id, asked, clock)

    def _resume(
        self, store: RunStore, program: KernelProgram[Any], run_id: str, asked: Resumption, clock: Clock
    ) -> ResumedRun:
        kernel = _kernel(store, program, clock)
        head = store.journal.head(run_id)
        if asked.rebuild:
            kernel.replay(
                run_id, _initial_state(store, program, run_id, asked)
            )  # dropped only if it folds without them
            store.snapshots.drop(run_id)
        has_snapshot = store.snapshots.load_latest(run_id) is not None
        initial = None if has_snapshot else _initial_state(store, program, run_id, asked)
        status = _drive(kernel, run_id, initial, asked)
        blocked = status.blocked if isinstance(status, RunBlocked) else BlockedInfo()
        return ResumedRun(
            run_id,
            wire.encode(status),
            _standing_after(status),
            head,
            store.journal.head(run_id),
            None if blocked.interrupt is None else wire.encode(blocked.interrupt.value),
            blocked.wait_signal,
        )

    def parts(self, store: RunStore, run_id: str) -> RunParts:
        """The log of a run, its failed attempts, its snapshots and its first state."""
        return RunParts([run_id], [run_id], [run_id, initial_name(run_id)])

    def is_part(self, run_id: str, name: str) -> bool:
        """Whether a name is that of the run, or of its first state."""
        return name in (run_id, initial_name(run_id))

    def artifacts(self, store: RunStore, run_id: str) -> tuple[()]:
        """None: runs of kernels name no artifacts."""
        return ()

    def cancel(self, store: RunStore, run_id: str, *, was_asked: bool) -> CancelledRun:
        """Refuse: the log of a kernel run has no record of a cancelled end (spec 40 §3.2).

        Raises StoreError ``store.not_found``, KernelError ``kernel.already_completed``, ``kernel.not_cancellable``.
        """
        _check_exists(store, run_id)
        if _standing(store, run_id) is Standing.COMPLETED:
            message = "the run has ended: Completed"
            raise KernelError(Category.DRIVER, message, code="kernel.already_completed", where=at(run_id))
        message = "a kernel run has no cancelled end"
        raise KernelError(Category.DRIVER, message, code="kernel.not_cancellable", where=at(run_id))

    def fork(self, store: RunStore, source: str, at: int, branch: str, event: JsonValue | UnsetType) -> ForkedRun:
        """Write the branch: the source's events up to ``at``, then the alternate event, in one append.

        The source's events after the fork point are left out, so that the branch can continue differently, and they
        need not be readable. Raises StoreError ``store.not_found``, KernelError ``kernel.seq_conflict``
        for a branch that has events already, UsageError ``cli.invalid_option_value`` for a fork point that is not in
        the log or an event that is not one.
        """
        alternate = None if event is UNSET else _event(event)
        source_log, branch_log = RunLog(store.journal, source), RunLog(store.journal, branch)
        _check_exists(store, source)
        _check_fork_point(source, at, source_log.head(), has_event=alternate is not None)
        with driving(store.leases, branch):
            if branch_log.head():
                raise _branch_exists(branch)
            store.snapshots.drop(branch)
            copy_initial_state(store.snapshots, source, branch)
            events: list[Event] = [each.event for each in source_log.scan(1, at)]
            if alternate is not None:
                events.append(alternate)
            branch_log.append(branch_log.batch(events, 0), 0)
        return ForkedRun(source, branch, at, None if alternate is None else wire.encode(alternate), len(events))


def _check_exists(store: RunStore, run_id: str) -> None:
    """Raise StoreError ``store.not_found`` for a run without events."""
    if not store.journal.head(run_id):
        raise run_not_found(run_id, store.journal.runs())


def _listed(store: RunStore, run_id: str) -> ListedRun:
    try:
        head = store.journal.head(run_id)
        snapshot = store.snapshots.load_latest(run_id)
        standing = _standing(store, run_id)
    except ErgoError as error:
        if not _is_of_one_run(error):
            raise
        return ListedRun(run_id, error=error)
    return ListedRun(run_id, head, standing, None if snapshot is None else snapshot.at_seq)


def _is_of_one_run(error: ErgoError) -> bool:
    """Whether the error is about records of a run, not about the store that holds them."""
    return error.code in ("kernel.corrupt_log", "kernel.unknown_event") or (
        error.code == "store.corrupt" and (error.where or "").startswith("run ")
    )


def _standing(store: RunStore, run_id: str) -> Standing:
    """Where a run stands; one that waits for a signal is blocked, though the log's last event is a request."""
    derived = Standing(derived_status(store.journal, run_id).value)
    if derived is not Standing.ACTIVE:
        return derived
    log = RunLog(store.journal, run_id)
    last = next(log.scan(log.head())).event
    return Standing.BLOCKED if _is_wait_for_signal(last) else derived


def _is_wait_for_signal(event: Event) -> bool:
    match event:
        case ActionRequested(_, {"WaitSignal": _}):
            return True
        case _:
            return False


def _standing_after(status: RunStatus) -> Standing:
    match status:
        case RunCompleted():
            return Standing.COMPLETED
        case RunBlocked():
            return Standing.BLOCKED
        case _:
            return Standing.FAILED


def _request(request: ActionRequested) -> Request:
    return Request(wire.encode(request), request.action_id, wire.encode(request.payload))


def _record(event: SequencedEvent) -> RunRecord:
    step_id, action_id = ids_of(event.event)
    contents = [getattr(event.event, name) for name in event.event.__struct_fields__ if not name.endswith("_id")]
    content = wire.encode(contents[0]) if contents else None
    return RunRecord(event.seq, event.kind, step_id or action_id, wire.encode(event), content)


def _kernel(store: RunStore, program: KernelProgram[Any], clock: Clock) -> Kernel[Any]:
    assert not isinstance(program.execute, str), "a live program has its executor"
    attempts = JournalAttemptLog(store.attempts) if program.extensions.log_attempts else None
    return program.kernel(store.journal, program.execute, snapshots=store.snapshots, clock=clock, attempts=attempts)


def _drive(kernel: Kernel[Any], run_id: str, initial: Any, asked: Resumption) -> RunStatus:
    end = kernel.log_end(run_id)
    waits = end.is_interrupted and not end.broken_off
    if asked.answer is UNSET and not waits and not asked.force:
        return kernel.run_until_blocked(run_id, initial, strict=True)
    answer = None if asked.answer is UNSET else asked.answer
    return kernel.resume(run_id, initial, Resume(answer), strict=not asked.force)


def _initial_state(store: RunStore, program: KernelProgram[Any], run_id: str, asked: Resumption) -> Any:
    """The state before the first event: made of a payload that is given, else as it was kept when the run began."""
    if asked.payload is not UNSET:
        return program.first_state(asked.payload)
    fix = "give the payload that the run began with: --payload JSON"
    try:
        kept = InitialStates(store.snapshots, program.codec).find(run_id)
    except KernelError as error:
        error.fix = fix
        raise
    if kept is None:
        message = f"run '{run_id}' has no snapshot, and its initial state was not kept"
        raise UsageError("cli.missing_required_option", message, where="option --payload", fix=fix)
    return kept


def _event(value: JsonValue) -> Event:
    try:
        return wire.read(value, Event)
    except wire.WireError as error:
        fix = 'write an event as the log has it, for example \'{"Resumed":{"value":"yes"}}\'; ergo runs show lists them'
        message = f"the value of --event is not an event: {error}"
        raise UsageError("cli.invalid_option_value", message, where="option --event", fix=fix) from error


def _check_fork_point(source: str, at: int, head: int, *, has_event: bool) -> None:
    if at > head:
        message = f"run '{source}' has no event {at}: its last one is {head}"
    elif at == 0 and not has_event:
        message = "a branch without events cannot be kept"
    else:
        return
    fix = f"choose --at between 1 and {head}"
    raise UsageError("cli.invalid_option_value", message, where="option --at", fix=fix)


def _branch_exists(run_id: str) -> KernelError:
    fix = "choose another name with --as"
    text = f"there is a run '{run_id}' already"
    return KernelError(Category.EVENT_STORE, text, code="kernel.seq_conflict", where=at(run_id), fix=fix)
