"""Whether a driver's command can be run at all, looked at before anything starts (spec 30 §15.5)."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from ergo_cli.errors import EventError, reason

_EXECUTE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


def quoted(command: Sequence[str]) -> str:
    """A command as errors name it: ``["python3", "driver.py"]``."""
    return json.dumps(list(command), ensure_ascii=False)


def check_command(command: Sequence[str], folder: Path | None) -> None:
    """Refuse a command that names no program, or one by a path where none stands.

    A relative path is taken from ``folder``, None for the current one; a bare name is left to PATH.
    Raises EventError ``driver.input_invalid``.
    """
    if not command:
        raise _invalid("the driver command is empty", "name the program that emits the events")
    program = command[0].strip()
    if not program:
        message = f"the driver command {quoted(command)} has a blank executable"
        raise _invalid(message, "name the program that emits the events")
    if os.path.dirname(program):
        _check_program(os.path.join(folder or "", program))


def _check_program(path: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        message = f"cannot inspect the driver program '{path}': {reason(error)}"
        raise _invalid(message, "check the path", path) from error
    if not stat.S_ISREG(mode):
        raise _invalid(f"the driver program '{path}' is not a file", "name the file to run", path)
    if not mode & _EXECUTE:
        fix = f"make it executable (chmod +x {path}), or name its interpreter first"
        raise _invalid(f"the driver program '{path}' is not executable", fix, path)


def _invalid(message: str, fix: str, path: str | None = None) -> EventError:
    return EventError("driver.input_invalid", message, where=path or "driver command", fix=fix)
