"""Recognise bundle files by their first bytes (spec 00 §12.5, §12.8)."""

from __future__ import annotations

import re

from ergo_cli.stores.files import read_blocks
from ergo_cli.stores.inflation import CompressionError

SUFFIXES = (".json", ".json.gz", ".json.zst")
_BEGINNING = re.compile(rb'\s*\{\s*"capture_version"\s*:')


def looks_like_bundle(path: str) -> bool:
    """Whether a file is empty, or begins with ``{`` and ``capture_version``.

    True for a file that cannot be read: opening it reports the reason.
    """
    try:
        beginning = next(read_blocks(path), b"")
    except (OSError, CompressionError):
        return True
    return not beginning or _BEGINNING.match(beginning) is not None
