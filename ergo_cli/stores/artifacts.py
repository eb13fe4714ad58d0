"""Immutable bytes under the name of their own digest (spec 00 §13.3, 50 §9.1)."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Protocol

from ergo_cli.errors import StoreError

_ID = re.compile(r"[0-9a-f]{64}")


class ArtifactStore(Protocol):
    """Where artifacts are kept; ids are 64 lower-case hexadecimal digits. Every method raises StoreError."""

    def put(self, data: bytes) -> str:
        """Keep ``data`` and return its id; the same bytes again change nothing.

        Raises StoreError ``store.corrupt`` if what is kept under this id already is something else.
        """
        ...

    def get(self, artifact: str) -> bytes:
        """The bytes of an artifact.

        Raises StoreError: ``store.not_found``, or ``store.corrupt`` if they no longer have this digest.
        """
        ...

    def exists(self, artifact: str) -> bool:
        """Whether there is an artifact of this id; an absent one, or no id at all, is no error."""
        ...


def artifact_id(data: bytes) -> str:
    """The id of some bytes: their SHA-256."""
    return sha256(data).hexdigest()


def is_artifact_id(text: str) -> bool:
    """Whether ``text`` can be the id of an artifact: also what keeps foreign paths out of a store of files."""
    return _ID.fullmatch(text) is not None


def verified(artifact: str, data: bytes, where: str | None = None) -> bytes:
    """``data`` if it has the digest ``artifact``. Raises StoreError ``store.corrupt`` else."""
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
