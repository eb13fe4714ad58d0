"""Which code of a program a function reaches, as far as names lead there: what a change of the program can alter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from msgspec import Struct

from ergo_cli.programs.changes import Change

_INSIDE: Mapping[Any, str] = {
    partial: "func",
    property: "fget",
    MethodType: "__func__",
    staticmethod: "__func__",
    classmethod: "__func__",
    FunctionType: "__wrapped__",
}
_PARTS = (FunctionType, ModuleType, type)
_LARGEST = 2000
"""How many functions and classes are followed."""


class ReachedCode(Struct, frozen=True):
    """The functions and classes that a function reaches, by module and name, and all names that their code uses."""

    parts: frozenset[tuple[str, str]]
    names: frozenset[str]

    def holds(self, change: Change) -> bool:
        """Whether a change of a Python program is in this code: in a function or class, or of a constant it names."""
        if change.file is None or change.idle:
            return False
        name = change.subject.removeprefix("in ")
        return (_module_of(change.file), name) in self.parts or (name == change.subject and name in self.names)


def reached_code(*functions: object) -> ReachedCode:
    """The code of their own packages that functions and classes reach through the names of their modules."""
    found: dict[tuple[str, str], None] = {}
    names: set[str] = set()
    packages = {_package_of(_plain(each)) for each in functions}
    waiting = list(map(_plain, functions))
    while waiting and len(found) < _LARGEST:
        part = waiting.pop()
        if not isinstance(part, FunctionType | type) or _package_of(part) not in packages:
            continue
        key = part.__module__, part.__qualname__
        if key in found:
            continue
        found[key] = None
        if isinstance(part, type):
            waiting += map(_plain, (*vars(part).values(), *part.__bases__))
        else:
            used = list(_names(part.__code__))
            names.update(used)
            waiting += map(_plain, _values(part, used))
    return ReachedCode(frozenset(found), frozenset(names))


def place_of(function: object) -> tuple[str | None, int | None]:
    """File and line of a function as changes name them: the path below the folder that holds its package."""
    part = _plain(function)
    if not isinstance(part, FunctionType):
        return None, None
    code = part.__code__
    path = part.__module__.replace(".", "/")
    return (f"{path}/__init__.py" if code.co_filename.endswith("__init__.py") else f"{path}.py"), code.co_firstlineno


def name_of(function: object) -> str:
    """What a function is called in its module."""
    part = _plain(function)
    return str(getattr(part, "__qualname__", type(part).__qualname__))


def _plain(value: Any) -> Any:
    """The function behind a decorated or partial one, a method or a property, or the class of a callable object."""
    kind = value.__class__
    inner: Any = getattr(value, _INSIDE.get(kind, ""), None)
    if inner is not None:
        return _plain(inner)
    is_object = hasattr(kind, "__call__") and not issubclass(kind, _PARTS)  # noqa: B004
    return kind if is_object else value


def _package_of(part: object) -> str:
    """The top-level package of a function or a class."""
    return str(getattr(part, "__module__", "")).partition(".")[0]


def _names(code: CodeType) -> Iterator[str]:
    """The names of globals and attributes in a function's code, and in the code inside it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _values(function: FunctionType, names: Sequence[str]) -> Iterator[Any]:
    """What a function's names may stand for: globals, closures, and members of modules that it names."""
    found = [function.__globals__[name] for name in names if name in function.__globals__]
    yield from found
    yield from (cell.cell_contents for cell in function.__closure__ or () if _is_set(cell))
    for module in found:
        if isinstance(module, ModuleType):
            yield from (vars(module)[name] for name in names if name in vars(module))


def _is_set(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def _module_of(file: str) -> str:
    """The module of a file by its path: ``support/agent.py`` is ``support.agent``."""
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
