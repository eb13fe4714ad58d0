"""Standard output in the place of a file: it gets the content once this is whole (spec 00 §7)."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn, Self, TypeAlias

from ergo_cli.errors import CaptureWriteError, reason
from ergo_cli.stores.files import BLOCK, AtomicFile, Spool
from ergo_cli.stores.locations import is_remote, local_path
from ergo_cli.stores.remedies import temporary_remedy

if TYPE_CHECKING:
    from ergo_cli.stores.remote_output import RemoteOutput

STANDARD_OUTPUT = "-"
"""The path that denotes standard output."""

_LABEL = "standard output"


Output: TypeAlias = "AtomicFile | StandardOutput | RemoteOutput"
"""What a command writes to: nothing of it is seen before ``commit``."""


def open_output(destination: str) -> Output:
    """The file or object at ``destination``, or standard output for ``-``, ready to be written.

    Raises CaptureWriteError.
    """
    if destination == STANDARD_OUTPUT:
        return StandardOutput()
    if not is_remote(destination):
        return AtomicFile(local_path(destination))
    from ergo_cli.stores.remote_output import RemoteOutput  # imported here: most outputs are files

    return RemoteOutput(destination)


class StandardOutput:
    """Used like an ``AtomicFile``: without a ``commit``, nothing reaches standard output.

    The content waits in an unnamed temporary file. Raises CaptureWriteError.
    """

    destination = STANDARD_OUTPUT

    def __init__(self) -> None:
        if sys.__stdout__ is None:
            message = "cannot write to standard output: it is closed"
            raise CaptureWriteError("InvalidDestination", message, where=_LABEL, fix="name a file, or open it")
        self._descriptor = sys.__stdout__.fileno()
        try:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `abort`
        except OSError as error:
            raise _no_temporary("create a temporary file for", "CreateTempFile", error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    def write(self, data: bytes) -> None:
        """Append bytes."""
        try:
            self._file.write(data)
        except OSError as error:
            self._fail(error)

    def spool(self) -> Spool:
        """An unnamed temporary file."""
        try:
            return Spool(tempfile.gettempdir(), self._fail)
        except OSError as error:
            self.abort()
            raise _no_temporary("create a spool for", "CreateTempFile", error) from error

    def commit(self, *, is_partial: bool = False, is_beside: bool = False) -> str:
        """Pass everything on; nothing is replaced, so a partial content is passed on too. Returns ``-``."""
        try:
            self._file.seek(0)
            while block := self._file.read(BLOCK):
                self._pass_on(memoryview(block))
        except OSError as error:
            self._fail(error)
        return STANDARD_OUTPUT

    def abort(self) -> None:
        """Drop what was not passed on."""
        with suppress(OSError):
            self._file.close()

    def _pass_on(self, block: memoryview) -> None:
        try:
            while block:
                block = block[os.write(self._descriptor, block) :]
        except OSError as error:
            why = "its reader closed it" if isinstance(error, BrokenPipeError) else reason(error)
            message = f"cannot write to standard output: {why}"
            fix = "see what the reader of the pipe says, or name a file"
            raise CaptureWriteError("WriteTempFile", message, where=_LABEL, fix=fix) from error

    def _fail(self, error: OSError) -> NoReturn:
        self.abort()
        raise _no_temporary("use the temporary file for", "WriteTempFile", error) from error


def _no_temporary(what: str, stage: str, error: OSError) -> CaptureWriteError:
    message = f"cannot {what} standard output: {reason(error)}"
    return CaptureWriteError(stage, message, where=_LABEL, fix=temporary_remedy(error))
