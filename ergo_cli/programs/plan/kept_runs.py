"""Runs of plan programs in a store: listed, shown, resumed, forked (spec 00 §13.8)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from msgspec import UNSET, Struct, UnsetType

from ergo_cli.core import wire
from ergo_cli.core.json import JsonValue, record_text
from ergo_cli.core.time import Clock
from ergo_cli.errors import ErgoError, StoreError, UsageError
from ergo_cli.programs.plan.continuing import last_event
from ergo_cli.programs.plan.engine import Engine, Phase
from ergo_cli.programs.plan.errors import Concurrency, RunError, StorageError, invalid_plan, storage_info
from ergo_cli.programs.plan.events import Envelope, RunCompleted, StateEntered, fact_of, line, named_artifacts
from ergo_cli.programs.plan.facts import FactIndex
from ergo_cli.programs.plan.history import EnvelopeFault, History, read_history
from ergo_cli.programs.plan.ids import RunId, is_run_id
from ergo_cli.programs.plan.invoker import last_snapshot, live_engine
from ergo_cli.programs.plan.leases import driving
from ergo_cli.programs.plan.manifest import RunManifest
from ergo_cli.programs.plan.parallel import lanes_of
from ergo_cli.programs.plan.plan_changes import PlanRefused
from ergo_cli.programs.plan.plan_records import PlanRecords, copy_plan, plan_place
from ergo_cli.programs.plan.program import PlanProgram
from ergo_cli.programs.plan.reasons import reasons_of, skip_tags_of
from ergo_cli.programs.plan.record_lines import parts_of
from ergo_cli.programs.plan.states import ExecutionPlan
from ergo_cli.programs.plan.stream import Artifacts, Streams
from ergo_cli.programs.plan.tables import PLAN_TABLES
from ergo_cli.programs.runs import (
    CancelledRun,
    Export,
    ForkedRun,
    ListedRun,
    ResumedRun,
    Resumption,
    RunParts,
    RunRecord,
    RunTable,
    ShownRun,
    Standing,
    TimedRun,
    TimelineEntry,
    run_not_found,
)
from ergo_cli.programs.seat import CallWithin
from ergo_cli.stores.backends import RunStore
from ergo_cli.stores.database import RunTables

_LAST_EVENTS = 5
_STANDINGS = {
    Phase.RUNNING: Standing.ACTIVE,
    Phase.COMPLETED: Standing.COMPLETED,
    Phase.FAILED: Standing.FAILED,
    Phase.CANCELLED: Standing.CANCELLED,
}


class StateReason(Struct, frozen=True):
    """Why a state ran, ran again or was left out."""

    state: str
    why: str


class PlanSummary(Struct, frozen=True, omit_defaults=True):
    """The status of a run: its phase, the snapshot it has come to, and what became of its states."""

    status: Phase
    snapshot: str | None
    states: tuple[StateReason, ...] = ()


class PlanRuns(Struct, frozen=True):
    """What ``ergo runs`` can do with the runs of plan programs."""

    tables: RunTables = PLAN_TABLES
    exports: Mapping[str, Export] = {}

    def is_run_id(self, text: str) -> bool:
        """Whether a text can name a run: a UUID as streams spell it."""
        return is_run_id(text)

    def run_ids(self, store: RunStore) -> list[str]:
        """The ids of all runs, ascending. Raises StoreError."""
        return Streams(store.journal).runs()

    def has(self, store: RunStore, run_id: str) -> bool:
        """Whether a run has events. Raises StoreError."""
        return is_run_id(run_id) and store.journal.head(run_id) > 0

    def list(self, store: RunStore) -> list[ListedRun]:
        """Every run, ascending by id; only the end of each stream is read. Raises StoreError."""
        return [_listed(store, run_id) for run_id in self.run_ids(store)]

    def show(self, store: RunStore, run_id: str) -> ShownRun:
        """The status of a run; reads its whole stream.

        Raises StoreError ``store.not_found``, StorageError, and RunError for a stream that no run can have written.
        """
        events = _events(store, run_id)
        history, skip_tags = read_history(run_id, events), skip_tags_of(events, Artifacts(store.artifacts))
        reasons = [*reasons_of(events, skip_tags), *_reasons_of_lanes(store, history, skip_tags)]
        phase = _phase(history)
        summary = PlanSummary(phase, last_snapshot(events), tuple(StateReason(*reason) for reason in reasons))
        return ShownRun(
            run_id=run_id,
            head=len(events),
            status=wire.encode(summary),
            standing=_STANDINGS[phase],
            snapshot=None,
            interrupt=None,
            question=None,
            request=None,
            last_records=[_record(event) for event in events[-_LAST_EVENTS:]],
            tables=(RunTable(("state", "why"), reasons),),
        )

    def timeline(self, store: RunStore, run_id: str) -> TimedRun:
        """A run event by event. Raises as ``show``."""
        events = _events(store, run_id)
        phase = _phase(read_history(run_id, events))
        entries = list(_timeline(events))
        return TimedRun(
            run_id=run_id,
            records=[wire.encode(entry) for entry in entries],
            rows=[(entry.seq, entry.kind, entry.step_id, entry.action_id) for entry in entries],
            final_status=wire.encode(PlanSummary(phase, last_snapshot(events))),
            standing=_STANDINGS[phase],
        )

    def resume(
        self,
        store: RunStore,
        program: PlanProgram,
        run_id: str,
        asked: Resumption,
        clock: Clock,
        entropy: Callable[[int], bytes] = bytes,
        within: CallWithin | None = None,
    ) -> ResumedRun:
        """Drive an unfinished run to its end, without a deadline; the program's transports are resolved.

        Raises StoreError ``store.not_found``; UsageError ``cli.conflicting_options`` for what a plan cannot be given;
        RunError: ``plan.already_completed`` for a run that has ended, ``plan.intents_unsent`` for a program whose
        intents only the run of an event can send, unless forced, ``plan.plan_changed`` for another plan than the one
        that the run was begun with, unless that is accepted, and whatever ends the run.
        """
        if not store.journal.head(run_id):
            raise run_not_found(run_id, Streams(store.journal).runs())
        _check_asked(asked)
        with driving(store.leases, run_id):
            before = _events(store, run_id)
            phase = _phase(read_history(run_id, before))
            if phase is not Phase.RUNNING:
                raise _ended(run_id, phase)
            if program.effectful and not asked.force:
                raise _intents_unsent(program, run_id)
            plans = PlanRecords(store.journal, program, asked.provenance, accepts=asked.accept_plan_change)
            engine = live_engine(
                program,
                store.journal,
                store.artifacts,
                store.attempts,
                clock,
                entropy,
                leases=store.leases,
                within=within,
                plans=plans,
            )
            try:
                result = engine.resume(RunId.from_wire(run_id))
            except PlanRefused as refused:
                raise refused.error from refused
            status = wire.encode(PlanSummary(result.phase, result.final_snapshot_id))
            head, notices = store.journal.head(run_id), tuple(plans.notices)
            return ResumedRun(run_id, status, _STANDINGS[result.phase], len(before), head, notices=notices)

    def parts(self, store: RunStore, run_id: str) -> RunParts:
        """The plans that the run was driven by, its stream, and the lanes of its parallel states."""
        lanes = [name for name in store.attempts.runs() if self.is_part(run_id, name)]
        return RunParts([plan_place(run_id), run_id], lanes)

    def is_part(self, run_id: str, name: str) -> bool:
        """Whether a name is that of the run, or begins with it and a slash."""
        return name.partition("/")[0] == run_id

    def artifacts(self, store: RunStore, run_id: str) -> list[str]:
        """The manifest, the snapshots and the facts of a run, in lanes too while it has not ended; else none.

        Raises StorageError ``plan.event_stream_corrupt``, and RunError, for a stream that cannot be read whole.
        """
        events = Streams(store.journal).read(run_id)
        history = read_history(run_id, events)
        FactIndex.of(run_id, events)
        lanes = lanes_of(store.attempts, run_id) if history.completed is None else ()
        return list(named_artifacts(chain(events, *(lane for _, lane in lanes))))

    def cancel(self, store: RunStore, run_id: str, *, was_asked: bool) -> CancelledRun:
        """Append the end of a run, and of its children that have not ended, between two attempts.

        Raises StoreError ``store.not_found``; RunError: ``plan.run_busy``, ``plan.already_completed`` for a run that
        has ended, unless as cancelled by the driver that was asked, and those of a stream that cannot be read.
        """
        if not store.journal.head(run_id):
            raise run_not_found(run_id, store.journal.runs())
        engine = _bare_engine(store)
        with driving(store.leases, run_id):
            phase = _phase(read_history(run_id, _events(store, run_id)))
            is_done = was_asked and phase is Phase.CANCELLED
            if phase is not Phase.RUNNING and not is_done:
                raise _ended(run_id, phase)
            children = engine.children(RunId(run_id))
            engine.cancel(RunId(run_id))
            return CancelledRun(run_id, store.journal.head(run_id), tuple(map(str, children)), is_done)

    def fork(self, store: RunStore, source: str, at: int, branch: str, event: JsonValue | UnsetType) -> ForkedRun:
        """Write the branch: the source's events up to ``at``, then the alternate event, in one append.

        The facts and snapshots of those events are shared; the source's later events need not be readable. Raises
        StoreError ``store.not_found``, StorageError ``plan.event_store_concurrency`` for a branch that has events
        already, UsageError ``cli.invalid_option_value`` for a branch whose name is not a UUID, a fork point that is not
        in the stream, or an event that cannot follow there.
        """
        streams = Streams(store.journal)
        head = streams.head(source)
        if not head:
            raise run_not_found(source, streams.runs())
        _check_fork(source, at, head, branch)
        with driving(store.leases, branch):
            if streams.head(branch):
                raise _branch_exists(branch)
            events = [_moved(each, branch) for each in streams.read(source, 1, at)]
            if event is not UNSET:
                events.append(_alternate(store, branch, events, event))
            copy_plan(store.journal, source, branch)
            streams.append(branch, events, 0)
        own = None if event is UNSET else wire.encode(events[-1].event)
        return ForkedRun(source, branch, at, own, len(events))


def _events(store: RunStore, run_id: str) -> Sequence[Envelope]:
    """The stream of a run. Raises StoreError ``store.not_found`` for a run without events."""
    streams = Streams(store.journal)
    events = streams.read(run_id)
    if not events:
        raise run_not_found(run_id, streams.runs())
    return events


def _ended(run_id: str, phase: Phase) -> RunError:
    return invalid_plan("already_completed", f"run '{run_id}' has ended: {phase.value}", where=f"run '{run_id}'")


def _bare_engine(store: RunStore) -> Engine:
    """An engine that ends runs, and drives none."""
    return Engine(
        journal=store.journal,
        artifact_store=store.artifacts,
        resolver=_NoPlans(),
        entropy=bytes,
        leases=store.leases,
    )


class _NoPlans:
    def resolve(self, manifest: RunManifest) -> ExecutionPlan:
        raise AssertionError("a run that is cancelled needs no plan")


def _reasons_of_lanes(store: RunStore, history: History, skip_tags: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The states that have run beside others and are not in the stream: not yet, or because one before them failed."""
    assert history.run_id is not None
    for state_id, events in lanes_of(store.attempts, history.run_id):
        if state_id not in history.attempts:
            for state, why in reasons_of(events, skip_tags):
                yield state, f"not in the stream: {why}"


