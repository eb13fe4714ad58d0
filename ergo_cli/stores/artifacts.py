"""Immutable bytes named by their digest, and a store of them in a folder (spec 00 §13.3, 50 §9.1)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Protocol, runtime_checkable

from msgspec import Struct

from ergo_cli.errors import CaptureWriteError, StoreError, reason
from ergo_cli.stores.differences import Difference, Restorer
from ergo_cli.stores.private import opened_privately, private_folder
from ergo_cli.stores.remedies import remedy, store_code

_ID = re.compile(r"[0-9a-f]{64}")
_USERS = "users"
_DIFFERENCE = ".difference"


class ArtifactStore(Protocol):
    """Where artifacts are kept; ids are 64 lower-case hexadecimal digits. Every method raises StoreError."""

    def put(self, data: bytes) -> str:
        """Keep ``data`` and return its id; the same bytes again change nothing.

        Raises StoreError ``store.corrupt`` if other bytes are kept under this id already.
        """
        ...

    def get(self, artifact: str) -> bytes:
        """The bytes of an artifact.

        Raises StoreError: ``store.not_found``, or ``store.corrupt`` if their digest differs.
        """
        ...

    def exists(self, artifact: str) -> bool:
        """Whether there is an artifact of this id; False for an absent one, and for a text that is not an id."""
        ...


@runtime_checkable
class DifferenceStore(ArtifactStore, Protocol):
    """An ArtifactStore that can keep an artifact as its difference from one that it is like (B-11).

    Ids, ``get`` and ``exists`` are those of whole artifacts.
    """

    def put_near(self, data: bytes, near: str) -> str:
        """As ``put``; ``near`` is an artifact of the store that ``data`` is like, such as the snapshot before."""
        ...

    def references(self, artifact: str) -> tuple[str, ...]:
        """The artifacts that this one is restored from: what keeps it must keep them.

        Raises StoreError ``store.not_found``.
        """
        ...


def artifact_id(data: bytes) -> str:
    """The id of some bytes: their SHA-256."""
    return sha256(data).hexdigest()


def is_artifact_id(text: str) -> bool:
    """Whether ``text`` has the form of an id; the check also keeps other paths out of a folder of artifacts."""
    return _ID.fullmatch(text) is not None


def verified(artifact: str, data: bytes, where: str | None = None) -> bytes:
    """``data`` if it has the digest ``artifact``. Raises StoreError ``store.corrupt`` otherwise."""
    if artifact_id(data) == artifact:
        return data
    message = f"artifact {artifact} is damaged: its bytes have another digest"
    fix = "restore it from a copy; its name is the SHA-256 of its bytes"
    raise StoreError("store.corrupt", message, where=where or f"artifact {artifact}", fix=fix)


def no_artifact(artifact: str) -> StoreError:
    """The error for an artifact that a store does not hold."""
    message = f"there is no artifact '{artifact}' in this store"
    fix = "name the store that the run was kept in"
    return StoreError("store.not_found", message, where=f"artifact {artifact}", fix=fix)


class KeptArtifact(Struct, frozen=True):
    """An artifact as it lies in a folder: its size in bytes, and when it was put last, in ms since 1970."""

    id: str
    size: int
    changed_ms: int


class FileArtifacts:
    """An ArtifactStore in a folder, which is made with the first artifact.

    Files are written atomically and synced; bytes are checked against their name on writing and reading. ``user`` names
    the database whose runs name them, where that lies elsewhere: it is noted in the folder, which others may share.
    What is kept as a difference lies in a file of that name and the suffix ``.difference``.
    """

    def __init__(self, folder: Path, user: Callable[[], str] | None = None) -> None:
        self.folder = folder
        self._user = user
        self._restorer = Restorer(self._whole, self._difference)

    def put(self, data: bytes) -> str:
        """Keep ``data`` and return its id; an existing file is verified, and young again."""
        artifact = artifact_id(data)
        if self._renewed(artifact):
            self.get(artifact)
        else:
            self._write(artifact, self._path(artifact), data)
        return artifact

    def put_near(self, data: bytes, near: str) -> str:
        """As ``put``, as a difference from ``near`` where that is much smaller."""
        artifact = artifact_id(data)
        if self._renewed(artifact):
            self.get(artifact)
            return artifact
        with _restoring(near):
            difference = self._restorer.difference(near, data)
        if difference is None:
            self._write(artifact, self._path(artifact), data)
        else:
            self._write(artifact, self._path(artifact, _DIFFERENCE), difference.encoded())
        self._restorer.remember(artifact, 0 if difference is None else difference.number, data)
        return artifact

    def references(self, artifact: str) -> tuple[str, ...]:
        """The artifact that this one is kept as a difference from. Raises StoreError."""
        if not self.exists(artifact):
            raise no_artifact(artifact)
        with _restoring(artifact):
            difference = self._difference(artifact)
        return () if difference is None else (difference.base,)

    def _write(self, artifact: str, path: Path, data: bytes) -> None:
        from ergo_cli.stores.files import AtomicFile  # needed only by runs that keep artifacts

        try:
            private_folder(path.parent)
            self._note_user()
            with AtomicFile(str(path), opened_privately) as file:
                file.write(data)
                file.commit()
        except (CaptureWriteError, OSError) as error:
            raise _fault(artifact, error.__cause__ or error) from error

    def get(self, artifact: str) -> bytes:
        """The bytes of an artifact. Raises StoreError ``store.not_found`` and ``store.corrupt``."""
        if not is_artifact_id(artifact):
            raise no_artifact(artifact)
        with _restoring(artifact):
            return verified(artifact, self._restorer.restored(artifact), str(self._path(artifact)))

    def exists(self, artifact: str) -> bool:
        """Whether there is an artifact of this id."""
        return is_artifact_id(artifact) and any(path.exists() for path in self._paths(artifact))

    def _whole(self, artifact: str) -> bytes:
        try:
            return self._path(artifact).read_bytes()
        except FileNotFoundError:
            raise no_artifact(artifact) from None
        except OSError as error:
            raise _fault(artifact, error) from error

    def _difference(self, artifact: str) -> Difference | None:
        if self._path(artifact).exists():
            return None
        try:
            return Difference.decoded(self._path(artifact, _DIFFERENCE).read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _fault(artifact, error) from error

    def every(self) -> Iterator[KeptArtifact]:
        """All artifacts, ascending by id. Raises StoreError."""
        try:
            folders = sorted(self.folder.glob("[0-9a-f][0-9a-f]"))
            for path in (path for folder in folders for path in sorted(folder.iterdir())):
                name = path.name.removesuffix(_DIFFERENCE)
                if is_artifact_id(name):
                    found = path.stat()
                    yield KeptArtifact(name, found.st_size, found.st_mtime_ns // 1_000_000)
        except OSError as error:
            raise _fault("of the folder", error) from error

    def remove(self, artifact: str) -> None:
        """Remove an artifact; nothing happens if there is none. Raises StoreError."""
        try:
            for path in self._paths(artifact):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise _fault(artifact, error) from error

    def users(self) -> list[str]:
        """The databases elsewhere that keep their artifacts here. Raises StoreError."""
        try:
            return sorted(file.read_text() for file in (self.folder / _USERS).glob("*"))
        except OSError as error:
            raise _fault("of the folder", error) from error

    def _note_user(self) -> None:
        if self._user is None:
            return
        place, self._user = self._user(), None
        file = self.folder / _USERS / artifact_id(place.encode())
        if not file.exists():
            private_folder(file.parent)
            with open(file, "w", opener=opened_privately) as noted:
                noted.write(place)

    def _renewed(self, artifact: str) -> bool:
        """Whether there is such a file; its time is set to now, so that a sweep leaves it to a run that begins."""
        path = next((path for path in self._paths(artifact) if path.exists()), None)
        if path is not None:
            with suppress(OSError):  # a folder that is only read
                os.utime(path)
        return path is not None

    def _paths(self, artifact: str) -> tuple[Path, Path]:
        return self._path(artifact), self._path(artifact, _DIFFERENCE)

    def _path(self, artifact: str, suffix: str = "") -> Path:
        return self.folder / artifact[:2] / f"{artifact}{suffix}"


@contextmanager
def _restoring(artifact: str) -> Generator[None]:
    """Raises StoreError ``store.corrupt`` for an artifact whose differences are damaged."""
    try:
        yield
    except ValueError as error:
        message = f"artifact {artifact} is damaged: {error}"
        fix = "restore it, and those that it is kept as a difference from, from a copy"
        raise StoreError("store.corrupt", message, where=f"artifact {artifact}", fix=fix) from error


def _fault(artifact: str, error: BaseException) -> StoreError:
    why = reason(error) if isinstance(error, Exception) else str(error)
    message = f"the artifact {artifact} cannot be kept or read: {why}"
    fix = remedy(error, "name another store", "the folder and its files readable and")
    return StoreError(store_code(error), message, where=f"artifact {artifact}", fix=fix)
