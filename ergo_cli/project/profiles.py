"""Profiles ready to use: paths joined to the project root, defaults of the project filled in (spec 21 §10.3)."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import ErgoError, ProjectError, UsageError
from ergo_cli.project.toml import Profile, ProgramKey, Project
from ergo_cli.supervisor.constraints import Constraints

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

    ``max_duration`` is ns. ``ignore`` holds the project's patterns, then the profile's own.
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
    run_id: str | None
    pretty: bool
    embed: bool
    max_events: int | None
    max_duration: int | None
    constraints: Constraints
    numbers: Numbers
    primitives: tuple[str, ...]
    ignore: tuple[str, ...]

    @property
    def graph(self) -> Path | None:
        """The graph file, None for the other kinds of program."""
        return self.project.root / self.program.ref if self.program.kind == "graph" else None

    def required_ingress(self) -> Ingress:
        """Where events come from when the command line names nothing. Raises ProjectError PRJ-INVALID for neither."""
        if self.ingress is None:
            reason = "profile must declare exactly one ingress source (fixture or ingress)"
            fix = 'add fixture = "events.jsonl" to the profile, or give EVENTS or --driver-cmd on the command line'
            raise _invalid(self.project, self.name, reason, fix)
        return self.ingress


def resolve_profile(project: Project, name: str) -> ResolvedProfile:
    """The profile ``name`` of ``project``.

    Raises ProjectError: PRJ-PROFILE where there is none of that name; PRJ-INVALID for fixture together with ingress or
    an empty command.
    """
    profile = project.profiles.get(name)
    if profile is None:
        raise _no_profile(project, name)
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
        run_id=profile.run_id,
        pretty=profile.pretty_capture,
        embed=profile.embed,
        max_events=profile.max_events,
        max_duration=profile.max_duration,
        constraints=_constraints(profile),
        numbers=profile.numbers or project.numbers or Numbers.EXACT,
        primitives=project.primitives if profile.primitives is None else profile.primitives,
        ignore=project.ignore + profile.ignore,
    )


def implied_profile(project: Project) -> str | None:
    """The profile meant without ``-p``: the one named ``default``, else the only one, else None."""
    if DEFAULT_PROFILE in project.profiles:
        return DEFAULT_PROFILE
    return next(iter(project.profiles)) if len(project.profiles) == 1 else None


def profile_for_run(project: Project, name: str | None) -> ResolvedProfile | None:
    """The profile that ``run`` and ``capture`` use: ``name``, else the implied one; None where there are no profiles.

    Raises UsageError ``cli.missing_required_option`` where several could be meant, else as ``resolve_profile``.
    """
    chosen = name or implied_profile(project)
    if chosen is not None:
        return resolve_profile(project, chosen)
    if not project.profiles:
        return None
    names = ", ".join(project.profiles)
    message = f"the project has several profiles and none is named '{DEFAULT_PROFILE}': {names}"
    fix = "choose one with --profile NAME, or name a graph with --graph FILE"
    raise UsageError("cli.missing_required_option", message, where=str(project.file), fix=fix)


def captured_profiles(project: Project, name: str | None) -> tuple[ResolvedProfile, ...]:
    """What ``replay`` without BUNDLE takes: profiles (only ``name``, if given) whose place of capture holds a file."""
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
