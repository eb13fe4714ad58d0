"""The profiles of a handle: of a project's folder, or of a project in memory (spec 30 §22)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.channels.ingress import check_command
from ergo_cli.core.diagnostics import Notice, did_you_mean
from ergo_cli.errors import ErgoError, ProjectError, UsageError
from ergo_cli.host.event_input import open_checked_lines, open_checked_stream
from ergo_cli.host.run_plan import Driver, EventFile, EventLines, RunPlan
from ergo_cli.host.timing import RunControl
from ergo_cli.library.categories import EMPTY_COMMAND, PROJECT_CONFIG
from ergo_cli.library.errors import ValidationError
from ergo_cli.library.kept_runs import no_project
from ergo_cli.library.operations import Planned, load_given_program, plan_config, plan_profile
from ergo_cli.library.run_config import InMemoryProject, Items, Process, RunConfig
from ergo_cli.programs.graph.check.catalog import Inventory
from ergo_cli.programs.graph.primitives.primitive import AnyPrimitive
from ergo_cli.project.finding import ProgramFlags, find_program_for_run
from ergo_cli.project.primitives import load_inventory
from ergo_cli.project.profiles import RunFlags, resolve_profile
from ergo_cli.project.project_file import Project, load_project
from ergo_cli.project.store import ProgramStore
from ergo_cli.replay.engine import Bundle, replay, replay_bundle
from ergo_cli.replay.results import BundleResult, ReplayOptions, Target
from ergo_cli.replay.session import ReplayRequest, ReplaySession
from ergo_cli.tools.project_checks import check_profile


class ProjectSummary(Struct, frozen=True):
    """A valid project; ``root`` is None for one in memory, ``profiles`` ascend."""

    root: Path | None
    name: str
    version: str
    profiles: tuple[str, ...]
    notices: tuple[Notice, ...] = ()


class Profiles(Protocol):
    """The profiles of a project."""

    def inventory(self) -> Inventory:
        """The primitives for graphs that belong to no profile."""
        ...

    def plan(self, name: str) -> Planned:
        """The run of a profile. Raises ErgoError if it cannot begin."""
        ...

    def replay(self, name: str, bundle: Bundle) -> BundleResult:
        """Replay a bundle with the program of a profile, strictly; its faults are in the result."""
        ...

    def target(self, name: str) -> Target:
        """The program of a profile with its adapter. Raises ErgoError if it cannot be loaded."""
        ...

    def run_flags(self, flags: RunFlags) -> RunFlags:
        """``flags`` with the project's folder, if any. Raises UsageError if they need one and there is none."""
        ...

    def validate(self) -> ProjectSummary:
        """Check everything that profiles name, without starting anything. Raises ValidationError with all faults."""
        ...


class FileProject:
    """The project of the nearest project file from ``path`` upwards, read anew for every operation."""

    def __init__(self, path: Path, primitives: tuple[AnyPrimitive, ...]) -> None:
        self._path = path
        self._primitives = primitives

    def inventory(self) -> Inventory:
        """The caller's primitives and those of the project's modules."""
        project = self._project()
        return load_inventory(project, project.primitives, self._primitives)

    def plan(self, name: str) -> Planned:
        """Plan a run with paths and programs relative to the project's folder."""
        return plan_profile(self._flags(name))

    def replay(self, name: str, bundle: Bundle) -> BundleResult:
        """Replay with the profile's ``ignore`` and ``numbers``."""
        flags = self._flags(name)
        session = ReplaySession(ReplayRequest(flags, strict=ReplayOptions().strict), ProgramStore.of_user())
        result = replay(bundle, partial(session.assign, flags))
        return replace(result, warnings=result.warnings + session.notices())

    def target(self, name: str) -> Target:
        """The program, found as for a run of the profile."""
        found = find_program_for_run(self._flags(name))
        return Target(found.program, found.adapter)

    def run_flags(self, flags: RunFlags) -> RunFlags:
        """``flags`` with the project's root, which may be above the handle's path."""
        return replace(flags, project=self._project().root)

    def validate(self) -> ProjectSummary:
        """Check every profile, regardless of faults in others."""
        try:
            project = self._project()
        except ErgoError as error:
            raise ValidationError(error) from error
        faults: list[ValidationError] = []
        notices = list(project.notices)
        for name in project.profiles:
            checked = check_profile(project, name, self._primitives)
            faults += (ValidationError(error, name) for error in checked.errors)
            notices += checked.notices
        _raise_first(faults)
        notices = tuple(dict.fromkeys(notices))
        return ProjectSummary(project.root, project.name, project.version, tuple(project.profiles), notices)

    def _flags(self, name: str) -> ProgramFlags:
        project = self._project()
        resolve_profile(project, name)
        return ProgramFlags(profile=name, project=project.root, primitives=self._primitives)

    def _project(self) -> Project:
        """The project, trusted because the caller names it: its modules may be imported."""
        return replace(load_project(self._path), trusted=True)


