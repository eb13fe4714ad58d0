"""Finds the program of a run or of a bundle, in the order of spec 00 §3. Nothing is imported on the way."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from ergo_cli.core.notices import Notice
from ergo_cli.core.program_source import ProgramSource
from ergo_cli.errors import BundleError, ErgoError, ProgramError, ReplayError, UsageError
from ergo_cli.events.adapter import Adapter, adapter_provenance
from ergo_cli.programs.graph.program import SCHEDULE, GraphProgram
from ergo_cli.project.loading import (
    LoadedProgram,
    load_adapter_file,
    load_program_from_files,
    load_program_from_sources,
    notices_of,
)
from ergo_cli.project.profiles import ResolvedProfile, profile_for_run, resolve_profile
from ergo_cli.project.replay_profile import profile_for_replay
from ergo_cli.project.root import current_folder, load_project, locate_project
from ergo_cli.project.store import ProgramStore
from ergo_cli.project.toml import Project


class ProgramFlags(Struct, frozen=True):
    """What the command line says of the program: ``-g``, ``-P``, ``-a``, ``--cluster-path``, ``-p``, ``--project``."""

    graph: Path | None = None
    program: str | None = None
    adapter: Path | None = None
    cluster_paths: tuple[Path, ...] = ()
    profile: str | None = None
    project: Path | None = None


class RecordedProgram(Struct, frozen=True):
    """What a bundle says of its program; ``sources`` are those of a graph embedded in a v4 bundle."""

    bundle: Path
    graph_id: str
    runtime_provenance: str
    adapter_provenance: str
    sources: tuple[ProgramSource, ...] = ()


class FoundProgram(Struct, frozen=True):
    """A program and the rule that found it. Without a profile the top-level keys of ``project`` still hold."""

    rule: str
    program: GraphProgram
    adapter: Adapter | None
    sources: tuple[ProgramSource, ...]
    project: Project | None
    profile: ResolvedProfile | None
    notices: tuple[Notice, ...]


def find_program_for_run(flags: ProgramFlags, events: Path | None = None) -> FoundProgram:
    """The program of ``run`` and ``capture``: flags, profile, built-in. ``events`` is the input file, if it is one.

    Raises UsageError, ProjectError, and as ``load_program_from_files``.
    """
    _check_flags(flags)
    project = locate_project(events, flags.project)
    profile = _named_profile(project, flags)
    if profile is None and flags.graph is None and project is not None:
        profile = profile_for_run(project, None)
    found = _from_files(flags, project, profile)
    if found is not None:
        return found
    if flags.adapter is not None:
        message = f"the adapter '{flags.adapter}' needs a graph, and there is none"
        fix = "name the graph with --graph FILE, or a profile with --profile NAME"
        raise UsageError("cli.missing_required_option", message, where="option --adapter", fix=fix)
    note = Notice("no program was named: ergo:schedule is run, which records the supervisor's decisions and no effects")
    return _built_in(project, (note,))


def find_program_for_replay(recorded: RecordedProgram, flags: ProgramFlags, store: ProgramStore) -> FoundProgram:
    """The program of a bundle: flags, built-in by its graph id, profile, program store, sources in the bundle.

    Raises ProgramError ``program.not_found``, ReplayError ``replay.unexpected_adapter`` (an adapter for the built-in),
    BundleError for unfit embedded sources, ProjectError, and as ``load_program_from_files``.
    """
    _check_flags(flags)
    project = locate_project(recorded.bundle, flags.project)
    profile = _named_profile(project, flags)
    if flags.graph is None and recorded.graph_id == SCHEDULE.graph_id:
        _refuse_adapter(flags)
        return _built_in(project, ())
    if profile is None and flags.graph is None and project is not None:
        profile = profile_for_replay(project, recorded.bundle, recorded.graph_id)
    return _from_files(flags, project, profile) or _from_recorded(recorded, flags, project, store)


def _check_flags(flags: ProgramFlags) -> None:
    if flags.program is None:
        return
    if flags.graph is not None:
        message = "--graph and --program cannot be used together"
        raise UsageError("cli.conflicting_options", message, where="option --program", fix="give one of the two")
    raise _unsupported(flags.program, "option --program")


def _unsupported(ref: str, where: str) -> ProgramError:
    message = f"'{ref}' cannot be run: only graph programs are supported so far, programs written in Python are not"
    return ProgramError("program.import_refused", message, where=where, fix="name a graph file with --graph FILE")


def _named_profile(project: Project | None, flags: ProgramFlags) -> ResolvedProfile | None:
    if flags.profile is None:
        return None
    return resolve_profile(project or load_project(current_folder()), flags.profile)


def _from_files(flags: ProgramFlags, project: Project | None, profile: ResolvedProfile | None) -> FoundProgram | None:
    graph, rule, clusters, adapter = flags.graph, "flag --graph", flags.cluster_paths, flags.adapter
    if profile is not None:
        clusters = profile.cluster_paths + clusters
        adapter = adapter or profile.adapter
        if graph is None:
            graph, rule = _profile_graph(profile), f"profile {profile.name} of {profile.project.file.name}"
    if graph is None:
        return None
    return _found(rule, load_program_from_files(graph, clusters, adapter), project, profile)


def _profile_graph(profile: ResolvedProfile) -> Path:
    if profile.graph is None:
        raise _unsupported(
            profile.program.ref, f"{profile.project.file} profiles.{profile.name}.{profile.program.kind}"
        )
    return profile.graph


def _from_recorded(
    recorded: RecordedProgram, flags: ProgramFlags, project: Project | None, store: ProgramStore
) -> FoundProgram:
    kept = _kept(recorded, store)
    if isinstance(kept, LoadedProgram):
        return _found("program store", _readapted(kept, flags), project)
    passed_over = () if kept is None else (kept,)
    if recorded.sources:
        return _found("embedded program", _readapted(_embedded(recorded), flags), project, None, passed_over)
    raise _not_found(recorded, passed_over)


def _kept(recorded: RecordedProgram, store: ProgramStore) -> LoadedProgram | Notice | None:
    """The program of the store if it still makes the provenances that the bundle recorded, else why it does not."""
    sources = store.find(recorded.runtime_provenance, recorded.adapter_provenance)
    if not isinstance(sources, tuple):
        return sources
    try:
        loaded = load_program_from_sources(sources)
    except (ErgoError, ValueError) as error:
        return Notice(f"a program of the program store was passed over: {error}", str(store.root))
    made = loaded.program.provenance, adapter_provenance(loaded.adapter)
    if made == (recorded.runtime_provenance, recorded.adapter_provenance):
        return loaded
    message = "a program of the program store was passed over: today its texts make a program of another provenance"
    return Notice(message, str(store.root))


def _embedded(recorded: RecordedProgram) -> LoadedProgram:
    try:
        return load_program_from_sources(recorded.sources)
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
) -> FoundProgram:
    notices = _project_notices(project, profile) + notices + loaded.notices
    return FoundProgram(rule, loaded.program, loaded.adapter, loaded.sources, project, profile, notices)


def _built_in(project: Project | None, notices: tuple[Notice, ...]) -> FoundProgram:
    return FoundProgram(
        rule="built-in ergo:schedule",
        program=SCHEDULE,
        adapter=None,
        sources=(),
        project=project,
        profile=None,
        notices=_project_notices(project, None) + notices,
    )


def _project_notices(project: Project | None, profile: ResolvedProfile | None) -> tuple[Notice, ...]:
    if project is None:
        return ()
    primitives = project.primitives if profile is None else profile.primitives
    keys = {"primitives": primitives} if primitives else {}
    if profile is not None:
        keys |= {"max_events": profile.max_events, "max_duration": profile.max_duration, "egress": profile.egress}
    unsupported = [name for name, value in keys.items() if value is not None]
    notices = (Notice(f"'{name}' has no effect in this version", f"{project.file} {name}") for name in unsupported)
    return (*project.notices, *notices)


def _refuse_adapter(flags: ProgramFlags) -> None:
    if flags.adapter is not None:
        message = f"the bundle was captured by {SCHEDULE.graph_id}, which has no adapter"
        raise ReplayError("replay.unexpected_adapter", message, where="option --adapter", fix="leave --adapter out")


def _not_found(recorded: RecordedProgram, passed_over: tuple[Notice, ...]) -> ProgramError:
    return ProgramError(
        "program.not_found",
        f"no program was found for graph '{recorded.graph_id}'",
        where=str(recorded.bundle),
        fix="name it with --graph FILE (and --adapter FILE), or replay within the project that captured the bundle",
        details=(f"looked for runtime provenance {recorded.runtime_provenance}", *(n.message for n in passed_over)),
    )