def _phase(history: History) -> Phase:
    return Phase.RUNNING if history.completed is None else Phase(history.completed.status.value)


def _listed(store: RunStore, run_id: str) -> ListedRun:
    try:
        last = last_event(Streams(store.journal), run_id)
    except ErgoError as error:
        if not isinstance(error.__cause__, StoreError) or error.code == "plan.event_stream_corrupt":
            return ListedRun(run_id, error=error)
        raise
    ended = last.kernel
    phase = Phase(ended.status.value) if isinstance(ended, RunCompleted) else Phase.RUNNING
    return ListedRun(run_id, last.seq, _STANDINGS[phase])


def _record(event: Envelope) -> RunRecord:
    name, place, fields = parts_of(event)
    return RunRecord(event.seq, name, place or None, line(event), record_text(fields) if fields else None)


def _timeline(events: Iterable[Envelope]) -> Iterator[TimelineEntry]:
    """What happened, each event of a handler with the attempt that it belongs to."""
    attempt: str | None = None
    for event in events:
        name, place, _ = parts_of(event)
        if isinstance(event.kernel, StateEntered):
            attempt = place
        fact = None if event.domain is None else fact_of(event.domain)
        yield TimelineEntry(
            event.seq, name, attempt if event.domain else place or None, None if fact is None else fact.key
        )


