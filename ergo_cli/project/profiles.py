"""Resolve and choose profiles, and what they name: capture path, store of runs (spec 21 §10.3, 00 §12.5)."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs
from msgspec import Struct

from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import ErgoError, ProjectError, UsageError
from ergo_cli.programs.kinds import TEXTUAL
from ergo_cli.project.project_file import Profile, ProgramKey, Project, current_folder, load_project, locate_project
from ergo_cli.project.trust import check_key, check_path
from ergo_cli.supervisor.seam import Constraints

DEFAULT_PROFILE = "default"


class FixtureFile(Struct, frozen=True):
    """Events come from a file."""

    path: Path


class IngressProcess(Struct, frozen=True):
    """Events come from a process; ``command`` as written, run in ``folder``."""

    command: tuple[str, ...]
    folder: Path


Ingress = FixtureFile | IngressProcess


class ResolvedProfile(Struct, frozen=True):
    """A profile with absolute paths. ``capture`` is where ``capture`` without ``-o`` writes and ``replay`` looks.

    ``max_duration`` is ns. ``ignore`` holds the project's patterns, then the profile's own, ``allowed_names`` and
    ``redact`` likewise.
    """

    project: Project
    name: str
    program: ProgramKey
    cluster_paths: tuple[Path, ...]
    ingress: Ingress | None
    adapter: Path | None
    egress: Path | None
    capture: Path
    store: str | None
    artifacts: str | None
    run_id: str | None
    pretty: bool
    embed: bool
    guard: bool
    max_events: int | None
    max_duration: int | None
    constraints: Constraints
    numbers: Numbers
    formats: bool
    primitives: tuple[str, ...]
    ignore: tuple[str, ...]
    allowed_names: tuple[str, ...]
    redact: tuple[str, ...]
    redact_key_file: Path | None

    @property
    def graph(self) -> Path | None:
        """The graph file; None for a program written in Python."""
        return self.project.root / self.program.ref if self.program.kind == TEXTUAL else None

    @property
    def program_place(self) -> str:
        """The key of the project file that names the program."""
        return f"{self.project.file} profiles.{self.name}.{self.program.kind}"

    @property
    def files(self) -> tuple[Path, ...]:
        """The project file, and the events and the egress configuration that a run reads."""
        events = self.ingress.path if isinstance(self.ingress, FixtureFile) else None
        return tuple(file for file in (self.project.file, events, self.egress) if file is not None)

    def required_ingress(self) -> Ingress:
        """The event source if the command line names none. Raises ProjectError PRJ-INVALID if the profile has none."""
        if self.ingress is None:
            reason = "profile must declare exactly one ingress source (fixture or ingress)"
            fix = 'add fixture = "events.jsonl" to the profile, or give EVENTS or --driver-cmd on the command line'
            raise _invalid(self.project, self.name, reason, fix)
        return self.ingress


def resolve_profile(project: Project, name: str) -> ResolvedProfile:
    """The profile ``name`` of ``project``.

    Raises ProjectError: PRJ-PROFILE if it does not exist; PRJ-INVALID for fixture together with ingress, an empty
    command, or artifacts without a store.
    """
    profile = project.profiles.get(name)
    if profile is None:
        raise _no_profile(project, name)
    if profile.artifacts is not None and profile.store is None:
        fix = 'add store = "sqlite:runs.db", or leave artifacts out'
        raise _invalid(project, name, "artifacts are kept for the runs of a store, and none is named", fix)
    return ResolvedProfile(
        project=project,
        name=name,
        program=profile.program,
        cluster_paths=(project.root / "clusters",),
        ingress=_ingress(project, profile),
        adapter=_joined(project, profile.adapter),
        egress=_joined(project, profile.egress),
        capture=project.root / (profile.capture_output or f"captures/{name}.capture.json"),
        store=profile.store,
        artifacts=profile.artifacts,
        run_id=profile.run_id,
        pretty=profile.pretty_capture,
        embed=profile.embed,
        guard=profile.guard,
        max_events=profile.max_events,
        max_duration=profile.max_duration,
        constraints=_constraints(profile),
        numbers=profile.numbers or project.numbers or Numbers.EXACT,
        formats=project.formats or profile.formats,
        primitives=project.primitives if profile.primitives is None else profile.primitives,
        ignore=project.ignore + profile.ignore,
        allowed_names=project.allowed_names + profile.allowed_names,
        redact=project.redact + profile.redact,
        redact_key_file=_joined(project, profile.redact_key_file or project.redact_key_file),
    )


def capture_of(profile: ResolvedProfile) -> Path:
    """Where the profile captures to. Raises ProgramError ``program.import_refused`` if its project may not say so."""
    check_key(profile.project, profile.name, "capture_output")
    check_path(profile.project, profile.capture, f"profiles.{profile.name}")
    return profile.capture


def implied_profile(project: Project) -> str | None:
    """The profile used without ``-p``: the one named ``default``, else the only one, else None."""
    if DEFAULT_PROFILE in project.profiles:
        return DEFAULT_PROFILE
    return next(iter(project.profiles)) if len(project.profiles) == 1 else None


def profile_for_run(project: Project, name: str | None) -> ResolvedProfile | None:
    """The profile that ``run`` and ``capture`` use; None if there are no profiles.

    It is ``name``, else the implied one, else the only one whose events come from a file.

    Raises UsageError ``cli.missing_required_option`` if the choice is ambiguous, else as ``resolve_profile``.
    """
    chosen = name or implied_profile(project) or _only_one_of_a_file(project)
    if chosen is not None:
        return resolve_profile(project, chosen)
    if not project.profiles:
        return None
    names = ", ".join(project.profiles)
    message = f"the project has several profiles and none is named '{DEFAULT_PROFILE}': {names}"
    fix = "choose one with --profile NAME, or name a graph with --graph FILE"
    raise UsageError("cli.missing_required_option", message, where=str(project.file), fix=fix)


def _only_one_of_a_file(project: Project) -> str | None:
    """The only profile with a fixture, if all others start a process for their events."""
    of_files = [name for name, profile in project.profiles.items() if profile.ingress is None]
    return of_files[0] if len(of_files) == 1 and project.profiles[of_files[0]].fixture is not None else None


def captured_profiles(project: Project, name: str | None) -> tuple[ResolvedProfile, ...]:
    """The profiles (only ``name``, if given) whose capture file exists: what ``replay`` without BUNDLE replays."""
    names = project.profiles if name is None else (name,)
    resolved = (resolve_profile(project, each) for each in names)
    return tuple(profile for profile in resolved if profile.capture.is_file())


def _ingress(project: Project, profile: Profile) -> Ingress | None:
    match profile.fixture, profile.ingress:
        case None, None:
            return None
        case str(fixture), None:
            return FixtureFile(project.root / fixture)
        case None, process if process and process.command:
            return IngressProcess(process.command, project.root)
        case None, _:
            fix = 'write command = ["program", "argument"]'
            raise _invalid(project, profile.name, "process ingress command must not be empty", fix)
        case _:
            fix = "remove one of the two"
            raise _invalid(project, profile.name, "fixture and ingress are mutually exclusive", fix)


def _joined(project: Project, path: str | None) -> Path | None:
    return None if path is None else project.root / path


def _constraints(profile: Profile) -> Constraints:
    return Constraints(
        max_in_flight=profile.max_in_flight,
        max_per_window=profile.max_per_window,
        rate_window=profile.rate_window,
        deadline=profile.deadline,
        max_retries=profile.max_retries or 0,
    )


def _no_profile(project: Project, name: str) -> ErgoError:
    names = ", ".join(project.profiles)
    fix = f"use one of: {names}" if names else f"add [profiles.{name}] to {project.file.name}"
    return ProjectError("PRJ-PROFILE", f"project profile '{name}' does not exist", where=str(project.file), fix=fix)


def _invalid(project: Project, name: str, reason: str, fix: str) -> ErgoError:
    message = f"project profile '{name}' is invalid: {reason}"
    return ProjectError("PRJ-INVALID", message, where=f"{project.file} profiles.{name}", fix=fix)


def profile_for_replay(
    project: Project, bundle: Path, graph_id: str, reference: str | None = None
) -> ResolvedProfile | None:
    """The implied profile; else the one that captures to ``bundle``; else the one whose program the bundle names.

    A graph is named by its id, a program written in Python by its ``module:attribute``. If several qualify, they
    must agree in program and adapter; None if none does. Raises ProjectError PRJ-INVALID.
    """
    implied = implied_profile(project)
    if implied is not None:
        return resolve_profile(project, implied)
    profiles = [resolve_profile(project, name) for name in project.profiles]
    place = os.path.realpath(bundle)
    capturing = [profile for profile in profiles if os.path.realpath(profile.capture) == place]
    return _agreed(capturing) or _agreed([each for each in profiles if _is_named(each, graph_id, reference)])


def reaching_profiles(
    project: Project, bundle: Path, graph_id: str, reference: str | None = None
) -> tuple[ResolvedProfile, ...]:
    """The profiles that capture to ``bundle``, else those whose program it names, as for ``profile_for_replay``."""
    profiles = [resolve_profile(project, name) for name in project.profiles]
    place = os.path.realpath(bundle)
    capturing = tuple(profile for profile in profiles if os.path.realpath(profile.capture) == place)
    return capturing or tuple(each for each in profiles if _is_named(each, graph_id, reference))


def _agreed(profiles: list[ResolvedProfile]) -> ResolvedProfile | None:
    programs = {(profile.program, profile.adapter) for profile in profiles}
    return profiles[0] if len(programs) == 1 else None


def _is_named(profile: ResolvedProfile, graph_id: str, reference: str | None) -> bool:
    if profile.graph is None:
        return profile.program.ref == reference
    return reference is None and _graph_id(profile) == graph_id


def _graph_id(profile: ResolvedProfile) -> str | None:
    """The id in the profile's graph file; None for a file that cannot be read or must not be."""
    from ergo_cli.project.loading import parse_graph_file  # needed only to choose among several profiles

    try:
        check_key(profile.project, profile.name, "program")
        return None if profile.graph is None else parse_graph_file(profile.graph).id
    except ErgoError:
        return None


