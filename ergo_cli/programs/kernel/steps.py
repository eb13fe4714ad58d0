"""What a step function answers, and the contract of steps with explicit input (spec 40 §3.6, §3.15)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from msgspec import Struct

from ergo_cli.programs.kernel.actions import Action
from ergo_cli.programs.kernel.errors import driver_error
from ergo_cli.programs.kernel.events import Event
from ergo_cli.programs.kernel.signals import Initial, Resume, Signal
from ergo_cli.programs.kernel.wire import FreeValue, Variant, Wrapper

S = TypeVar("S")


class Emit(Wrapper, frozen=True):
    """Append these events as one batch and ask again."""

    events: list[Event]


class Do(Wrapper, frozen=True):
    """Execute this action and ask again."""

    action: Action


class Interrupt(Variant, frozen=True):
    """Stop until somebody resumes the run; ``value`` says what is asked of them."""

    value: FreeValue


class Complete(Variant, frozen=True):
    """The run is done."""


Next = Emit | Do | Interrupt | Complete

Step = Callable[[S], Next]
"""``step(state)``: what to do next. Pure; the driver asks it again after every answer but the last."""

StepInput = Initial | Resume | Signal


class StepRecord(Struct, frozen=True):
    """The version record of a step with explicit input: ``{"version":"V1","step_id":"s","input":"Initial"}``."""

    version: str
    step_id: str
    input: StepInput


STEP_CONTRACT_VERSION = "1.0"
"""The version of the contract that StepRecord's ``V1`` stands for."""


def validate_input(step_input: StepInput) -> None:
    """Raise KernelError for a signal without a name."""
    if isinstance(step_input, Signal) and not step_input.name:
        raise driver_error("ExecutionStepInput::Signal name must be non-empty")


class ExplicitStep(Struct, Generic[S], frozen=True):
    """A plain step function behind the explicit-input contract; it does not look at the input."""

    step: Step[S]

    def execute(self, state: S, step_input: StepInput) -> Next:
        """What the step function answers. Raises KernelError for an invalid input."""
        validate_input(step_input)
        return self.step(state)
