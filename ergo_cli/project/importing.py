"""Import modules of a trusted project and describe import faults (spec 00 §12.5)."""

from __future__ import annotations

import importlib
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
    """Unload a ``package`` of another project, so that the project's own of that name can be imported."""
    loaded = sys.modules.get(package)
    if loaded is None or not _is_below(project.root, package) or _comes_from(loaded, project.root):
        return
    if package in sys.stdlib_module_names or package == "ergo_cli":
        message = f"module '{package}' of the project has the name of a module that is loaded already"
        raise ImportFault(message, fix="give the module another name")
    for name in [each for each in sys.modules if each == package or each.startswith(f"{package}.")]:
        del sys.modules[name]


def _is_below(root: Path, package: str) -> bool:
    return (root / package).is_dir() or (root / f"{package}.py").is_file()


def _comes_from(module: ModuleType, root: Path) -> bool:
    places = [module.__file__] if module.__file__ else list(getattr(module, "__path__", ()))
    return any(Path(place).is_relative_to(root) for place in places)


def _not_found(name: str, project: Project) -> ImportFault:
    parent, _, last = name.rpartition(".")
    folder = project.root.joinpath(*parent.split(".")) if parent else project.root
    meant = did_you_mean(last, (path.stem for path in folder.glob("*.py")))
    return ImportFault(f"module '{name}' was not found", fix=meant, is_missing=True)


def _failed(name: str, project: Project, error: BaseException) -> ImportFault:
    message = f"module '{name}' cannot be imported: {exception_text(error)}"
    return ImportFault(message, where=raised_at(error, project.root), fix="mend the module")
