"""Where a project is to be made, and whether it may be (spec 30 §26)."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from msgspec import Struct

from ergo_cli.errors import ErgoError, UsageError, reason

_ELSEWHERE = "name a folder that does not exist yet, or an empty one"


class Target(Struct, frozen=True):
    """A folder to be made or filled; ``name`` is its own, whatever way ``path`` names it."""

    path: Path
    name: str
    exists: bool


def find_target(directory: str, *, force: bool) -> Target:
    """The folder that ``directory`` names: absent, empty or, with ``force``, any.

    Raises UsageError ``cli.init_path_invalid``, ``cli.init_target_invalid``, ``cli.init_target_not_empty``; ErgoError
    ``cli.init_current_dir_unavailable``, ``cli.init_target_read_failed``.
    """
    path, name = Path(os.path.normpath(directory)), _name(directory)
    try:
        occupied = _is_occupied(path)
    except FileNotFoundError:
        if path.is_symlink():
            raise _invalid(directory, "it is a symbolic link to nothing") from None
        return Target(path, name, exists=False)
    except NotADirectoryError as error:
        inside = "it is not a folder" if os.path.lexists(path) else "it would lie inside a file"
        raise _invalid(directory, inside) from error
    except (OSError, ValueError) as error:
        raise _unreadable(directory, error) from error
    if occupied and not force:
        message = f"'{directory}' is not empty"
        fix = f"{_ELSEWHERE}; --force writes the project's files into it and leaves all others"
        raise UsageError("cli.init_target_not_empty", message, where=directory, fix=fix)
    return Target(path, name, exists=True)


def _name(directory: str) -> str:
    try:
        return os.path.basename(os.path.abspath(directory))
    except OSError as error:
        message = f"the current folder cannot be found: {reason(error)}"
        fix = "change to a folder that exists"
        raise ErgoError("cli.init_current_dir_unavailable", message, where="current folder", fix=fix) from error


def _is_occupied(path: Path) -> bool:
    with os.scandir(path) as entries:
        return any(True for _ in entries)


def _invalid(directory: str, why: str) -> UsageError:
    message = f"no project can be made in '{directory}': {why}"
    return UsageError("cli.init_target_invalid", message, where=directory, fix=_ELSEWHERE)


def _unreadable(directory: str, error: OSError | ValueError) -> ErgoError:
    if isinstance(error, ValueError) or error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
        message = f"'{directory}' cannot be a path: {reason(error)}"
        return UsageError("cli.init_path_invalid", message, where=directory, fix=_ELSEWHERE)
    message = f"'{directory}' cannot be read: {reason(error)}"
    fix = "make the folder readable, or name another one"
    return ErgoError("cli.init_target_read_failed", message, where=directory, fix=fix)
