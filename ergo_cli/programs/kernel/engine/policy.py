"""What a run may do, how often and how long: policies, back-off, limits, budgets, deadlines.

Spec 40 §6 (policies), §19.1 (limits, deadlines), §20 (budgets, attempt logs).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Protocol, cast

from msgspec import Struct

from ergo_cli.core import wire
from ergo_cli.core.numbers import U64_MAX
from ergo_cli.core.time import Clock, backoff
from ergo_cli.core.wire import FreeValue
from ergo_cli.programs.kernel.engine.actions import Action, CallLLM, CallTool
from ergo_cli.programs.kernel.engine.errors import (
    ActionError,
    ActionErrorKind,
    Category,
    KernelError,
    at,
    denied,
    driver_error,
)
from ergo_cli.programs.kernel.engine.events import ActionFailed, ActionRequested, ActionSucceeded, Event, store_errors
from ergo_cli.stores.journals import EventJournal


class PolicyContext(Struct, frozen=True):
    """The user on whose behalf a run acts. The driver passes an empty context."""

    user_id: str | None = None
    metadata: Mapping[str, str] = {}


class Retry(Struct, frozen=True):
    """Try again at once."""


class RetryAfterMs(Struct, frozen=True):
    """Try again after ``millis`` milliseconds."""

    millis: int


class Fail(Struct, frozen=True):
    """Give up: the run fails."""


RetryDecision = Retry | RetryAfterMs | Fail


class BudgetRules(Struct, frozen=True):
    """What a run may spend in all, from its first event on; None is unlimited."""

    max_tool_calls: int | None = None
    max_llm_tokens: int | None = None

    def tightest(self, other: BudgetRules) -> BudgetRules:
        """The smaller of each limit."""
        return BudgetRules(
            _smaller(self.max_tool_calls, other.max_tool_calls), _smaller(self.max_llm_tokens, other.max_llm_tokens)
        )


def _smaller(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


class Policy(Protocol):
    """Decides what a run may do, what it may spend, and what follows a failed try."""

    def authorize(self, run_id: str, action: Action, context: PolicyContext) -> None:
        """Return to allow the action; raise the error of ``denied`` to refuse it, before anything is appended."""
        ...

    def retry_decision(self, error: ActionError, action: Action, attempt: int) -> RetryDecision:
        """Decide what follows a failed try; ``attempt`` counts the retries already made."""
        ...

    def budget(self) -> BudgetRules:
        """The budget of the run."""
        ...


def default_retry_decision(error: ActionError) -> RetryDecision:
    """Wait as long as a rate limit asks for, else give up (§6.2). Bounded only by ``Limits.max_retries``."""
    if error.kind is ActionErrorKind.RATE_LIMITED and error.retry_after_ms is not None:
        return RetryAfterMs(error.retry_after_ms)
    return Fail()


class AllowAll:
    """Allows every action; default retries, no budget."""

    def authorize(self, run_id: str, action: Action, context: PolicyContext) -> None:
        """Allow it."""

    def retry_decision(self, error: ActionError, action: Action, attempt: int) -> RetryDecision:
        """Apply the default rule."""
        return default_retry_decision(error)

    def budget(self) -> BudgetRules:
        """No limits."""
        return BudgetRules()


class AllowList:
    """Allows only the named tools and providers, none if the set is empty; always allows Sleep and WaitSignal."""

    def __init__(self, tools: Iterable[str] = (), providers: Iterable[str] = ()) -> None:
        self.tools = frozenset(tools)
        self.providers = frozenset(providers)

    def authorize(self, run_id: str, action: Action, context: PolicyContext) -> None:
        """Raise KernelError for a tool or provider that is not listed; names are case-sensitive."""
        match action:
            case CallTool(tool) if tool not in self.tools:
                raise denied(f"tool not allowed: {tool}")
            case CallLLM(provider) if provider not in self.providers:
                raise denied(f"provider not allowed: {provider}")
            case _:
                return

    def retry_decision(self, error: ActionError, action: Action, attempt: int) -> RetryDecision:
        """Apply the default rule."""
        return default_retry_decision(error)

    def budget(self) -> BudgetRules:
        """No limits."""
        return BudgetRules()


class RetryWithBackoff:
    """Retries at most ``max_retries`` times with doubling waits; an inner policy authorizes and sets the budget.

    All times are milliseconds. ``jitter_ratio``, from 0 to 1, lengthens waits after the cap by a factor that depends
    only on the attempt. Raises ValueError for another ratio.
    """

    def __init__(
        self,
        inner: Policy,
        max_retries: int,
        backoff_base_ms: int,
        *,
        backoff_cap_ms: int | None = None,
        jitter_ratio: float = 0.0,
    ) -> None:
        if not 0.0 <= jitter_ratio <= 1.0:
            raise ValueError(f"jitter_ratio must be between 0 and 1, got {jitter_ratio}")
        self.inner = inner
        self.max_retries = max_retries
        self.backoff_base_ms = backoff_base_ms
        self.backoff_cap_ms = backoff_cap_ms
        self.jitter_ratio = jitter_ratio

    def authorize(self, run_id: str, action: Action, context: PolicyContext) -> None:
        """Ask the inner policy."""
        self.inner.authorize(run_id, action, context)

    def budget(self) -> BudgetRules:
        """The inner policy's budget."""
        return self.inner.budget()

    def retry_decision(self, error: ActionError, action: Action, attempt: int) -> RetryDecision:
        """Wait and retry while retries are left and the error is not permanent; the inner policy is not asked."""
        if error.kind is ActionErrorKind.PERMANENT or attempt >= self.max_retries:
            return Fail()
        return RetryAfterMs(self.delay_ms(error, attempt))

    def delay_ms(self, error: ActionError, attempt: int) -> int:
        """The wait after failed try ``attempt``: the one that a rate limit names, else back-off plus jitter."""
        if error.kind is ActionErrorKind.RATE_LIMITED and error.retry_after_ms is not None:
            return error.retry_after_ms
        cap = U64_MAX if self.backoff_cap_ms is None else self.backoff_cap_ms
        capped = backoff(self.backoff_base_ms, attempt, min(cap, U64_MAX))
        if self.jitter_ratio <= 0:
            return capped
        factor = (attempt * 31 % 2**32) % 100 / 100.0
        return min(int(float(capped) + float(capped) * self.jitter_ratio * factor), U64_MAX)


