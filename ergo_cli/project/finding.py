"""Find the program of a run or of a bundle, in the order of spec 00 §3.

The only modules imported are those of own primitives and Python programs that the caller or the caller's project names:
a bundle never causes an import.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.documents import ProgramSource
from ergo_cli.errors import BundleError, ErgoError, PrimitiveError, ProgramError, ReplayError, UsageError
from ergo_cli.events.adapter import Adapter, adapter_provenance
from ergo_cli.programs.kinds import BUILT_IN_ID
from ergo_cli.programs.program import AnyProgram
from ergo_cli.project.authored import load_adapter_file, notices_of
from ergo_cli.project.profiles import (
    ResolvedProfile,
    RunFlags,
    implied_profile,
    profile_for_replay,
    profile_for_run,
    project_of_runs,
    resolve_profile,
)
from ergo_cli.project.project_file import Project, current_folder, load_project, locate_project
from ergo_cli.project.store import ProgramStore
from ergo_cli.project.trust import check_key, cluster_gate, folders_of_caller

if TYPE_CHECKING:
    from ergo_cli.programs.graph.check.catalog import Inventory
    from ergo_cli.programs.graph.primitives.primitive import AnyPrimitive
    from ergo_cli.project.loading import LoadedProgram
    from ergo_cli.project.python_programs import PythonProgram


class ProgramFlags(Struct, frozen=True):
    """The options that select the program: ``-g``, ``-P``, ``-a``, ``--cluster-path``, ``-p``, ``--project``.

    ``guard`` puts own primitives under the determinism guard. ``primitives`` are those passed by a
    caller of the library.
    """

    graph: Path | None = None
    program: str | None = None
    adapter: Path | None = None
    cluster_paths: tuple[Path, ...] = ()
    profile: str | None = None
    project: Path | None = None
    guard: bool = False
    primitives: tuple[AnyPrimitive, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The options that were given, as words of a command line; without ``guard``, which not all commands take."""
        clusters = (("--cluster-path", path) for path in self.cluster_paths)
        options = (
            ("-g", self.graph),
            ("-P", self.program),
            ("-a", self.adapter),
            *clusters,
            ("-p", self.profile),
            ("--project", self.project),
        )
        return tuple(word for name, value in options if value is not None for word in (name, str(value)))


class RecordedProgram(Struct, frozen=True):
    """The program as a bundle records it.

    ``sources`` are the embedded texts of a program that is made of texts, ``reference`` is the ``module:attribute`` of
    one written in Python.
    """

    bundle: Path
    graph_id: str
    runtime_provenance: str
    adapter_provenance: str
    sources: tuple[ProgramSource, ...] = ()
    reference: str | None = None


class FoundProgram(Struct, frozen=True):
    """A program and the rule that found it. Without a profile the top-level keys of ``project`` apply.

    ``texts`` are those of a program of texts; ``file`` is the file that defines the program, None if there is none;
    ``files`` are all that were read to load it; ``python`` is set for a program written in Python.
    """

    rule: str
    program: AnyProgram
    adapter: Adapter | None
    texts: tuple[ProgramSource, ...]
    project: Project | None
    profile: ResolvedProfile | None
    notices: tuple[Notice, ...]
    file: Path | None = None
    python: PythonProgram | None = None
    files: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[ProgramSource, ...]:
        """The texts that a bundle may embed. Raises ProgramError for a file that is not UTF-8."""
        return self.texts if self.python is None else self.python.sources

    @property
    def all_files(self) -> tuple[str, ...]:
        """Every file that was read to find and to load it, and those that its profile names for a run."""
        project = () if self.project is None else (str(self.project.file),)
        return (*self.files, *project, *(() if self.profile is None else map(str, self.profile.files)))

    @property
    def program_file(self) -> str | None:
        """The file that defines the program: its graph, or the module of its object; None if there is none."""
        if self.python is not None:
            return self.python.file
        return None if self.file is None else str(self.file)

    @property
    def kept_texts(self) -> tuple[ProgramSource, ...]:
        """The texts that the program store keeps: none of a program with a file that is not UTF-8."""
        try:
            return self.sources
        except ProgramError:
            return ()

    @property
    def is_recorded(self) -> bool:
        """Whether it is the program of the capture, from the program store or the bundle: nobody named today's."""
        return self.rule in _RECORDED

    def live(self) -> AnyProgram:
        """The program including the imports that only live runs need. Raises ProgramError."""
        return self.program if self.python is None else self.python.live()


