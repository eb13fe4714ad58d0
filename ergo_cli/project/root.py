"""Finds the project that a command belongs to (spec 21 §10.3, 00 §3 and §12.5)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from ergo_cli.errors import ProjectError, reason
from ergo_cli.project.toml import ERGO_TOML, PYPROJECT_TOML, Project, read_project, read_project_if_any


def load_project(start: Path) -> Project:
    """The nearest project from ``start`` upwards; ``start`` may be a project file, any other file or a folder.

    Raises ProjectError: PRJ-ROOT where there is none, else as ``read_project``.
    """
    project = find_project(start)
    if project is None:
        raise _no_project(start)
    return project


def find_project(start: Path) -> Project | None:
    """As ``load_project``, None where there is no project.

    In one folder ``ergo.toml`` wins over ``pyproject.toml``; a ``pyproject.toml`` without ``[tool.ergo]`` is passed.
    The project is trusted where the search began in the current folder (spec 00 §12.5).
    """
    for folder in _upwards(start):
        project = _project_in(folder)
        if project is not None:
            return replace(project, trusted=_is_current(_folder_of(start)))
    return None


def locate_project(input_file: Path | None = None, named: Path | None = None) -> Project | None:
    """The project of a command: ``named`` by ``--project``, else found from the current folder or the input file's.

    Raises ProjectError PRJ-ROOT where the named folder holds no project, or the current one is gone.
    """
    if named is not None:
        return _named_project(named)
    project = find_project(current_folder())
    if project is None and input_file is not None:
        project = find_project(input_file)
    return project


def current_folder() -> Path:
    """The folder that the command was started in. Raises ProjectError PRJ-ROOT where somebody has removed it."""
    try:
        return Path.cwd()
    except OSError as error:
        message = f"the current folder cannot be found: {reason(error)}"
        fix = "change to a folder that exists"
        raise ProjectError("PRJ-ROOT", message, where="current folder", fix=fix) from error


def _named_project(named: Path) -> Project:
    project = _project_in(_folder_of(named))
    if project is None:
        raise _no_project(named)
    return replace(project, trusted=True)


def _is_current(folder: Path) -> bool:
    try:
        return folder == current_folder()
    except ProjectError:
        return False


def _project_in(folder: Path) -> Project | None:
    ergo_toml = folder / ERGO_TOML
    if os.path.isfile(ergo_toml):
        return read_project(ergo_toml)
    pyproject = folder / PYPROJECT_TOML
    return read_project_if_any(pyproject) if os.path.isfile(pyproject) else None


def _upwards(start: Path) -> Iterator[Path]:
    folder = _folder_of(start)
    yield folder
    yield from folder.parents


def _folder_of(start: Path) -> Path:
    absolute = Path(os.path.normpath(start if start.is_absolute() else current_folder() / start))
    return absolute.parent if os.path.isfile(absolute) else absolute


def _no_project(start: Path) -> ProjectError:
    message = f"could not discover project root from '{start}' (no {ERGO_TOML} found)"
    fix = f"write an {ERGO_TOML} there, name the project's folder with --project DIR, or name a graph with --graph FILE"
    return ProjectError("PRJ-ROOT", message, where=str(start), fix=fix)
