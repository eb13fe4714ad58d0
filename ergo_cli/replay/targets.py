"""Which bundles a replay means: files, folders, globs, or what profiles capture to (spec 00 §6, §12.5)."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from ergo_cli.bundle.recognition import SUFFIXES, looks_like_bundle
from ergo_cli.project.profiles import captured_profiles
from ergo_cli.project.root import current_folder, load_project, locate_project


class BundlePath(Struct, frozen=True):
    """A bundle to replay; ``profile`` is the one that captures to it, where that is why it is here."""

    path: str
    profile: str | None = None


def bundle_paths(arguments: Sequence[str], profile: str | None, project: Path | None) -> list[BundlePath]:
    """The bundles that ``arguments`` name, each once; without any, those that profiles capture to.

    Folders and globs may turn out empty. Raises ProjectError as ``locate_project`` and ``captured_profiles``.
    """
    if arguments:
        paths = (path for argument in arguments for path in _expanded(argument))
        return [BundlePath(path) for path in dict.fromkeys(paths)]
    found = locate_project(None, project)
    if found is None and profile is not None:
        found = load_project(current_folder())
    if found is None:
        return []
    return [BundlePath(str(each.capture), each.name) for each in captured_profiles(found, profile)]


def _expanded(argument: str) -> Iterator[str]:
    if os.path.isdir(argument):
        yield from _bundles_below(argument)
    elif os.path.lexists(argument) or not glob.has_magic(argument):
        yield argument
    else:
        yield from sorted(path for path in glob.iglob(argument, recursive=True) if os.path.isfile(path))


def _bundles_below(folder: str) -> list[str]:
    found: list[str] = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (os.path.join(root, name) for name in names if name.endswith(SUFFIXES))
        found += (path for path in paths if looks_like_bundle(path))
    return sorted(found)
