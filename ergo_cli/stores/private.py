"""Folders and files that only their owner may open: what a run keeps may hold anything (spec 00 §12.6, §13.8)."""

from __future__ import annotations

import os
from pathlib import Path


def private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for the owner alone; existing ones stay as they are.

    Raises OSError and ValueError.
    """
    for each in reversed((folder, *folder.parents)):  # a loop: `mkdir` with parents ignores the mode for these
        if not each.is_dir():
            each.mkdir(mode=0o700, exist_ok=True)


def opened_privately(path: str, flags: int) -> int:
    """Opens files for the owner alone: the ``opener`` of ``open``."""
    return os.open(path, flags, 0o600)
