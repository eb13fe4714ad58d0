"""Pictures as files."""

from __future__ import annotations

from pathlib import Path

from ergo_cli.errors import CaptureWriteError, ErgoError
from ergo_cli.stores.atomic import AtomicFile


def write_picture(path: Path, text: str) -> None:
    """Write a picture, whole or not at all. Raises ErgoError ``cli.graph_to_dot_write_failed``."""
    try:
        with AtomicFile(str(path)) as file:
            file.write(text.encode())
            file.commit()
    except CaptureWriteError as error:
        raise ErgoError("cli.graph_to_dot_write_failed", error.message, where=error.where, fix=error.fix) from error