class Attempt(Struct, frozen=True):
    """One failed try; ``delay_ms`` is the wait before the next try, None after the last."""

    action_id: str
    attempt: int
    kind: ActionErrorKind
    message: str
    delay_ms: int | None


class AttemptLog(Protocol):
    """Records every failed try of an action."""

    def record(self, run_id: str, attempt: Attempt) -> None:
        """Record a failed try."""
        ...


class JournalAttemptLog:
    """Keeps attempts in a separate journal under the run's id, outside the run's log and outside bundles."""

    def __init__(self, journal: EventJournal) -> None:
        self._journal = journal

    def record(self, run_id: str, attempt: Attempt) -> None:
        """Append a failed try. Raises KernelError of category EventStore."""
        with store_errors(Category.EVENT_STORE, run_id):
            self._journal.append(run_id, [wire.encode(attempt).decode()])

    def attempts(self, run_id: str) -> list[Attempt]:
        """All attempts of a run, in order."""
        return [wire.decode(text.encode(), Attempt) for _, text in self._journal.scan(run_id)]


class LastAttempt:
    """Remembers the last failed try and its exception; forwards every try to ``then`` if given.

    It must be called where the exception is handled.
    """

    def __init__(self, then: AttemptLog | None = None) -> None:
        self._then = then
        self.last: Attempt | None = None
        self.error: BaseException | None = None

    def record(self, run_id: str, attempt: Attempt) -> None:
        """Record a failed try."""
        self.last = attempt
        self.error = sys.exception()
        if self._then is not None:
            self._then.record(run_id, attempt)


class Limits(Struct, frozen=True, kw_only=True):
    """Limits of a kernel program: exceeding one raises ``kernel.step_limit``, the last two ``kernel.budget_exceeded``.

    Steps and consecutive empty emits count per call, retries per action whatever the policy decides, tool calls and
    model tokens over the whole run.
    """

    max_steps: int = 1_000_000
    max_idle_emits: int = 100
    max_retries: int = 1_000
    max_tool_calls: int | None = None
    max_llm_tokens: int | None = None

    @property
    def budget(self) -> BudgetRules:
        """The limits of the whole run."""
        return BudgetRules(self.max_tool_calls, self.max_llm_tokens)


