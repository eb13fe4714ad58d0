"""What a command writes must not take the place of what it reads."""

from __future__ import annotations

import os
from pathlib import Path

from ergo_cli.errors import UsageError


def is_same_place(one: str | Path, other: str | Path) -> bool:
    """Whether two paths name one place, through whatever links; nothing need be there."""
    try:
        return os.path.realpath(one) == os.path.realpath(other)
    except (OSError, ValueError):  # a path that nothing can have
        return False


def keep_apart(output: str | Path, source: str | Path, what: str) -> None:
    """Refuse an ``output`` in the place of ``source``, which is told as ``what``.

    Raises UsageError ``cli.conflicting_options``.
    """
    if is_same_place(output, source):
        message = f"'{output}' is {what}: writing there would destroy it"
        raise UsageError("cli.conflicting_options", message, where=str(output), fix="name another file to write to")
