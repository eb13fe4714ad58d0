"""Artifacts in an object store: S3, Google Cloud Storage, Azure; needs the extra ``cloud``, imported at first use."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from ergo_cli.errors import StoreError
from ergo_cli.stores.artifacts import artifact_id, is_artifact_id, no_artifact, verified
from ergo_cli.stores.object_client import ACCESS_FIX, INSTALL, REACH_FIX, is_refused, opened_store, shown_reason

if TYPE_CHECKING:
    from obstore.store import ObjectStore

URL_FORM = "s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"
"""What names a place in an object store; a prefix may be left out."""

_URL = re.compile(r"(?:s3|gs|az)://[^/?#@\s]+(?:/[^?#\s]*)?")


def artifacts_url(text: str) -> str:
    """``text`` if it names a place in an object store. Raises ValueError.

    Credentials have no place in it: they come from the environment.
    """
    if _URL.fullmatch(text) is None:
        raise ValueError(text)
    return text


class ObjectArtifacts:
    """An ArtifactStore below a URL, with the names that it has in a folder; making one never connects.

    Credentials, region and endpoint are taken from the environment, as the clients of these services do. Bytes are
    checked against their name on writing and reading.
    """

    def __init__(self, url: str) -> None:
        """Raise StoreError ``store.unreachable`` if the client is not installed or cannot be set up."""
        self._url = url
        try:
            import_module("obstore")
        except ImportError as error:
            message = f"artifacts at '{url}' need obstore, which cannot be imported: {error}"
            raise StoreError("store.unreachable", message, where=url, fix=INSTALL) from error
        with self._faults():
            self._store: ObjectStore = opened_store(url)

    def put(self, data: bytes) -> str:
        """Keep ``data`` and return its id; an existing object is verified."""
        import obstore

        artifact = artifact_id(data)
        if self.exists(artifact):
            self.get(artifact)
            return artifact
        with self._faults():
            try:
                obstore.put(self._store, _name(artifact), data)  # a writer at the same time writes the same bytes
            except FileNotFoundError:
                raise self._no_bucket() from None
        return artifact

    def get(self, artifact: str) -> bytes:
        """The bytes of an artifact. Raises StoreError ``store.not_found`` and ``store.corrupt``."""
        import obstore

        if not is_artifact_id(artifact):
            raise no_artifact(artifact)
        with self._faults():
            try:
                data = bytes(obstore.get(self._store, _name(artifact)).bytes())
            except FileNotFoundError:
                raise no_artifact(artifact) from None
        return verified(artifact, data, f"{self._url.rstrip('/')}/{_name(artifact)}")

    def exists(self, artifact: str) -> bool:
        """Whether there is an artifact of this id."""
        import obstore

        if not is_artifact_id(artifact):
            return False
        with self._faults():
            try:
                obstore.head(self._store, _name(artifact))
            except FileNotFoundError:
                return False
        return True

    @contextmanager
    def _faults(self) -> Generator[None]:
        """Raise StoreError for an exception of the client, of whose text only harmless parts are shown."""
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            message = f"artifacts at '{self._url}' cannot be kept or read: {shown_reason(str(error))}"
            fix = ACCESS_FIX if is_refused(error) else REACH_FIX
            raise StoreError("store.unreachable", message, where=self._url, fix=fix) from None

    def _no_bucket(self) -> StoreError:
        message = f"there is no bucket or container for '{self._url}'"
        return StoreError("store.unreachable", message, where=self._url, fix="make it, or name another one")


def _name(artifact: str) -> str:
    return f"{artifact[:2]}/{artifact}"