_SQLITE = "sqlite:"
_USER_STORE = "default"


class RunFlags(Struct, frozen=True):
    """The options of ``ergo runs``: ``--store``, ``-P``, ``-p``, ``--project``, ``--artifacts``."""

    store: str | None = None
    program: str | None = None
    profile: str | None = None
    project: Path | None = None
    artifacts: str | None = None


class NamedStore(Struct, frozen=True):
    """A store as ``open_store`` takes it, and the rule that found it; ``artifacts`` is where its artifacts are."""

    text: str
    rule: str
    artifacts: str | None = None


def find_run_store(flags: RunFlags) -> NamedStore:
    """The store of ``--store``, else of the profile, else the user's; ``-P`` alone uses no profile.

    Its artifacts are at ``--artifacts``, else, for the store of a profile, where the profile says.

    Raises UsageError ``cli.missing_required_option`` if profiles name several stores and none is chosen;
    ProjectError.
    """
    if flags.store is not None:
        return NamedStore(flags.store, "flag --store", flags.artifacts)
    project = project_of_runs(flags)
    profile = None if project is None else _profile_with_store(project, flags)
    text = None if profile is None else profile_store(profile)
    if profile is None or text is None:
        return NamedStore(_USER_STORE, "default", flags.artifacts)
    rule = f"profile {profile.name} of {profile.project.file.name}"
    return NamedStore(text, rule, flags.artifacts or profile.artifacts)


