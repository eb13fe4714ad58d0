"""The finalisation gate: what a runner may still do after what it has been through (spec 30 §8, 11 §7.4)."""

from __future__ import annotations

from enum import Enum

from ergo_cli.errors import CaptureWriteError, StepError


class GateState(Enum):
    """Where a runner stands."""

    NO_COMMITTED_STEPS = "no committed steps"
    ELIGIBLE = "eligible"
    FINALIZE_ONLY = "finalize only"
    FATAL = "fatal"


class Gate:
    """Keeps the state; every step reports to it. ``FATAL`` is never left."""

    def __init__(self) -> None:
        self.state = GateState.NO_COMMITTED_STEPS

    def check_step(self) -> None:
        """Raise StepError ``LifecycleViolation`` where no further step is allowed."""
        if self.state is GateState.FINALIZE_ONLY:
            raise lifecycle_violation("the runner must be finalized after egress dispatch failure")
        if self.state is GateState.FATAL:
            raise lifecycle_violation("the runner has failed; neither a step nor finalization is possible")

    def check_finalize(self) -> None:
        """Raise StepError ``LifecycleViolation`` where there is nothing that may be finalized."""
        if self.state is GateState.NO_COMMITTED_STEPS:
            raise lifecycle_violation("no step was committed: there is nothing to finalize")
        if self.state is GateState.FATAL:
            raise lifecycle_violation("the runner has failed; neither a step nor finalization is possible")

    def committed(self) -> None:
        """A step succeeded."""
        if self.state is GateState.NO_COMMITTED_STEPS:
            self.state = GateState.ELIGIBLE

    def failed(self, error: StepError | CaptureWriteError) -> None:
        """A step failed, or its records cannot be kept: nothing changes where the error is recoverable."""
        if isinstance(error, StepError) and error.name == "EgressDispatchFailure":
            self._dispatch_failed()
        elif not (isinstance(error, StepError) and error.recoverable):
            self.state = GateState.FATAL

    def _dispatch_failed(self) -> None:
        if self.state is not GateState.FATAL:
            self.state = GateState.FINALIZE_ONLY


def lifecycle_violation(detail: str) -> StepError:
    """A step or finalization that the runner's state does not allow."""
    return StepError(
        "LifecycleViolation",
        detail,
        where="host lifecycle",
        fix="start a new runner; this one cannot go on from here",
    )
