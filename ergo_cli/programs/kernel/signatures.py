"""Refuse functions of a kernel program that can be seen to be wrong before anything runs."""

from __future__ import annotations

import inspect
from typing import Any

from ergo_cli.errors import ProgramError
from ergo_cli.programs.kernel.program import KernelProgram

_FUNCTIONS = {"initial_state": ("payload",), "step": ("state",), "reduce": ("state", "event")}
_EXECUTE = ("action", "call")


def check_functions(program: KernelProgram[Any]) -> None:
    """Raise ProgramError ``program.unfit_function`` for a function that cannot be called as the driver calls it."""
    for name, parameters in _FUNCTIONS.items():
        _check(f"{name} of program '{program.name}'", getattr(program, name), parameters)
    if not isinstance(program.execute, str):
        check_executor(program.execute)


def check_executor(execute: object) -> None:
    """As ``check_functions``, for a resolved executor."""
    _check("execute", execute, _EXECUTE)


def _check(name: str, function: object, parameters: tuple[str, ...]) -> None:
    fault = _fault(function, parameters)
    if fault is None:
        return
    form = f"{name.partition(' ')[0]}({', '.join(parameters)})"
    fix = f"write a plain function {form} that returns its result"
    raise ProgramError("program.unfit_function", f"{name} {fault}", where=_place(function), fix=fix)


def _fault(function: object, parameters: tuple[str, ...]) -> str | None:
    if not callable(function):
        return f"is a {type(function).__name__}, which cannot be called"
    if isinstance(function, type):
        return f"is the class {function.__name__}, not an instance of it" if parameters == _EXECUTE else None
    body = function if inspect.isroutine(function) else type(function).__call__
    if inspect.iscoroutinefunction(body):
        return "is an async function: its result would be a coroutine"
    if inspect.isasyncgenfunction(body) or inspect.isgeneratorfunction(body):
        return "is a generator function: its result would be a generator"
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a built-in function without a signature
        return None
    try:
        signature.bind(*parameters)
    except TypeError as error:
        return f"cannot be called with ({', '.join(parameters)}): {error}"
    return None


def _place(function: object) -> str | None:
    """File and line of a function, or of the type of another value."""
    found = function if inspect.isroutine(function) or isinstance(function, type) else type(function)
    try:
        return f"{inspect.getfile(found)}:{inspect.getsourcelines(found)[1]}"
    except (OSError, TypeError):
        return None
