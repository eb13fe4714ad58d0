"""The bundles that the arguments of a command stand for: files, folders, globs (spec 00 §12.5)."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from ergo_cli.bundle.recognition import SUFFIXES, Content, content_of, has_suffix
from ergo_cli.bundle.schema import read_failed
from ergo_cli.core.diagnostics import Notice
from ergo_cli.errors import ErgoError, ReplayError, UsageError, reason
from ergo_cli.project.profiles import captured_profiles
from ergo_cli.project.project_file import current_folder, load_project, locate_project
from ergo_cli.replay.globs import Glob
from ergo_cli.stores.locations import RemoteError, is_remote, local_path


class BundlePath(Struct, frozen=True):
    """A bundle to replay; ``profile`` is the one that captures to it, where that is why it is here."""

    path: str
    profile: str | None = None


class Refusal(Struct, frozen=True):
    """A path below a folder that stands for no bundle and cannot be passed over."""

    path: str
    error: ErgoError


class Selection(Struct, frozen=True):
    """The bundles to open, each once; what was passed over, and what is refused before anything is opened.

    ``searched`` are the places that were looked at, as lines for people.
    """

    bundles: tuple[BundlePath, ...] = ()
    notices: tuple[Notice, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    searched: tuple[str, ...] = ()


def select_bundles(arguments: Sequence[str], profile: str | None, project: Path | None, *, strict: bool) -> Selection:
    """The bundles that ``arguments`` name; without any, those that profiles capture to.

    A folder, or a folder or file that a glob matches, stands for every file with the suffix of a bundle. A folder or
    glob that stands for no bundle beside others that do is a notice, with ``strict`` a refusal
    (``replay.nothing_matched``). Raises ProjectError as ``locate_project`` and ``captured_profiles``.
    """
    if not arguments:
        return _captured(profile, project)
    walk = _Walk()
    for argument in arguments:
        walk.add(local_path(argument))
    empty = walk.empty if walk.paths else ()
    refusals = tuple(Refusal(argument, _nothing_matched(argument)) for argument in empty) if strict else ()
    notices = () if strict else tuple(Notice(_nothing_matched(argument).message) for argument in empty)
    bundles = tuple(BundlePath(path) for path in dict.fromkeys(walk.paths))
    searched = tuple(map(_searched, arguments))
    return Selection(bundles, (*walk.notices, *notices), (*walk.refusals, *refusals), searched)


def _searched(argument: str) -> str:
    suffixes = ", ".join(SUFFIXES)
    if not is_remote(argument) and os.path.isdir(argument):
        return f"the folder '{argument}': files that end in {suffixes}, also below it"
    return f"the pattern '{argument}': files that end in {suffixes}"


def _captured(profile: str | None, project: Path | None) -> Selection:
    found = locate_project(None, project)
    if found is None and profile is not None:
        found = load_project(current_folder())
    if found is None:
        return Selection(searched=(f"'{current_folder()}' and the folders above it: no project",))
    bundles = tuple(BundlePath(str(each.capture), each.name) for each in captured_profiles(found, profile))
    profiles = "every profile" if profile is None else f"the profile '{profile}'"
    searched = f"'{found.file}': capture_output of {profiles}"
    return Selection(bundles, () if bundles else found.notices, searched=(searched,))


class _Walk:
    """Gathers what arguments stand for. A folder is walked once, however it is reached."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.notices: list[Notice] = []
        self.refusals: list[Refusal] = []
        self.empty: list[str] = []
        self._folders = set[tuple[int, int]]()

    def add(self, argument: str) -> None:
        """Take one argument into account; one that is neither a folder nor a glob is opened whatever it is."""
        before = len(self.paths) + len(self.refusals)
        if is_remote(argument):
            self._add_objects(argument)
        elif os.path.isdir(argument):
            self._walk(argument)
        elif os.path.lexists(argument) or not glob.has_magic(argument):
            self.paths.append(argument)
        else:
            for path in Glob(self._unreadable).matches(argument):
                self._matched(path)
        if len(self.paths) + len(self.refusals) == before:
            self.empty.append(argument)

    def _add_objects(self, url: str) -> None:
        """Take the object at a URL, or those that a folder or a pattern stands for."""
        if has_suffix(url) and not glob.has_magic(url):
            self.paths.append(url)
            return
        from ergo_cli.stores.remote_objects import objects_below  # most bundles are files

        try:
            for each in objects_below(url, SUFFIXES):
                self._object(each)
        except RemoteError as error:
            self.refusals.append(Refusal(url, read_failed(url, reason(error), error.fix)))

    def _object(self, url: str) -> None:
        """Take an object that was found, unless its name is none that is read."""
        try:
            is_remote(url)
        except UsageError as error:
            self.refusals.append(Refusal(url, read_failed(url, error.message, error.fix or "rename it")))
        else:
            self.paths.append(url)

    def _matched(self, path: str) -> None:
        if os.path.isdir(path):
            self._walk(path)
        elif has_suffix(path):
            self._file(path)
        else:
            self.notices.append(Notice("passed over: it has not the suffix of a bundle", path))

    def _walk(self, folder: str) -> None:
        """Take every bundle below a folder, ascending by path; hidden folders are left out, links are followed."""
        for path in sorted(self._found_in(folder)):
            self._file(path)

    def _found_in(self, folder: str) -> Iterator[str]:
        """The files below a folder that have the suffix of a bundle; what cannot be looked into is refused."""
        if not self._is_new(folder):
            return
        try:
            names = os.listdir(folder)
        except OSError as error:
            self._unreadable(error)
            return
        for name in names:
            path = os.path.join(folder, name)
            if self._is_folder(path):
                if not name.startswith("."):
                    yield from self._found_in(path)
            elif has_suffix(name):
                yield path

    def _is_folder(self, path: str) -> bool:
        """Whether a path is a folder; a link that leads nowhere may be meant as one, and is refused."""
        try:
            return stat.S_ISDIR(os.stat(path).st_mode)
        except OSError as error:
            if not has_suffix(path) and not os.path.basename(path).startswith("."):
                self._unreadable(error)
            return False

    def _is_new(self, folder: str) -> bool:
        """Whether a folder was not met before, by this path or another; from now on it is known."""
        try:
            status = os.stat(folder)
        except OSError as error:
            self._unreadable(error)
            return False
        identity = (status.st_dev, status.st_ino)
        known = identity in self._folders
        self._folders.add(identity)
        return not known

    def _file(self, path: str) -> None:
        if os.path.exists(path) and not os.path.isfile(path):
            self.refusals.append(Refusal(path, read_failed(path, "it is not a regular file")))
        elif content_of(path) is Content.OTHER_DOCUMENT:
            self.notices.append(Notice("passed over: a JSON document without `capture_version`, no bundle", path))
        else:
            self.paths.append(path)

    def _unreadable(self, error: OSError) -> None:
        path = os.fsdecode(error.filename)
        self.refusals.append(Refusal(path, read_failed(path, reason(error))))


def _nothing_matched(argument: str) -> ReplayError:
    message = f"'{argument}' stands for no bundle"
    fix = "name a folder or a pattern that holds bundles, or leave it out"
    return ReplayError("replay.nothing_matched", message, where=argument, fix=fix)
