"""What outlives a power failure beyond the content of files: the entries of folders. And closing what was only read."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, TypeVar

_BAD_DISK = (errno.EIO, errno.ENOSPC, errno.EDQUOT)
"""The errors of a sync that are the disk's; all others mean that this system does not sync folders."""


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Put the entries of a folder on the disk, so that a new or renamed file keeps its name. Raises OSError."""
    try:
        descriptor = os.open(folder or os.curdir, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in _BAD_DISK:
            raise


def make_folders(folder: Path, mode: int = 0o777) -> None:
    """Make a folder, and those above it that are missing, each with its entry on the disk; existing ones stay.

    A loop: ``mkdir`` with parents ignores the mode for these, and a long path would exceed its limit of recursion.
    Raises OSError and ValueError.
    """
    with suppress(FileNotFoundError):
        os.stat(folder)  # an invalid path fails here, before any folder is made
    for each in reversed((folder, *folder.parents)):
        if not each.is_dir():
            each.mkdir(mode=mode, exist_ok=True)
            sync_folder(each.parent)


class _Closes(Protocol):
    def close(self) -> None: ...


FileT = TypeVar("FileT", bound=_Closes)


@contextmanager
def only_read(file: FileT) -> Generator[FileT]:
    """Close the file at the end of the block; nothing is lost if that fails, so its errors are ignored."""
    try:
        yield file
    finally:
        close_quietly(file)


def close_quietly(file: _Closes) -> None:
    """Close a file, or a spool, that is needed no more; errors are ignored."""
    with suppress(OSError):
        file.close()
