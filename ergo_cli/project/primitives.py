"""The primitives that graphs of a project may use: those of its modules and of the standard library (spec 30 §24)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import cast

from msgspec.structs import replace

from ergo_cli.errors import ErgoError, PrimitiveError
from ergo_cli.programs.graph.check.catalog import Inventory, build_inventory, standard_inventory
from ergo_cli.programs.graph.primitives.primitive import AnyPrimitive, Primitive
from ergo_cli.project.importing import ImportFault, exception_text, import_module, raised_at, trusted
from ergo_cli.project.profiles import resolve_profile
from ergo_cli.project.project_file import Project, current_folder, find_project, locate_project

_KEY = "primitives"
_FIX = 'write primitives = "package.module", the module as Python names it from the project\'s folder'


def load_inventory(
    project: Project | None, modules: tuple[str, ...], extras: tuple[AnyPrimitive, ...] = ()
) -> Inventory:
    """The standard library, then ``extras``, then what ``modules`` define, in order of definition.

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
    message = f"{', '.join(modules)} cannot be registered: {exception_text(error)}"
    where = raised_at(error, project.root) or _where(project)
    return PrimitiveError("primitive.import_failed", message, where=where, fix="mend the module")


def _where(project: Project) -> str:
    return f"{project.file} {_KEY}"


def graph_project(path: Path, named: Path | None = None) -> Project | None:
    """The project of a graph file: ``named`` by ``--project``, else the nearest from its folder upwards.

    Raises ProjectError as ``locate_project``.
    """
    if named is not None:
        return locate_project(None, named)
    nearest = find_project(path)
    return None if nearest is None else with_trust(nearest)


def with_trust(project: Project, named: Path | None = None) -> Project:
    """``project``, trusted if it is the project found from the current folder, or the one at ``named``."""
    try:
        trusted = locate_project(None, named) if named is not None else find_project(current_folder())
    except ErgoError:
        return project
    is_same = trusted is not None and os.path.realpath(trusted.root) == os.path.realpath(project.root)
    return replace(project, trusted=is_same)


def graph_inventory(path: Path, project: Project | None) -> Inventory:
    """The primitives that a graph file of ``project`` may use: those of the profiles that run it, else the project's.

    Raises ProjectError PRJ-INVALID for a profile that cannot be resolved, and as ``load_inventory``.
    """
    return load_inventory(project, () if project is None else _modules(path, project))


def _modules(path: Path, project: Project) -> tuple[str, ...]:
    place = os.path.realpath(path)
    profiles = (resolve_profile(project, name) for name in project.profiles)
    running = [profile for profile in profiles if profile.graph and os.path.realpath(profile.graph) == place]
    modules = [module for profile in running for module in profile.primitives]
    return tuple(dict.fromkeys(modules)) if running else project.primitives