def choose_profile(flags: ProgramFlags, events: Path | None = None) -> tuple[Project | None, ResolvedProfile | None]:
    """The project and the profile of ``run`` and ``capture``, before any graph is read.

    Raises UsageError and ProjectError.
    """
    _check_flags(flags)
    project = locate_project(events, flags.project)
    profile = _named_profile(project, flags)
    if profile is None and not _names_program(flags) and project is not None:
        profile = profile_for_run(project, None)
    return project, profile


def find_program_for_run(flags: ProgramFlags, events: Path | None = None) -> FoundProgram:
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


def find_named_program(flags: ProgramFlags) -> FoundProgram:
    """The program of a flag, else of the profile that is meant.

    Raises UsageError ``cli.missing_required_argument`` if neither names one, else as ``find_program_for_run``.
    """
    project, profile = choose_profile(flags)
    found = _from_files(flags, project, profile)
    if found is None:
        message = "no program is named, and no file"
        fix = "name a FILE, a program with --program MODULE:ATTR, or a profile with --profile NAME"
        raise UsageError("cli.missing_required_argument", message, where="argument FILE", fix=fix)
    return found


def find_program_for_replay(recorded: RecordedProgram, flags: ProgramFlags, store: ProgramStore) -> FoundProgram:
    """The program of a bundle: flags, built-in by its graph id, profile, program store, sources in the bundle.

    Raises ProgramError ``program.not_found``, ReplayError ``replay.unexpected_adapter`` (an adapter for the built-in),
    BundleError for unfit embedded sources, ProjectError, and as ``load_program_from_files`` and
    ``load_python_program``.
    """
    _check_flags(flags)
    project = locate_project(recorded.bundle, flags.project)
    profile = _named_profile(project, flags)
    if not _names_program(flags) and recorded.graph_id == BUILT_IN_ID:
        _refuse_adapter(flags)
        return _built_in(project, ())
    if profile is None and not _names_program(flags) and project is not None:
        profile = profile_for_replay(project, recorded.bundle, recorded.graph_id, recorded.reference)
    return _from_files(flags, project, profile) or _from_recorded(recorded, flags, project, store)


def find_run_program(flags: RunFlags) -> AnyProgram:
    """The program of ``-P``, else of the profile, with everything that it needs to run live.

    Raises UsageError ``cli.missing_required_option`` if neither names one, and as ``load_python_program``.
    """
    from ergo_cli.project.python_programs import load_python_program  # runs of graphs do not need the import

    project = project_of_runs(flags)
    if flags.program is not None:
        names = _allowed_names(project, None)
        return load_python_program(project, flags.program, allowed_names=names).live()
    name = flags.profile or (None if project is None else implied_profile(project))
    if project is None or name is None:
        message = "the program of the run is not named"
        fix = "name it with --program MODULE:ATTR, or a profile with --profile NAME"
        raise UsageError("cli.missing_required_option", message, where="option --program", fix=fix)
    profile = resolve_profile(project, name)
    if profile.graph is not None:
        message = f"profile '{name}' is that of a graph, whose runs are in no store"
        raise ProgramError(
            "program.wrong_kind", message, where=profile.program_place, fix="choose another with --profile NAME"
        )
    key, names = profile.program, _allowed_names(project, profile)
    return load_python_program(project, key.ref, key.kind, profile.program_place, names).live()


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


