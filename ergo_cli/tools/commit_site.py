"""Where in a git repository the program of a bundle is, so that it can be found in every commit by the same rule."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.bundle.reader import BundleReader
from ergo_cli.errors import ErgoError, UsageError
from ergo_cli.programs.kinds import BUILT_IN_ID
from ergo_cli.project.finding import ProgramFlags
from ergo_cli.project.profiles import profile_for_replay, resolve_profile
from ergo_cli.project.project_file import Project, current_folder, load_project, locate_project
from ergo_cli.project.trust import import_refused, refuse_stranger, repository_refused
from ergo_cli.replay.session import recorded_program
from ergo_cli.tools.git_repository import Repository


class Site(Struct, frozen=True):
    """Where in a repository the program of a bundle is.

    ``flags`` name it by a file, a module or a profile, so that no text that is kept elsewhere is taken for it; their
    paths are absolute, links followed. ``folder`` is where the replays run, a folder of the repository.
    """

    repository: Repository
    flags: ProgramFlags
    folder: Path


def site_of(reader: BundleReader, flags: ProgramFlags) -> Site:
    """The site of a bundle's program, found as ``ergo replay`` finds it; nothing is imported.

    Raises UsageError for a graph and a program at once, ProgramError for a project or a repository that is not trusted,
    ProjectError, ErgoError ``bisect.no_program`` and as ``Repository.of``.
    """
    if flags.graph is not None and flags.program is not None:
        message = "--graph and --program cannot be used together"
        raise UsageError("cli.conflicting_options", message, where="option --program", fix="give one of the two")
    project = locate_project(Path(reader.path), flags.project)
    if project is None and flags.profile is not None:
        project = load_project(current_folder())
    if project is not None:
        refuse_stranger(project)
    if flags.graph is None and flags.program is None:
        project, flags = _by_profile(reader, flags, project)
    repository = Repository.of(_program_folder(flags, project))
    here = Path(os.path.realpath(current_folder()))
    root = None if project is None else Path(os.path.realpath(project.root))
    if not any(folder is not None and folder.is_relative_to(repository.top) for folder in (here, root)):
        raise repository_refused(repository.top)
    return Site(
        repository,
        replace(
            flags,
            graph=_followed(flags.graph),
            adapter=_followed(flags.adapter),
            cluster_paths=tuple(Path(os.path.realpath(path)) for path in flags.cluster_paths),
            project=root,
        ),
        here if here.is_relative_to(repository.top) else repository.top,
    )


def _by_profile(reader: BundleReader, flags: ProgramFlags, project: Project | None) -> tuple[Project, ProgramFlags]:
    """The project, and the flags with the name of the profile that finds the program today."""
    recorded = recorded_program(reader)
    if project is not None and flags.profile is not None:
        resolve_profile(project, flags.profile)
        return project, flags
    if project is not None and recorded.graph_id != BUILT_IN_ID:
        profile = profile_for_replay(project, recorded.bundle, recorded.graph_id, recorded.reference)
        if profile is not None:
            return project, replace(flags, profile=profile.name)
    message = f"no file of a repository is known to be the program '{recorded.graph_id}'"
    fix = "name it with --graph FILE or --program MODULE:ATTR, or change to the project whose profile names it"
    raise ErgoError("bisect.no_program", message, where=str(recorded.bundle), fix=fix)


def _program_folder(flags: ProgramFlags, project: Project | None) -> Path:
    if flags.graph is not None:
        return Path(os.path.realpath(flags.graph.parent))
    if project is None:
        raise import_refused(None, (flags.program or "",))
    return project.root


def _followed(path: Path | None) -> Path | None:
    """The path of a file, the links of its folder followed: the file itself may be a link that a commit has too."""
    return None if path is None else Path(os.path.realpath(path.parent)) / path.name
