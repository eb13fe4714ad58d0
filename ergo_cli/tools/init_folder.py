"""Find the folder of a new project and write the project completely or not at all (spec 30 §26)."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from ergo_cli.errors import CaptureWriteError, ErgoError, UsageError, reason
from ergo_cli.stores.files import AtomicFile
from ergo_cli.stores.remedies import remedy
from ergo_cli.stores.temporaries import temporary_folder


class ScaffoldFile(Struct, frozen=True):
    """One file; ``path`` is relative to the project, with ``/``."""

    path: str
    content: bytes
    executable: bool = False


_ELSEWHERE = "name a folder that does not exist yet, or an empty one"


class Target(Struct, frozen=True):
    """A folder to be made or filled; ``name`` is the last segment of its absolute path."""

    path: Path
    name: str
    exists: bool


def find_target(directory: str, *, force: bool) -> Target:
    """The folder that ``directory`` names: absent, empty or, with ``force``, any.

    Raises UsageError ``cli.init_path_invalid``, ``cli.init_target_invalid``, ``cli.init_target_not_empty``; ErgoError
    ``cli.init_current_dir_unavailable``, ``cli.init_target_read_failed``.
    """
    path, name = Path(os.path.normpath(directory)), _name(directory)
    try:
        occupied = _is_occupied(path)
    except FileNotFoundError:
        if path.is_symlink():
            raise _invalid(directory, "it is a symbolic link to nothing") from None
        return Target(path, name, exists=False)
    except NotADirectoryError as error:
        inside = "it is not a folder" if os.path.lexists(path) else "it would lie inside a file"
        raise _invalid(directory, inside) from error
    except (OSError, ValueError) as error:
        raise _unreadable(directory, error) from error
    if occupied and not force:
        message = f"'{directory}' is not empty"
        fix = f"{_ELSEWHERE}; --force writes the project's files into it and leaves all others"
        raise UsageError("cli.init_target_not_empty", message, where=directory, fix=fix)
    return Target(path, name, exists=True)


def _name(directory: str) -> str:
    try:
        return os.path.basename(os.path.abspath(directory))
    except OSError as error:
        message = f"the current folder cannot be found: {reason(error)}"
        fix = "change to a folder that exists"
        raise ErgoError("cli.init_current_dir_unavailable", message, where="current folder", fix=fix) from error


def _is_occupied(path: Path) -> bool:
    with os.scandir(path) as entries:
        return any(True for _ in entries)


def _invalid(directory: str, why: str) -> UsageError:
    message = f"no project can be made in '{directory}': {why}"
    return UsageError("cli.init_target_invalid", message, where=directory, fix=_ELSEWHERE)


def _unreadable(directory: str, error: OSError | ValueError) -> ErgoError:
    if isinstance(error, ValueError) or error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
        message = f"'{directory}' cannot be a path: {reason(error)}"
        return UsageError("cli.init_path_invalid", message, where=directory, fix=_ELSEWHERE)
    message = f"'{directory}' cannot be read: {reason(error)}"
    fix = "make the folder readable, or name another one"
    return ErgoError("cli.init_target_read_failed", message, where=directory, fix=fix)


_ANOTHER = "name another place"
_STAGING = ".ergo-init-"
_TARGET_FAILED = "cli.init_target_create_failed"
_FOLDER_FAILED = "cli.init_scaffold_create_failed"
_FILE_FAILED = "cli.init_scaffold_write_failed"


def plant(files: Sequence[ScaffoldFile], target: Target) -> None:
    """Write ``files`` to ``target``; other files of an existing folder stay as they are.

    A file that is replaced passes on its permission bits; where it is a link, what it leads to is replaced.

    Raises ErgoError ``cli.init_target_create_failed`` and as ``write_tree``. A target that did not exist, and folders
    above it, then do not exist either.
    """
    if target.exists:
        _fill(files, target.path)
    else:
        _create(files, target.path)


def write_tree(files: Iterable[ScaffoldFile], root: Path) -> None:
    """Write ``files`` below ``root`` and make the folders for them.

    Raises ErgoError ``cli.init_scaffold_create_failed`` for a folder, ``cli.init_scaffold_write_failed`` for a file.
    """
    for file in files:
        path = root / file.path
        with _failing(_FOLDER_FAILED, "make the folder", path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
        with _failing(_FILE_FAILED, "write", path):
            path.write_bytes(file.content)
            if file.executable:
                mode = path.stat().st_mode
                path.chmod(mode | (mode & 0o444) >> 2)


@contextmanager
def staging_folder(parent: Path | None = None, code: str = _FOLDER_FAILED) -> Generator[Path]:
    """A new path in ``parent``, by default the temporary folder; what is left there at the end is removed.

    Raises ErgoError with ``code``.
    """
    with ExitStack() as stack:
        with _failing(code, "make a folder in", parent or "the folder for temporary files"):
            folder = stack.enter_context(temporary_folder(_STAGING, parent))
        yield folder / "project"


def _create(files: Sequence[ScaffoldFile], target: Path) -> None:
    with ExitStack() as undo:
        for folder in _missing_parents(target):
            with _failing(_TARGET_FAILED, "make the folder", folder):
                folder.mkdir()
            undo.callback(_remove, folder)
        with staging_folder(target.parent, _TARGET_FAILED) as tree:
            write_tree(files, tree)
            with _failing(_TARGET_FAILED, "make the folder", target):
                tree.rename(target)
        undo.pop_all()


def _fill(files: Sequence[ScaffoldFile], target: Path) -> None:
    """New files are moved in, then those that stand there are replaced, all of which are ready by then."""
    for file in files:
        path = target / file.path
        with _failing(_FILE_FAILED, "write", path):
            _refuse_obstacles(file, target)
    standing = [file for file in files if os.path.lexists(target / file.path)]
    with staging_folder(target) as tree, ExitStack() as stack:
        write_tree(files, tree)
        ready = [(path := target / file.path, stack.enter_context(_written(path, file.content))) for file in standing]
        for file in files:
            path = target / file.path
            if file in standing:
                continue
            with _failing(_FOLDER_FAILED, "make the folder", path.parent):
                path.parent.mkdir(parents=True, exist_ok=True)
            with _failing(_FILE_FAILED, "write", path):
                os.replace(tree / file.path, path)
        for path, replacement in ready:
            with _as_init(path):
                replacement.commit()


def _written(path: Path, content: bytes) -> AtomicFile:
    """What replaces a file, as a capture does its bundle: a link is followed, the permission bits are kept."""
    with _as_init(path):
        file = AtomicFile(str(path))
        file.write(content)
        return file


@contextmanager
def _as_init(path: Path) -> Generator[None]:
    try:
        yield
    except CaptureWriteError as error:
        raise ErgoError(_FILE_FAILED, error.message, where=str(path), fix=error.fix) from error


def _refuse_obstacles(file: ScaffoldFile, target: Path) -> None:
    """Raise an error if something is in the way; called before anything is written. Raises OSError too."""
    path = target / file.path
    for folder in path.parents[: len(Path(file.path).parents)]:
        if os.path.lexists(folder) and not folder.is_dir():
            raise _failed(_FOLDER_FAILED, "make the folder", folder, "there is a file of that name")
        if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
            raise _failed(_FOLDER_FAILED, "write into the folder", folder, "it is not writable")
    if path.is_dir():
        raise _failed(_FILE_FAILED, "write", path, "there is a folder of that name")
    if path.exists() and not path.is_file():
        raise _failed(_FILE_FAILED, "write", path, "there is a device or a pipe of that name")


def _missing_parents(path: Path) -> list[Path]:
    """The folders above ``path`` that do not exist, topmost first."""
    return [folder for folder in reversed(path.parents) if not folder.exists()]


def _remove(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


@contextmanager
def _failing(code: str, what: str, path: Path | str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise _failed(code, what, path, reason(error), remedy(error, _ANOTHER)) from error


def _failed(code: str, what: str, path: Path | str, why: str, fix: str = _ANOTHER) -> ErgoError:
    return ErgoError(code, f"cannot {what} '{path}': {why}", where=str(path), fix=fix)
