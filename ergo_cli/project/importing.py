"""Import modules of a trusted project and describe import faults (spec 00 §12.5)."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType

from ergo_cli.core.diagnostics import did_you_mean
from ergo_cli.errors import ErgoError, described
from ergo_cli.project.project_file import Project
from ergo_cli.project.source_imports import import_from_source
from ergo_cli.project.trust import import_refused
from ergo_cli.signals import is_of_a_signal

_STANDING = frozenset((*sys.stdlib_module_names, "ergo_cli", "__main__", "conftest"))
"""Modules that are never unloaded."""


class ImportFault(Exception):
    """A module that cannot be imported. ``where`` is the faulty line of the project, if known.

    ``is_missing``: the module does not exist; ``fix`` then suggests a similar name.
    """

    def __init__(
        self, message: str, *, where: str | None = None, fix: str | None = None, is_missing: bool = False
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.fix = fix
        self.is_missing = is_missing


def trusted(project: Project | None, names: tuple[str, ...]) -> Project:
    """Return the project if its modules may be imported. Raises ProgramError ``program.import_refused``."""
    if project is not None and project.trusted:
        return project
    raise import_refused(project, names)


def import_module(name: str, project: Project) -> ModuleType:
    """The module ``name``, with the project's root first on ``sys.path``; what it prints goes to standard error.

    It and all modules of the project that it imports are compiled from their text.

    Raises ImportFault, and any ErgoError that the module itself raises.
    """
    if not all(part.isidentifier() for part in name.split(".")):
        raise ImportFault(f"'{name}' is not the name of a module")
    _put_first(project.root)
    import_from_source(project.root)
    _forget_strangers(name.partition(".")[0], project)
    importlib.invalidate_caches()
    try:
        with redirect_stdout(sys.stderr):
            return importlib.import_module(name)
    except ErgoError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise _not_found(name, project) from error
        raise _failed(name, project, error) from error
    except BaseException as error:
        if is_of_a_signal(error):
            raise
        raise _failed(name, project, error) from error


def exception_text(error: BaseException) -> str:
    """Type and text of an exception: ``ValueError: why``; a syntax error without its position."""
    return f"{type(error).__name__}: {error.msg}" if isinstance(error, SyntaxError) else described(error)


def raised_at(error: BaseException, root: Path) -> str | None:
    """The innermost line below ``root`` in the error's traceback."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        position = [str(part) for part in (error.lineno, error.offset) if part is not None]
        return ":".join([error.filename, *position])
    frames = traceback.extract_tb(error.__traceback__)
    own = [f"{frame.filename}:{frame.lineno}" for frame in frames if Path(frame.filename).is_relative_to(root)]
    return own[-1] if own else None


def _put_first(root: Path) -> None:
    """Put ``root`` first on ``sys.path`` and leave it there: imported functions may import modules when called."""
    if sys.path[:1] != [str(root)]:
        sys.path.insert(0, str(root))


def _forget_strangers(package: str, project: Project) -> None:
    """Unload modules of elsewhere that have the names of the project's own, so that those are imported.

    In a process that others import into too, as pytest does, a module of a name may be loaded from another place.
    """
    root = project.root
    if package in _STANDING and _is_strange(package, root):
        message = f"module '{package}' of the project has the name of a module that is loaded already"
        raise ImportFault(message, fix="give the module another name")
    names = {name.partition(".")[0] for name in sys.modules} - _STANDING
    beside = {each for each in names if _own_files(each, root) and not _is_installed(each)}
    strange = {each for each in beside | {package} if _is_strange(each, root)}
    for name in [each for each in sys.modules if each.partition(".")[0] in strange]:
        del sys.modules[name]


def _is_strange(package: str, root: Path) -> bool:
    """Whether a module is loaded from elsewhere though the project has one of its name."""
    loaded = sys.modules.get(package)
    if loaded is None:
        return False
    own = {os.path.realpath(place) for place in _own_files(package, root)}
    if own:
        return not any(os.path.realpath(place) in own for place in _places(loaded))
    return (root / package).is_dir() and not any(Path(place).is_relative_to(root) for place in _places(loaded))


def _own_files(package: str, root: Path) -> list[Path]:
    return [place for place in (root / package / "__init__.py", root / f"{package}.py") if place.is_file()]


def _is_installed(package: str) -> bool:
    """Whether a loaded module is of an installed package, which what is loaded besides may go on using."""
    return any("site-packages" in Path(place).parts for place in _places(sys.modules[package]))


def _places(module: ModuleType) -> list[str]:
    file = getattr(module, "__file__", None)
    return [file] if file else list(getattr(module, "__path__", ()))


def _not_found(name: str, project: Project) -> ImportFault:
    parent, _, last = name.rpartition(".")
    folder = project.root.joinpath(*parent.split(".")) if parent else project.root
    meant = did_you_mean(last, (path.stem for path in folder.glob("*.py")))
    return ImportFault(f"module '{name}' was not found", fix=meant, is_missing=True)


def _failed(name: str, project: Project, error: BaseException) -> ImportFault:
    message = f"module '{name}' cannot be imported: {exception_text(error)}"
    return ImportFault(message, where=raised_at(error, project.root), fix="mend the module")
