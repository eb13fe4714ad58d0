"""The invoker of plan programs: the supervisor runs it, the host drains it (spec 50 §21, 00 §13.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack

from msgspec import Raw, Struct
from msgspec.structs import replace

from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.json import decode, record_text
from ergo_cli.core.time import Clock
from ergo_cli.core.values import Effect, ProducedEffect
from ergo_cli.core.wire import FreeValue
from ergo_cli.errors import ErgoError, ProgramError, StepError
from ergo_cli.events.external import Context
from ergo_cli.programs.done_runs import done_run
from ergo_cli.programs.plan.continuing import (
    ChildEntries,
    WatchedJournal,
    check_continuable,
    is_ended,
    named_contents,
)
from ergo_cli.programs.plan.deadlines import DeadlineReached
from ergo_cli.programs.plan.effects import run_effects
from ergo_cli.programs.plan.engine import Engine, Phase, RunResult, StartRun
from ergo_cli.programs.plan.errors import (
    ErrorCategory,
    InvalidPlan,
    PlanError,
    RunError,
    in_run,
    is_store_failure,
)
from ergo_cli.programs.plan.events import Envelope, RunCompleted, RunStarted, StateCompleted, StateFailed, line
from ergo_cli.programs.plan.facts import IoCall, Transport
from ergo_cli.programs.plan.ids import RunId, is_run_id, run_of_event
from ergo_cli.programs.plan.leases import driving
from ergo_cli.programs.plan.parallel import Crew, ParallelScheduler, Threads
from ergo_cli.programs.plan.plan_changes import PlanKeeper, PlanRefused
from ergo_cli.programs.plan.plan_records import PlanRecords
from ergo_cli.programs.plan.program import PlanProgram
from ergo_cli.programs.plan.raised import Raised
from ergo_cli.programs.plan.stream import Artifacts, Streams
from ergo_cli.programs.plan.transports import TransportFactory
from ergo_cli.programs.seat import CallWithin, DeadlinePassed, Seat
from ergo_cli.stores.artifacts import ArtifactStore
from ergo_cli.stores.journals import EventJournal
from ergo_cli.stores.leases import Leases
from ergo_cli.supervisor.journals import CallError, End, EpisodeJournal, EpisodeLog
from ergo_cli.supervisor.seam import ErrKind, Failed, Outcome, RunTermination


class CallEnding(Struct, frozen=True):
    """How a call ended: with a result of the run, cut off, or with an error."""

    termination: RunTermination
    result: RunResult | None = None
    error: ErgoError | None = None

    @classmethod
    def of(cls, error: PlanError) -> CallEnding:
        """The ending of a call that raised."""
        return cls(termination_of_error(error), error=error)


class PlanInvoker:
    """Runs episodes of one plan program live; keeps effects and records until they are drained (HST-4).

    Each event has a run of its own; a second call for an event continues its run and repeats nothing. Unless it
    ``continues``, an event of a run that was done before raises StepError. ``last_error`` is what ended the last call.
    ``lanes`` keeps what parallel states do before it enters their run; ``crew`` runs them.
    """

    def __init__(
        self,
        program: PlanProgram,
        journal: EventJournal,
        artifacts: ArtifactStore,
        seat: Seat,
        lanes: EventJournal,
        crew: Callable[[], Crew] = Threads,
    ) -> None:
        self._program = program
        self._raised = Raised(program)
        self._journal = WatchedJournal(journal)
        self._plans = None
        if seat.store is not None:
            self._plans = PlanRecords(journal, program, seat.provenance, accepts=seat.accepts_plan_changes)
        self._artifacts = artifacts
        self._leases = None if seat.store is None else seat.store.leases
        self._seat = seat
        self._lanes = lanes
        self._crew = crew
        self._log = EpisodeLog()
        self._children = ChildEntries(self._journal, Artifacts(artifacts))
        self._known: dict[str, int] = {}
        self._effects: list[ProducedEffect] = []
        self._run_calls = 0
        self.last_error: BaseException | None = None

    def run(self, graph_id: str, event_id: str, context: Context, deadline: int | None) -> RunTermination:
        """One call for the run of an event. Always replaces the pending effects.

        Raises StepError ``plan.already_completed``, ``plan.plan_changed``, and the error of a stream that a bundle
        could not hold.
        """
        self._run_calls += 1
        run_id = run_of_event(graph_id, event_id)
        engine = self._engine(deadline)
        self._effects = []
        self._raised.forget()
        with ExitStack() as stack:
            try:
                stack.enter_context(driving(self._leases, run_id))
                before = self._before(engine, run_id, event_id)
            except PlanError as error:
                error.where = in_run(error.where, run_id)
                self._log.begin(str(run_id))
                return self._end((graph_id, event_id), run_id, [], CallEnding.of(error), engine)
            try:
                ending = self._call(engine, run_id, len(before), context, deadline)
            except PlanRefused as refused:
                raise _refused(refused.error) from refused
            except PlanError as error:
                error.where = in_run(error.where, run_id)
                ending = CallEnding.of(error)
            return self._end((graph_id, event_id), run_id, before, ending, engine)

    @property
    def run_calls(self) -> int:
        """How many times ``run`` was called."""
        return self._run_calls

    @property
    def pending(self) -> int:
        """The number of effects not drained yet."""
        return len(self._effects)

    def drain_rendered(self) -> list[ProducedEffect]:
        """Drain the effects of the last attempt, in order of occurrence."""
        effects, self._effects = self._effects, []
        return effects

    def drain(self) -> list[Effect]:
        """Drain the same effects as values."""
        return [produced.effect for produced in self.drain_rendered()]

    def drain_journals(self) -> Sequence[EpisodeJournal]:
        """The records of the episode's run, then those of its children in order of spawning."""
        self._known.clear()
        return (self._log.drain(), *self._children.drain())

    def notices(self) -> Sequence[Notice]:
        """Warnings about runs that went on with a program that has changed."""
        return () if self._plans is None else self._plans.notices

    def close(self, interrupted: bool) -> Sequence[EpisodeJournal]:
        """Record nothing: a run that stopped may be resumed."""
        return ()

    def _call(self, engine: Engine, run_id: RunId, head: int, context: Context, deadline: int | None) -> CallEnding:
        """Start the run of an event, or continue it. Raises PlanError."""
        if deadline == 0:
            return CallEnding(Outcome.ABORTED)
        try:
            result = engine.resume(run_id) if head else self._start(engine, run_id, context)
        except DeadlineReached:
            return CallEnding(Outcome.TIMED_OUT)
        except ProgramError as error:
            return CallEnding(Failed(ErrKind.VALIDATION_FAILED), error=error)
        return CallEnding(Outcome.ABORTED, result)

    def _start(self, engine: Engine, run_id: RunId, context: Context) -> RunResult:
        manifest = self._program.manifest
        payload = decode(context.payload) if context.payload else None
        start = StartRun(
            manifest=manifest,
            manifest_id=engine.artifacts.put(manifest.canonical(engine.allowed_names)),
            plan=self._raised.watched(self._program.plan),
            run_config=manifest.run_config,
            initial_context=self._program.first_context(payload),
            run_id=run_id,
        )
        return engine.start(start)

    def _before(self, engine: Engine, run_id: RunId, event_id: str) -> Sequence[Envelope]:
        """The run before a call, whose first frame gets the records that the bundle does not have yet.

        Raises StorageError, and StepError as ``run``.
        """
        before = engine.streams.read(run_id)
        if len(before) == self._known.get(run_id, 0):
            self._log.begin(str(run_id), len(before))
            return before
        is_done = check_continuable(run_id, before)
        if is_done and not self._seat.continues:
            raise _already_completed(self._journal, run_id, event_id)
        artifacts = named_contents(engine.artifacts, before)
        self._log.begin(str(run_id), len(before), b"[" + b",".join(map(line, before)) + b"]")
        self._log.keep(artifacts.items())
        return before

    def _end(
        self, place: tuple[str, str], run_id: RunId, before: Sequence[Envelope], ending: CallEnding, engine: Engine
    ) -> RunTermination:
        """Take what the call appended; render its effects; write its last frame. ``place``: graph and event id."""
        taken = self._journal.taken()
        events = taken.pop(run_id, [])
        stream = [*before, *events]
        self._known[run_id] = len(stream)
        self._log.add(map(line, events))
        try:
            self._log.keep(named_contents(engine.artifacts, events).items())
            self._children.add(run_id, taken, events if self._program.parallel else None)
            self._effects = run_effects(*place, events, stream, engine.artifacts, self._children.stream)
        except PlanError as error:
            ending = CallEnding.of(error)
        self.last_error = error = ending.error
        termination = ending.termination
        if ending.result is not None:
            termination = termination_of(ending.result, stream)
            self.last_error = self._raised.failure(stream) if ending.result.phase is Phase.FAILED else None
        status = None if ending.result is None else ending.result.phase.value
        failure = error if isinstance(error, PlanError) and is_store_failure(error) else None
        shown = None if error is None else CallError.of(error)
        self._log.end(End(termination, Raw(record_text(status)), last_snapshot(stream), shown), failure)
        return termination

    def _engine(self, deadline: int | None) -> Engine:
        """An engine for one call; ``deadline`` is what is left for it, in ns."""
        seat = self._seat
        moment = None if deadline is None else seat.clock.monotonic_ns() + deadline
        wrap = self._in_time(moment)
        return live_engine(
            self._program,
            self._journal,
            self._artifacts,
            self._lanes,
            seat.clock,
            seat.entropy,
            moment=moment,
            wrap=wrap,
            raised=self._raised,
            leases=self._leases,
            within=seat.within,
            plans=self._plans,
            crew=self._crew,
        )

    def _in_time(self, moment: int | None) -> Callable[[Transport], Transport]:
        """Limits transports to the deadline of a call; past it the run stops and can be resumed."""
        if moment is None:
            return lambda transport: transport
        seat = self._seat

        def limited(transport: Transport) -> Transport:
            def answer(call: IoCall) -> FreeValue:
                left = max(moment - seat.clock.monotonic_ns(), 0)
                try:
                    return seat.within(left, lambda: transport(call), call.namespace)
                except DeadlinePassed:
                    raise DeadlineReached from None

            return answer

        return limited


