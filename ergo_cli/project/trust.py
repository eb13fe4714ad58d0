"""What a project may give that was found beside an input file: a stranger's, whose author the user may not know.

Every use of such a project's settings passes here. A project that was named with ``--project``, or found from the
current folder upwards, may give everything.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from enum import Enum
from pathlib import Path

from msgspec import Struct

from ergo_cli.errors import ProgramError
from ergo_cli.programs.kinds import TEXTUAL
from ergo_cli.project.project_file import FOUND_BESIDE_INPUT, IMPORT_REFUSED, NAME_IT, Profile, Project, is_below

Gate = Callable[[Path], None]
"""Raises ProgramError for a file that must not be opened."""


class Standing(Enum):
    """What a key of a project that is not trusted may do."""

    GIVEN = "a value that nothing is started, opened or written for"
    BELOW_ROOT = "the path of a file to read, which must lie below the project's folder"
    IMPORTED = "modules: refused where they are imported"
    REFUSED = "starts processes, opens what is not a file of the project, or says where to write"


PROJECT_KEYS = {
    "name": Standing.GIVEN,
    "version": Standing.GIVEN,
    "profiles": Standing.GIVEN,
    "primitives": Standing.IMPORTED,
    "ignore": Standing.GIVEN,
    "allowed_names": Standing.GIVEN,
    "redact": Standing.GIVEN,
    "redact_key_file": Standing.BELOW_ROOT,
    "numbers": Standing.GIVEN,
    "formats": Standing.GIVEN,
    "expects": Standing.GIVEN,
}
"""The standing of every key at the top; what is in ``profiles`` stands in ``PROFILE_KEYS``."""

PROFILE_KEYS = {
    "name": Standing.GIVEN,
    "program": Standing.BELOW_ROOT,
    "fixture": Standing.BELOW_ROOT,
    "ingress": Standing.REFUSED,
    "adapter": Standing.BELOW_ROOT,
    "egress": Standing.REFUSED,
    "capture_output": Standing.REFUSED,
    "store": Standing.REFUSED,
    "artifacts": Standing.REFUSED,
    "run_id": Standing.GIVEN,
    "pretty_capture": Standing.GIVEN,
    "embed": Standing.GIVEN,
    "guard": Standing.GIVEN,
    "max_events": Standing.GIVEN,
    "max_in_flight": Standing.GIVEN,
    "max_per_window": Standing.GIVEN,
    "max_retries": Standing.GIVEN,
    "max_duration": Standing.GIVEN,
    "rate_window": Standing.GIVEN,
    "deadline": Standing.GIVEN,
    "numbers": Standing.GIVEN,
    "formats": Standing.GIVEN,
    "primitives": Standing.IMPORTED,
    "ignore": Standing.GIVEN,
    "allowed_names": Standing.GIVEN,
    "redact": Standing.GIVEN,
    "redact_key_file": Standing.BELOW_ROOT,
}
"""The standing of every key of a profile; ``program`` is that of a program made of texts, all others are imported."""

_NO_KEYS = {"file", "root", "notices", "trusted"}


def import_refused(project: Project | None, names: tuple[str, ...]) -> ProgramError:
    """The error for modules of a project that is not trusted, or of none."""
    quoted = ", ".join(f"'{name}'" for name in names)
    if project is None:
        message = f"{quoted} cannot be imported: modules are imported from a project, and there is none"
        return ProgramError(IMPORT_REFUSED, message, fix=f"write an ergo.toml beside the modules, or {NAME_IT}")
    message = f"{quoted} is not imported: {FOUND_BESIDE_INPUT}"
    return ProgramError(IMPORT_REFUSED, message, where=str(project.file), fix=NAME_IT)


def refuse_stranger(project: Project) -> None:
    """Refuse a project that is not trusted, whatever it gives. Raises ProgramError ``program.import_refused``."""
    if not project.trusted:
        message = f"the project's repository is not used: {FOUND_BESIDE_INPUT}"
        raise ProgramError(IMPORT_REFUSED, message, where=str(project.file), fix=NAME_IT)


def repository_refused(top: Path) -> ProgramError:
    """The error for a git repository that holds neither the current folder nor the project in use.

    Its configuration may name programs that git starts.
    """
    message = "the repository is not used: it holds neither the current folder nor the project that was named"
    return ProgramError(IMPORT_REFUSED, message, where=str(top), fix=NAME_IT)


def check_settings(project: Project, name: str, unused: Set[str] = frozenset()) -> None:
    """Refuse a project that is not trusted if a key that it must not give is set; ``name`` is the profile in use.

    ``unused`` are the profile's keys that the command does not need or that options replace. Raises ProgramError
    ``program.import_refused``.
    """
    if project.trusted:
        return
    for key in project.__struct_fields__:
        if key not in _NO_KEYS:
            _check(project, project, key, PROJECT_KEYS.get(key), key)
    for key in Profile.__struct_fields__:
        if key not in unused:
            check_key(project, name, key)


def check_key(project: Project, name: str, key: str) -> None:
    """Refuse ``key`` of a profile if the project is not trusted and must not give it. Raises as ``check_settings``."""
    profile = project.profiles[name]
    _check(project, profile, key, PROFILE_KEYS.get(key), f"profiles.{name}.{_as_written(profile, key)}")


def check_path(project: Project, path: Path, key: str) -> None:
    """Refuse a path that leads out of a project that is not trusted, through links too. Raises as ``check_settings``.

    ``key`` is the place in the project file that the path comes from.
    """
    if not project.trusted and not is_below(path, project.root):
        raise ProgramError(IMPORT_REFUSED, _leads_out(path, project), where=f"{project.file} {key}", fix=NAME_IT)


def cluster_gate(project: Project | None, callers: tuple[Path, ...] = ()) -> Gate | None:
    """What keeps the clusters of a graph in a project that is not trusted; None if they may lie anywhere.

    ``callers`` are folders that the caller names: what is below them may be a link to anywhere.
    """
    if project is None or project.trusted:
        return None

    def refuse(path: Path) -> None:
        if not any(path.is_relative_to(folder) for folder in callers) and not is_below(path, project.root):
            raise ProgramError(IMPORT_REFUSED, _leads_out(path, project), where=str(path), fix=NAME_IT)

    return refuse


def folders_of_caller(project: Project | None, graph: Path, cluster_paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """The folders of clusters that are the caller's who named ``graph``: also its own, unless the project holds it."""
    if project is None or is_below(graph, project.root):
        return cluster_paths
    return (*cluster_paths, graph.parent)


def _check(project: Project, holder: Struct, key: str, standing: Standing | None, place: str) -> None:
    value = getattr(holder, key)
    if project.trusted or value is None or value is False or value == ():
        return
    match standing:
        case Standing.GIVEN | Standing.IMPORTED:
            pass
        case Standing.BELOW_ROOT:
            for path in _paths(value):
                check_path(project, project.root / path, place)
        case Standing.REFUSED | None:
            message = f"'{place}' is not used: {FOUND_BESIDE_INPUT}"
            raise ProgramError(IMPORT_REFUSED, message, where=f"{project.file} {place}", fix=NAME_IT)


def _paths(value: object) -> tuple[str, ...]:
    """The paths in a key's value; none in a program that is a module."""
    if isinstance(value, str):
        return (value,)
    ref = getattr(value, "ref", None)
    return (ref,) if isinstance(ref, str) and getattr(value, "kind", None) == TEXTUAL else ()


def _as_written(profile: Profile, key: str) -> str:
    """The name of a key in the file: the program's is its kind."""
    return profile.program.kind if key == "program" else key


def _leads_out(path: Path, project: Project) -> str:
    return f"'{path}' is not opened: it leads out of the project's folder, and {FOUND_BESIDE_INPUT}"
