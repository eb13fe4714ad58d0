"""What the generated code calls the values that travel along edges."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ergo_cli.core.values import NativeValue
from ergo_cli.programs.graph.compiler.code import CodeBuilder
from ergo_cli.programs.graph.signals import TriggerEvent


class Operand(Struct, frozen=True):
    """An output as the code sees it: ``name`` is a local or a constant. A trigger's event is a bool there.

    ``constant`` is the value where it is known beforehand. ``given`` is a local that is None where the primitive may
    have kept this output to itself; None where it cannot.
    """

    name: str
    native: type
    constant: NativeValue | None = None
    given: str | None = None

    @property
    def is_event(self) -> bool:
        """Whether it is the event of a trigger."""
        return self.native is TriggerEvent

    @property
    def known(self) -> NativeValue | TriggerEvent | None:
        """The value as the interpreter has it, where it is known."""
        if self.is_event and self.constant is not None:
            return TriggerEvent.EMITTED if self.constant else TriggerEvent.NOT_EMITTED
        return self.constant


Operands = Mapping[str, Operand]
"""What is wired to the inputs of a node, by input."""


def constant_operand(code: CodeBuilder, value: NativeValue | TriggerEvent, native: type) -> Operand:
    """A value that is known beforehand."""
    constant = value is TriggerEvent.EMITTED if isinstance(value, TriggerEvent) else value
    return Operand(code.constant(constant), native, constant)


def inputs_of(code: CodeBuilder, inputs: Operands) -> str:
    """The expression of a node's inputs as ``run_node`` takes them."""
    return "{" + ", ".join(f"{code.constant(port)}: {_value(operand)}" for port, operand in inputs.items()) + "}"


def _value(operand: Operand) -> str:
    return f"EMITTED if {operand.name} else NOT_EMITTED" if operand.is_event else operand.name