def live_engine(
    program: PlanProgram,
    journal: EventJournal,
    artifacts: ArtifactStore,
    lanes: EventJournal,
    clock: Clock,
    entropy: Callable[[int], bytes],
    *,
    moment: int | None = None,
    wrap: Callable[[Transport], Transport] = lambda transport: transport,
    raised: Raised | None = None,
    leases: Leases | None = None,
    within: CallWithin | None = None,
    plans: PlanKeeper | None = None,
    crew: Callable[[], Crew] = Threads,
) -> Engine:
    """An engine with the program's transports, each wrapped, and its children; ``moment`` is its deadline.

    ``raised`` watches the handlers, ``leases`` are those of the journal, ``within`` keeps the time limits of states,
    ``plans`` is that of the engine. ``lanes`` and ``crew`` are for the states of a parallel program; children run one
    state at a time.
    """

    def made(transports: TransportFactory) -> Engine:
        return Engine(
            journal=journal,
            artifact_store=artifacts,
            resolver=program if raised is None else raised,
            entropy=entropy,
            transports=transports,
            clock=clock,
            deadline=moment,
            allowed_names=program.allowed_names,
            effectful=frozenset(program.effectful),
            on_refusal=(lambda state_id, error: None) if raised is None else raised.note,
            leases=leases,
            within=within,
            plans=plans,
        )

    engine = made(program.router(made, wrap))
    return replace(engine, scheduler=ParallelScheduler(lanes, crew)) if program.parallel else engine


