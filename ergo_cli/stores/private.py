"""Folders and files that only their owner may open: what a run keeps may hold anything (spec 00 §12.6, §13.8)."""

from __future__ import annotations

import os
from pathlib import Path

from ergo_cli.stores.durable import make_folders


def private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for the owner alone; existing ones stay as they are.

    Raises OSError and ValueError.
    """
    make_folders(folder, 0o700)


def opened_privately(path: str, flags: int) -> int:
    """Opens files for the owner alone: the ``opener`` of ``open``."""
    return os.open(path, flags, 0o600)
