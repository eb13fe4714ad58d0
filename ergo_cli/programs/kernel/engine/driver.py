"""The driver: call the step function and carry out its answers until the run blocks, fails or completes (spec 40 §5).

Durable changes go through ``FoldedRun.append``; after it the state is the fold of the log again.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar, assert_never, cast

from msgspec import Struct

from ergo_cli.core.time import Clock, StandingClock
from ergo_cli.errors import described
from ergo_cli.programs.kernel.engine.actions import (
    Action,
    ActionCall,
    ActionResult,
    Complete,
    Do,
    EffectSink,
    Emit,
    Executor,
    Failure,
    Interrupt,
    InterruptRaise,
    LookingUpExecutor,
    Next,
    OpenRequest,
    RecordedExecutor,
    RuntimeEffect,
    Sleep,
    StateWrite,
    Step,
    Success,
    complete_at_once,
    effect_of,
    no_execution,
    open_request,
    recorded_action,
)
from ergo_cli.programs.kernel.engine.errors import ActionError, KernelError, at, denied, driver_error
from ergo_cli.programs.kernel.engine.events import (
    ActionFailed,
    ActionRequested,
    ActionSucceeded,
    BlockedInfo,
    Completed,
    Event,
    Interrupted,
    InterruptInfo,
    Resumed,
    RunBlocked,
    RunCompleted,
    RunFailed,
    RunLog,
    RunStatus,
    StateUpdated,
)
from ergo_cli.programs.kernel.engine.options import Extensions, KernelMode, OnOrphan
from ergo_cli.programs.kernel.engine.policy import (
    AllowAll,
    Attempt,
    AttemptLog,
    Budget,
    BudgetRules,
    Deadline,
    Fail,
    Limits,
    Policy,
    PolicyContext,
    Retry,
    RetryAfterMs,
    StepCounter,
    is_deadline,
)
from ergo_cli.programs.kernel.engine.state import FoldedRun, Reducer, Snapshots, StateCodec
from ergo_cli.stores.journals import EventJournal, SnapshotStore

S = TypeVar("S")


class Collaborators(Struct, Generic[S], frozen=True, kw_only=True):
    """What a run is driven with.

    ``state`` is the type of the states (None: JSON values), ``deadline`` a moment on ``clock``'s monotonic
    nanoseconds. Without ``limits`` only the deadline bounds a call.
    """

    journal: EventJournal
    reducer: Reducer[S]
    step: Step[S] = complete_at_once
    executor: Executor = no_execution
    state: Any = None
    policy: Policy = AllowAll()
    snapshots: SnapshotStore | None = None
    effect_sink: EffectSink | None = None
    mode: KernelMode = KernelMode.NORMAL
    clock: Clock = StandingClock()
    deadline: int | None = None
    limits: Limits | None = None
    extensions: Extensions = Extensions()
    attempts: AttemptLog | None = None

    @property
    def codec(self) -> StateCodec[S]:
        """Writes and reads the states."""
        return StateCodec(self.state, self.extensions.state_version)

    def snapshots_of(self, run_id: str) -> Snapshots[S] | None:
        """The snapshots of a run; None without a snapshot store."""
        if self.snapshots is None:
            return None
        return Snapshots(self.snapshots, run_id, self.codec, self.extensions.cadence)


class Answer(Struct, frozen=True):
    """The event that answers a waiting run; it may be appended only directly after ``head``."""

    event: Resumed | ActionSucceeded
    head: int


class Drive(Generic[S]):
    """One call of the driver for one run."""

    def __init__(self, parts: Collaborators[S], run_id: str) -> None:
        limits, options = parts.limits, parts.extensions
        self._parts = parts
        self._run_id = run_id
        self._deadline = Deadline(parts.clock, parts.deadline)
        self._counter = StepCounter(limits, run_id)
        rules = _budget_of(parts.policy).tightest(BudgetRules() if limits is None else limits.budget)
        self._budget = Budget(rules, run_id)
        self._run = FoldedRun(
            RunLog(parts.journal, run_id),
            parts.reducer,
            parts.codec,
            parts.snapshots_of(run_id),
            self._budget,
            fold_first=options.fold_first,
            fold_twice=parts.mode is KernelMode.VERIFY,
        )
        self._execution = Execution(
            run_id=run_id,
            executor=parts.executor,
            policy=parts.policy,
            deadline=self._deadline,
            counter=self._counter,
            attempts=parts.attempts,
            sleeps_itself=options.built_in_waits,
        )

    def run(self, initial: S, answer: Answer | None = None) -> RunStatus:
        """Drive the run until it blocks, fails or is done; append ``answer`` first if there is one.

        The log is folded before the answer is appended, so that a run whose log cannot be folded still waits. Raises
        KernelError; events appended before stay in the log.
        """
        try:
            return self._run_until_blocked(initial, answer)
        except KernelError as error:
            error.where = error.where or at(self._run_id)
            raise

    def _run_until_blocked(self, initial: S, answer: Answer | None) -> RunStatus:
        self._run.restore(initial)
        if answer is not None:
            self._run.append(self._run.batch(answer.event), behind=answer.head)
        status = self._take_up_open_request()
        while status is None:
            match self._ask():
                case Emit(events):
                    self._emit(events)
                case Do(action):
                    status = self._do(action)
                case Interrupt(value):
                    status = self._interrupt(value)
                case Complete():
                    self._append(Completed())
                    status = RunCompleted()
        return status

    def _ask(self) -> Next:
        self._deadline.check()
        self._counter.step()
        try:
            answer = self._parts.step(self._run.state)
        except KernelError:
            raise
        except (Exception, SystemExit) as error:
            raise driver_error(described(error), where=at(self._run_id, self._run.head + 1)) from error
        return _checked(answer, self._run_id, self._run.head + 1)

    def _emit(self, events: list[Event]) -> None:
        self._counter.emitted(len(events))
        batch = self._run.batch(*events)
        for event in batch.events:
            if isinstance(event.event, StateUpdated):
                self._record(StateWrite(event.event.step_id, event.event.payload))
        self._run.append(batch)

    def _do(self, action: Action) -> RunStatus | None:
        self._refuse_in_replay()
        payload, action = recorded_action(action)
        effect = effect_of(action, built_in_waits=self._parts.extensions.built_in_waits)
        if effect is not None:
            # Recorded before it is authorized: an effect is what a program asks for, so sinks see denied ones (§5.5).
            self._record(effect)
        self._authorize(action)
        action_id = f"{self._run_id}-{self._run.head + 1}"
        self._append(ActionRequested(action_id, payload))
        return self._conclude(OpenRequest(action_id, action))

    def _conclude(self, request: OpenRequest) -> RunStatus | None:
        """Execute a request that is in the log; a status if the run stops here."""
        if self._parts.extensions.built_in_waits and request.awaited_signal is not None:
            return RunBlocked(BlockedInfo(wait_signal=request.awaited_signal))
        settled = self._execution.settle(request)
        self._append(settled.event)
        if settled.error is not None:
            raise settled.error
        return None if isinstance(settled.event, ActionSucceeded) else RunFailed()

    def _interrupt(self, value: object) -> RunStatus:
        batch = self._run.batch(Interrupted(value))
        (interrupted,) = batch.events
        assert isinstance(interrupted.event, Interrupted)
        self._record(InterruptRaise(interrupted.event.value))
        self._run.append(batch)
        return RunBlocked(BlockedInfo(interrupt=InterruptInfo(interrupted.event.value)))

    def _take_up_open_request(self) -> RunStatus | None:
        """Handle a request that an earlier call left without result; a status if the run stops here."""
        options = self._parts.extensions
        if options.on_orphan is OnOrphan.REEXECUTE and not options.built_in_waits:
            return None
        request = open_request(self._run.last_event(), self._run_id)
        if request is None:
            return None
        if options.built_in_waits and request.awaited_signal is not None:
            return self._conclude(request)
        match options.on_orphan:
            case OnOrphan.REEXECUTE:
                return None
            case OnOrphan.COMPLETE:
                self._refuse_in_replay()
                return self._conclude(request)
            case OnOrphan.LOOKUP:
                return self._look_up(request)
            case OnOrphan.FAIL:
                self._append(ActionFailed(request.action_id, str(driver_error("the request was left without result"))))
                return RunFailed()
            case _:
                assert_never(options.on_orphan)

    def _look_up(self, request: OpenRequest) -> RunStatus | None:
        self._refuse_in_replay()
        executor = self._parts.executor
        if not isinstance(executor, LookingUpExecutor):
            raise driver_error("the executor has no `lookup` to ask about an open request", where=at(self._run_id))
        known = executor.lookup(request.action_id)
        if known is None:
            return self._conclude(request)
        event = result_event(request.action_id, known)
        self._append(event)
        return None if isinstance(event, ActionSucceeded) else RunFailed()

    def _authorize(self, action: Action) -> None:
        try:
            self._parts.policy.authorize(self._run_id, action, PolicyContext())
        except KernelError:
            raise
        except (Exception, SystemExit) as error:
            raise denied(described(error)) from error
        self._budget.check(action)

    def _refuse_in_replay(self) -> None:
        """Raise KernelError ``kernel.replay_side_effect`` if the mode forbids a live executor (§19.3)."""
        if self._parts.mode.traps_nondeterminism and not isinstance(self._parts.executor, RecordedExecutor):
            message = f"an action must not be executed in {self._parts.mode.value} mode"
            raise driver_error(message, code="kernel.replay_side_effect", where=at(self._run_id))

    def _append(self, event: Event) -> None:
        self._run.append(self._run.batch(event))

    def _record(self, effect: RuntimeEffect) -> None:
        if self._parts.effect_sink is not None:
            self._parts.effect_sink.record(self._run_id, effect)


def _budget_of(policy: Policy) -> BudgetRules:
    try:
        return policy.budget()
    except KernelError:
        raise
    except (Exception, SystemExit) as error:
        raise denied(described(error)) from error


def _checked(answer: object, run_id: str, seq: int) -> Next:
    """The answer of a step function. Raises KernelError for a value that is not an answer."""
    if not isinstance(answer, Emit | Do | Interrupt | Complete):
        message = f"the step function answered {answer!r:.100}, not Emit, Do, Interrupt or Complete"
        raise driver_error(message, where=at(run_id, seq))
    emitted = cast("object", answer.events) if isinstance(answer, Emit) else ()
    if not isinstance(emitted, list | tuple):
        message = f"the step function emitted {emitted!r:.100}, which is no list of events"
        raise driver_error(message, where=at(run_id, seq))
    return answer


class Settled(Struct, frozen=True):
    """The result of a request as the log keeps it; ``error``, if set, ends the call too."""

    event: ActionSucceeded | ActionFailed
    error: KernelError | None = None


class Execution(Struct, frozen=True, kw_only=True):
    """Executes the requests of one call, with the retries that the policy decides."""

    run_id: str
    executor: Executor
    policy: Policy
    deadline: Deadline
    counter: StepCounter
    attempts: AttemptLog | None
    sleeps_itself: bool

    def settle(self, request: OpenRequest) -> Settled:
        """Execute until there is a result or no more tries; every try has the request's id as idempotency key.

        Raises KernelError ``kernel.deadline`` between tries: the request then stays without result.
        """
        attempt = 0
        while True:
            self.deadline.check()
            try:
                return Settled(result_event(request.action_id, self._execute(request)))
            except KernelError as error:
                delay = self._delay_after(error, request, attempt)
                if isinstance(delay, Settled):
                    return delay
            self.deadline.wait_ms(delay)
            attempt += 1

    def _delay_after(self, error: KernelError, request: OpenRequest, attempt: int) -> int | Settled:
        """The wait in ms before another try, or the result of a request that gets none."""
        if is_deadline(error):
            return _given_up(request, error, ends_call=True)
        failure = ActionError.of(error)
        try:
            delay = self._decided_delay(failure, request.action, attempt)
        except KernelError as refusal:
            return _given_up(request, refusal, ends_call=True)
        if self.attempts is not None:
            self.attempts.record(self.run_id, Attempt(request.action_id, attempt, failure.kind, failure.text, delay))
        if delay is None:
            return _given_up(request, error)
        limit = self.counter.retry_error(attempt)
        return delay if limit is None else _given_up(request, limit, ends_call=True)

    def _decided_delay(self, failure: ActionError, action: Action, attempt: int) -> int | None:
        """The delay that the policy decides, None to give up. Wraps its exceptions in category Policy."""
        try:
            decision = self.policy.retry_decision(failure, action, attempt)
        except KernelError:
            raise
        except (Exception, SystemExit) as error:
            raise denied(described(error)) from error
        match decision:
            case RetryAfterMs(millis):
                return millis
            case Retry():
                return 0
            case Fail():
                return None

    def _execute(self, request: OpenRequest) -> ActionResult:
        """One try. Wraps exceptions of the executor that are not KernelErrors in category Driver (§3.5)."""
        if self.sleeps_itself and isinstance(request.action, Sleep):
            self.deadline.wait_ms(request.action.millis)
            return Success(None)
        call = ActionCall(self.run_id, request.action_id, self.deadline.remaining())
        try:
            result = self.executor(request.action, call)
        except KernelError:
            raise
        except (Exception, SystemExit) as error:
            raise driver_error(described(error), where=at(self.run_id, action_id=request.action_id)) from error
        return result if isinstance(result, Success | Failure) else Success(result)


def result_event(action_id: str, result: ActionResult) -> ActionSucceeded | ActionFailed:
    """The event that records a result."""
    if isinstance(result, Success):
        return ActionSucceeded(action_id, result.output)
    return ActionFailed(action_id, result.error)


def _given_up(request: OpenRequest, error: KernelError, *, ends_call: bool = False) -> Settled:
    return Settled(ActionFailed(request.action_id, str(error)), error if ends_call else None)