def _from_files(flags: ProgramFlags, project: Project | None, profile: ResolvedProfile | None) -> FoundProgram | None:
    """The program that a flag names, else the profile."""
    named = "" if profile is None else f"profile {profile.name} of {profile.project.file.name}"
    if profile is not None:
        _check_files(flags, profile)
    if flags.graph is not None:
        return _from_graph(flags.graph, "flag --graph", flags, project, profile)
    if flags.program is not None:
        return _from_python(flags.program, None, "flag --program", flags, project, profile)
    if profile is None:
        return None
    if profile.graph is not None:
        return _from_graph(profile.graph, named, flags, project, profile)
    return _from_python(profile.program.ref, profile.program.kind, named, flags, profile.project, profile)


def _check_files(flags: ProgramFlags, profile: ResolvedProfile) -> None:
    """Refuse a program or an adapter that the profile names and must not (``trust``)."""
    if not _names_program(flags):
        check_key(profile.project, profile.name, "program")
    if flags.adapter is None:
        check_key(profile.project, profile.name, "adapter")


def _from_graph(
    graph: Path, rule: str, flags: ProgramFlags, project: Project | None, profile: ResolvedProfile | None
) -> FoundProgram:
    clusters = flags.cluster_paths if profile is None else profile.cluster_paths + flags.cluster_paths
    from ergo_cli.project.loading import load_gated_program  # programs in Python do not need the import

    inventory = _inventory(flags, project, profile)
    callers = flags.cluster_paths if flags.graph is None else folders_of_caller(project, graph, flags.cluster_paths)
    gate = cluster_gate(project, callers)
    loaded = load_gated_program(graph, clusters, _adapter(flags, profile), inventory, gate)
    return _found(rule, loaded, project, profile, file=graph)


def _from_python(
    ref: str,
    kind: str | None,
    rule: str,
    flags: ProgramFlags,
    project: Project | None,
    profile: ResolvedProfile | None,
) -> FoundProgram:
    from ergo_cli.project.python_programs import load_python_program  # graph programs do not need the import

    place = "option --program" if profile is None or flags.program is not None else profile.program_place
    found = load_python_program(project, ref, kind, place, _allowed_names(project, profile))
    if _is_guarded(flags, profile):
        raise _not_covered(found.program.kind.name, ref, flags, profile)
    path = _adapter(flags, profile)
    adapter = None if path is None else load_adapter_file(path)
    notices = _notices_of(project) + notices_of(adapter)
    files = [str(each.file) for each in found.files] + ([] if path is None else [str(path)])
    return FoundProgram(rule, found.program, adapter, (), project, profile, notices, python=found, files=tuple(files))


def _allowed_names(project: Project | None, profile: ResolvedProfile | None) -> tuple[str, ...]:
    settings = profile or project
    return () if settings is None else settings.allowed_names


def _adapter(flags: ProgramFlags, profile: ResolvedProfile | None) -> Path | None:
    return flags.adapter or (None if profile is None else profile.adapter)


def _is_guarded(flags: ProgramFlags, profile: ResolvedProfile | None) -> bool:
    return flags.guard or (profile is not None and profile.guard)


def _not_covered(kind: str, ref: str, flags: ProgramFlags, profile: ResolvedProfile | None) -> UsageError:
    """The guard watches primitives; a program that acts touches the world by design, through what it records."""
    message = f"the guard covers the own primitives of a graph, not '{ref}', a program of kind '{kind}'"
    if flags.guard or profile is None:
        where, fix = "option --guard", "leave --guard out"
    else:
        where, fix = f"{profile.project.file} profiles.{profile.name}.guard", "remove the key"
    return UsageError("cli.conflicting_options", message, where=where, fix=f"{fix}; ergo replay shows what differs")


def _inventory(flags: ProgramFlags, project: Project | None, profile: ResolvedProfile | None) -> Inventory:
    """The standard library, the caller's primitives and those of the profile, else of the project."""
    from ergo_cli.project.primitives import load_inventory

    settings = profile or project
    inventory = load_inventory(project, () if settings is None else settings.primitives, flags.primitives)
    if not _is_guarded(flags, profile):
        return inventory
    from ergo_cli.project.guard import guarded  # only --guard needs the import

    return guarded(inventory)


