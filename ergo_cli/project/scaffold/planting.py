"""Writes a project: whole or not at all where there was nothing, file by file into a folder that exists."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from ergo_cli.errors import ErgoError, reason
from ergo_cli.project.scaffold.files import ScaffoldFile
from ergo_cli.project.scaffold.target import Target

_STAGING = ".ergo-init-"
_TARGET_FAILED = "cli.init_target_create_failed"
_FOLDER_FAILED = "cli.init_scaffold_create_failed"
_FILE_FAILED = "cli.init_scaffold_write_failed"


def plant(files: Sequence[ScaffoldFile], target: Target) -> None:
    """Write ``files`` to ``target``; what else lies in a folder that exists is left alone.

    Raises ErgoError ``cli.init_target_create_failed`` and as ``write_tree``. A target that did not exist, and folders
    above it, then do not exist either.
    """
    if target.exists:
        _fill(files, target.path)
    else:
        _create(files, target.path)


def write_tree(files: Iterable[ScaffoldFile], root: Path) -> None:
    """Write ``files`` below ``root``, which is made.

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
    """A place for a project in ``parent``, else among the temporary files; what is there afterwards is removed.

    Raises ErgoError with ``code``.
    """
    with _failing(code, "make a folder in", parent or "the folder for temporary files"):
        folder = TemporaryDirectory(prefix=_STAGING, dir=parent, ignore_cleanup_errors=True)
    with folder:
        yield Path(folder.name) / "project"


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
    for file in files:
        _refuse_obstacles(file, target)
    with staging_folder(target) as tree:
        write_tree(files, tree)
        for file in files:
            path = target / file.path
            with _failing(_FOLDER_FAILED, "make the folder", path.parent):
                path.parent.mkdir(parents=True, exist_ok=True)
            with _failing(_FILE_FAILED, "write", path):
                os.replace(tree / file.path, path)


def _refuse_obstacles(file: ScaffoldFile, target: Path) -> None:
    """Find what is in the way before anything is written."""
    path = target / file.path
    for folder in path.parents[: len(Path(file.path).parents)]:
        if os.path.lexists(folder) and not folder.is_dir():
            raise _failed(_FOLDER_FAILED, "make the folder", folder, "there is a file of that name")
    if path.is_dir():
        raise _failed(_FILE_FAILED, "write", path, "there is a folder of that name")


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
        raise _failed(code, what, path, reason(error)) from error


def _failed(code: str, what: str, path: Path | str, why: str) -> ErgoError:
    fix = "make room and see that the folder can be written to, or name another place"
    return ErgoError(code, f"cannot {what} '{path}': {why}", where=str(path), fix=fix)
