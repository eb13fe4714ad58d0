"""The files of a program written in Python, and its fingerprint over them (spec 00 §2)."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

from ergo_cli.core.program_source import ProgramSource

_TAGS = {"kernel": "kpv1"}


class PythonSource(Struct, frozen=True):
    """One module: its name, its path below the folder that holds its package, its bytes."""

    module: str
    path: str
    content: bytes

    @property
    def sha256(self) -> str:
        """Lower-case hex SHA-256 of the file."""
        return sha256(self.content).hexdigest()

    @property
    def embedded(self) -> ProgramSource:
        """The text as a bundle keeps it, for reading only. Raises ValueError for a file that is not UTF-8."""
        return ProgramSource(self.path, self.sha256, self.content.decode())


class _Provenance(Struct, frozen=True):
    """What is hashed, members in this order."""

    kind: str
    ref: str
    version: str
    sources: list[tuple[str, str]]


def python_provenance(kind: str, ref: str, version: str, sources: Iterable[tuple[str, str]]) -> str:
    """The fingerprint of a program over names and digests of its modules."""
    text = msgspec.json.encode(_Provenance(kind, ref, version, sorted(sources)))
    return f"{_TAGS[kind]}:sha256:{sha256(text).hexdigest()}"


def python_sources(module: str, file: Path) -> tuple[PythonSource, ...]:
    """``module``, which is ``file``, and all modules of its top-level package that it imports, ascending by name.

    Import statements are looked for in the syntax tree, wherever they stand and whether or not they are ever reached.
    Raises OSError for a file that cannot be read, SyntaxError for one that is no Python.
    """
    package = _Package.of(module, file)
    found: dict[str, PythonSource] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        place = None if name in found else package.place(name)
        if place is not None:
            found[name] = PythonSource(name, place.relative_to(package.folder).as_posix(), place.read_bytes())
            waiting += _imported(found[name])
    return tuple(found[name] for name in sorted(found))


class _Package(Struct, frozen=True):
    """A top-level package, or module, in the folder that holds it."""

    name: str
    folder: Path

    @classmethod
    def of(cls, module: str, file: Path) -> _Package:
        levels = module.count(".") + (file.name == "__init__.py")
        return cls(module.partition(".")[0], file.parents[levels])

    def place(self, module: str) -> Path | None:
        """The file of a module of this package; None for what is no module of it."""
        if module.partition(".")[0] != self.name:
            return None
        base = self.folder.joinpath(*module.split("."))
        places = (base / "__init__.py", base.with_name(f"{base.name}.py"))
        return next((place for place in places if place.is_file()), None)


def _imported(source: PythonSource) -> Iterator[str]:
    """The names that the import statements of a module may mean modules by."""
    for statement in ast.walk(ast.parse(source.content, source.path)):
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            base = _base(source, statement)
            yield base
            yield from (f"{base}.{alias.name}" for alias in statement.names)


def _base(source: PythonSource, statement: ast.ImportFrom) -> str:
    """The module that ``from … import`` names, dots at its front counted from the module that it stands in."""
    parts = source.module.split(".")
    if not source.path.endswith("__init__.py"):
        parts.pop()
    above = parts[: len(parts) - statement.level + 1] if statement.level else []
    return ".".join([*above, *([statement.module] if statement.module else [])])
