"""Finds the program of a run or of a bundle, in the order of spec 00 §3.

Nothing is imported on the way but modules that the caller's project, or the caller, names: those of own primitives and
of programs written in Python.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from msgspec import Struct

from ergo_cli.core.notices import Notice
from ergo_cli.core.program_source import ProgramSource
from ergo_cli.errors import BundleError, ErgoError, PrimitiveError, ProgramError, ReplayError, UsageError
from ergo_cli.events.adapter import Adapter, adapter_provenance
from ergo_cli.programs.graph.catalog import Inventory
from ergo_cli.programs.graph.primitives.primitive import AnyPrimitive
from ergo_cli.programs.graph.program import SCHEDULE, GraphProgram
from ergo_cli.project.loading import (
    LoadedProgram,
    load_adapter_file,
    load_program_from_files,
    load_program_from_sources,
    notices_of,
)
from ergo_cli.project.primitives import load_inventory
from ergo_cli.project.profiles import ResolvedProfile, profile_for_run, resolve_profile
from ergo_cli.project.replay_profile import profile_for_replay
from ergo_cli.project.root import current_folder, load_project, locate_project
from ergo_cli.project.store import ProgramStore
from ergo_cli.project.toml import Project

if TYPE_CHECKING:
    from ergo_cli.project.python_programs import PythonProgram

Program: TypeAlias = "GraphProgram | PythonProgram"
"""A program of any kind that can be run."""

P = TypeVar("P", bound="GraphProgram | PythonProgram", covariant=True)


class ProgramFlags(Struct, frozen=True):
    """What the command line says of the program: ``-g``, ``-P``, ``-a``, ``--cluster-path``, ``-p``, ``--project``.

    ``guard`` puts own primitives under the determinism guard. ``primitives`` are those that a caller of the library
    hands over.
    """

    graph: Path | None = None
    program: str | None = None
    adapter: Path | None = None
    cluster_paths: tuple[Path, ...] = ()
    profile: str | None = None
    project: Path | None = None
    guard: bool = False
    primitives: tuple[AnyPrimitive, ...] = ()


class RecordedProgram(Struct, frozen=True):
    """What a bundle says of its program.

    ``sources`` are those of a graph embedded in a v4 bundle, ``reference`` is the ``module:attribute`` of a program
    written in Python.
    """

    bundle: Path
    graph_id: str
    runtime_provenance: str
    adapter_provenance: str
    sources: tuple[ProgramSource, ...] = ()
    reference: str | None = None


class FoundProgram(Struct, Generic[P], frozen=True):
    """A program and the rule that found it. Without a profile the top-level keys of ``project`` still hold."""

    rule: str
    program: P
    adapter: Adapter | None
    sources: tuple[ProgramSource, ...]
    project: Project | None
    profile: ResolvedProfile | None
    notices: tuple[Notice, ...]


def choose_profile(flags: ProgramFlags, events: Path | None = None) -> tuple[Project | None, ResolvedProfile | None]:
    """The project and the profile of ``run`` and ``capture``, before any graph is looked at.

    Raises UsageError and ProjectError.
    """
    _check_flags(flags)
    project = locate_project(events, flags.project)
    profile = _named_profile(project, flags)
    if profile is None and not _names_program(flags) and project is not None:
        profile = profile_for_run(project, None)
    return project, profile


def find_program_for_run(flags: ProgramFlags, events: Path | None = None) -> FoundProgram[Program]:
    """The program of ``run`` and ``capture``: flags, profile, built-in. ``events`` is the input file, if it is one.

    Raises UsageError, ProjectError, and as ``load_program_from_files`` and ``load_python_program``.
    """
    project, profile = choose_profile(flags, events)
    found = _from_files(flags, project, profile)
    if found is not None:
        return found
    if flags.adapter is not None:
        message = f"the adapter '{flags.adapter}' needs a graph, and there is none"
        fix = "name the graph with --graph FILE, or a profile with --profile NAME"
        raise UsageError("cli.missing_required_option", message, where="option --adapter", fix=fix)
    note = Notice("no program was named: ergo:schedule is run, which records the supervisor's decisions and no effects")
    return _built_in(project, (note,))


def find_program_for_replay(
    recorded: RecordedProgram, flags: ProgramFlags, store: ProgramStore
) -> FoundProgram[Program]:
    """The program of a bundle: flags, built-in by its graph id, profile, program store, sources in the bundle.

    Raises ProgramError ``program.not_found``, ReplayError ``replay.unexpected_adapter`` (an adapter for the built-in),
    BundleError for unfit embedded sources, ProjectError, and as ``load_program_from_files`` and
    ``load_python_program``.
    """
    _check_flags(flags)
    project = locate_project(recorded.bundle, flags.project)
    profile = _named_profile(project, flags)
    if not _names_program(flags) and recorded.graph_id == SCHEDULE.graph_id:
        _refuse_adapter(flags)
        return _built_in(project, ())
    if profile is None and not _names_program(flags) and project is not None:
        profile = profile_for_replay(project, recorded.bundle, recorded.graph_id, recorded.reference)
    return _from_files(flags, project, profile) or _from_recorded(recorded, flags, project, store)


def _check_flags(flags: ProgramFlags) -> None:
    if flags.program is not None and flags.graph is not None:
        message = "--graph and --program cannot be used together"
        raise UsageError("cli.conflicting_options", message, where="option --program", fix="give one of the two")


def _names_program(flags: ProgramFlags) -> bool:
    return flags.graph is not None or flags.program is not None


def _named_profile(project: Project | None, flags: ProgramFlags) -> ResolvedProfile | None:
    if flags.profile is None:
        return None
    return resolve_profile(project or load_project(current_folder()), flags.profile)


def _from_files(
    flags: ProgramFlags, project: Project | None, profile: ResolvedProfile | None
) -> FoundProgram[Program] | None:
    """The program that a flag names, else the profile."""
    named = "" if profile is None else f"profile {profile.name} of {profile.project.file.name}"
    if flags.graph is not None:
        return _from_graph(flags.graph, "flag --graph", flags, project, profile)
    if flags.program is not None:
        return _from_python(flags.program, None, "flag --program", flags, project, profile)
    if profile is None:
        return None
    if profile.graph is not None:
        return _from_graph(profile.graph, named, flags, project, profile)
    return _from_python(profile.program.ref, profile.program.kind, named, flags, profile.project, profile)


def _from_graph(
    graph: Path, rule: str, flags: ProgramFlags, project: Project | None, profile: ResolvedProfile | None
) -> FoundProgram[Program]:
    clusters = flags.cluster_paths if profile is None else profile.cluster_paths + flags.cluster_paths
    inventory = _inventory(flags, project, profile)
    return _found(rule, load_program_from_files(graph, clusters, _adapter(flags, profile), inventory), project, profile)


def _from_python(
    ref: str,
    kind: str | None,
    rule: str,
    flags: ProgramFlags,
    project: Project | None,
    profile: ResolvedProfile | None,
) -> FoundProgram[Program]:
    from ergo_cli.project.python_programs import load_python_program  # graph programs do not pay for the import

    program = load_python_program(project, ref, kind)
    path = _adapter(flags, profile)
    adapter = None if path is None else load_adapter_file(path)
    notices = _notices_of(project) + notices_of(adapter)
    return FoundProgram(rule, program, adapter, (), project, profile, notices)


def _adapter(flags: ProgramFlags, profile: ResolvedProfile | None) -> Path | None:
    return flags.adapter or (None if profile is None else profile.adapter)


def _inventory(flags: ProgramFlags, project: Project | None, profile: ResolvedProfile | None) -> Inventory:
    """The standard library and what the caller, and the profile, else the project, add to it."""
    settings = profile or project
    inventory = load_inventory(project, () if settings is None else settings.primitives, flags.primitives)
    if not flags.guard:
        return inventory
    from ergo_cli.project.guard import guarded  # only those who ask for it pay for the import

    return guarded(inventory)


def _from_recorded(
    recorded: RecordedProgram, flags: ProgramFlags, project: Project | None, store: ProgramStore
) -> FoundProgram[Program]:
    if recorded.reference is not None:
        raise _not_named(recorded, recorded.reference)
    inventory = _inventory(flags, project, None)
    kept = _kept(recorded, store, inventory)
    if isinstance(kept, LoadedProgram):
        return _found("program store", _readapted(kept, flags), project)
    passed_over = () if kept is None else (kept,)
    if recorded.sources:
        return _found("embedded program", _readapted(_embedded(recorded, inventory), flags), project, None, passed_over)
    raise _not_found(recorded, passed_over)


def _kept(recorded: RecordedProgram, store: ProgramStore, inventory: Inventory) -> LoadedProgram | Notice | None:
    """The program of the store if it still makes the provenances that the bundle recorded, else why it does not.

    Raises PrimitiveError where nobody offers a primitive that it needs.
    """
    sources = store.find(recorded.runtime_provenance, recorded.adapter_provenance)
    if not isinstance(sources, tuple):
        return sources
    try:
        loaded = load_program_from_sources(sources, inventory)
    except PrimitiveError:
        raise
    except (ErgoError, ValueError) as error:
        return Notice(f"a program of the program store was passed over: {error}", str(store.root))
    made = loaded.program.provenance, adapter_provenance(loaded.adapter)
    if made == (recorded.runtime_provenance, recorded.adapter_provenance):
        return loaded
    message = "a program of the program store was passed over: today its texts make a program of another provenance"
    return Notice(message, str(store.root))


def _embedded(recorded: RecordedProgram, inventory: Inventory) -> LoadedProgram:
    try:
        return load_program_from_sources(recorded.sources, inventory)
    except ValueError as error:
        where = f"{recorded.bundle} program.sources"
        message = f"the program in the bundle cannot be read: {error}"
        raise BundleError("bundle.parse_failed", message, where=where, fix="capture the events again") from error


def _readapted(loaded: LoadedProgram, flags: ProgramFlags) -> LoadedProgram:
    """``--adapter`` replaces the adapter that was kept."""
    if flags.adapter is None:
        return loaded
    adapter = load_adapter_file(flags.adapter)
    return LoadedProgram(loaded.program, adapter, loaded.notices + notices_of(adapter))


def _found(
    rule: str,
    loaded: LoadedProgram,
    project: Project | None,
    profile: ResolvedProfile | None = None,
    notices: tuple[Notice, ...] = (),
) -> FoundProgram[Program]:
    notices = _notices_of(project) + notices + loaded.notices
    return FoundProgram(rule, loaded.program, loaded.adapter, loaded.sources, project, profile, notices)


def _built_in(project: Project | None, notices: tuple[Notice, ...]) -> FoundProgram[Program]:
    return FoundProgram(
        rule="built-in ergo:schedule",
        program=SCHEDULE,
        adapter=None,
        sources=(),
        project=project,
        profile=None,
        notices=_notices_of(project) + notices,
    )


def _notices_of(project: Project | None) -> tuple[Notice, ...]:
    return () if project is None else project.notices


def _refuse_adapter(flags: ProgramFlags) -> None:
    if flags.adapter is not None:
        message = f"the bundle was captured by {SCHEDULE.graph_id}, which has no adapter"
        raise ReplayError("replay.unexpected_adapter", message, where="option --adapter", fix="leave --adapter out")


def _not_named(recorded: RecordedProgram, reference: str) -> ProgramError:
    """A bundle alone never makes anybody import a module (spec 00 §3)."""
    message = f"neither the project nor a flag names the program '{reference}' of graph '{recorded.graph_id}'"
    fix = f"name it with --program {reference} in its project, or replay with the profile that captured the bundle"
    return ProgramError("program.not_found", message, where=str(recorded.bundle), fix=fix)


def _not_found(recorded: RecordedProgram, passed_over: tuple[Notice, ...]) -> ProgramError:
    return ProgramError(
        "program.not_found",
        f"no program was found for graph '{recorded.graph_id}'",
        where=str(recorded.bundle),
        fix="name it with --graph FILE (and --adapter FILE), or replay within the project that captured the bundle",
        details=(f"looked for runtime provenance {recorded.runtime_provenance}", *(n.message for n in passed_over)),
    )