_STORED, _EMBEDDED = _RECORDED = ("program store", "embedded program")


def _from_recorded(
    recorded: RecordedProgram, flags: ProgramFlags, project: Project | None, store: ProgramStore
) -> FoundProgram:
    if recorded.reference is not None:
        raise _not_named(recorded, recorded.reference)
    inventory = _inventory(flags, project, None)
    kept = _kept(recorded, store, inventory)
    if kept is not None and not isinstance(kept, Notice):
        return _found(_STORED, _readapted(kept, flags), project)
    passed_over = () if kept is None else (kept,)
    if recorded.sources:
        return _found(_EMBEDDED, _readapted(_embedded(recorded, inventory), flags), project, None, passed_over)
    raise _not_found(recorded, passed_over)


def _kept(recorded: RecordedProgram, store: ProgramStore, inventory: Inventory) -> LoadedProgram | Notice | None:
    """The program of the store if it has the recorded provenances, else a notice why not; None if there is none.

    Raises PrimitiveError if a primitive that it needs is not offered.
    """
    sources = store.find(recorded.runtime_provenance, recorded.adapter_provenance)
    if not isinstance(sources, tuple):
        return sources
    from ergo_cli.project.loading import load_program_from_sources

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
    from ergo_cli.project.loading import load_program_from_sources

    try:
        return load_program_from_sources(recorded.sources, inventory)
    except ValueError as error:
        where = f"{recorded.bundle} program.sources"
        message = f"the program in the bundle cannot be read: {error}"
        raise BundleError("bundle.parse_failed", message, where=where, fix="capture the events again") from error


def _readapted(loaded: LoadedProgram, flags: ProgramFlags) -> LoadedProgram:
    """Replace the loaded adapter by that of ``--adapter``, if given."""
    if flags.adapter is None:
        return loaded
    adapter = load_adapter_file(flags.adapter)
    return replace(loaded, adapter=adapter, notices=loaded.notices + notices_of(adapter))


def _found(
    rule: str,
    loaded: LoadedProgram,
    project: Project | None,
    profile: ResolvedProfile | None = None,
    notices: tuple[Notice, ...] = (),
    file: Path | None = None,
) -> FoundProgram:
    notices = _notices_of(project) + notices + loaded.notices
    return FoundProgram(
        rule, loaded.program, loaded.adapter, loaded.sources, project, profile, notices, file, files=loaded.files
    )


def _built_in(project: Project | None, notices: tuple[Notice, ...]) -> FoundProgram:
    from ergo_cli.programs.graph.kind import BUILT_IN

    return FoundProgram(
        rule="built-in ergo:schedule",
        program=BUILT_IN,
        adapter=None,
        texts=(),
        project=project,
        profile=None,
        notices=_notices_of(project) + notices,
    )


def _notices_of(project: Project | None) -> tuple[Notice, ...]:
    return () if project is None else project.notices


def _refuse_adapter(flags: ProgramFlags) -> None:
    if flags.adapter is not None:
        message = f"the bundle was captured by {BUILT_IN_ID}, which has no adapter"
        raise ReplayError("replay.unexpected_adapter", message, where="option --adapter", fix="leave --adapter out")


def _not_named(recorded: RecordedProgram, reference: str) -> ProgramError:
    """The error for a module that only the bundle names: it is not imported (spec 00 §3)."""
    message = f"neither the project nor a flag names the program '{recorded.graph_id}', '{reference}'"
    fix = f"name it with --program {reference} in its project, or replay with the profile that captured the bundle"
    return ProgramError("program.not_found", message, where=str(recorded.bundle), fix=fix)


def _not_found(recorded: RecordedProgram, passed_over: tuple[Notice, ...]) -> ProgramError:
    return ProgramError(
        "program.not_found",
        f"the program '{recorded.graph_id}' was not found",
        where=str(recorded.bundle),
        fix="name it with --graph FILE (and --adapter FILE), or replay within the project that captured the bundle",
        details=(f"looked for runtime provenance {recorded.runtime_provenance}", *(n.message for n in passed_over)),
    )
