"""Folders of plain files: written whole or not at all, and read without leaving them."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from ergo_cli.errors import ErgoError, StoreError, UsageError, reason
from ergo_cli.stores.append_files import AppendFile
from ergo_cli.stores.durable import sync_folder
from ergo_cli.stores.remedies import remedy, store_code
from ergo_cli.stores.temporaries import temporary_folder

AnyPath: TypeAlias = str | os.PathLike[str]

_ELSEWHERE = "name another folder"
_STANDING = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)
_LEADS_OUT = re.compile(r".*[/\\\x00]|[A-Za-z]:|\.{0,2}\Z", re.DOTALL)


class OutsideFolder(Exception):
    """A name that leads out of its folder, or to what is not a plain file."""


class NewFolder:
    """A folder that takes its files."""

    def __init__(self, tree: Path, target: Path) -> None:
        self.target = target
        self._tree = tree

    def write(self, name: str, blocks: Iterable[bytes]) -> None:
        """Write a file and put it on the disk. Raises ErgoError ``cli.export_write_failed``."""
        _refuse_outside(name, self.target)
        with _failing(self.target), open(self._tree / name, "xb") as file:
            file.writelines(blocks)
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def new_folder(base: AnyPath, *names: str) -> Generator[NewFolder]:
    """Give the folder ``base/names…`` its files in a block; it appears, complete, at the end of the block.

    Where the block fails nothing is left, not even the folders above. Nothing outside of ``base`` is written. Raises
    UsageError ``cli.export_target_exists`` for one that is there, ErgoError ``cli.export_write_failed``.
    """
    target = Path(base, *names)
    for name in names:
        _refuse_outside(name, target)
    with ExitStack() as made, ExitStack() as temporary:
        with _failing(target):
            _refuse_links(target, len(names) - 1)
            if os.path.lexists(target):
                raise _standing(target)
            for folder in [each for each in reversed(target.parents) if not each.exists()]:
                folder.mkdir()
                made.callback(_remove, folder)
                sync_folder(folder.parent)
            tree = temporary.enter_context(temporary_folder(".ergo-export-", target.parent)) / target.name
            tree.mkdir()
        yield NewFolder(tree, target)
        with _failing(target):
            sync_folder(tree)
            tree.rename(target)
            made.pop_all()
            sync_folder(target.parent)


def is_folder(path: AnyPath) -> bool:
    """Whether there is a folder."""
    return Path(path).is_dir()


def plain_file(folder: AnyPath, name: str) -> AppendFile | None:
    """A file of a folder to be read; None where it is absent.

    Raises OutsideFolder for a name with separators and the like, for links, folders and devices, and StoreError.
    """
    if _LEADS_OUT.match(name):
        raise OutsideFolder("its name leads out of the folder")
    path = Path(folder, name)
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        message = f"'{path}' cannot be read: {reason(error)}"
        raise StoreError(store_code(error), message, where=str(path), fix=remedy(error, _ELSEWHERE)) from error
    if not stat.S_ISREG(mode):
        raise OutsideFolder("it is a link" if stat.S_ISLNK(mode) else "it is not a plain file")
    return AppendFile(path)


def _refuse_outside(name: str, target: Path) -> None:
    if _LEADS_OUT.match(name):
        message = f"cannot write '{target}': the name '{name}' leads out of the folder"
        raise ErgoError("cli.export_write_failed", message, where=str(target), fix=_ELSEWHERE)


def _refuse_links(target: Path, count: int) -> None:
    """Refuse a link among the ``count`` folders above the target."""
    for folder in target.parents[:count]:
        if folder.is_symlink():
            message = f"cannot write '{target}': '{folder}' is a link, which may lead elsewhere"
            raise ErgoError("cli.export_write_failed", message, where=str(folder), fix=_ELSEWHERE)


def _standing(target: Path) -> UsageError:
    fix = "remove it, or name another folder"
    return UsageError("cli.export_target_exists", f"'{target}' is there already", where=str(target), fix=fix)


def _remove(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


@contextmanager
def _failing(target: Path) -> Generator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in _STANDING and os.path.lexists(target):
            raise _standing(target) from error
        message = f"cannot write '{target}': {reason(error)}"
        fix = remedy(error, _ELSEWHERE)
        raise ErgoError("cli.export_write_failed", message, where=str(target), fix=fix) from error
