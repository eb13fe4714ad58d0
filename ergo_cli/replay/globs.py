"""The paths that a pattern stands for, as ``glob.glob`` finds them, but never silent about a folder it cannot read."""

from __future__ import annotations

import fnmatch
import glob
import os
import stat
from collections.abc import Callable, Iterator


class Glob:
    """Expands patterns. ``unreadable`` is called with the error of each folder that cannot be looked into."""

    def __init__(self, unreadable: Callable[[OSError], object]) -> None:
        self._unreadable = unreadable

    def matches(self, pattern: str) -> list[str]:
        """What the pattern stands for, ascending, each path once; ``**`` is any number of folders, links followed."""
        if os.altsep:
            pattern = pattern.replace(os.altsep, os.sep)
        root = os.sep if pattern.startswith(os.sep) else ""
        parts = [part for part in pattern.split(os.sep) if part]
        return sorted(set(self._expanded(root, parts)))

    def _expanded(self, folder: str, parts: list[str]) -> Iterator[str]:
        if not parts:
            yield folder
            return
        part, *rest = parts
        if part == "**":
            for each in self._folders(folder, set()):
                yield from self._expanded(each, rest) if rest else (each, *self._all_in(each))
        elif glob.has_magic(part):
            for name in self._names(folder):
                if fnmatch.fnmatch(name, part) and (not name.startswith(".") or part.startswith(".")):
                    yield from self._expanded(os.path.join(folder, name), rest)
        elif os.path.lexists(os.path.join(folder, part)):
            yield from self._expanded(os.path.join(folder, part), rest)

    def _folders(self, folder: str, above: set[tuple[int, int]]) -> Iterator[str]:
        """A folder and all below it; one that contains itself through a link is entered once."""
        try:
            status = os.stat(folder or os.curdir)
        except OSError as error:
            self._report(error)
            return
        identity = status.st_dev, status.st_ino
        if identity in above or not stat.S_ISDIR(status.st_mode):
            return
        yield folder
        for name in self._names(folder):
            path = os.path.join(folder, name)
            if not name.startswith(".") and os.path.isdir(path):
                yield from self._folders(path, above | {identity})

    def _all_in(self, folder: str) -> Iterator[str]:
        yield from (os.path.join(folder, name) for name in self._names(folder) if not name.startswith("."))

    def _names(self, folder: str) -> list[str]:
        try:
            return os.listdir(folder or os.curdir)
        except OSError as error:
            self._report(error)
            return []

    def _report(self, error: OSError) -> None:
        """A file where a folder would have to be, or nothing at all, only means that nothing matches."""
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            self._unreadable(error)
