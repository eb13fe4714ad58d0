"""Files that appear whole or not at all (spec 11 §9, 00 §12.10).

An ``AtomicFile`` makes the destination's folder and an exclusive temporary file beside the destination at once; what is
written goes there; ``commit`` renames it into place. Without a commit nothing is left behind.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO, NoReturn, Self

from ergo_cli.errors import CaptureWriteError, reason
from ergo_cli.stores.spool import Spool

ATTEMPTS = 64
"""How many temporary names are tried; on Windows also how often a refused rename is."""

_BUFFER = 1 << 16
_RETRY_SECONDS = 0.010
_FIX = "make the folder writable and free some space, or choose another place"
_FIX_NAME = "name a plain file"

_counter = count()
_counter_lock = threading.Lock()


class AtomicFile:
    """A file being written under a temporary name; a context manager that aborts unless ``commit`` was called.

    Raises CaptureWriteError, with the stage of spec 11 §9.2, from every method but ``abort``. The operating system's
    error is its ``__cause__``; the destination is untouched and the temporary file gone.
    """

    def __init__(self, destination: str) -> None:
        self.destination = destination
        self._folder, name = _split(destination)
        self._make_folder()
        if name in ("", ".."):
            message = f"cannot write '{destination}': it does not name a file"
            raise CaptureWriteError("InvalidDestination", message, where=destination, fix=_FIX_NAME)
        if _is_device(destination):
            message = f"cannot write '{destination}': it is a device or a pipe, and would be replaced by a file"
            raise CaptureWriteError("InvalidDestination", message, where=destination, fix=_FIX_NAME)
        self.temp_path, self._file = self._create(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    def write(self, data: bytes) -> None:
        """Append bytes."""
        try:
            self._file.write(data)
        except OSError as error:
            self._fail("WriteTempFile", "cannot write to the temporary file", error)

    def spool(self) -> Spool:
        """An unnamed temporary file in the destination's folder."""
        try:
            return Spool(self._folder or os.curdir, self._fail_spool)
        except OSError as error:
            self.abort()
            message = f"cannot write '{self.destination}': cannot create a spool in its folder: {reason(error)}"
            raise CaptureWriteError("CreateTempFile", message, where=self.destination, fix=_FIX) from error

    def commit(self) -> None:
        """Flush, fsync, close, replace the destination: stages 5 to 8."""
        try:
            self._file.flush()
        except OSError as error:
            self._fail("WriteTempFile", "cannot write to the temporary file", error)
        try:
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            self._fail("SyncTempFile", "cannot sync the temporary file", error)
        try:
            _replace(self.temp_path, self.destination)
        except OSError as error:
            self._fail("RenameTempFile", "cannot move into place the temporary file", error)

    def abort(self) -> None:
        """Close and remove the temporary file; nothing happens after a commit. Errors of the removal are ignored."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            os.unlink(self.temp_path)

    def _make_folder(self) -> None:
        try:
            if self._folder:
                _make_folders(Path(self._folder))
        except (OSError, ValueError) as error:
            message = f"cannot write '{self.destination}': cannot create the folder '{self._folder}': {reason(error)}"
            raise CaptureWriteError("CreateOutputDirectory", message, where=self.destination, fix=_FIX) from error

    def _create(self, name: str) -> tuple[str, BinaryIO]:
        for _ in range(ATTEMPTS):
            path = os.path.join(self._folder, f"{name}.{os.getpid()}.{_next_number()}.tmp")
            try:
                return path, open(path, "xb", buffering=_BUFFER)
            except FileExistsError:
                continue
            except (OSError, ValueError) as error:
                message = self._message("cannot create the temporary file", path, error)
                raise CaptureWriteError("CreateTempFile", message, where=self.destination, fix=_FIX) from error
        message = f"cannot write '{self.destination}': {ATTEMPTS} temporary names beside it are taken already"
        fix = f"remove the files '{name}.*.tmp' that earlier runs left behind"
        raise CaptureWriteError("ExhaustedTempFileAttempts", message, where=self.destination, fix=fix)

    def _fail(self, stage: str, what: str, error: OSError) -> NoReturn:
        self.abort()
        raise CaptureWriteError(
            stage, self._message(what, self.temp_path, error), where=self.destination, fix=_FIX
        ) from error

    def _fail_spool(self, error: OSError) -> NoReturn:
        self._fail("WriteTempFile", "cannot write to the spool of the temporary file", error)

    def _message(self, what: str, path: str, error: Exception) -> str:
        return f"cannot write '{self.destination}': {what} '{path}': {reason(error)}"


def _split(destination: str) -> tuple[str, str]:
    """Folder and file name; trailing separators and ``.`` components do not count."""
    separators = os.sep + (os.altsep or "")
    path = destination.rstrip(separators)
    while path == os.curdir or path.endswith(tuple(separator + os.curdir for separator in separators)):
        path = path[:-1].rstrip(separators)
    return os.path.split(path)


def _make_folders(folder: Path) -> None:
    """The folder with all above it, one after the other: a path may be longer than calls may be deep."""
    with suppress(FileNotFoundError):
        os.stat(folder)  # a path that no folder can have fails here, before the first one is made
    for each in reversed((folder, *folder.parents)):
        each.mkdir(exist_ok=True)


def _is_device(path: str) -> bool:
    """Whether something other than a file or a folder stands at ``path``."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _next_number() -> int:
    with _counter_lock:
        return next(_counter)


def _replace(source: str, destination: str) -> None:
    """Rename over the destination. Windows refuses while somebody reads it: there it is tried again for a while."""
    for _ in range(ATTEMPTS - 1 if sys.platform == "win32" else 0):
        try:
            return os.replace(source, destination)
        except PermissionError:
            time.sleep(_RETRY_SECONDS)
    return os.replace(source, destination)
