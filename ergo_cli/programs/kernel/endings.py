"""How an episode ends when a call of the driver does (spec 40 §19.1)."""

from __future__ import annotations

from ergo_cli.programs.kernel.action_error import ActionErrorKind
from ergo_cli.programs.kernel.attempts import Attempt
from ergo_cli.programs.kernel.deadline import is_deadline
from ergo_cli.programs.kernel.errors import Category, KernelError
from ergo_cli.programs.kernel.status import RunFailed, RunStatus
from ergo_cli.supervisor.seam import ErrKind, Failed, Outcome, RunTermination

_STORES = (Category.EVENT_STORE, Category.SNAPSHOT_STORE)


def termination_of_status(status: RunStatus, last: Attempt | None) -> RunTermination:
    """The termination of a call that came to a status; ``last`` is its last failed try, if there was one.

    A run that waits is Completed for this episode.
    """
    if not isinstance(status, RunFailed):
        return Outcome.COMPLETED
    exhausted = last is not None and last.delay_ms is None and last.kind is not ActionErrorKind.PERMANENT
    return Failed(ErrKind.NETWORK_TIMEOUT if exhausted else ErrKind.SEMANTIC_ERROR)


def termination_of_error(error: KernelError) -> RunTermination:
    """The termination of a call that raised."""
    if is_deadline(error):
        return Outcome.TIMED_OUT
    if is_store_failure(error):
        return Failed(ErrKind.ADAPTER_UNAVAILABLE)
    if error.category is Category.POLICY or error.code == "kernel.already_completed":
        return Failed(ErrKind.VALIDATION_FAILED)
    return Failed(ErrKind.RUNTIME_ERROR)


def is_store_failure(error: KernelError) -> bool:
    """Whether a store is at fault; ``kernel.event_store`` alone is a payload that the default reducer cannot take."""
    return error.category in _STORES and error.code != Category.EVENT_STORE.code
