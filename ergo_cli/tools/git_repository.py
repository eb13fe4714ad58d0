"""A git repository that is only read: its commits, how they follow one another, and their files.

The files of a commit are written as they are stored: no filter runs on them (``git_process``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from ergo_cli.channels.bounded_run import Finished
from ergo_cli.errors import ErgoError
from ergo_cli.tools.git_process import MOST_BYTES, Git, complaint, git_failed, text_of

_FORM = "%H%x00%h%x00%an%x00%aI%x00%s"
_ID = re.compile("[0-9a-f]{40,64}")


class Commit(Struct, frozen=True):
    """A commit: its id, whole and abbreviated, the first line of its message, who wrote it and when (ISO 8601)."""

    id: str
    short: str
    author: str
    authored_at: str
    subject: str


class Repository:
    """The repository of a working tree; ``top`` is the tree's folder, links followed."""

    def __init__(self, git: Git, top: Path, git_folder: Path) -> None:
        self._git = git
        self._git_folder = git_folder
        self.top = top

    @classmethod
    def of(cls, folder: Path) -> Repository:
        """The repository that ``folder`` is in.

        Raises ErgoError ``bisect.git_unavailable``, ``bisect.no_repository``, ``bisect.git_failed``.
        """
        git = Git.on_path()
        top, git_folder = (_folder_of(git, word, folder) for word in ("--show-toplevel", "--absolute-git-dir"))
        return cls(git.without_filters(folder), Path(os.path.realpath(top)), git_folder)

    def commit(self, revision: str, option: str) -> Commit:
        """The commit that ``revision``, the value of an option, names. Raises ErgoError ``bisect.unknown_revision``."""
        found = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        if found is None or found.status or not _ID.fullmatch(text_of(found)):  # '^HEAD' gives what it leaves out
            message = f"'{revision}' names no commit of the repository"
            fix = "name a commit, a tag or a branch; git log lists commits"
            raise ErgoError("bisect.unknown_revision", message, where=f"option {option}", fix=fix)
        return self.described(text_of(found))

    def is_checked_out(self, commit: Commit) -> bool:
        """Whether the working tree is that of ``commit``."""
        found = self._run("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        return found is not None and text_of(found) == commit.id

    def is_shallow(self) -> bool:
        """Whether the history is cut off: a clone of the last commits alone."""
        return self._answer("rev-parse", "--is-shallow-repository") == "true"

    def described(self, commit: str) -> Commit:
        """A commit by its id."""
        text = self._answer("log", "--no-walk", "--no-show-signature", f"--format={_FORM}", commit)
        identity, short, author, authored_at, subject = text.split("\0", 4)
        return Commit(identity, short, author, authored_at, subject)

    def is_ancestor(self, commit: str, of: str) -> bool:
        """Whether ``commit`` is, or comes before, ``of``."""
        found = self._run("merge-base", "--is-ancestor", commit, of)
        if found is None or found.status not in (0, 1):
            raise git_failed("merge-base", found, self.top)
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
        found = self._git.run(words, folder, {"GIT_INDEX_FILE": str(index)})
        if found is None or found.status:
            raise git_failed("read-tree", found, self.top)

    def _answer(self, *words: str) -> str:
        found = self._run(*words)
        if found is None or found.status or found.stdout.size > MOST_BYTES:
            raise git_failed(words[0], found, self.top)
        return text_of(found)

    def _run(self, *words: str) -> Finished | None:
        return self._git.run(words, self.top)


def _folder_of(git: Git, word: str, folder: Path) -> Path:
    """A folder of the repository that ``folder`` is in. Raises ErgoError ``bisect.no_repository``."""
    found = git.run(("rev-parse", word), folder)
    path = None if found is None or found.status else Path(text_of(found))
    if path is None or not path.is_absolute():
        message = f"the program's folder '{folder}' is in no git repository that can be used: {complaint(found)}"
        fix = "change to the project's folder in its repository, or name it with --project DIR"
        raise ErgoError("bisect.no_repository", message, where=str(folder), fix=fix)
    return path
