"""Which changes of a program lie in the code of a function: its own, and that of what it names."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable, Iterator, Sequence, Set
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
    return next((_code(each) for each in _reached(function, frozenset()) if isinstance(each, FunctionType)), None)


def changes_in(function: object, changes: Sequence[Change]) -> list[Change]:
    """The changes in the code of a function, or of functions, classes and constants that it names, in their order.

    Names are followed in the packages that have changes.
    """
    packages = frozenset(_package_of(change.file) for change in changes if change.file)
    if not packages:
        return []
    names = {name for each in _reached(function, packages) for name in _names(each)}
    files = {file for file, _ in names if file}
    written = (change for change in changes if not (change.idle or change.structural))
    return [change for change in written if _is_in(change, names, files)]


def changes_of_part(node: str, functions: Iterable[object], changes: Sequence[Change]) -> list[Change]:
    """The changes of a part of a program itself, then those in the code of its functions, each once."""
    own = [change for change in changes if change.structural and not change.idle and change.nodes == (node,)]
    in_code = [change for each in functions if callable(each) for change in changes_in(each, changes)]
    return list(dict.fromkeys([*own, *in_code]))


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


def _reached(function: object, packages: Set[str]) -> Iterator[FunctionType | type]:
    """The functions and classes of users behind a function, itself first; names are followed in some packages."""
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
                if not each.__code__.co_filename.startswith(_ERGO):
                    yield each
                waiting += _held(each, packages)
            case MethodType():
                waiting += [each.__func__, type(each.__self__)]
            case functools.partial():
                partial = cast("functools.partial[Any]", each)
                waiting += [partial.func, *partial.args, *partial.keywords.values()]
            case type():
                if each.__module__.partition(".")[0] in packages:
                    yield each
                waiting += [member for member in vars(each).values() if isinstance(member, FunctionType)]
            case _ if callable(each):
                waiting.append(type(each))
            case _:
                pass


def _held(function: FunctionType, packages: Set[str]) -> list[object]:
    """What a function holds in its closure and its defaults, and in some packages what its code names."""
    cells = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
    held = [*cells, *(function.__defaults__ or ())]
    if function.__module__.partition(".")[0] in packages:
        names = [*_code_names(function.__code__)]
        held += [function.__globals__[name] for name in names if name in function.__globals__]
        modules = [each for each in held if isinstance(each, ModuleType)]
        held += [vars(module)[name] for module in modules for name in names if name in vars(module)]
    return [each for each in held if callable(each)]


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


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
    return Code(code.co_qualname.partition(".<locals>")[0], code.co_filename, code.co_firstlineno)


def _package_of(file: str) -> str:
    """The top-level package of a file: ``shop`` of ``shop/plan.py`` and of ``shop.py``."""
    return file.partition("/")[0].removesuffix(".py")


def _file_of(found: type) -> str:
    """The file of a class, as far as its functions tell."""
    functions = (member for member in vars(found).values() if isinstance(member, FunctionType))
    return next((function.__code__.co_filename for function in functions), "")
