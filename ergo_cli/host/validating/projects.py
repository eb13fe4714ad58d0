"""A project with everything that its profiles name, checked without running anything (spec 30 §22, §26)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar, assert_never

from ergo_cli.core.notices import Notice
from ergo_cli.errors import ErgoError
from ergo_cli.events.adapter import Adapter
from ergo_cli.events.stream import SemanticKinds
from ergo_cli.host.egress.config import EgressConfig
from ergo_cli.host.egress.config_files import load_egress_config
from ergo_cli.host.hosting import hosting
from ergo_cli.host.ingress.command import check_command
from ergo_cli.host.preparation import production_requires_adapter
from ergo_cli.host.validating.checked import Checked, Surroundings, all_errors
from ergo_cli.host.validating.checks import read_events
from ergo_cli.host.validating.scripts import script_faults
from ergo_cli.programs.graph.primitives.primitive import AnyPrimitive
from ergo_cli.project.finding import Program
from ergo_cli.project.loading import load_adapter_file, load_program_from_files, notices_of
from ergo_cli.project.primitives import load_inventory
from ergo_cli.project.profiles import FixtureFile, IngressProcess, ResolvedProfile, resolve_profile
from ergo_cli.project.surroundings import with_trust
from ergo_cli.project.toml import Project, read_project

_T = TypeVar("_T")


def check_project(path: str, surroundings: Surroundings) -> Checked:
    """A project file and every profile in it; all faults are found, and each names its profile."""
    try:
        project = with_trust(read_project(Path(path).absolute()), surroundings.project)
    except ErgoError as error:
        return Checked(None, tuple(all_errors(error)))
    checks = [check_profile(project, name) for name in project.profiles]
    errors = tuple(error for check in checks for error in check.errors)
    notices = (*project.notices, *(notice for check in checks for notice in check.notices))
    return Checked(project.name, errors, tuple(dict.fromkeys(notices)))


def check_profile(project: Project, name: str, primitives: tuple[AnyPrimitive, ...] = ()) -> Checked:
    """One profile: program, adapter, egress, ingress, with the files that they name; each fault names the profile.

    ``primitives`` are own ones beside those of the project's modules.
    """
    examination = _Examination(project, name, primitives)
    return Checked(name, tuple(examination.errors), tuple(examination.notices))


class _Examination:
    """One profile looked at from all sides: what is wrong on one does not hide the others."""

    def __init__(self, project: Project, name: str, primitives: tuple[AnyPrimitive, ...]) -> None:
        self.errors: list[ErgoError] = []
        self.notices: list[Notice] = []
        self._name = name
        self._primitives = primitives
        profile = self._attempt(lambda: resolve_profile(project, name))
        if profile is not None:
            self._examine(profile)

    def _examine(self, profile: ResolvedProfile) -> None:
        egress = self._attempt(lambda: self._egress(profile))
        adapter = self._attempt(lambda: self._adapter(profile))
        program = self._attempt(lambda: self._program(profile))
        self._attempt(lambda: self._ingress(profile))
        complete = (adapter or not profile.adapter) and (egress or not profile.egress)
        if program is not None and complete:
            fitting = hosting(program, profile.run_id)
            self.notices += self._attempt(lambda: fitting.check(adapter, egress)) or ()

    def _egress(self, profile: ResolvedProfile) -> EgressConfig | None:
        if profile.egress is None:
            return None
        config, notices = load_egress_config(profile.egress)
        self.notices += notices
        for _, command in sorted(config.channels.items()):
            self._found(script_faults(command, profile.project.root))
        return config

    def _adapter(self, profile: ResolvedProfile) -> Adapter | None:
        adapter = None if profile.adapter is None else load_adapter_file(profile.adapter)
        self.notices += notices_of(adapter)
        return adapter

    def _program(self, profile: ResolvedProfile) -> Program | None:
        inventory = load_inventory(profile.project, profile.primitives, self._primitives)
        if profile.program.kind == "kernel":
            from ergo_cli.project.python_programs import load_python_program  # graphs do not pay for the import

            return load_python_program(profile.project, profile.program.ref, profile.program.kind)
        if profile.graph is None:
            return None
        loaded = load_program_from_files(profile.graph, profile.cluster_paths, None, inventory)
        self.notices += loaded.notices
        return loaded.program

    def _ingress(self, profile: ResolvedProfile) -> None:
        match profile.ingress:
            case None:
                pass
            case FixtureFile(path):
                read_events(str(path), SemanticKinds.REFUSED if profile.adapter is None else SemanticKinds.REQUIRED)
            case IngressProcess(command, folder):
                self._found(script_faults(command, folder))
                if profile.adapter is None:
                    self._found([production_requires_adapter(f"{profile.project.file} profiles.{self._name}")])
                check_command(command, folder)
            case _:
                assert_never(profile.ingress)

    def _attempt(self, work: Callable[[], _T]) -> _T | None:
        try:
            return work()
        except ErgoError as error:
            self._found(all_errors(error))
            return None

    def _found(self, errors: Iterable[ErgoError]) -> None:
        self.errors += (_in_profile(error, self._name) for error in errors)


def _in_profile(error: ErgoError, profile: str) -> ErgoError:
    message = f"profile '{profile}': {error.message}"
    return ErgoError(error.code, message, where=error.where, fix=error.fix, rule=error.rule, details=error.details)
