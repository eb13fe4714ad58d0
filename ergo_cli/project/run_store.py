"""Which store of runs a command works on, and by which program a run goes on (spec 00 §13.8)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
from msgspec import Struct

from ergo_cli.errors import ProgramError, UsageError
from ergo_cli.project.profiles import DEFAULT_PROFILE, ResolvedProfile, implied_profile, resolve_profile
from ergo_cli.project.root import current_folder, load_project, locate_project
from ergo_cli.project.toml import Project

if TYPE_CHECKING:
    from ergo_cli.project.python_programs import PythonProgram

_SQLITE = "sqlite:"
_USER_STORE = "default"


class RunFlags(Struct, frozen=True):
    """What the command line says: ``--store``, ``-P``, ``-p``, ``--project``."""

    store: str | None = None
    program: str | None = None
    profile: str | None = None
    project: Path | None = None


class NamedStore(Struct, frozen=True):
    """A store as ``open_store`` takes it, and who named it."""

    text: str
    rule: str


def find_run_store(flags: RunFlags) -> NamedStore:
    """The store of ``--store``, else of the profile, else the user's; as everywhere, ``-P`` alone uses no profile.

    Raises UsageError ``cli.missing_required_option`` where profiles name several stores and nobody chooses, and
    ProjectError.
    """
    if flags.store is not None:
        return NamedStore(flags.store, "flag --store")
    project = _project(flags)
    profile = None if project is None else _profile_with_store(project, flags)
    text = None if profile is None else profile_store(profile)
    if profile is None or text is None:
        return NamedStore(_USER_STORE, "default")
    return NamedStore(text, f"profile {profile.name} of {profile.project.file.name}")


def find_run_program(flags: RunFlags) -> PythonProgram:
    """The program of ``-P``, else of the profile, with everything that it needs to run live.

    Raises UsageError ``cli.missing_required_option`` where nothing names one, and as ``load_python_program``.
    """
    from ergo_cli.project.python_programs import load_python_program  # runs of graphs do not pay for the import

    project = _project(flags)
    if flags.program is not None:
        return load_python_program(project, flags.program).live()
    name = flags.profile or (None if project is None else implied_profile(project))
    if project is None or name is None:
        message = "the program of the run is not named"
        fix = "name it with --program MODULE:ATTR, or a profile with --profile NAME"
        raise UsageError("cli.missing_required_option", message, where="option --program", fix=fix)
    profile = resolve_profile(project, name)
    if profile.program.kind == "graph":
        message = f"profile '{name}' is that of a graph, whose runs are in no store"
        where = f"{project.file} profiles.{name}.graph"
        raise ProgramError("program.wrong_kind", message, where=where, fix="choose another with --profile NAME")
    return load_python_program(project, profile.program.ref, profile.program.kind).live()


def profile_store(profile: ResolvedProfile) -> str | None:
    """The store that a profile names, the path of a file joined to the project's root."""
    text = profile.store
    if text is None or not text.startswith(_SQLITE) or text == f"{_SQLITE}:memory:":
        return text
    return f"{_SQLITE}{profile.project.root / text.removeprefix(_SQLITE)}"


def user_folder() -> Path:
    """The user's data folder, which holds the store ``default``."""
    return platformdirs.user_data_path("ergo", appauthor=False)


def _project(flags: RunFlags) -> Project | None:
    project = locate_project(None, flags.project)
    return load_project(current_folder()) if project is None and flags.profile is not None else project


def _profile_with_store(project: Project, flags: RunFlags) -> ResolvedProfile | None:
    """The profile whose store is meant; without ``-p`` any of several that keep their runs in one place."""
    if flags.profile is None and (flags.program is not None or not project.profiles):
        return None
    name = flags.profile or implied_profile(project)
    if name is None and len({profile.store for profile in project.profiles.values()}) == 1:
        name = next(iter(project.profiles))
    if name is not None:
        return resolve_profile(project, name)
    names = ", ".join(project.profiles)
    message = f"the project has several profiles with several stores and none is named '{DEFAULT_PROFILE}': {names}"
    fix = "choose one with --profile NAME, or name the store with --store"
    raise UsageError("cli.missing_required_option", message, where=str(project.file), fix=fix)
