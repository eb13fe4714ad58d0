"""The Python scripts that channel commands run: there, and free of syntax errors (spec 30 §26)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from ergo_cli.core.documents import TEXT_LIMIT
from ergo_cli.errors import ProjectError, reason


def script_faults(command: Sequence[str], folder: Path) -> Iterator[ProjectError]:
    """What is wrong with the scripts among a command's words, those that end in ``.py``; nothing is run or written.

    The code is ``PRJ-SCRIPT``. Relative paths are taken from ``folder``.
    """
    for word in command:
        if word.endswith(".py") and not word.startswith("-"):
            fault = _fault(word, folder / word)
            if fault is not None:
                yield fault


def _fault(name: str, path: Path) -> ProjectError | None:
    try:
        with path.open("rb") as file:
            source = file.read(TEXT_LIMIT)
    except (OSError, ValueError) as error:
        message = f"channel script '{name}' cannot be read: {reason(error)}"
        return _script_fault(message, str(path), "restore the file, or correct the command")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        where = f"{path}:{error.lineno or 1}:{error.offset or 1}"
        return _script_fault(f"channel script '{name}' does not compile: {error.msg}", where, "mend the script")
    except (ValueError, RecursionError, MemoryError) as error:
        message = f"channel script '{name}' does not compile: {error or type(error).__name__}"
        return _script_fault(message, str(path), "mend the script")
    return None


def _script_fault(message: str, where: str, fix: str) -> ProjectError:
    return ProjectError("PRJ-SCRIPT", message, where=where, fix=fix)
