"""Atomically written files, spools beside them, and compression by suffix (spec 11 §9, 00 §5)."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, Protocol, Self, cast

from ergo_cli.core.beginnings import COMPRESSIONS, compression
from ergo_cli.errors import CaptureWriteError, reason
from ergo_cli.stores.durable import close_quietly, make_folders, only_read, sync_folder
from ergo_cli.stores.inflation import CompressionError, Inflated
from ergo_cli.stores.locations import is_remote, local_path
from ergo_cli.stores.remedies import remedy
from ergo_cli.stores.temporaries import announce, remove, renounce, unnamed_file

STANDARD_INPUT = "-"
"""The path that stands for standard input."""

BLOCK = 1 << 18
"""How many bytes are read at a time."""

_GZIP_WINDOW = 31  # tells zlib to write a gzip header, without name and time
_LEVEL = 6
_WINDOW_LOG = 27  # 128 MiB, what `zstd --long` writes; a decompressor keeps as much in memory as a frame asks for


class Compressor(Protocol):
    """Something that turns a stream of bytes into a shorter one."""

    def compress(self, data: bytes, /) -> bytes:
        """The next part of the output; may be empty."""
        ...

    def flush(self) -> bytes:
        """The end of the output."""
        ...


def compressor_for(path: str) -> Compressor | None:
    """The compressor for the suffix of ``path``, ``.gz`` or ``.zst``; None for any other."""
    suffix = compression_of(path)
    if suffix == ".gz":
        return zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    if suffix == ".zst":
        zstd = _zstd()
        return zstd.ZstdCompressor(options={zstd.CompressionParameter.checksum_flag: 1})
    return None


def open_binary(path: str) -> BinaryIO:
    """The bytes of a file, or of an object at a URL. Raises OSError; ValueError for a zero byte in a path."""
    if not is_remote(path):
        return open(local_path(path), "rb")
    from ergo_cli.stores.remote_objects import fetched  # imported here: most files are no objects

    return fetched(path)


def read_blocks(path: str) -> Iterator[bytes]:
    """The content of a file in blocks, decompressed by its suffix.

    Raises OSError, and CompressionError for bad data and for more than a compressed file may hold.
    """
    form = compression_of(path)
    try:
        with only_read(open_binary(path) if form is None else open_compressed(path, form)) as file:
            yield from iter(lambda: file.read(BLOCK), b"")
    except broken_data(form) as error:
        raise CompressionError(f"not a whole {COMPRESSIONS[form or '']} file: {error}") from error


def compression_of(path: str) -> str | None:
    """The suffix that names a compression, ``.gz`` or ``.zst``, in any case of letters; None without one."""
    suffix = os.path.splitext(path)[1].lower()
    return suffix if suffix in (".gz", ".zst") else None


def is_compressed(path: str) -> bool:
    """Whether the suffix of ``path`` names a compression."""
    return compression_of(path) is not None


def compression_in(path: str) -> str | None:
    """As ``compression_of``, but a plain file of another suffix is recognised by its first bytes. Raises OSError.

    What is taken from a pipe is gone, so that only plain files are looked into.
    """
    path = local_path(path)
    if is_compressed(path) or not os.path.isfile(path):
        return compression_of(path)
    with open(path, "rb", buffering=0) as file:
        return compression(file.read(4))


def open_compressed(path: str, form: str) -> BinaryIO:
    """The content of a file compressed as ``form``, ``.gz`` or ``.zst``, decompressed as it is read.

    Raises OSError, then ``broken_data``, and InflationError where it holds more than it may.
    """
    source = open_binary(path)
    return cast(BinaryIO, Inflated(source, _unzstd if form == ".zst" else _gunzip))


def broken_data(form: str | None) -> tuple[type[Exception], ...]:
    """The exceptions that reading a file of this compression raises for bad data."""
    if form == ".zst":
        return (EOFError, _zstd().ZstdError)
    return (EOFError, zlib.error, _gzip().BadGzipFile) if form == ".gz" else ()


def _unzstd(source: Any) -> Any:
    zstd = _zstd()
    return zstd.ZstdFile(source, options={zstd.DecompressionParameter.window_log_max: _WINDOW_LOG})


def _gunzip(source: Any) -> Any:
    return _gzip().GzipFile(fileobj=source, mode="rb")


def _gzip() -> Any:
    return import_module("gzip")


def _zstd() -> Any:
    """The Zstandard module: of the standard library from Python 3.14 on, before that its backport."""
    return import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


ATTEMPTS = 64
"""The number of temporary names tried; on Windows also of attempts to rename."""

_BUFFER = 1 << 16
_RETRY_SECONDS = 0.010
_FIX_NAME = "name a plain file"
_PERMISSIONS = 0o777
_LONGEST_NAME = 255  # bytes, on nearly every file system
_NOT_REPLACEABLE = (errno.EBUSY, errno.EPERM, errno.EACCES, errno.EISDIR)
"""Errors of a rename that are the destination's: a mount point, a folder, a file of another user, a protected one."""
_OCTAL = re.compile(r"\\([0-7]{3})")