class MemoryProject:
    """A project given as a value."""

    def __init__(self, project: InMemoryProject, inventory: Inventory) -> None:
        self._project = project
        self._inventory = inventory

    def inventory(self) -> Inventory:
        """The caller's primitives."""
        return self._inventory

    def plan(self, name: str) -> Planned:
        """Plan a run; its bundle stays in memory if the profile names no file."""
        return plan_config(self._profile(name), self._inventory)

    def replay(self, name: str, bundle: Bundle) -> BundleResult:
        """Replay with the profile's ``numbers``."""
        profile = self._profile(name)
        return replay_bundle(bundle, self.target(name), ReplayOptions(numbers=profile.numbers))

    def target(self, name: str) -> Target:
        """Load the program and its adapter anew."""
        profile = self._profile(name)
        found = load_given_program(profile.graph, profile.cluster_paths, profile.adapter, self._inventory)
        return Target(found.program, found.adapter)

    def run_flags(self, flags: RunFlags) -> RunFlags:
        """Return flags that name a store and need no profile: a project in memory has neither stores nor modules."""
        if flags.store is None or flags.profile is not None or flags.program is not None:
            raise no_project("runs")
        return flags

    def validate(self) -> ProjectSummary:
        """Check every profile and report the first fault of each."""
        faults: list[ValidationError] = []
        notices: list[Notice] = []
        names = tuple(sorted(self._project.profiles))
        for name in names:
            try:
                run = self.plan(name).run
                _check_ingress(run)
                notices += run.notices
            except ErgoError as error:
                faults.append(ValidationError(error, name))
        _raise_first(faults)
        return ProjectSummary(None, self._project.name, self._project.version, names, tuple(dict.fromkeys(notices)))

    def _profile(self, name: str) -> RunConfig:
        profiles = self._project.profiles
        if name not in profiles:
            fix = did_you_mean(name, profiles) or f"use one of: {', '.join(sorted(profiles))}"
            message = f"project profile '{name}' does not exist"
            raise ProjectError("PRJ-PROFILE", message, where=self._project.name, fix=fix)
        return profiles[name]


def check_in_memory(project: InMemoryProject) -> None:
    """Refuse a project without profiles, and profiles without events. Raises UsageError."""
    if not project.profiles:
        raise UsageError(PROJECT_CONFIG, "the project has no profiles", where=project.name, fix="give it a profile")
    for name, profile in sorted(project.profiles.items()):
        for code, reason, fix in _ingress_faults(profile):
            raise UsageError(code, f"profile '{name}': {reason}", where=f"profiles.{name}.ingress", fix=fix)


def _ingress_faults(profile: RunConfig) -> Iterator[tuple[str, str, str]]:
    match profile.ingress:
        case Process(command) if not command or not command[0].strip():
            yield EMPTY_COMMAND, "the process command is empty", "name the program that emits the events"
        case Items(label) if not label.strip():
            yield PROJECT_CONFIG, "the label of its events is blank", "say what errors should call them"
        case Items(_, events) if not events:
            yield PROJECT_CONFIG, "it has no events", "give it at least one"
        case _:
            pass


def _check_ingress(run: RunPlan) -> None:
    match run.source:
        case Driver(command, folder):
            check_command(command, folder)
            events = nullcontext()
        case EventFile(path):
            events = open_checked_stream(path, run.prepared, RunControl())
        case EventLines():
            events = open_checked_lines(run.source, run.prepared, RunControl())
    with events:
        pass


def _raise_first(faults: list[ValidationError]) -> None:
    """Raise the first fault, if any, with all faults attached."""
    if faults:
        first = faults[0]
        first.faults = tuple(faults)
        first.causes += tuple(fault.cause for fault in faults[1:])
        raise first
