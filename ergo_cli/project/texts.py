"""Authored files as texts, bounded in size (spec 00 §12.4)."""

from __future__ import annotations

from pathlib import Path

from ergo_cli.core.documents import TEXT_LIMIT


def read_text(path: Path) -> str:
    """The text of an authored file.

    Raises OSError where it cannot be read, ValueError (with a sentence that says why) where it is longer than 8 MiB or
    not UTF-8.
    """
    with path.open("rb") as file:
        content = file.read(TEXT_LIMIT + 1)
    if len(content) > TEXT_LIMIT:
        raise ValueError(f"the file is longer than the limit of {TEXT_LIMIT} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"the file is not UTF-8 at byte {error.start}") from error
