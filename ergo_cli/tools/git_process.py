"""Git as a process that only reads a repository.

Nothing of it is written: no index, reference, worktree or configuration. Nothing that git's configuration names is
started: no hook, pager, file system monitor or filter, and no transport that would fetch what a partial clone lacks.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from ergo_cli.channels.bounded_run import Finished, run_bounded
from ergo_cli.core.time import NANOS
from ergo_cli.errors import ErgoError, reason

_TIME_LIMIT_NS = 600 * NANOS
MOST_BYTES = 256 * 1024 * 1024
"""How much one answer of git may hold: the ids of six million commits."""

_SETTINGS = (
    f"core.hooksPath={os.devnull}",
    "core.fsmonitor=false",
    "core.splitIndex=false",
    "core.untrackedCache=false",
    "core.sparseCheckout=false",
    "submodule.recurse=false",
    "color.ui=false",
    "i18n.logOutputEncoding=UTF-8",
)
_WORDS = ("--no-pager", "--literal-pathspecs", *(word for setting in _SETTINGS for word in ("-c", setting)))
_KEPT = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH", "GIT_CEILING_DIRECTORIES")
_NO_FILTER = "ERGO_NO_FILTER"
"""The variable whose value, an empty text, takes the place of each setting of a filter."""
_GIVEN = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "",
    "LC_ALL": "C",
    _NO_FILTER: "",
}


class Git(Struct, frozen=True):
    """The program ``git``, with further ``options`` of each of its commands."""

    program: str
    options: tuple[str, ...] = ()

    @classmethod
    def on_path(cls) -> Git:
        """Git as the PATH has it. Raises ErgoError ``bisect.git_unavailable``."""
        program = shutil.which("git")
        if program is None:
            message = "git is not installed: there is no program 'git' on the PATH"
            fix = "install git (apt install git, brew install git, https://git-scm.com)"
            raise ErgoError("bisect.git_unavailable", message, where="program 'git'", fix=fix)
        return cls(program)

    def without_filters(self, folder: Path) -> Git:
        """The same, but that it starts no filter that is configured for the repository of ``folder``.

        Raises ErgoError ``bisect.git_failed``.
        """
        found = self.run(("config", "-z", "--name-only", "--get-regexp", r"^filter\."), folder)
        if found is None or found.status not in (0, 1):  # 1: none is configured
            raise git_failed("config", found, folder)
        names = dict.fromkeys(filter(None, text_of(found).split("\0")))
        return Git(self.program, tuple(f"--config-env={name}={_NO_FILTER}" for name in names))

    def run(self, words: Sequence[str], folder: Path, more: Mapping[str, str] | None = None) -> Finished | None:
        """Run a command in ``folder``; None if it did not end in time. Raises ErgoError ``bisect.git_failed``."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _KEPT
        }
        environment |= _GIVEN | dict(more or {})
        command = (self.program, *_WORDS, *self.options, *words)
        try:
            return run_bounded(command, folder, environment, b"", MOST_BYTES, _TIME_LIMIT_NS)
        except OSError as error:
            message = f"git cannot be run: {reason(error)}"
            fix = "see whether the git that is on the PATH can be run there"
            raise ErgoError("bisect.git_failed", message, where=str(folder), fix=fix) from error


def text_of(found: Finished) -> str:
    """What git answers."""
    return found.stdout.kept.decode(errors="surrogateescape").removesuffix("\n")


def complaint(found: Finished | None) -> str:
    """What git says is fatal, else the last line of what it says, or that it says nothing."""
    if found is None:
        return f"it did not end within {_TIME_LIMIT_NS // NANOS} seconds"
    if found.status < 0:
        return f"it was ended by {signal.Signals(-found.status).name}"
    lines = found.stderr.kept.decode(errors="replace").strip().splitlines()
    fatal = (line for line in lines if line.startswith("fatal: "))
    said = next(fatal, lines[-1] if lines else f"it ended with status {found.status}")
    return said.removeprefix("fatal: ").strip()


def git_failed(command: str, found: Finished | None, folder: Path) -> ErgoError:
    """The error of a command that failed, or whose answer is none."""
    message = f"'git {command}' failed: {complaint(found)}"
    return ErgoError("bisect.git_failed", message, where=str(folder), fix="look at the repository with git fsck")