class StepCounter:
    """Counts the steps of one call; raises KernelError ``kernel.step_limit`` beyond a limit, if there are limits."""

    def __init__(self, limits: Limits | None, run_id: str) -> None:
        self._limits = limits
        self._run_id = run_id
        self._steps = 0
        self._idle = 0

    def step(self) -> None:
        """Count a step that is about to be asked for."""
        if self._limits is not None and self._steps >= self._limits.max_steps:
            raise self._reached(f"more than {self._limits.max_steps} steps in one call")
        self._steps += 1

    def emitted(self, events: int) -> None:
        """Count the events that a step emitted."""
        self._idle = 0 if events else self._idle + 1
        if self._limits is not None and self._idle > self._limits.max_idle_emits:
            raise self._reached(f"more than {self._limits.max_idle_emits} empty emits in a row")

    def retry_error(self, attempt: int) -> KernelError | None:
        """The error to raise if one more retry exceeds the limit, else None."""
        if self._limits is None or attempt < self._limits.max_retries:
            return None
        return self._reached(f"more than {self._limits.max_retries} retries of one action")

    def _reached(self, what: str) -> KernelError:
        return driver_error(f"step limit: {what}", code="kernel.step_limit", where=at(self._run_id))


class Budget:
    """Counts the tool calls and model tokens of a run from its log, so that limits survive restarts.

    A token count is the ``usage`` of a model's output: an integer, or an object with ``total_tokens``, or else the
    sum of its ``input_tokens`` and ``output_tokens``.
    """

    def __init__(self, rules: BudgetRules, run_id: str) -> None:
        self._rules = rules
        self._run_id = run_id
        self._tool_calls = 0
        self._llm_tokens = 0
        self._asked: set[str] = set()  # ids of model requests without a result

    @property
    def is_limited(self) -> bool:
        """Whether any rule limits the run."""
        return self._rules != BudgetRules()

    def observe(self, events: Iterable[Event]) -> None:
        """Count the spending of these events of the run."""
        for event in events:
            match event:
                case ActionRequested(action_id, {"CallLLM": _}):
                    self._asked.add(action_id)
                case ActionRequested(_, {"CallTool": _}):
                    self._tool_calls += 1
                case ActionSucceeded(action_id, output) if action_id in self._asked:
                    self._asked.discard(action_id)
                    self._llm_tokens += _tokens(output)
                case ActionFailed(action_id):
                    self._asked.discard(action_id)
                case _:
                    pass

    def check(self, action: Action) -> None:
        """Raise KernelError ``kernel.budget_exceeded`` if the budget for this action is used up."""
        match action:
            case CallTool():
                self._refuse("max_tool_calls", self._rules.max_tool_calls, self._tool_calls)
            case CallLLM():
                self._refuse("max_llm_tokens", self._rules.max_llm_tokens, self._llm_tokens)
            case _:
                return

    def _refuse(self, name: str, limit: int | None, spent: int) -> None:
        if limit is not None and spent >= limit:
            message = f"budget exceeded: {name} {limit}, {spent} spent"
            raise KernelError(Category.POLICY, message, code="kernel.budget_exceeded", where=at(self._run_id))


def _tokens(output: FreeValue) -> int:
    match output:
        case {"usage": {"total_tokens": int(total)}}:
            return total
        case {"usage": int(total)}:
            return total
        case {"usage": dict()}:
            usage = cast("dict[str, object]", output["usage"])
            counts = (usage.get("input_tokens"), usage.get("output_tokens"))
            asked, answered = (count if isinstance(count, int) else 0 for count in counts)
            return asked + answered
        case _:
            return 0


_MILLISECOND = 1_000_000


class Deadline:
    """A moment on a monotonic clock in ns, or None; every wait of a call goes through it."""

    def __init__(self, clock: Clock, moment: int | None) -> None:
        self._clock = clock
        self._moment = moment

    def remaining(self) -> int | None:
        """The nanoseconds left, at least 0; None without a deadline."""
        return None if self._moment is None else max(self._moment - self._clock.monotonic_ns(), 0)

    def check(self) -> None:
        """Raise KernelError ``kernel.deadline`` once it has passed."""
        if self.remaining() == 0:
            raise deadline_exceeded()

    def wait_ms(self, millis: int) -> None:
        """Sleep for ``millis`` or until the deadline, then ``check``."""
        duration, remaining = millis * _MILLISECOND, self.remaining()
        if duration:
            self._clock.sleep_ns(duration if remaining is None else min(duration, remaining))
        self.check()


def deadline_exceeded() -> KernelError:
    """The error of a call that reached its deadline, or of an executor abandoned there."""
    return driver_error("deadline exceeded", code="kernel.deadline")


def is_deadline(error: KernelError) -> bool:
    """Whether the error is that of a passed deadline."""
    return error.code == "kernel.deadline"
