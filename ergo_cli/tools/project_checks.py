"""Check a project with everything that its profiles name, without running anything (spec 30 §22, §26)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TypeVar, assert_never

from ergo_cli.channels.egress_config import EgressConfig, load_egress_config
from ergo_cli.channels.ingress import check_command
from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.documents import TEXT_LIMIT
from ergo_cli.errors import ErgoError, ProjectError, reason
from ergo_cli.events.adapter import Adapter, with_formats
from ergo_cli.events.stream import SemanticKinds
from ergo_cli.host.run_plan import check_fit, production_requires_adapter
from ergo_cli.programs.graph.primitives.primitive import AnyPrimitive
from ergo_cli.programs.program import AnyProgram
from ergo_cli.project.authored import load_adapter_file, notices_of
from ergo_cli.project.loading import load_gated_program
from ergo_cli.project.primitives import load_inventory, with_trust
from ergo_cli.project.profiles import FixtureFile, IngressProcess, ResolvedProfile, resolve_profile
from ergo_cli.project.project_file import Project, read_project
from ergo_cli.project.redaction import RedactFlags, find_redaction, redaction_for_checks
from ergo_cli.project.trust import check_key, check_path, cluster_gate
from ergo_cli.replay.expected import expectations_of
from ergo_cli.tools.file_checks import Checked, Surroundings, all_errors, read_events

_T = TypeVar("_T")


def check_project(path: str, surroundings: Surroundings) -> Checked:
    """Check a project file and every profile in it; all faults are found, and each names its profile."""
    try:
        project = with_trust(read_project(Path(path).absolute()), surroundings.folder)
    except ErgoError as error:
        return Checked(None, tuple(all_errors(error)))
    checks = [check_profile(project, name, formats=surroundings.formats) for name in project.profiles]
    errors = (*_wrong_expectations(project), *(error for check in checks for error in check.errors))
    notices = (*project.notices, *(notice for check in checks for notice in check.notices))
    return Checked(project.name, errors, tuple(dict.fromkeys(notices)))


def _wrong_expectations(project: Project) -> Iterator[ErgoError]:
    try:
        expectations_of(project, date.min)
    except ErgoError as error:
        yield error


def check_profile(
    project: Project, name: str, primitives: tuple[AnyPrimitive, ...] = (), *, formats: bool = False
) -> Checked:
    """Check one profile: program, adapter, egress, ingress and the files that they name; each fault names the profile.

    ``primitives`` are offered in addition to those of the project's modules. ``formats``: those of payloads are
    asserted, whatever the profile says.
    """
    check = _ProfileCheck(project, name, primitives, formats=formats)
    return Checked(name, tuple(check.errors), tuple(check.notices))


class _ProfileCheck:
    """The checks of one profile; a fault of one part does not hide those of the others."""

    def __init__(self, project: Project, name: str, primitives: tuple[AnyPrimitive, ...], *, formats: bool) -> None:
        self.errors: list[ErgoError] = []
        self.notices: list[Notice] = []
        self._name = name
        self._primitives = primitives
        self._formats = formats
        profile = self._attempt(lambda: resolve_profile(project, name))
        if profile is not None:
            self._check_parts(profile)

    def _check_parts(self, profile: ResolvedProfile) -> None:
        egress = self._attempt(lambda: self._egress(profile))
        adapter = self._attempt(lambda: self._adapter(profile))
        program = self._attempt(lambda: self._program(profile))
        self._attempt(lambda: self._ingress(profile, adapter))
        self._redaction(profile)
        complete = (adapter or not profile.adapter) and (egress or not profile.egress)
        if program is not None and complete:
            self.notices += self._attempt(lambda: check_fit(program, adapter, egress, profile.run_id)) or ()

    def _egress(self, profile: ResolvedProfile) -> EgressConfig | None:
        if profile.egress is None:
            return None
        check_path(profile.project, profile.egress, self._place("egress"))
        config, notices = load_egress_config(profile.egress)
        self.notices += notices
        for _, command in sorted(config.channels.items()):
            self._check_scripts(profile, command, "egress")
        return config

    def _adapter(self, profile: ResolvedProfile) -> Adapter | None:
        check_key(profile.project, self._name, "adapter")
        adapter = None if profile.adapter is None else load_adapter_file(profile.adapter)
        self.notices += notices_of(adapter)
        return with_formats(adapter, self._formats or profile.formats)

    def _program(self, profile: ResolvedProfile) -> AnyProgram | None:
        inventory = load_inventory(profile.project, profile.primitives, self._primitives)
        if profile.graph is None:
            from ergo_cli.project.python_programs import load_python_program  # only Python programs need the import

            key, names = profile.program, profile.allowed_names
            return load_python_program(profile.project, key.ref, key.kind, profile.program_place, names).program
        check_key(profile.project, self._name, "program")
        gate = cluster_gate(profile.project)
        loaded = load_gated_program(profile.graph, profile.cluster_paths, None, inventory, gate)
        self.notices += loaded.notices
        return loaded.program

    def _ingress(self, profile: ResolvedProfile, adapter: Adapter | None) -> None:
        match profile.ingress:
            case None:
                pass
            case FixtureFile(path):
                check_key(profile.project, self._name, "fixture")
                kinds = SemanticKinds.REFUSED if profile.adapter is None else SemanticKinds.REQUIRED
                read_events(str(path), kinds, adapter, redaction_for_checks(profile))
            case IngressProcess(command, folder):
                self._check_scripts(profile, command, "ingress")
                if profile.adapter is None:
                    self._found([production_requires_adapter(f"{profile.project.file} profiles.{self._name}")])
                check_command(command, folder)
            case _:
                assert_never(profile.ingress)

    def _redaction(self, profile: ResolvedProfile) -> None:
        """Warn of a redaction without its key: a check needs none, and whoever checks may have none."""
        try:
            find_redaction(RedactFlags(), profile.project, profile)
        except ErgoError as error:
            what = f"profile '{self._name}' cannot run or capture here: {error.message}; {error.fix}"
            self.notices.append(Notice(what, f"{profile.project.file} {self._place('redact')}"))

    def _check_scripts(self, profile: ResolvedProfile, command: Sequence[str], key: str) -> None:
        for word in scripts_of(command):
            check_path(profile.project, profile.project.root / word, self._place(key))
        self._found(script_faults(command, profile.project.root))

    def _place(self, key: str) -> str:
        return f"profiles.{self._name}.{key}"

    def _attempt(self, work: Callable[[], _T]) -> _T | None:
        try:
            return work()
        except ErgoError as error:
            self._found(all_errors(error))
            return None

    def _found(self, errors: Iterable[ErgoError]) -> None:
        self.errors += (ProfileFault(error, self._name) for error in errors)


class ProfileFault(ErgoError):
    """A fault of something that a profile names; ``unnamed`` is the message without the profile."""

    def __init__(self, fault: ErgoError, profile: str) -> None:
        message = f"profile '{profile}': {fault.message}"
        super().__init__(fault.code, message, where=fault.where, fix=fault.fix, rule=fault.rule, details=fault.details)
        self.profile = profile
        self.unnamed = fault.message


def scripts_of(command: Sequence[str]) -> Iterator[str]:
    """Yield the words of a command that name Python scripts."""
    return (word for word in command if word.endswith(".py") and not word.startswith("-"))


def script_faults(command: Sequence[str], folder: Path) -> Iterator[ProjectError]:
    """Yield the faults of the scripts among a command's words, those that end in ``.py``; nothing is run or written.

    The code is ``PRJ-SCRIPT``. Relative paths are taken from ``folder``.
    """
    for word in scripts_of(command):
        fault = _fault(word, folder / word)
        if fault is not None:
            yield fault


def _fault(name: str, path: Path) -> ProjectError | None:
    try:
        with path.open("rb") as file:
            source = file.read(TEXT_LIMIT)
    except (OSError, ValueError) as error:
        message = f"channel script '{name}' cannot be read: {reason(error)}"
        return _script_fault(message, str(path), "restore the file, or correct the command")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        where = f"{path}:{error.lineno or 1}:{error.offset or 1}"
        return _script_fault(f"channel script '{name}' does not compile: {error.msg}", where, "mend the script")
    except (ValueError, RecursionError, MemoryError) as error:
        message = f"channel script '{name}' does not compile: {error or type(error).__name__}"
        return _script_fault(message, str(path), "mend the script")
    return None


def _script_fault(message: str, where: str, fix: str) -> ProjectError:
    return ProjectError("PRJ-SCRIPT", message, where=where, fix=fix)
