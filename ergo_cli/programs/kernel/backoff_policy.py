"""Retries with exponentially growing waits (spec 40 §6.4)."""

from __future__ import annotations

from ergo_cli.core.backoff import backoff
from ergo_cli.core.numbers import U64_MAX
from ergo_cli.programs.kernel.action_error import ActionError, ActionErrorKind
from ergo_cli.programs.kernel.actions import Action
from ergo_cli.programs.kernel.policy import BudgetRules, Fail, Policy, PolicyContext, RetryAfterMs, RetryDecision


class RetryWithBackoff:
    """Tries again ``max_retries`` times at most, with another policy's word on what is allowed.

    Milliseconds throughout. ``jitter_ratio``, from 0 to 1, stretches waits by a factor that depends on the attempt
    alone, after the cap. Raises ValueError for another ratio.
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
        """The inner policy's word."""
        self.inner.authorize(run_id, action, context)

    def budget(self) -> BudgetRules:
        """The inner policy's budget."""
        return self.inner.budget()

    def retry_decision(self, error: ActionError, action: Action, attempt: int) -> RetryDecision:
        """Wait and try again while retries are left and trying can help; the inner rule is not asked."""
        if error.kind is ActionErrorKind.PERMANENT or attempt >= self.max_retries:
            return Fail()
        return RetryAfterMs(self.delay_ms(error, attempt))

    def delay_ms(self, error: ActionError, attempt: int) -> int:
        """The wait after failed try number ``attempt``: what a rate limit asks for, else back-off and jitter."""
        if error.kind is ActionErrorKind.RATE_LIMITED and error.retry_after_ms is not None:
            return error.retry_after_ms
        cap = U64_MAX if self.backoff_cap_ms is None else self.backoff_cap_ms
        capped = backoff(self.backoff_base_ms, attempt, min(cap, U64_MAX))
        if self.jitter_ratio <= 0:
            return capped
        factor = (attempt * 31 % 2**32) % 100 / 100.0
        return min(int(float(capped) + float(capped) * self.jitter_ratio * factor), U64_MAX)
