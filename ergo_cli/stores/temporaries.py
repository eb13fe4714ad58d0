"""Temporary files and folders: each is known before it can be lost, and none is left when the process ends."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile, mkdtemp
from typing import BinaryIO, cast

from ergo_cli.signals import before_the_end, signals_held

_known: dict[str, int] = {}  # by path, the process that made it: a fork must not remove it


def announce(path: str) -> None:
    """From now on ``path`` is removed when the process ends; call it before the file is made."""
    _known[path] = os.getpid()


def renounce(path: str) -> None:
    """The path has been removed or renamed, or is another's."""
    _known.pop(path, None)


@before_the_end
def remove_temporaries() -> None:
    """Remove what is left of this process."""
    for path, process in tuple(_known.items()):
        if process == os.getpid():
            remove(path)


def unnamed_file(folder: str | None = None, buffering: int = -1) -> BinaryIO:
    """A temporary file without a name. A signal waits, since some file systems need a name to begin with."""
    with signals_held():
        return cast(BinaryIO, TemporaryFile(dir=folder, buffering=buffering))


@contextmanager
def temporary_folder(prefix: str, parent: Path | None = None) -> Generator[Path]:
    """A new folder, removed at the end of the block with all that is in it. Raises OSError."""
    with signals_held():
        path = mkdtemp(prefix=prefix, dir=parent)
        announce(path)
    try:
        yield Path(path)
    finally:
        remove(path)


def remove(path: str) -> None:
    """Remove a temporary file or folder; what cannot be removed now is tried again when the process ends."""
    with suppress(OSError):  # rmtree ignores errors, but for that of closing a folder
        if os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)
    if not os.path.lexists(path):
        renounce(path)
