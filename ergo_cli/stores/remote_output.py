"""An object at a URL, written whole or not at all."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from typing import NoReturn, Self

from ergo_cli.errors import CaptureWriteError
from ergo_cli.stores.files import Spool, partial_path
from ergo_cli.stores.locations import RemoteError, remote_url
from ergo_cli.stores.remedies import temporary_remedy
from ergo_cli.stores.remote_objects import faults_of, listed, placed

_READ_ONLY = "https://"


class RemoteOutput:
    """Used like an ``AtomicFile``: the object appears with ``commit``, whole; an upload that breaks off leaves none.

    The content waits in an unnamed temporary file. That the store can be reached is found out on construction. Raises
    CaptureWriteError.
    """

    def __init__(self, destination: str) -> None:
        self.destination = destination
        self._url = remote_url(destination)
        if self._url.startswith(_READ_ONLY):
            why = "https:// URLs are read, not written"
            raise _not_written(self._url, "InvalidDestination", why, "name a file, or an s3://, gs:// or az:// URL")
        self._reach()
        try:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `abort`
        except OSError as error:
            raise _no_temporary(self._url, "CreateTempFile", error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    def write(self, data: bytes) -> None:
        """Append bytes."""
        try:
            self._file.write(data)
        except OSError as error:
            self._spool_failed(error)

    def spool(self) -> Spool:
        """An unnamed temporary file."""
        return Spool(tempfile.gettempdir(), self._spool_failed)

    def commit(self, *, is_partial: bool = False, is_beside: bool = False) -> str:
        """Upload everything; returns the URL. As of a file, a partial content does not take the place of another."""
        url = self._url
        try:
            if is_beside or (is_partial and self._is_there()):
                url = partial_path(url)
            with faults_of():
                import obstore

                store, name = placed(url)
                self._file.seek(0)
                obstore.put(store, name, self._file, max_concurrency=2)  # each holds a part of 5 MiB
        except RemoteError as error:
            raise _not_written(url, "RenameTempFile", str(error.strerror), error.fix) from None
        return url

    def abort(self) -> None:
        """Drop what was not uploaded."""
        with suppress(OSError):
            self._file.close()

    def _reach(self) -> None:
        """Raise CaptureWriteError where there is no such bucket, or nobody answers: before a run, not behind it."""
        try:
            with faults_of():
                store, name = placed(self._url)
                if not name or name.endswith("/"):
                    raise RemoteError("it names no object", "write the name of an object behind the bucket")
                next(listed(store, name), None)
        except RemoteError as error:
            raise _not_written(self._url, "InvalidDestination", str(error.strerror), error.fix) from None

    def _is_there(self) -> bool:
        """Whether there is such an object. Raises RemoteError where that is not known."""
        with faults_of():
            import obstore

            store, name = placed(self._url)
            try:
                obstore.head(store, name)
            except FileNotFoundError:
                return False
        return True

    def _spool_failed(self, error: OSError) -> NoReturn:
        self.abort()
        raise _no_temporary(self._url, "WriteTempFile", error) from error


def _no_temporary(place: str, stage: str, error: OSError) -> CaptureWriteError:
    return _not_written(place, stage, f"the temporary file for it: {error.strerror}", temporary_remedy(error))


def _not_written(place: str, stage: str, why: str, fix: str) -> CaptureWriteError:
    return CaptureWriteError(stage, f"cannot write '{place}': {why}", where=place, fix=fix)