def _check_asked(asked: Resumption) -> None:
    given = {"--value": asked.answer is not UNSET, "--payload": asked.payload is not UNSET, "--rebuild": asked.rebuild}
    option = next((name for name, is_given in given.items() if is_given), None)
    if option is not None:
        message = f"a plan is not resumed with {option}: it goes on from its last snapshot"
        raise UsageError("cli.conflicting_options", message, where=f"option {option}", fix=f"leave {option} out")


def _intents_unsent(program: PlanProgram, run_id: str) -> ErgoError:
    message = f"the program '{program.graph_id}' queues intents, which are sent by the run of an event alone"
    error = invalid_plan("intents_unsent", message, where=f"run '{run_id}'")
    error.fix = "run or capture its event again on this store; --force resumes the run and sends nothing"
    return error


def _check_fork(source: str, at: int, head: int, branch: str) -> None:
    if not is_run_id(branch):
        message, option = f"'{branch}' is not the id of a plan run: a UUID in lower case", "--as"
        fix = "name a UUID, as uuidgen prints them"
    elif not 1 <= at <= head:
        message, option = f"run '{source}' has no event {at}: its last one is {head}", "--at"
        fix = f"choose --at between 1 and {head}"
    else:
        return
    raise UsageError("cli.invalid_option_value", message, where=f"option {option}", fix=fix)


