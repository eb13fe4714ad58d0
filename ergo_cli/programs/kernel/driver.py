"""The driver: asks the step function, does what it answers, until the run blocks, fails or is done (spec 40 §5).

What is durable goes through ``FoldedRun.append``; behind it the state is that of the log again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar, assert_never, cast

from msgspec import Struct

from ergo_cli.programs.kernel.actions import Action, LookingUpExecutor, RecordedExecutor, recorded_action
from ergo_cli.programs.kernel.budget import Budget
from ergo_cli.programs.kernel.deadline import Deadline
from ergo_cli.programs.kernel.effects import InterruptRaise, RuntimeEffect, StateWrite, effect_of
from ergo_cli.programs.kernel.errors import KernelError, at, denied, driver_error, spelled
from ergo_cli.programs.kernel.events import (
    ActionFailed,
    ActionRequested,
    ActionSucceeded,
    Completed,
    Event,
    Interrupted,
    Resumed,
    StateUpdated,
)
from ergo_cli.programs.kernel.execution import Execution, result_event
from ergo_cli.programs.kernel.extensions import OnOrphan
from ergo_cli.programs.kernel.folding import FoldedRun
from ergo_cli.programs.kernel.limits import StepCounter
from ergo_cli.programs.kernel.modes import KernelMode
from ergo_cli.programs.kernel.policy import BudgetRules, Policy, PolicyContext
from ergo_cli.programs.kernel.run_log import RunLog
from ergo_cli.programs.kernel.status import BlockedInfo, InterruptInfo, RunBlocked, RunCompleted, RunFailed, RunStatus
from ergo_cli.programs.kernel.steps import Complete, Do, Emit, Interrupt, Next
from ergo_cli.programs.kernel.waits import OpenRequest, open_request

if TYPE_CHECKING:
    from ergo_cli.programs.kernel.kernel import Kernel

S = TypeVar("S")


class Answer(Struct, frozen=True):
    """What somebody gives to a run that waits: an event that belongs behind ``head``, and nowhere else."""

    event: Resumed | ActionSucceeded
    head: int


class Drive(Generic[S]):
    """One call of the driver for one run."""

    def __init__(self, kernel: Kernel[S], run_id: str) -> None:
        limits, options = kernel.limits, kernel.extensions
        self._kernel = kernel
        self._run_id = run_id
        self._deadline = Deadline(kernel.clock, kernel.deadline)
        self._counter = StepCounter(limits, at(run_id))
        rules = _budget_of(kernel.policy).tightest(BudgetRules() if limits is None else limits.budget)
        self._budget = Budget(rules, at(run_id))
        self._run = FoldedRun(
            RunLog(kernel.journal, run_id),
            kernel.reducer,
            kernel.codec,
            kernel.snapshots_of(run_id),
            self._budget,
            fold_first=options.fold_first,
            fold_twice=kernel.mode is KernelMode.VERIFY,
        )
        self._execution = Execution(
            run_id=run_id,
            executor=kernel.executor,
            policy=kernel.policy,
            deadline=self._deadline,
            counter=self._counter,
            attempts=kernel.attempts,
            sleeps_itself=options.built_in_waits,
        )

    def run(self, initial: S, answer: Answer | None = None) -> RunStatus:
        """Drive the run as far as it goes, from ``answer`` on if there is one.

        The log is folded before the answer is appended: where it cannot be, the run still waits. Raises KernelError;
        what was appended before stays.
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
            answer = self._kernel.step(self._run.state)
        except KernelError:
            raise
        except Exception as error:
            raise driver_error(spelled(error), where=at(self._run_id, self._run.head + 1)) from error
        return _checked(answer, at(self._run_id, self._run.head + 1))

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
        effect = effect_of(action, built_in_waits=self._kernel.extensions.built_in_waits)
        if effect is not None:
            self._record(effect)
        self._authorize(action)
        action_id = f"{self._run_id}-{self._run.head + 1}"
        self._append(ActionRequested(action_id, payload))
        return self._conclude(OpenRequest(action_id, action))

    def _conclude(self, request: OpenRequest) -> RunStatus | None:
        """Execute a request whose event stands in the log; a status if the run does not go on."""
        if self._kernel.extensions.built_in_waits and request.awaited_signal is not None:
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
        """Deal with a request that an earlier call left without result; a status if the run does not go on."""
        options = self._kernel.extensions
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
        executor = self._kernel.executor
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
            self._kernel.policy.authorize(self._run_id, action, PolicyContext())
        except KernelError:
            raise
        except Exception as error:
            raise denied(spelled(error)) from error
        self._budget.check(action)

    def _refuse_in_replay(self) -> None:
        """Raise KernelError ``kernel.replay_side_effect`` where a live executor is about to be reached (§19.3)."""
        if self._kernel.mode.traps_nondeterminism and not isinstance(self._kernel.executor, RecordedExecutor):
            message = f"an action must not be executed in {self._kernel.mode.value} mode"
            raise driver_error(message, code="kernel.replay_side_effect", where=at(self._run_id))

    def _append(self, event: Event) -> None:
        self._run.append(self._run.batch(event))

    def _record(self, effect: RuntimeEffect) -> None:
        if self._kernel.effect_sink is not None:
            self._kernel.effect_sink.record(self._run_id, effect)


def _budget_of(policy: Policy) -> BudgetRules:
    try:
        return policy.budget()
    except KernelError:
        raise
    except Exception as error:
        raise denied(spelled(error)) from error


def _checked(answer: object, where: str) -> Next:
    """What a step function answered, if it is an answer at all."""
    if not isinstance(answer, Emit | Do | Interrupt | Complete):
        message = f"the step function answered {answer!r:.100}, not Emit, Do, Interrupt or Complete"
        raise driver_error(message, where=where)
    emitted = cast("object", answer.events) if isinstance(answer, Emit) else ()
    if not isinstance(emitted, list | tuple):
        message = f"the step function emitted {emitted!r:.100}, which is no list of events"
        raise driver_error(message, where=where)
    return answer