def profile_store(profile: ResolvedProfile) -> str | None:
    """The store that a profile names, the path of a file joined to the project's root."""
    text = profile.store
    if text is None or not text.startswith(_SQLITE) or text == f"{_SQLITE}:memory:":
        return text
    return f"{_SQLITE}{profile.project.root / text.removeprefix(_SQLITE)}"


def user_folder() -> Path:
    """The user's data folder, which holds the store ``default``."""
    return platformdirs.user_data_path("ergo", appauthor=False)


def project_of_runs(flags: RunFlags) -> Project | None:
    """The project of ``ergo runs``: the named one, else found from the current folder. Raises ProjectError."""
    project = locate_project(None, flags.project)
    return load_project(current_folder()) if project is None and flags.profile is not None else project


def _profile_with_store(project: Project, flags: RunFlags) -> ResolvedProfile | None:
    """The profile whose store is used; without ``-p`` any profile if all name the same store."""
    if flags.profile is None and (flags.program is not None or not project.profiles):
        return None
    name = flags.profile or implied_profile(project)
    if name is None and len({(profile.store, profile.artifacts) for profile in project.profiles.values()}) == 1:
        name = next(iter(project.profiles))
    if name is not None:
        return resolve_profile(project, name)
    names = ", ".join(project.profiles)
    message = f"the project has several profiles with several stores and none is named '{DEFAULT_PROFILE}': {names}"
    fix = "choose one with --profile NAME, or name the store with --store"
    raise UsageError("cli.missing_required_option", message, where=str(project.file), fix=fix)
