"""What a graph file that is looked at by itself has around it: its project, and the primitives of that project."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec.structs import replace

from ergo_cli.errors import ErgoError
from ergo_cli.programs.graph.catalog import Inventory
from ergo_cli.project.primitives import load_inventory
from ergo_cli.project.profiles import resolve_profile
from ergo_cli.project.root import current_folder, find_project, locate_project
from ergo_cli.project.toml import Project


def graph_project(path: Path, named: Path | None = None) -> Project | None:
    """The project of a graph file: ``named`` by ``--project``, else the nearest from its folder upwards.

    Raises ProjectError as ``locate_project``.
    """
    if named is not None:
        return locate_project(None, named)
    nearest = find_project(path)
    return None if nearest is None else with_trust(nearest)


def with_trust(project: Project, named: Path | None = None) -> Project:
    """``project``, trusted where it is the one that is found from the current folder, or that ``named`` names."""
    try:
        trusted = locate_project(None, named) if named is not None else find_project(current_folder())
    except ErgoError:
        return project
    return replace(project, trusted=trusted is not None and trusted.root == project.root)


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
