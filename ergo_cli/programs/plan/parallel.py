"""Parallel states: ready states run at once, and leave the stream that they would have left one after the other (B-5).

Ready are the states that edges put behind completed ones alone; at most ``max_concurrency`` run at a time, those that
come first in the order of the plan first. Each starts from its join snapshot (``joins``), sees the facts of the states
before it (``seen_facts``), and runs on a thread of its own.

**Lanes.** A state runs in a *lane*: a run of that state alone, ``<run>/<state>``, in a journal beside the one of runs,
driven by the engine as any run is. What happens in it, facts and retries too, is durable there at once. Once the states
before it in the order of the plan are in the stream of the run, the events of an ended lane are appended to it, all in
one append. So the stream holds one state after the other, in the order of the plan, whatever the timing; the history of
a run, replay and reports read it like any other.

**Ends.** A lane that fails, raises or stops bars the states behind it in the order of the plan: those that run are
waited for and left out of the stream, no further ones begin. The states before it go on, and enter the stream; then the
run ends as one that runs one state at a time would end there.

**Overlaps.** Of two states without an order that change one key of the context, or record one fact key, the later one
fails: it keeps its events up to there and ends with ``overlapping_writes`` or ``overlapping_facts``. That is decided
when its lane enters the stream, hence always on the same states.

**Resume.** What is in the stream stands. Every other state goes on in its lane, or is read from it if it had ended: no
recorded answer is asked for again. Lanes are kept after their events are in the stream.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Protocol, Self

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.time import Clock
from ergo_cli.programs.plan.attempts import AttemptResult, FailedAttempt, LiveAttempts, Stopped, Succeeded
from ergo_cli.programs.plan.deadlines import Deadline, DeadlineReached
from ergo_cli.programs.plan.engine import Engine, OneByOne, Phase, Progress, RunResult
from ergo_cli.programs.plan.errors import Failure, invalid_plan
from ergo_cli.programs.plan.events import (
    DomainEvent,
    Envelope,
    KernelEvent,
    RunCompleted,
    StateEntered,
    StateFailed,
    fact_of,
)
from ergo_cli.programs.plan.history import History
from ergo_cli.programs.plan.joins import Joins, Precedence
from ergo_cli.programs.plan.manifest import ExecutionMode, FanOutJoin, RunManifest
from ergo_cli.programs.plan.plan_changes import PlanRefused
from ergo_cli.programs.plan.seen_facts import RunFacts, SeenFacts
from ergo_cli.programs.plan.states import ExecutionPlan, State
from ergo_cli.programs.plan.stream import Streams, Writer
from ergo_cli.stores.journals import EventJournal
from ergo_cli.stores.leases import HeldLease

Event = KernelEvent | DomainEvent


class Crew(Protocol):
    """Does work beside the thread that starts it."""

    def start(self, work: Callable[[], None], name: str) -> None:
        """Begin work that raises nothing; ``name`` aids debugging."""
        ...

    def wait(self) -> None:
        """Return once one more of the started works has ended."""
        ...


class Threads:
    """A crew of threads; they do not keep the process alive."""

    def __init__(self) -> None:
        self._ended: SimpleQueue[None] = SimpleQueue()

    def start(self, work: Callable[[], None], name: str) -> None:
        """Begin work on a new thread."""
        Thread(target=self._do, args=(work,), name=name, daemon=True).start()

    def wait(self) -> None:
        """Wait for one more thread."""
        self._ended.get()

    def _do(self, work: Callable[[], None]) -> None:
        work()
        self._ended.put(None)


class ParallelScheduler(Struct, frozen=True):
    """Runs ready states at once, and honours ``FanOutJoin`` alone. ``lanes`` is the journal that lanes are kept in."""

    lanes: EventJournal
    crew: Callable[[], Crew] = Threads

    def check(self, mode: ExecutionMode) -> None:
        """Raise RunError ``plan.unsupported_execution_mode`` unless the mode is ``FanOutJoin``."""
        check_parallel(mode)

    def bases(self, engine: Engine, plan: ExecutionPlan, order: Sequence[str], history: History) -> Joins:
        """The join snapshots of a run."""
        return joins_of(engine, plan, order, history)

    def run(self, engine: Engine, run: Progress, events: Sequence[Envelope]) -> RunResult:
        """Run the states in lanes; the calling thread appends their events to the stream."""
        with Lanes(engine, run, events, self) as lanes:
            result = engine.run_states(run, lanes)
        if result.phase is Phase.RUNNING and engine.is_cancelled(run.writer.run_id):
            return engine.finish_cancelled(run.writer, run.bases.last)
        return result


def check_parallel(mode: ExecutionMode) -> FanOutJoin:
    """The mode, if it is the one of parallel runs. Raises RunError ``plan.unsupported_execution_mode``."""
    if isinstance(mode, FanOutJoin):
        return mode
    raise invalid_plan("unsupported_execution_mode", "states are run concurrently, as FanOutJoin(max_concurrency) says")


def joins_of(engine: Engine, plan: ExecutionPlan, order: Sequence[str], history: History) -> Joins:
    """The join snapshots of a run of this history."""
    assert history.started is not None
    initial = history.started.initial_snapshot_id
    joins = Joins(Precedence(order, plan.edges), engine.artifacts, initial, frozenset(engine.allowed_names))
    for state_id in filter(history.snapshots.__contains__, order):
        _check_parents(joins.precedence, state_id, history)
        joins.completed(state_id, history.snapshots[state_id])
    return joins


def _check_parents(precedence: Precedence, state_id: str, history: History) -> None:
    """Refuse a plan in which a completed state comes behind one that is not."""
    parents = (precedence.order[parent] for parent in precedence.parents[precedence.places[state_id]])
    missed = next((parent for parent in parents if parent not in history.snapshots), None)
    if missed is not None:
        message = f"the state '{missed}' comes before '{state_id}' now, and was never run"
        raise invalid_plan("recovery_plan_order_changed", message, where=f"run '{history.run_id}'")


class LaneScheduler(OneByOne, frozen=True):
    """Runs the one state of a lane, which sees these facts, whatever mode the run of the lane has.

    The lane stops between two attempts once its run ``is_cancelled``.
    """

    facts: SeenFacts
    is_cancelled: Callable[[], bool]

    def check(self, mode: ExecutionMode) -> None:
        """Honour every mode."""

    def run(self, engine: Engine, run: Progress, events: Sequence[Envelope]) -> RunResult:
        """Run the state in the calling thread."""
        attempts = engine.attempts_of(run.writer, run.config, self.facts)
        return engine.run_states(run, LaneAttempts(attempts, self.is_cancelled))


class LaneAttempts(Struct, frozen=True):
    """Executes the attempts of a lane until its run ``is_cancelled``."""

    attempts: LiveAttempts
    is_cancelled: Callable[[], bool]

    def execute(self, state: State, attempt: int, base: str) -> AttemptResult:
        """Run one attempt, unless the run is cancelled."""
        return Stopped() if self.is_cancelled() else self.attempts.execute(state, attempt, base)

    def settle(self) -> None:
        """Return at once: nothing runs but an attempt."""


class LaneClock(Struct, frozen=True):
    """The clock of a lane, whose sleep ends once its run is cancelled."""

    clock: Clock
    lease: HeldLease

    def wall_ms(self) -> int:
        """As the clock."""
        return self.clock.wall_ms()

    def monotonic_ns(self) -> int:
        """As the clock."""
        return self.clock.monotonic_ns()

    def sleep_ns(self, duration: int) -> None:
        """Sleep, at most until the run is cancelled. Raises StorageError ``plan.run_busy`` where the lease is lost."""
        Deadline(self.clock, lease=self.lease).sleep(duration)


class Ended(Struct, frozen=True):
    """A lane that goes no further for now: its result, or what it raised."""

    place: int
    result: RunResult | None = None
    error: BaseException | None = None


class Abandoned(BaseException):
    """The run of a lane is driven no more; the lane stops at its next append, and can be resumed."""


class Lanes:
    """The lanes of one run, as the ``Attempts`` of its stream; a context manager that waits for what still runs.

    An exception that is to end the command at once, such as one of a signal, is not kept waiting: lanes then stop at
    their next append.
    """

    def __init__(self, engine: Engine, run: Progress, events: Sequence[Envelope], scheduler: ParallelScheduler) -> None:
        assert isinstance(run.bases, Joins)
        self._engine = engine
        self._run = run
        self._joins = run.bases
        self._journal = scheduler.lanes
        self._crew = scheduler.crew()
        self._width = max(check_parallel(run.config.execution_mode).max_concurrency, 1)
        self._begun_in_stream = _begun_state(run, events)
        precedence = self._precedence = self._joins.precedence
        self._facts = RunFacts(precedence, run.writer.run_id, events)
        self._states = {state.id: state for state in run.plan.states}
        done = {precedence.places[state] for state in run.completed}
        self._waits_for = [sum(parent not in done for parent in parents) for parents in precedence.parents]
        self._ready = [place for place, count in enumerate(self._waits_for) if not count and place not in done]
        heapify(self._ready)
        self._bar = len(precedence.order)
        self._running = 0
        self._outcomes: deque[Ended] = deque()
        self._ended: dict[int, Ended] = {}
        self._is_abandoned = False
        self._lease = None if engine.leases is None else engine.leases.held.get(run.writer.run_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self._is_abandoned = not (error is None or isinstance(error, Exception | DeadlineReached | PlanRefused))
        if not self._is_abandoned:
            self.settle()

    def execute(self, state: State, attempt: int, base: str) -> AttemptResult:
        """Append the events of a state's lane once it has ended, all its attempts at once; returns the last result.

        Raises what the lane raised. A state that ends the run is appended when nothing of the run is running any more.
        """
        place = self._precedence.places[state.id]
        while place not in self._ended:
            self._begin()
            self._take_one()
        ended = self._ended.pop(place)
        if ended.error is not None:
            raise ended.error
        assert ended.result is not None
        if ended.result.phase is Phase.RUNNING:
            return Stopped()
        events, result = self._outcome(place, ended.result)
        if not isinstance(result, Succeeded):
            self._bar_behind(place)
            self.settle()
        self._run.writer.append(*events)
        return result

    def settle(self) -> None:
        """Wait for all lanes that run."""
        while self._running:
            self._take_one()

    def _begin(self) -> None:
        """Begin as many lanes as may run, the first in the order of the plan first."""
        while self._ready and self._running < self._width and self._ready[0] < self._bar:
            place = heappop(self._ready)
            self._crew.start(lambda place=place: self._work(place), self._precedence.order[place])
            self._running += 1

    def _take_one(self) -> None:
        """Wait for a lane and see what its end means for the others."""
        self._crew.wait()
        ended = self._outcomes.popleft()
        self._running -= 1
        self._ended[ended.place] = ended
        if ended.result is None or ended.result.phase is not Phase.COMPLETED:
            self._bar_behind(ended.place)
            return
        refused = self._joins.first_refused(self._precedence.order[ended.place])
        if refused is not None:
            self._bar_behind(refused)
        for child in self._precedence.children[ended.place]:
            self._waits_for[child] -= 1
            if not self._waits_for[child]:
                heappush(self._ready, child)

    def _bar_behind(self, place: int) -> None:
        """Begin no state that comes behind this one in the order of the plan."""
        self._bar = min(self._bar, place)

    def _work(self, place: int) -> None:
        """Drive a lane, on a thread of the crew."""
        try:
            ended = Ended(place, self._driven(place))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread of the run
            ended = Ended(place, error=error)
        self._outcomes.append(ended)

    def _driven(self, place: int) -> RunResult:
        """Start a lane, or resume it. Raises what the engine raises."""
        state_id, run_id = self._precedence.order[place], self._run.writer.run_id
        base, lane = self._joins.of(state_id), self._lane(place)
        writer = Writer(lane.streams, run_id)
        if not writer.head:
            writer.append(replace(self._run.started, initial_snapshot_id=base), *self._copied(state_id))
        elif lane.started(run_id).initial_snapshot_id != base:
            message = f"the state '{state_id}' has begun on another context than the states before it leave now"
            raise invalid_plan("recovery_plan_order_changed", message, where=f"run '{run_id}'")
        self._facts.of(place).read(run_id, lane.streams.read(run_id))
        result = lane.resume(run_id)
        if result.phase is Phase.COMPLETED:
            assert result.final_snapshot_id is not None
            self._joins.ended(state_id, result.final_snapshot_id)
        return result

    def _lane(self, place: int) -> Engine:
        """The engine of a lane: on a journal of its own, with a plan of one state; the run has the lease for it."""
        state_id = self._precedence.order[place]
        journal = LaneJournal(self._journal, state_id, self._check_driven)
        plan = ExecutionPlan(self._run.plan.op_id, (self._states[state_id],))
        clock = self._engine.clock if self._lease is None else LaneClock(self._engine.clock, self._lease)
        scheduler = LaneScheduler(self._facts.of(place), self._is_cancelled)
        own = {"journal": journal, "resolver": OnePlan(plan), "clock": clock, "scheduler": scheduler}
        return replace(self._engine, **own, leases=None, plans=None)

    def _is_cancelled(self) -> bool:
        return self._lease is not None and self._lease.is_cancelled

    def _check_driven(self) -> None:
        """Raise Abandoned, or StoreError ``store.run_busy``, once the run is not driven by this process any more."""
        if self._is_abandoned:
            raise Abandoned
        if self._lease is not None:
            self._lease.refresh()

    def _outcome(self, place: int, result: RunResult) -> tuple[Sequence[Event], AttemptResult]:
        """What of an ended lane enters the stream, and how its state ended."""
        state_id = self._precedence.order[place]
        events = list(self._recorded(place))
        for number, event in enumerate(events):
            fact = fact_of(event) if isinstance(event, DomainEvent) else None
            failure = None if fact is None else self._facts.refusal(place, fact.key)
            if failure is not None:
                return _refused(events[:number], state_id, failure)
        if result.phase is Phase.FAILED:
            return events, FailedAttempt(False, 0)
        failure = self._joins.refusal(state_id)
        if failure is not None:
            return _refused(events[:-1], state_id, failure)
        assert result.final_snapshot_id is not None
        return events, Succeeded(result.final_snapshot_id)

    def _recorded(self, place: int) -> Iterator[Event]:
        """The events of an ended lane that are not in the stream yet: without its own beginning and end."""
        run_id, state_id = self._run.writer.run_id, self._precedence.order[place]
        copied = len(self._copied(state_id))
        for envelope in self._lane(place).streams.read(run_id, start=copied + 2):
            if not isinstance(envelope.kernel, RunCompleted):
                yield envelope.event.event

    def _copied(self, state_id: str) -> Sequence[Event]:
        """What the stream itself holds of a state that is not completed there."""
        begun, events = self._begun_in_stream
        return events if begun == state_id else ()


class LaneJournal:
    """An EventJournal that holds the lane of one state, under the id of its run, in the journal of all lanes.

    ``check`` is called before every append, and raises where there must be none.
    """

    def __init__(self, journal: EventJournal, state_id: str, check: Callable[[], None]) -> None:
        self._journal = journal
        self._state_id = state_id
        self._check = check

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        """Append to the lane."""
        self._check()
        return self._journal.append(self._named(run), texts, expected_head)

    def scan(self, run: str, start: int = 1, to: int | None = None) -> Iterator[tuple[int, str]]:
        """The records of the lane."""
        return self._journal.scan(self._named(run), start, to)

    def head(self, run: str) -> int:
        """The head of the lane."""
        return self._journal.head(self._named(run))

    def runs(self) -> list[str]:
        """The runs that have a lane of this state."""
        ending = self._named("")
        return [name.removesuffix(ending) for name in self._journal.runs() if name.endswith(ending)]

    def _named(self, run: str) -> str:
        return f"{run}/{self._state_id}"


def lanes_of(journal: EventJournal, run_id: str) -> Iterator[tuple[str, Sequence[Envelope]]]:
    """The states of a run that have a lane, ascending, each with the events of its lane.

    Raises StoreError and StorageError.
    """
    for name in journal.runs():
        run, _, state_id = name.partition("/")
        if run == run_id:
            yield state_id, Streams(LaneJournal(journal, state_id, lambda: None)).read(run_id)


class OnePlan(Struct, frozen=True):
    """Resolves every manifest to one plan."""

    plan: ExecutionPlan

    def resolve(self, manifest: RunManifest) -> ExecutionPlan:
        """The plan."""
        return self.plan


def _begun_state(run: Progress, events: Sequence[Envelope]) -> tuple[str | None, Sequence[Event]]:
    """The state that the stream breaks off in, as that of a fork can, and its events."""
    for number, envelope in enumerate(events):
        entered = envelope.kernel
        if isinstance(entered, StateEntered) and entered.state_id not in run.completed:
            return entered.state_id, [each.event.event for each in events[number:]]
    return None, ()


def _refused(events: Sequence[Event], state_id: str, failure: Failure) -> tuple[Sequence[Event], AttemptResult]:
    return [*events, StateFailed(state_id, failure, None)], FailedAttempt(False, 0)