_counter = count()
_counter_lock = threading.Lock()


class AtomicFile:
    """A file being written under a temporary name; a context manager that aborts unless ``commit`` was called.

    A link at the destination is followed; a file that is replaced passes on its permission bits. What cannot be
    replaced by a file is refused on construction. ``opener`` is that of ``open``: it decides who may read the file.
    Raises CaptureWriteError, with the stage of spec 11 §9.2, from every method but ``abort``. The operating system's
    error is its ``__cause__``; the destination is unchanged and the temporary file removed, unless it is finished and
    only the destination cannot be replaced.
    """

    def __init__(self, destination: str, opener: Callable[[str, int], int] | None = None) -> None:
        self.destination = destination
        self._opener = opener
        self._target = self._resolved(*_split(destination))
        self._folder = os.path.dirname(self._target)
        mode = self._standing_mode()
        self.temp_path, self._file = self._create()
        self._is_settled = False
        if mode is not None:
            self._set_mode(mode)

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
            raise self._failure("CreateTempFile", message, error) from error

    def commit(self, *, is_partial: bool = False, is_beside: bool = False) -> str:
        """Flush, fsync, close, replace the destination: stages 5 to 8. Returns the path of the file.

        A file that ``is_partial`` replaces only another one: if something is at the destination, it is named as
        ``partial_path`` says. One that ``is_beside`` is named so in any case; ``move_into_place`` does the rest.
        """
        try:
            self._file.flush()
        except OSError as error:
            self._fail("WriteTempFile", "cannot write to the temporary file", error)
        try:
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            self._fail("SyncTempFile", "cannot sync the temporary file", error)
        is_beside = is_beside or (is_partial and os.path.lexists(self._target))
        target = partial_path(self._target) if is_beside else self._target
        try:
            _replace(self.temp_path, target)
        except OSError as error:
            if error.errno in _NOT_REPLACEABLE:
                self._leave(target, error)
            self._fail("RenameTempFile", "cannot move into place the temporary file", error)
        renounce(self.temp_path)
        self._is_settled = True
        self._sync_folder()
        return target if is_beside else self.destination

    def abort(self) -> None:
        """Close and remove the temporary file; nothing happens after a commit. Errors of the removal are ignored."""
        if self._is_settled:
            return
        close_quietly(self._file)
        remove(self.temp_path)

    def _resolved(self, folder: str, name: str) -> str:
        """The path of the file itself, its folder made, its links followed."""
        self._make_folder(folder)
        if name in ("", ".."):
            raise self._invalid("it does not name a file")
        target = os.path.join(folder, name)
        if os.path.islink(target):
            target = os.path.realpath(target)
            self._make_folder(os.path.dirname(target))
        return target

    def _standing_mode(self) -> int | None:
        """The permission bits of the file to be replaced, None if there is none."""
        try:
            mode = os.stat(os.path.join(*_split(self.destination))).st_mode  # /dev/stdout may lead to no path
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise self._invalid(reason(error)) from error
        if stat.S_ISDIR(mode):
            raise self._invalid("it is a folder")
        if not stat.S_ISREG(mode):
            raise self._invalid("it is a device or a pipe, and would be replaced by a file")
        if _is_mounted(self._target):
            raise self._invalid("it is a mount point, which cannot be replaced")
        return mode & _PERMISSIONS

    def _set_mode(self, mode: int) -> None:
        try:
            os.chmod(self.temp_path, mode)
        except OSError as error:
            self._fail("CreateTempFile", "cannot set the permissions of the temporary file", error)

    def _make_folder(self, folder: str) -> None:
        try:
            if folder:
                make_folders(Path(folder))
        except (OSError, ValueError) as error:
            message = f"cannot write '{self.destination}': cannot create the folder '{folder}': {reason(error)}"
            raise self._failure("CreateOutputDirectory", message, error) from error

    def _create(self) -> tuple[str, BinaryIO]:
        for _ in range(ATTEMPTS):
            path = os.path.join(self._folder, f"ergo.{os.getpid()}.{_next_number()}.tmp")
            announce(path)
            try:
                return path, open(path, "xb", buffering=_BUFFER, opener=self._opener)
            except FileExistsError:
                renounce(path)
            except (OSError, ValueError) as error:
                renounce(path)
                message = self._message("cannot create the temporary file", path, error)
                raise self._failure("CreateTempFile", message, error) from error
        message = f"cannot write '{self.destination}': {ATTEMPTS} temporary names beside it are taken already"
        fix = "remove the files 'ergo.*.tmp' that earlier runs left behind"
        raise CaptureWriteError("ExhaustedTempFileAttempts", message, where=self.destination, fix=fix)

    def _sync_folder(self) -> None:
        try:
            sync_folder(self._folder)
        except OSError as error:
            message = f"'{self.destination}' is written, but its folder cannot be synced: {reason(error)}"
            fix = "check the disk, then write it again: a power failure could undo it"
            raise CaptureWriteError("SyncTempFile", message, where=self.destination, fix=fix) from error

    def _leave(self, target: str, error: OSError) -> NoReturn:
        """Keep the finished temporary file, since nothing but the destination is at fault."""
        renounce(self.temp_path)
        self._is_settled = True
        message = (
            f"cannot write '{target}': it cannot be replaced: {reason(error)}; "
            f"the finished file stays as '{self.temp_path}'"
        )
        fix = f"move '{self.temp_path}' to another name, or copy it over '{target}'"
        raise CaptureWriteError("RenameTempFile", message, where=self.destination, fix=fix) from error

    def _invalid(self, why: str) -> CaptureWriteError:
        message = f"cannot write '{self.destination}': {why}"
        return CaptureWriteError("InvalidDestination", message, where=self.destination, fix=_FIX_NAME)

    def _failure(self, stage: str, message: str, error: Exception) -> CaptureWriteError:
        return CaptureWriteError(stage, message, where=self.destination, fix=remedy(error, "choose another place"))

    def _fail(self, stage: str, what: str, error: OSError) -> NoReturn:
        self.abort()
        raise self._failure(stage, self._message(what, self.temp_path, error), error) from error

    def _fail_spool(self, error: OSError) -> NoReturn:
        self._fail("WriteTempFile", "cannot write to the spool of the temporary file", error)

    def _message(self, what: str, path: str, error: Exception) -> str:
        return f"cannot write '{self.destination}': {what} '{path}': {reason(error)}"