def _branch_exists(branch: str) -> StorageError:
    info = storage_info("run_already_exists", f"there is a run '{branch}' already")
    return StorageError(Concurrency(info), where=f"run '{branch}'", fix="choose another name with --as")


def _moved(event: Envelope, branch: str) -> Envelope:
    return Envelope(RunId(branch), event.seq, event.ts_millis, event.event)


def _alternate(store: RunStore, branch: str, before: Sequence[Envelope], value: JsonValue) -> Envelope:
    """The event that is added to a branch. Raises UsageError unless it can follow there."""
    envelope = {"run_id": branch, "seq": len(before) + 1, "ts_millis": None, "event": value}
    fix = "write an event as --format json shows it, without its run and seq"
    try:
        event = wire.read(envelope, Envelope)
        History.of([*before, event])
        FactIndex.of(branch, [*before, event])
        missing = [name for name in named_artifacts([event]) if not Artifacts(store.artifacts).exists(name)]
    except (wire.WireError, EnvelopeFault) as error:
        raise _unfit(f"is not an event that can follow: {error}", fix) from error
    if missing:
        raise _unfit(f"names an artifact that the store does not have: {missing[0]}", fix)
    return event


def _unfit(what: str, fix: str) -> UsageError:
    return UsageError("cli.invalid_option_value", f"the value of --event {what}", where="option --event", fix=fix)
