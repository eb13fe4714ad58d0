"""The parts of a kernel program: its functions, its policy, its limits."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

from ergo_cli.core.json import Member
from ergo_cli.programs.kernel.engine.policy import Limits
from ergo_cli.programs.kernel.program import KernelProgram
from ergo_cli.programs.kernel.replay.divergence import DivergenceKind
from ergo_cli.programs.kernel.signatures import check_pure_functions
from ergo_cli.programs.parts import Part, texts_of
from ergo_cli.programs.recorded import JournalDifference

_PARTS = frozenset({"initial_state", "step", "reduce", "policy", "limits"})


def structure_of(program: KernelProgram[Any]) -> Sequence[Part]:
    """The functions that a replay calls, the policy and the limits. Raises as ``check_pure_functions``."""
    check_pure_functions(program)
    limits = {name: getattr(program.limits, name, None) for name in Limits.__struct_fields__}
    numbers = {name: value for name, value in limits.items() if isinstance(value, int)}
    return [
        _function("initial_state", program.initial_state, program.state),
        _function("step", program.step),
        _function("reduce", program.reduce, program.state),
        _function("policy", type(program.policy)),
        Part("limits", "limits", fields=texts_of(numbers), nodes=("limits",)),
    ]


def functions_behind(node: str | None, difference: JournalDifference | None) -> Set[str]:
    """The parts behind a record; of states that differ behind equal records the function that made them."""
    if difference is None or difference.cause != DivergenceKind.STATE_MISMATCH.value:
        return _PARTS
    return {"initial_state"} if Member("initial") in difference.location else {"reduce"}


def _function(name: str, *functions: object) -> Part:
    return Part("function", name, nodes=(name,), functions=functions)
