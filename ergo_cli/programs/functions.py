"""Refuse functions of a program that can be seen to be wrong before anything runs."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from ergo_cli.errors import ProgramError


def unfit_function(name: str, function: object, parameters: Sequence[str]) -> ProgramError | None:
    """The error ``program.unfit_function`` of a function that cannot be called with these parameters; None if it can.

    ``name`` says what the function is, beginning with the name that it has for its program.
    """
    fault = unfit_result(function) or unfit_parameters(function, parameters)
    if fault is None:
        return None
    form = f"{name.partition(' ')[0]}({', '.join(parameters)})"
    return unfit(f"{name} {fault}", function, form)


def unfit(message: str, function: object, form: str) -> ProgramError:
    """The error of a function; ``form`` is how it must be written."""
    fix = f"write a plain function {form} that returns its result"
    return ProgramError("program.unfit_function", message, where=code_place(function), fix=fix)


def unfit_result(function: object) -> str | None:
    """What a call would give in place of a result, to end a message; None if nothing is known against it."""
    if not callable(function):
        return f"is a {type(function).__name__}, which cannot be called"
    bodies = (function, type(function).__call__)
    if any(map(inspect.iscoroutinefunction, bodies)):
        return "is an async function: its result would be a coroutine"
    if any(inspect.isasyncgenfunction(body) or inspect.isgeneratorfunction(body) for body in bodies):
        return "is a generator function: its result would be a generator"
    return None


def unfit_parameters(function: object, parameters: Sequence[str]) -> str | None:
    """Why a function cannot be called with these positional arguments, to end a message; None if it can."""
    if not callable(function):
        return None
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a built-in function without a signature
        return None
    try:
        signature.bind(*parameters)
    except TypeError as error:
        return f"cannot be called with ({', '.join(parameters)}): {error}"
    return None


def code_place(function: object) -> str | None:
    """File and line of a function, or of the type of another value."""
    found = function if inspect.isroutine(function) or isinstance(function, type) else type(function)
    try:
        return f"{inspect.getfile(found)}:{inspect.getsourcelines(found)[1]}"
    except (OSError, TypeError):
        return None
