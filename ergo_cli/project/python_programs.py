"""Programs written in Python: found by ``module:attribute``, fingerprinted over their files (spec 00 §2, §3, §13.2)."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.diagnostics import did_you_mean
from ergo_cli.core.documents import ProgramSource
from ergo_cli.errors import ErgoError, ProgramError
from ergo_cli.programs.kind import Kind
from ergo_cli.programs.kinds import every_kind, find_kind, kind_of
from ergo_cli.programs.program import AnyProgram, AuthoredProgram, Guarded, Program
from ergo_cli.project.importing import ImportFault, exception_text, import_module, raised_at, trusted
from ergo_cli.project.project_file import Project
from ergo_cli.signals import is_of_a_signal


class PythonSource(Struct, frozen=True):
    """One module: its name, its path below the folder that holds its package, its bytes, its file."""

    module: str
    path: str
    content: bytes
    file: Path

    @property
    def sha256(self) -> str:
        """The SHA-256 of the file in lower-case hex."""
        return sha256(self.content).hexdigest()

    @property
    def embedded(self) -> ProgramSource:
        """The text as a bundle embeds it, for reading only. Raises ValueError for a file that is not UTF-8."""
        return ProgramSource(self.path, self.sha256, self.content.decode())


class _Provenance(Struct, frozen=True):
    """The hashed content, members in this order."""

    kind: str
    ref: str
    version: str
    sources: list[tuple[str, str]]


def python_provenance(kind: str, tag: str, ref: str, version: str, sources: Iterable[tuple[str, str]]) -> str:
    """The fingerprint of a program over names and digests of its modules; ``tag`` is the prefix of its kind."""
    text = msgspec.json.encode(_Provenance(kind, ref, version, sorted(sources)))
    return f"{tag}:sha256:{sha256(text).hexdigest()}"


def python_sources(module: str, file: Path) -> tuple[PythonSource, ...]:
    """``module``, which is ``file``, and all modules of its top-level package that it imports, ascending by name.

    Raises as ``followed``.
    """
    package = _Package.of(module, file)
    return followed([module], package.folder, package.place)


def followed(modules: Iterable[str], folder: Path, place_of: Callable[[str], Path | None]) -> tuple[PythonSource, ...]:
    """``modules`` and all that they import of those that have a place below ``folder``, ascending by name.

    Import statements are found in the syntax tree, at any depth and whether or not they are executed.
    Raises OSError for a file that cannot be read, SyntaxError for one that is not valid Python.
    """
    found: dict[str, PythonSource] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        place = None if name in found else place_of(name)
        if place is not None:
            path = place.relative_to(folder).as_posix()
            found[name] = PythonSource(name, path, place.read_bytes(), place)
            waiting += _imported(found[name])
    return tuple(found[name] for name in sorted(found))


def module_file(folder: Path, module: str) -> Path | None:
    """The file of a module in the folder that holds its top-level package; None if it has none there."""
    base = folder.joinpath(*module.split("."))
    places = (base / "__init__.py", base.with_name(f"{base.name}.py"))
    return next((place for place in places if place.is_file()), None)


class _Package(Struct, frozen=True):
    """A top-level package, or module, in the folder that holds it."""

    name: str
    folder: Path

    @classmethod
    def of(cls, module: str, file: Path) -> _Package:
        levels = module.count(".") + (file.name == "__init__.py")
        return cls(module.partition(".")[0], file.parents[levels])

    def place(self, module: str) -> Path | None:
        """The file of a module of this package; None if it is not in the package."""
        if module.partition(".")[0] != self.name:
            return None
        return module_file(self.folder, module)


def _imported(source: PythonSource) -> Iterator[str]:
    """The names in a module's import statements that may be modules."""
    for statement in ast.walk(ast.parse(source.content, source.path)):
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            base = _base(source, statement)
            yield base
            yield from (f"{base}.{alias.name}" for alias in statement.names)


def _base(source: PythonSource, statement: ast.ImportFrom) -> str:
    """The module that ``from … import`` names, leading dots resolved from the importing module."""
    parts = source.module.split(".")
    if not source.path.endswith("__init__.py"):
        parts.pop()
    above = parts[: len(parts) - statement.level + 1] if statement.level else []
    return ".".join([*above, *([statement.module] if statement.module else [])])


_FIX = 'write "module:attribute", the module as Python names it from the project\'s folder'


class PythonProgram(Struct, frozen=True):
    """A program that a project's Python module defines, with the files that its fingerprint covers.

    ``place`` is where it is named: an option, or a key of the project file.
    """

    program: AnyProgram
    files: tuple[PythonSource, ...]
    project: Project
    place: str

    @property
    def sources(self) -> tuple[ProgramSource, ...]:
        """The texts that a bundle may embed. Raises ProgramError for a file that is not UTF-8."""
        try:
            return tuple(file.embedded for file in self.files)
        except ValueError as error:
            message = f"the program '{self.program.ref}' cannot be embedded: {error}"
            raise _fault(message, self.place, fix="write its files in UTF-8") from error

    @property
    def file(self) -> str | None:
        """The file of the module that defines the program."""
        module = self.program.ref.partition(":")[0]
        return next((str(each.file) for each in self.files if each.module == module), None)

    def live(self) -> AnyProgram:
        """The program including imports with side effects on the outside world: for live runs only.

        Raises ProgramError ``program.import_failed``.
        """
        acting = self.program.kind.acting
        if acting is None:
            return self.program
        return replace(self.program, value=acting.live(self.program.value, self._executor))

    def _executor(self, ref: str) -> Callable[..., object]:
        place = f"executor of '{self.program.ref}'"
        executor = _looked_up(ref, self.project, place)
        if not callable(executor):
            message = f"'{ref}' is a {type(executor).__name__}, which cannot be called"
            raise _fault(message, place, fix="name a function")
        return executor


