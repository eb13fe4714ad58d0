"""Policies: what a run may do, and what happens when an action fails (spec 40 §6.1–6.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from msgspec import Struct

from ergo_cli.programs.kernel.action_error import ActionError, ActionErrorKind
from ergo_cli.programs.kernel.actions import Action, CallLLM, CallTool
from ergo_cli.programs.kernel.errors import denied


class PolicyContext(Struct, frozen=True):
    """On whose behalf a run acts. The driver passes an empty one."""

    user_id: str | None = None
    metadata: Mapping[str, str] = {}


class Retry(Struct, frozen=True):
    """Try again at once."""


class RetryAfterMs(Struct, frozen=True):
    """Try again after so many milliseconds."""

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
    """What a run may do."""

    def authorize(self, run_id: str, action: Action, context: PolicyContext) -> None:
        """Raise what ``denied`` makes to refuse an action; nothing of it is appended then."""
        ...

    def retry_decision(self, error: ActionError, action: Action, attempt: int) -> RetryDecision:
        """What to do about a failed try; ``attempt`` counts the retries already made."""
        ...

    def budget(self) -> BudgetRules:
        """What the run may spend."""
        ...


def default_retry_decision(error: ActionError) -> RetryDecision:
    """Wait where the world names a time to wait, else give up (§6.2). Unbounded, but for ``Limits.max_retries``."""
    if error.kind is ActionErrorKind.RATE_LIMITED and error.retry_after_ms is not None:
        return RetryAfterMs(error.retry_after_ms)
    return Fail()


class AllowAll:
    """Everything is allowed; retries by the default rule, no budget."""

    def authorize(self, run_id: str, action: Action, context: PolicyContext) -> None:
        """Allow it."""

    def retry_decision(self, error: ActionError, action: Action, attempt: int) -> RetryDecision:
        """The default rule."""
        return default_retry_decision(error)

    def budget(self) -> BudgetRules:
        """No limits."""
        return BudgetRules()


class AllowList:
    """Only the named tools and providers are allowed; an empty set allows none. Sleep and WaitSignal always are."""

    def __init__(self, tools: Iterable[str] = (), providers: Iterable[str] = ()) -> None:
        self.tools = frozenset(tools)
        self.providers = frozenset(providers)

    def authorize(self, run_id: str, action: Action, context: PolicyContext) -> None:
        """Raise KernelError for a tool or a provider that is not on its list; case counts."""
        match action:
            case CallTool(tool) if tool not in self.tools:
                raise denied(f"tool not allowed: {tool}")
            case CallLLM(provider) if provider not in self.providers:
                raise denied(f"provider not allowed: {provider}")
            case _:
                return

    def retry_decision(self, error: ActionError, action: Action, attempt: int) -> RetryDecision:
        """The default rule."""
        return default_retry_decision(error)

    def budget(self) -> BudgetRules:
        """No limits."""
        return BudgetRules()
