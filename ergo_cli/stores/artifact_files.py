"""Artifacts as files of a folder: ``<folder>/<first two digits>/<64 digits>`` (spec 50 §9.1)."""

from __future__ import annotations

import errno
from pathlib import Path

from ergo_cli.errors import CaptureWriteError, StoreError, reason
from ergo_cli.stores.artifacts import artifact_id, is_artifact_id, no_artifact, verified
from ergo_cli.stores.atomic import AtomicFile

_CODES = {
    errno.ENOSPC: "store.full",
    errno.EDQUOT: "store.full",
    errno.EROFS: "store.read_only",
    errno.EACCES: "store.read_only",
    errno.EPERM: "store.read_only",
}

_FIX = "make the folder readable and writable and free some space, or name another store"


class FileArtifacts:
    """An ArtifactStore in a folder, which is made with the first artifact.

    A file appears whole and synced, or not at all; bytes are compared with their name on the way in and on the way out.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, data: bytes) -> str:
        """Keep ``data`` and return its id; what stands there already is verified."""
        artifact = artifact_id(data)
        if self.exists(artifact):
            self.get(artifact)
            return artifact
        try:
            with AtomicFile(str(self._path(artifact))) as file:
                file.write(data)
                file.commit()
        except CaptureWriteError as error:
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
    number = error.errno if isinstance(error, OSError) else None
    why = reason(error) if isinstance(error, Exception) else str(error)
    message = f"the artifact {artifact} cannot be kept or read: {why}"
    return StoreError(_CODES.get(number or 0, "store.unreachable"), message, where=f"artifact {artifact}", fix=_FIX)