def _already_completed(journal: EventJournal, run_id: RunId, event_id: str) -> StepError:
    streams = Streams(journal)

    def is_done(run: str) -> bool:
        return is_run_id(run) and is_ended(streams, run)

    fix = "name a fresh store with --store, or give the event another id"
    return done_run("plan", journal, run_id, is_done, fix=fix, event_id=event_id)


def _refused(error: RunError) -> StepError:
    refused = StepError("PlanChanged", error.message, where=error.where, fix=error.fix, details=error.details)
    refused.code = error.code
    return refused


_INPUT = (ErrorCategory.PARSING_INPUT, ErrorCategory.CONTEXT)


def termination_of(result: RunResult, stream: Iterable[Envelope]) -> RunTermination:
    """The termination of a call that left its run so; ``stream`` is that of the run (spec 50 §21)."""
    match result.phase:
        case Phase.COMPLETED:
            return Outcome.COMPLETED
        case Phase.FAILED:
            return Failed(ErrKind.VALIDATION_FAILED if last_category(stream) in _INPUT else ErrKind.SEMANTIC_ERROR)
        case Phase.RUNNING | Phase.CANCELLED:
            return Outcome.ABORTED


def termination_of_error(error: PlanError) -> RunTermination:
    """The termination of a call that raised."""
    if is_store_failure(error):
        return Failed(ErrKind.ADAPTER_UNAVAILABLE)
    is_plan = isinstance(error.form, InvalidPlan)
    return Failed(ErrKind.VALIDATION_FAILED if is_plan else ErrKind.RUNTIME_ERROR)


def last_category(stream: Iterable[Envelope]) -> ErrorCategory | None:
    """The category of the last failure."""
    failures = [event.kernel for event in stream if isinstance(event.kernel, StateFailed)]
    return failures[-1].error.info.category if failures else None


def last_snapshot(stream: Iterable[Envelope]) -> str | None:
    """The snapshot that a run has come to: its final one, else that of its last completed state, else the first."""
    found = None
    for envelope in stream:
        match envelope.kernel:
            case RunStarted(_, _, snapshot) | StateCompleted(_, snapshot) | RunCompleted(_, str() as snapshot):
                found = snapshot
            case _:
                pass
    return found
