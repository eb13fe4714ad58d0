"""Programs written in Python, found by ``module:attribute`` in a trusted project (spec 00 §3, §13.2)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, cast

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.nearest import did_you_mean
from ergo_cli.core.program_source import ProgramSource
from ergo_cli.errors import ProgramError
from ergo_cli.programs.kernel.actions import Executor
from ergo_cli.programs.kernel.program import KernelProgram
from ergo_cli.project.importing import ImportFault, import_module, told, trusted
from ergo_cli.project.python_sources import PythonSource, python_provenance, python_sources
from ergo_cli.project.toml import Project

_FIX = 'write "module:attribute", the module as Python names it from the project\'s folder'


class PythonProgram(Struct, frozen=True):
    """A program that a project's Python module defines, with the files that its fingerprint covers."""

    kind: Literal["kernel"]
    ref: str
    program: KernelProgram[Any]
    files: tuple[PythonSource, ...]
    project: Project

    @property
    def graph_id(self) -> str:
        """The program's own name."""
        return self.program.name

    @property
    def provenance(self) -> str:
        """The fingerprint over reference, version and files."""
        digests = ((file.module, file.sha256) for file in self.files)
        return python_provenance(self.kind, self.ref, self.program.version, digests)

    @property
    def sources(self) -> tuple[ProgramSource, ...]:
        """The texts that a bundle may embed. Raises ProgramError for a file that is not UTF-8."""
        try:
            return tuple(file.embedded for file in self.files)
        except ValueError as error:
            message = f"the program '{self.ref}' cannot be embedded: {error}"
            raise _fault(self.ref, message, self.project, fix="write its files in UTF-8") from error

    def live(self) -> PythonProgram:
        """The program with everything imported that touches the world: for live runs alone.

        Raises ProgramError ``program.import_failed``.
        """
        execute = self.program.execute
        if not isinstance(execute, str):
            return self
        executor = _looked_up(execute, self.project)
        if not callable(executor):
            message = f"'{execute}' is no executor: it cannot be called"
            raise _fault(execute, message, self.project, fix="name a function execute(action, call)")
        return replace(self, program=replace(self.program, execute=cast("Executor", executor)))


def load_python_program(project: Project | None, ref: str, kind: str | None = None) -> PythonProgram:
    """The program that ``ref`` names, of ``kind`` where that is given.

    Raises ProgramError: ``program.import_refused`` for a project that is not trusted, ``program.import_failed`` for a
    module or attribute that cannot be had, ``program.wrong_kind`` for an attribute that is no such program.
    """
    project = trusted(project, (ref,))
    found: Any = _looked_up(ref, project)
    name = type(found).__name__
    if not isinstance(found, KernelProgram) or kind not in (None, "kernel"):
        raise _wrong_kind(ref, name, kind, project)
    return PythonProgram("kernel", ref, cast("KernelProgram[Any]", found), _files(ref, project), project)


def _looked_up(ref: str, project: Project) -> Any:
    name, _, attribute = ref.partition(":")
    if not (name and attribute):
        raise _fault(ref, f"'{ref}' names no attribute of a module", project, fix=_FIX)
    module = _module(ref, project)
    found: Any = module
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise _no_attribute(ref, module, part, found, project) from error
    return found


def _module(ref: str, project: Project) -> ModuleType:
    try:
        return import_module(ref.partition(":")[0], project)
    except ImportFault as fault:
        raise _fault(ref, fault.message, project, where=fault.where, fix=fault.fix or _FIX) from fault.__cause__


def _files(ref: str, project: Project) -> tuple[PythonSource, ...]:
    module = _module(ref, project)
    place = Path(module.__file__ or "")
    if place.suffix != ".py":
        message = f"module '{module.__name__}' has no Python file, so that its program has no fingerprint"
        raise _fault(ref, message, project, fix="define the program in a Python file")
    try:
        return python_sources(module.__name__, place)
    except (OSError, SyntaxError, ValueError) as error:
        message = f"the files of '{ref}' cannot be read: {told(error)}"
        raise _fault(ref, message, project, fix="mend the module") from error


def _no_attribute(ref: str, module: ModuleType, part: str, holder: object, project: Project) -> ProgramError:
    message = f"module '{module.__name__}' has no attribute '{ref.partition(':')[2]}'"
    meant = did_you_mean(part, _public_names(holder))
    return _fault(ref, message, project, fix=meant or "name an attribute that the module defines")


def _public_names(holder: object) -> Iterator[str]:
    return (name for name in dir(holder) if not name.startswith("_"))


def _wrong_kind(ref: str, found: str, kind: str | None, project: Project) -> ProgramError:
    message = f"'{ref}' is a {found}, not a {kind or 'kernel'} program"
    fix = "name a KernelProgram of ergo_cli.programs.kernel"
    if kind not in (None, "kernel"):
        message, fix = f"'{ref}' cannot be run: {kind} programs are not supported so far", "name a kernel program"
    return ProgramError("program.wrong_kind", message, where=str(project.file), fix=fix)


def _fault(ref: str, message: str, project: Project, *, fix: str, where: str | None = None) -> ProgramError:
    return ProgramError("program.import_failed", message, where=where or f"{project.file} {ref}", fix=fix)
