"""Which changes of a program lie in the code of a function: its own, and that of what it names."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Sequence
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, cast

from msgspec import Struct

from ergo_cli.programs.causes import Cause
from ergo_cli.programs.changes import Change

_ERGO = __file__.removesuffix("programs/changed_code.py")
_MOST = 2_000
"""How many functions and classes are looked at."""


class Code(Struct, frozen=True):
    """The function that a user wrote: its name, and where its definition stands."""

    name: str
    file: str
    line: int


def code_of(function: object) -> Code | None:
    """The first function of a user's that a function is or wraps; None for one without Python code."""
    return next((_code(each) for each in _reached(function) if isinstance(each, FunctionType)), None)


def changes_in(function: object, changes: Sequence[Change]) -> list[Change]:
    """The changes in the code of a function, or of functions, classes and constants that it names, in their order."""
    if not changes:
        return []
    names = {name for each in _reached(function) for name in _names(each)}
    files = {file for file, _ in names if file}
    return [change for change in changes if not change.idle and _is_in(change, names, files)]


def change_cause(change: Change) -> Cause:
    """A change as a step of a chain."""
    return Cause(
        part=change.subject,
        recorded=change.before,
        today=change.after,
        file=change.file,
        line=change.line,
        is_change=True,
    )


def _is_in(change: Change, names: set[tuple[str, str]], files: set[str]) -> bool:
    if change.file is None:
        return False
    own = {file for file in files if file == change.file or file.endswith(f"/{change.file}")}
    part = change.subject.removeprefix("in ")
    if " " in part:  # "the file", "code outside functions"
        return bool(own)
    wholes = {part, part.rpartition(".")[0]}
    return any(name in wholes and (not file or file in own) for file, name in names)


def _reached(function: object) -> Iterator[FunctionType | type]:
    """The functions and classes of users behind a function, itself first."""
    waiting: list[object] = [function]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        match each:
            case FunctionType() if id(inner := inspect.unwrap(each)) not in seen:
                waiting[:0] = [inner, each]
                seen.discard(id(each))
            case FunctionType():
                is_users = not each.__code__.co_filename.startswith(_ERGO)
                if is_users:
                    yield each
                waiting += _held(each)
                if is_users:
                    waiting += _named(each)
            case MethodType():
                waiting += [each.__func__, type(each.__self__)]
            case functools.partial():
                partial = cast("functools.partial[Any]", each)
                waiting += [partial.func, *partial.args, *partial.keywords.values()]
            case type():
                if not _is_foreign(each):
                    yield each
                    waiting += [member for member in vars(each).values() if isinstance(member, FunctionType)]
            case _ if callable(each):
                waiting.append(inspect.unwrap(each) if hasattr(each, "__wrapped__") else type(each))
            case _:
                pass


def _held(function: FunctionType) -> list[object]:
    """What a function holds: the cells of its closure, and defaults."""
    cells = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
    return [each for each in (*cells, *(function.__defaults__ or ())) if callable(each)]


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def _named(function: FunctionType) -> list[object]:
    """The values of the globals that the code of a function names, and those of the modules among them."""
    names = list(_code_names(function.__code__))
    found = [function.__globals__.get(name) for name in names]
    modules = [vars(each) for each in found if isinstance(each, ModuleType)]
    found += (members.get(name) for members in modules for name in names)
    return [each for each in found if isinstance(each, FunctionType | type)]


def _names(each: FunctionType | type) -> Iterator[tuple[str, str]]:
    """A function or a class, and what it names, with their files; the file is empty where it cannot be known."""
    if isinstance(each, type):
        yield _file_of(each), each.__qualname__
        return
    code = _code(each)
    yield code.file, code.name
    for name in _code_names(each.__code__):
        yield code.file, name
        value = each.__globals__.get(name)
        if isinstance(value, ModuleType):
            file = getattr(value, "__file__", None) or ""
            yield from ((file, inner) for inner in _code_names(each.__code__))
        elif name in each.__globals__ and not callable(value):
            yield "", name  # it may have been imported from another file


def _code_names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code_names(constant)


def _code(function: FunctionType) -> Code:
    code = function.__code__
    return Code(function.__qualname__.partition(".<locals>")[0], code.co_filename, code.co_firstlineno)


def _is_foreign(found: type) -> bool:
    return not _file_of(found) or _file_of(found).startswith(_ERGO)


def _file_of(found: type) -> str:
    """The file of a class, as far as its functions tell."""
    functions = (member for member in vars(found).values() if isinstance(member, FunctionType))
    return next((function.__code__.co_filename for function in functions), "")
