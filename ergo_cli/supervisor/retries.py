"""Which failures are worth another attempt (spec 10, SUP-4); how many attempts there are is a constraint of the run."""

from __future__ import annotations

from ergo_cli.supervisor.seam import ErrKind, Failed, Outcome, RunTermination

_RETRYABLE = frozenset({ErrKind.NETWORK_TIMEOUT, ErrKind.ADAPTER_UNAVAILABLE, ErrKind.RUNTIME_ERROR})


def retryable(termination: RunTermination) -> bool:
    """Whether another attempt may help: mechanical failures only (SUP-4)."""
    if isinstance(termination, Failed):
        return termination.kind in _RETRYABLE
    return termination is Outcome.TIMED_OUT
