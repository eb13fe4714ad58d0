"""The primitives that a graph may use: the standard library and those of a project's own modules (spec 00 §12.5)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import cast

from msgspec.structs import replace

from ergo_cli.errors import ErgoError, PrimitiveError
from ergo_cli.programs.graph.catalog import Inventory, build_inventory, standard_inventory
from ergo_cli.programs.graph.primitives.primitive import AnyPrimitive, Primitive
from ergo_cli.project.importing import ImportFault, import_module, raised_at, told, trusted
from ergo_cli.project.toml import Project

_KEY = "primitives"
_FIX = 'write primitives = "package.module", the module as Python names it from the project\'s folder'


def load_inventory(
    project: Project | None, modules: tuple[str, ...], extras: tuple[AnyPrimitive, ...] = ()
) -> Inventory:
    """The standard library, then ``extras``, then what ``modules`` define, in the order in which it is defined there.

    Modules are imported with the project's root first on ``sys.path``; what they print goes to standard error. Raises
    ProgramError ``program.import_refused`` for a project that is not trusted, PrimitiveError
    ``primitive.import_failed`` or ``primitive.none_defined``, RuleError for a broken registration rule (SRC-*, CMP-*,
    TRG-*, ACT-*).
    """
    if not modules:
        return build_inventory(extras) if extras else standard_inventory()
    project = trusted(project, modules)
    found = {id(primitive): primitive for primitive in extras}
    for name in modules:
        offered = list(_primitives(_imported(name, project)))
        if not offered:
            raise _nothing(name, project)
        found.update((id(primitive), primitive) for primitive in offered)
    try:
        return build_inventory(list(found.values()))
    except ErgoError:
        raise
    except Exception as error:
        raise _unregistered(modules, project, error) from error


def _primitives(module: ModuleType) -> Iterator[AnyPrimitive]:
    """The primitives among a module's values, in the order of their definition."""
    for name, value in vars(module).items():
        if isinstance(value, Primitive):
            primitive = cast("AnyPrimitive", value)
            yield primitive if primitive.place is not None else replace(primitive, place=f"{module.__file__} {name}")


def _imported(name: str, project: Project) -> ModuleType:
    try:
        return import_module(name, project)
    except ImportFault as fault:
        message, fix = fault.message, fault.fix or _FIX
        if fault.is_missing:
            message = f"module '{name}' of own primitives was not found"
            fix = fault.fix or f"write {Path(*name.split('.'))}.py in the project's folder, or correct the key '{_KEY}'"
        where = fault.where or _where(project)
        raise PrimitiveError("primitive.import_failed", message, where=where, fix=fix) from fault.__cause__


def _nothing(name: str, project: Project) -> PrimitiveError:
    message = f"module '{name}' defines no primitive"
    fix = "decorate a function with source, compute, trigger or action of ergo_cli.primitives"
    return PrimitiveError("primitive.none_defined", message, where=_where(project), fix=fix)


def _unregistered(modules: tuple[str, ...], project: Project, error: Exception) -> PrimitiveError:
    message = f"{', '.join(modules)} cannot be registered: {told(error)}"
    where = raised_at(error, project.root) or _where(project)
    return PrimitiveError("primitive.import_failed", message, where=where, fix="mend the module")


def _where(project: Project) -> str:
    return f"{project.file} {_KEY}"
