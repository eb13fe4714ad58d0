"""Repositories with a history, made quickly."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

IDENTITY = "Ann Author <ann@example.org>"
FIRST = 1_767_312_000
"""When the first commit was made; each later one a day after."""

Files = Mapping[str, str | None]
"""The files that a commit changes, by their paths; None removes one."""


def git(folder: Path, *words: str) -> str:
    """What git answers, without any configuration but the repository's."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_OPTIONAL_LOCKS": "0",
    }
    done = subprocess.run(["git", *words], cwd=folder, env=environment, capture_output=True, timeout=60, check=True)
    return done.stdout.decode().removesuffix("\n")


def texts_below(folder: Path) -> dict[str, str]:
    """All files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.parts and "__pycache__" not in path.parts
    }


def make_history(folder: Path, commits: Iterable[tuple[str, Files]]) -> list[str]:
    """A repository in ``folder`` with the commits one after the other, the last one checked out; their ids."""
    folder.mkdir(exist_ok=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    add_commits(folder, commits)
    git(folder, "reset", "--quiet", "--hard", "main")
    return git(folder, "rev-list", "--reverse", "main").split()


def add_commits(folder: Path, commits: Iterable[tuple[str, Files]], branch: str = "main", begin: str = "") -> None:
    """Commits on a branch, which begins at ``begin``; nothing is checked out."""
    stream = bytearray()
    for number, (subject, files) in enumerate(commits):
        message = subject.encode()
        stream += f"commit refs/heads/{branch}\n".encode()
        stream += f"author {IDENTITY} {FIRST + 86400 * number} +0000\n".encode()
        stream += f"committer {IDENTITY} {FIRST + 86400 * number} +0000\n".encode()
        stream += f"data {len(message)}\n".encode() + message + b"\n"
        if number == 0 and begin:
            stream += f"from {begin}\n".encode()
        for path, text in files.items():
            if text is None:
                stream += f"D {path}\n".encode()
            else:
                stream += f"M 100644 inline {path}\ndata {len(text.encode())}\n{text}\n".encode()
    subprocess.run(
        ["git", "fast-import", "--quiet", "--force"], cwd=folder, input=bytes(stream), check=True, timeout=60
    )


def picture_of(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file and folder below one, that of git included: when it was changed, and what it holds."""
    found: dict[str, tuple[int, str]] = {}
    for path in sorted([folder, *folder.rglob("*")]):
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path.relative_to(folder))] = (path.lstat().st_mtime_ns, content)
    return found
