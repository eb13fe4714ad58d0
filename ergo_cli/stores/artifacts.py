"""Immutable bytes named by their digest, and a store of them in a folder (spec 00 §13.3, 50 §9.1)."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from ergo_cli.errors import CaptureWriteError, StoreError, reason
from ergo_cli.stores.private import opened_privately, private_folder
from ergo_cli.stores.remedies import remedy, store_code

_ID = re.compile(r"[0-9a-f]{64}")


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


class FileArtifacts:
    """An ArtifactStore in a folder, which is made with the first artifact.

    Files are written atomically and synced; bytes are checked against their name on writing and reading.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, data: bytes) -> str:
        """Keep ``data`` and return its id; an existing file is verified."""
        artifact = artifact_id(data)
        if self.exists(artifact):
            self.get(artifact)
            return artifact
        from ergo_cli.stores.files import AtomicFile  # needed only by runs that keep artifacts

        path = self._path(artifact)
        try:
            private_folder(path.parent)
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

    def _path(self, artifact: str) -> Path:
        return self._folder / artifact[:2] / artifact


def _fault(artifact: str, error: BaseException) -> StoreError:
    why = reason(error) if isinstance(error, Exception) else str(error)
    message = f"the artifact {artifact} cannot be kept or read: {why}"
    fix = remedy(error, "name another store", "the folder and its files readable and")
    return StoreError(store_code(error), message, where=f"artifact {artifact}", fix=fix)
