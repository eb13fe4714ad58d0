"""Authored files as texts, bounded in size (spec 00 §12.4)."""

from __future__ import annotations

from pathlib import Path

MAX_BYTES = 8 * 1024 * 1024


def read_text(path: Path) -> str:
    """The text of an authored file.

    Raises OSError where it cannot be read, ValueError (with a sentence that says why) where it is longer than 8 MiB or
    not UTF-8.
    """
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"the file is longer than the limit of {MAX_BYTES} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"the file is not UTF-8 at byte {error.start}") from error
