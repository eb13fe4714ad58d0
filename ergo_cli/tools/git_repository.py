"""A git repository that is only read: its commits, how they follow one another, and their files.

Nothing of it is written: no index, reference, worktree or configuration. No hook, pager or file system monitor runs;
the filters of git's configuration run on the files of a commit, as they do at a checkout.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from ergo_cli.channels.bounded_run import Finished, run_bounded
from ergo_cli.core.time import NANOS
from ergo_cli.errors import ErgoError, reason

_TIME_LIMIT_NS = 600 * NANOS
_MOST_BYTES = 256 * 1024 * 1024
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
_FORM = "%H%x00%h%x00%an%x00%aI%x00%s"


class Commit(Struct, frozen=True):
    """A commit: its id, whole and abbreviated, the first line of its message, who wrote it and when (ISO 8601)."""

    id: str
    short: str
    author: str
    authored_at: str
    subject: str


class Repository:
    """The repository of a working tree; ``top`` is the tree's folder, links followed."""

    def __init__(self, git: str, top: Path, git_folder: Path) -> None:
        self._git = git
        self._git_folder = git_folder
        self.top = top

    @classmethod
    def of(cls, folder: Path) -> Repository:
        """The repository that ``folder`` is in.

        Raises ErgoError ``bisect.git_unavailable``, ``bisect.no_repository``.
        """
        git = shutil.which("git")
        if git is None:
            message = "git is not installed: there is no program 'git' on the PATH"
            fix = "install git (apt install git, brew install git, https://git-scm.com)"
            raise ErgoError("bisect.git_unavailable", message, where="program 'git'", fix=fix)
        try:
            found = _run(git, ("rev-parse", "--show-toplevel", "--absolute-git-dir"), folder)
        except OSError as error:
            raise _no_repository(folder, reason(error)) from error
        if found is None or found.status:
            raise _no_repository(folder, _complaint(found))
        top, git_folder = os.fsdecode(bytes(found.stdout.kept)).splitlines()
        return cls(git, Path(os.path.realpath(top)), Path(git_folder))

    def commit(self, revision: str, option: str) -> Commit:
        """The commit that ``revision``, the value of an option, names. Raises ErgoError ``bisect.unknown_revision``."""
        found = _run(
            self._git, ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"), self.top
        )
        if found is None or found.status:
            message = f"'{revision}' names no commit of the repository"
            fix = "name a commit, a tag or a branch; git log lists commits"
            raise ErgoError("bisect.unknown_revision", message, where=f"option {option}", fix=fix)
        return self.described(_text(found))

    def is_checked_out(self, commit: Commit) -> bool:
        """Whether the working tree is that of ``commit``."""
        found = _run(self._git, ("rev-parse", "--verify", "--quiet", "HEAD^{commit}"), self.top)
        return found is not None and _text(found) == commit.id

    def described(self, commit: str) -> Commit:
        """A commit by its id."""
        text = self._answer("log", "--no-walk", "--no-show-signature", f"--format={_FORM}", commit)
        identity, short, author, authored_at, subject = text.split("\0", 4)
        return Commit(identity, short, author, authored_at, subject)

    def is_ancestor(self, commit: str, of: str) -> bool:
        """Whether ``commit`` is, or comes before, ``of``."""
        found = _run(self._git, ("merge-base", "--is-ancestor", commit, of), self.top)
        if found is None or found.status not in (0, 1):
            raise self._failed("merge-base", found)
        return found.status == 0

    def line_of(self, commit: str) -> list[str]:
        """``commit`` and its first parents, one after the other, back to the first commit."""
        return self._answer("rev-list", "--first-parent", commit).split()

    def between(self, goods: Sequence[str], bad: str) -> list[str]:
        """The commits behind ``goods`` up to ``bad``, that which halves them best first."""
        lines = self._answer("rev-list", "--bisect-all", bad, "--not", *goods).splitlines()
        return [line.partition(" ")[0] for line in lines]

    def in_order(self, goods: Sequence[str], bad: str) -> list[str]:
        """The commits behind ``goods`` up to ``bad``, each behind its parents."""
        return self._answer("rev-list", "--topo-order", "--reverse", bad, "--not", *goods).split()

    def last_change(self, path: Path, until: str) -> str | None:
        """The last commit up to ``until`` that changed the file ``path``; None if none has it or it lies elsewhere."""
        place = Path(os.path.realpath(path.parent)) / path.name
        if not place.is_relative_to(self.top):
            return None
        return self._answer("rev-list", "-1", until, "--", str(place.relative_to(self.top))) or None

    def parent(self, commit: str) -> str | None:
        """The first parent of a commit; None of the first commit."""
        parents = self._answer("rev-list", "--no-walk", "--parents", commit).split()[1:]
        return parents[0] if parents else None

    def changed_files(self, before: str, after: str) -> tuple[str, ...]:
        """The paths, from the top, of the files that differ in two commits."""
        words = ("diff-tree", "-r", "-z", "--name-only", "--no-renames", "--no-ext-diff", before, after)
        return tuple(filter(None, self._answer(*words).split("\0")))

    def unsaved(self) -> tuple[str, ...]:
        """The paths, from the top, of the files that are not as the commit that is checked out has them."""
        words = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=no", "--ignore-submodules=all")
        return tuple(entry[3:] for entry in self._answer(*words).split("\0") if entry)

    def write_tree(self, commit: str, folder: Path, index: Path) -> None:
        """Write the files of a commit into ``folder``, which is empty, by the help of a file ``index`` elsewhere.

        Raises ErgoError ``bisect.git_failed``.
        """
        words = (f"--git-dir={self._git_folder}", f"--work-tree={folder}", "read-tree", "--reset", "-u", commit)
        found = _run(self._git, words, folder, {"GIT_INDEX_FILE": str(index)})
        if found is None or found.status:
            raise self._failed("read-tree", found)

    def _answer(self, *words: str) -> str:
        found = _run(self._git, words, self.top)
        if found is None or found.status or found.stdout.size > _MOST_BYTES:
            raise self._failed(words[0], found)
        return _text(found)

    def _failed(self, command: str, found: Finished | None) -> ErgoError:
        message = f"'git {command}' failed: {_complaint(found)}"
        return ErgoError("bisect.git_failed", message, where=str(self.top), fix="look at the repository with git fsck")


def _run(git: str, words: Sequence[str], folder: Path, more: Mapping[str, str] | None = None) -> Finished | None:
    """Run git; None if it did not end in time. Raises OSError if it cannot be run there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _KEPT}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
    return run_bounded((git, *_WORDS, *words), folder, environment | dict(more or {}), b"", _MOST_BYTES, _TIME_LIMIT_NS)


def _text(found: Finished) -> str:
    return found.stdout.kept.decode(errors="surrogateescape").removesuffix("\n")


def _complaint(found: Finished | None) -> str:
    """The last line of what git says, or that it says nothing."""
    if found is None:
        return f"it did not end within {_TIME_LIMIT_NS // NANOS} seconds"
    lines = found.stderr.kept.decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("fatal: ") if lines else f"it ended with status {found.status}"


def _no_repository(folder: Path, why: str) -> ErgoError:
    message = f"the program's folder '{folder}' is in no git repository that can be used: {why}"
    fix = "change to the project's folder in its repository, or name it with --project DIR"
    return ErgoError("bisect.no_repository", message, where=str(folder), fix=fix)
