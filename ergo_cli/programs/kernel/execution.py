"""One request, executed until it has its one result (spec 40 §5.6)."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.programs.kernel.action_error import ActionError
from ergo_cli.programs.kernel.actions import Action, ActionCall, ActionResult, Executor, Failure, Sleep, Success
from ergo_cli.programs.kernel.attempts import Attempt, AttemptLog
from ergo_cli.programs.kernel.deadline import Deadline, is_deadline
from ergo_cli.programs.kernel.errors import KernelError, at, denied, driver_error, spelled
from ergo_cli.programs.kernel.events import ActionFailed, ActionSucceeded
from ergo_cli.programs.kernel.limits import StepCounter
from ergo_cli.programs.kernel.policy import Fail, Policy, Retry, RetryAfterMs
from ergo_cli.programs.kernel.waits import OpenRequest


class Settled(Struct, frozen=True):
    """The result of a request, as the log keeps it; ``error`` ends the call as well, beside the action."""

    event: ActionSucceeded | ActionFailed
    error: KernelError | None = None


class Execution(Struct, frozen=True, kw_only=True):
    """Executes the requests of one call, each again and again as the policy says."""

    run_id: str
    executor: Executor
    policy: Policy
    deadline: Deadline
    counter: StepCounter
    attempts: AttemptLog | None
    sleeps_itself: bool

    def settle(self, request: OpenRequest) -> Settled:
        """Execute until there is a result, or no more tries; every try has the request's id as idempotency key.

        Raises KernelError ``kernel.deadline`` between tries, with nothing to append.
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
        """The wait in ms before another try, or the end of the request."""
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
        """What the policy says. Raises KernelError of category Policy for whatever it raises."""
        try:
            decision = self.policy.retry_decision(failure, action, attempt)
        except KernelError:
            raise
        except Exception as error:
            raise denied(spelled(error)) from error
        match decision:
            case RetryAfterMs(millis):
                return millis
            case Retry():
                return 0
            case Fail():
                return None

    def _execute(self, request: OpenRequest) -> ActionResult:
        """One try. Raises KernelError: the executor's own, any other exception of it as category Driver (§3.5)."""
        if self.sleeps_itself and isinstance(request.action, Sleep):
            self.deadline.wait_ms(request.action.millis)
            return Success(None)
        call = ActionCall(self.run_id, request.action_id, self.deadline.remaining())
        try:
            result = self.executor(request.action, call)
        except KernelError:
            raise
        except Exception as error:
            raise driver_error(spelled(error), where=at(self.run_id, action_id=request.action_id)) from error
        return result if isinstance(result, Success | Failure) else Success(result)


def result_event(action_id: str, result: ActionResult) -> ActionSucceeded | ActionFailed:
    """The event that a result becomes."""
    if isinstance(result, Success):
        return ActionSucceeded(action_id, result.output)
    return ActionFailed(action_id, result.error)


def _given_up(request: OpenRequest, error: KernelError, *, ends_call: bool = False) -> Settled:
    return Settled(ActionFailed(request.action_id, str(error)), error if ends_call else None)