def load_python_program(
    project: Project | None,
    ref: str,
    kind: str | None = None,
    place: str = "option --program",
    allowed_names: tuple[str, ...] = (),
) -> PythonProgram:
    """The program that ``ref`` names, of the kind named ``kind`` if given; ``place`` is where it is named.

    ``allowed_names`` are those of the profile, or of the project, for a program that keeps no secrets.

    Raises ProgramError: ``program.import_refused`` for a project that is not trusted, ``program.import_failed`` for a
    module or attribute that cannot be imported, ``program.wrong_kind`` for an attribute that is not such a program.
    """
    project = trusted(project, (ref,))
    value = _looked_up(ref, project, place)
    found = kind_of(value) if kind is None else find_kind(kind)
    if found is None or not found.claims(value):
        raise _wrong_kind(ref, type(value).__name__, found, place)
    if allowed_names and isinstance(value, Guarded):
        value = _allowing(value, allowed_names)
    authored, files = cast("AuthoredProgram", value), _files(ref, project, place)
    return PythonProgram(python_program(found, ref, authored, files), files, project, place)


def _allowing(value: Guarded, names: tuple[str, ...]) -> Guarded:
    """The program with these names; as it is where its parts are of wrong types, which its kind refuses later."""
    try:
        return value.allowing(names)
    except (AttributeError, TypeError):
        return value


def python_program(kind: Kind[Any], ref: str, value: AuthoredProgram, files: tuple[PythonSource, ...]) -> AnyProgram:
    """A program written in Python, its fingerprint over reference, version and files (spec 00 §2)."""
    digests = ((file.module, file.sha256) for file in files)
    provenance = python_provenance(kind.name, kind.tag, ref, value.version, digests)
    return Program(kind, ref, value.graph_id, provenance, value)


def _looked_up(ref: str, project: Project, place: str) -> Any:
    name, _, attribute = ref.partition(":")
    if not (name and attribute):
        raise _fault(f"'{ref}' names no attribute of a module", place, fix=_FIX)
    module = _module(ref, project, place)
    found: Any = module
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise _no_attribute(ref, module, part, found, place) from error
        except BaseException as error:  # whatever the code of the module raises
            if isinstance(error, ErgoError) or is_of_a_signal(error):
                raise
            message = f"'{ref}' cannot be read: {exception_text(error)}"
            raise _fault(message, raised_at(error, project.root) or place, fix="mend the module") from error
    return found


def _module(ref: str, project: Project, place: str) -> ModuleType:
    try:
        return import_module(ref.partition(":")[0], project)
    except ImportFault as fault:
        raise _fault(fault.message, fault.where or place, fix=fault.fix or _FIX) from fault.__cause__


def _files(ref: str, project: Project, place: str) -> tuple[PythonSource, ...]:
    module = _module(ref, project, place)
    file = Path(module.__file__ or "")
    if file.suffix != ".py":
        message = f"module '{module.__name__}' has no Python file, so that its program has no fingerprint"
        raise _fault(message, place, fix="define the program in a Python file")
    try:
        return python_sources(module.__name__, file)
    except (OSError, SyntaxError, ValueError) as error:
        message = f"the files of '{ref}' cannot be read: {exception_text(error)}"
        raise _fault(message, place, fix="mend the module") from error


def _no_attribute(ref: str, module: ModuleType, part: str, holder: object, place: str) -> ProgramError:
    message = f"module '{module.__name__}' has no attribute '{ref.partition(':')[2]}'"
    meant = did_you_mean(part, _public_names(holder))
    return _fault(message, place, fix=meant or "name an attribute that the module defines")


def _public_names(holder: object) -> Iterator[str]:
    return (name for name in dir(holder) if not name.startswith("_"))


def _wrong_kind(ref: str, found: str, wanted: Kind[Any] | None, place: str) -> ProgramError:
    needed = "program" if wanted is None else f"{wanted.name} program"
    kinds = (wanted,) if wanted is not None else every_kind(lambda _: None)
    written = [kind.acting.written_as for kind in kinds if kind.acting is not None]
    fix = f"name a {' or a '.join(written)}"
    message = f"'{ref}' is a {found}, not a {needed}"
    return ProgramError("program.wrong_kind", message, where=place, fix=fix)


def _fault(message: str, where: str, *, fix: str) -> ProgramError:
    return ProgramError("program.import_failed", message, where=where, fix=fix)