def move_into_place(partial: str, destination: str) -> None:
    """Replace the destination by the file that was committed beside it. Raises CaptureWriteError; then both stay."""
    target = os.path.realpath(destination) if os.path.islink(destination) else destination
    try:
        _replace(partial, target)
        sync_folder(os.path.dirname(target))
    except OSError as error:
        message = f"cannot write '{destination}': '{partial}' cannot be moved into place: {reason(error)}"
        fix = f"move '{partial}' to another name, or copy it over '{destination}'"
        raise CaptureWriteError("RenameTempFile", message, where=destination, fix=fix) from error


def partial_path(path: str) -> str:
    """The path beside ``path`` for a file that must not replace it: ``b.json.zst`` gives ``b.partial.json.zst``.

    The stem is shortened if the name would be too long for the file system.
    """
    folder, name = os.path.split(path)
    stem, suffix = os.path.splitext(name)
    if is_compressed(name):
        stem, inner = os.path.splitext(stem)
        suffix = inner + suffix
    while stem and len(os.fsencode(f"{stem}.partial{suffix}")) > _LONGEST_NAME:
        stem = stem[:-1]
    return os.path.join(folder, f"{stem}.partial{suffix}")


def _split(destination: str) -> tuple[str, str]:
    """Folder and file name; trailing separators and ``.`` components are ignored."""
    separators = os.sep + (os.altsep or "")
    path = destination.rstrip(separators)
    while path == os.curdir or path.endswith(tuple(separator + os.curdir for separator in separators)):
        path = path[:-1].rstrip(separators)
    return os.path.split(path)


def _is_mounted(path: str) -> bool:
    """Whether a file is mounted at ``path``, as containers do with single files; False where Linux does not say."""
    place = os.path.realpath(path)
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
            return any(_OCTAL.sub(_unescaped, line.split(" ")[4]) == place for line in mounts)
    except OSError:
        return False


def _unescaped(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 8))


def _next_number() -> int:
    with _counter_lock:
        return next(_counter)


def _replace(source: str, destination: str) -> None:
    """Rename over the destination; retries on Windows, which refuses while another process reads it."""
    for _ in range(ATTEMPTS - 1 if sys.platform == "win32" else 0):
        try:
            return os.replace(source, destination)
        except PermissionError:
            time.sleep(_RETRY_SECONDS)
    return os.replace(source, destination)


class Spool:
    """Blocks of bytes, written once, then read once in the same blocks. ``fail`` is called with an OSError."""

    def __init__(self, folder: str, fail: Callable[[OSError], NoReturn]) -> None:
        self._file = unnamed_file(folder, _BUFFER)
        self._fail = fail
        self._sizes: list[int] = []

    def append(self, block: bytes) -> None:
        """Add a block."""
        try:
            self._file.write(block)
        except OSError as error:
            self._fail(error)
        self._sizes.append(len(block))

    def blocks(self) -> Iterator[bytes]:
        """Every block in the order of writing."""
        try:
            self._file.seek(0)
            for size in self._sizes:
                yield self._file.read(size)
        except OSError as error:
            self._fail(error)

    def close(self) -> None:
        """Release the space. Unread blocks are discarded, so errors are ignored."""
        close_quietly(self._file)
