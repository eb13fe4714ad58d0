"""Immutable bytes named by their digest, and a store of them in a folder (spec 00 §13.3, 50 §9.1)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from ergo_cli.errors import CaptureWriteError, StoreError, reason
from ergo_cli.stores.private import opened_privately, private_folder
from ergo_cli.stores.remedies import remedy, store_code

_ID = re.compile(r"[0-9a-f]{64}")
_USERS = "users"


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
    """

    def __init__(self, folder: Path, user: Callable[[], str] | None = None) -> None:
        self.folder = folder
        self._user = user

    def put(self, data: bytes) -> str:
        """Keep ``data`` and return its id; an existing file is verified, and young again."""
        artifact = artifact_id(data)
        if self._renewed(artifact):
            self.get(artifact)
            return artifact
        from ergo_cli.stores.files import AtomicFile  # needed only by runs that keep artifacts

        path = self._path(artifact)
        try:
            private_folder(path.parent)
            self._note_user()
            with AtomicFile(str(path), opened_privately) as file:
                file.write(data)
                file.commit()
        except (CaptureWriteError, OSError) as error:
            raise _fault(artifact, error.__cause__ or error) from error
        return artifact

    def get(self, artifact: str) -> bytes:
        """The bytes of an artifact. Raises StoreError ``store.not_found`` and ``store.corrupt``."""
        if not is_artifact_id(artifact):
            raise no_artifact(artifact)
        path = self._path(artifact)
        try:
            return verified(artifact, path.read_bytes(), str(path))
        except FileNotFoundError:
            raise no_artifact(artifact) from None
        except OSError as error:
            raise _fault(artifact, error) from error

    def exists(self, artifact: str) -> bool:
        """Whether there is an artifact of this id."""
        return is_artifact_id(artifact) and self._path(artifact).exists()

    def every(self) -> Iterator[KeptArtifact]:
        """All artifacts, ascending by id. Raises StoreError."""
        try:
            folders = sorted(self.folder.glob("[0-9a-f][0-9a-f]"))
            for path in (path for folder in folders for path in sorted(folder.iterdir())):
                if is_artifact_id(path.name):
                    found = path.stat()
                    yield KeptArtifact(path.name, found.st_size, found.st_mtime_ns // 1_000_000)
        except OSError as error:
            raise _fault("of the folder", error) from error

    def remove(self, artifact: str) -> None:
        """Remove an artifact; nothing happens if there is none. Raises StoreError."""
        try:
            self._path(artifact).unlink(missing_ok=True)
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
        path = self._path(artifact)
        try:
            os.utime(path)
        except FileNotFoundError:
            return False
        except OSError:  # a folder that is only read
            return path.exists()
        return True

    def _path(self, artifact: str) -> Path:
        return self.folder / artifact[:2] / artifact


def _fault(artifact: str, error: BaseException) -> StoreError:
    why = reason(error) if isinstance(error, Exception) else str(error)
    message = f"the artifact {artifact} cannot be kept or read: {why}"
    fix = remedy(error, "name another store", "the folder and its files readable and")
    return StoreError(store_code(error), message, where=f"artifact {artifact}", fix=fix)
