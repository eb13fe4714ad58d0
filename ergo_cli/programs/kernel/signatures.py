"""Refuse functions of a kernel program that can be seen to be wrong before anything runs."""

from __future__ import annotations

from typing import Any

from ergo_cli.programs.functions import unfit, unfit_function
from ergo_cli.programs.kernel.program import KernelProgram

_FUNCTIONS = {"initial_state": ("payload",), "step": ("state",), "reduce": ("state", "event")}
_EXECUTE = ("action", "call")


def check_functions(program: KernelProgram[Any]) -> None:
    """Raise ProgramError ``program.unfit_function`` for a function that cannot be called as the driver calls it."""
    check_pure_functions(program)
    if not isinstance(program.execute, str):
        check_executor(program.execute)


def check_pure_functions(program: KernelProgram[Any]) -> None:
    """As ``check_functions``, without the executor, which a replay does not call."""
    for name, parameters in _FUNCTIONS.items():
        function = getattr(program, name)
        if not isinstance(function, type):
            _check(f"{name} of program '{program.name}'", function, parameters)


def check_executor(execute: object) -> None:
    """As ``check_functions``, for a resolved executor."""
    if isinstance(execute, type):
        message = f"execute is the class {execute.__name__}, not an instance of it"
        raise unfit(message, execute, f"execute({', '.join(_EXECUTE)})")
    _check("execute", execute, _EXECUTE)


def _check(name: str, function: object, parameters: tuple[str, ...]) -> None:
    fault = unfit_function(name, function, parameters)
    if fault is not None:
        raise fault
