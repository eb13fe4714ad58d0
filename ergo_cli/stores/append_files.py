"""Files that grow at their end, a block at a time, whole or not at all (spec 60 §5.4)."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from weakref import WeakValueDictionary

from ergo_cli.errors import StoreError, reason
from ergo_cli.stores.durable import sync_folder
from ergo_cli.stores.remedies import remedy, store_code

_ELSEWHERE = "name another folder"


class _PathLock:
    """What all readers and writers of one path in this process wait for."""

    def __init__(self) -> None:
        self.lock = Lock()


_locks: WeakValueDictionary[str, _PathLock] = WeakValueDictionary()
_locks_lock = Lock()


def _lock_of(path: str) -> _PathLock:
    with _locks_lock:
        return _locks.setdefault(path, _PathLock())


class AppendFile:
    """A file that is made with its first block. Every method raises StoreError.

    ``is_synced`` puts every block on the disk before ``append`` returns, else it is with the system. A block that
    cannot be written is taken back; where that fails too, the file takes no further blocks.
    """

    def __init__(self, path: Path, *, is_synced: bool = False) -> None:
        self.path = path
        self._is_synced = is_synced
        self._is_poisoned = False
        self._lock = _lock_of(os.path.realpath(path))

    def size(self) -> int:
        """How many bytes the file holds; 0 where it is absent."""
        with self._errors("read"), self._lock.lock:
            try:
                return os.stat(self.path).st_size
            except FileNotFoundError:
                return 0

    def read(self, start: int, size: int) -> bytes:
        """At most ``size`` bytes from ``start`` on; none where the file ends or is absent."""
        with self._errors("read"), self._lock.lock:
            try:
                file = open(self.path, "rb")  # noqa: SIM115 - closed below
            except FileNotFoundError:
                return b""
            with file:
                file.seek(start)
                return file.read(size)

    def append(self, block: bytes, at: int) -> None:
        """Write a block at the offset ``at``; what stands behind it, the rest of a torn block, is cut off."""
        if self._is_poisoned:
            message = f"'{self.path}' takes no more records: what an earlier failure left behind could not be removed"
            raise StoreError("store.unreachable", message, where=str(self.path), fix="open it again")
        with self._errors("written"), self._lock.lock:
            is_new = not self.path.exists()
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            try:
                self._write(descriptor, block, at)
            finally:
                os.close(descriptor)
            if is_new and self._is_synced:
                sync_folder(self.path.parent)

    def _write(self, descriptor: int, block: bytes, at: int) -> None:
        if os.fstat(descriptor).st_size > at:
            os.ftruncate(descriptor, at)
        try:
            os.lseek(descriptor, at, os.SEEK_SET)
            rest = memoryview(block)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            if self._is_synced:
                os.fsync(descriptor)
        except OSError:
            self._take_back(descriptor, at)
            raise

    def _take_back(self, descriptor: int, at: int) -> None:
        try:
            os.ftruncate(descriptor, at)
        except OSError:
            self._is_poisoned = True

    @contextmanager
    def _errors(self, what: str) -> Generator[None]:
        try:
            yield
        except OSError as error:
            message = f"'{self.path}' cannot be {what}: {reason(error)}"
            raise StoreError(store_code(error), message, where=str(self.path), fix=remedy(error, _ELSEWHERE)) from error
