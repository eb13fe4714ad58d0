"""Replays that follow changes of files: which bundles a change reaches, and their results as they stand."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from ergo_cli.errors import ErgoError
from ergo_cli.project.finding import ProgramFlags
from ergo_cli.project.project_file import ERGO_TOML, current_folder, locate_project
from ergo_cli.replay.parallel import replay_in_parallel
from ergo_cli.replay.results import BundleResult, Outcome
from ergo_cli.replay.selection import BundlePath, Selection, select_bundles
from ergo_cli.replay.session import ReplaySession

_PROGRAM_SUFFIXES = (".py", ".yaml", ".yml", ".toml")
"""How the files end that may be of a program though no replay has read them: a module, a cluster, a project."""


class WatchedReplays:
    """The results of the bundles that are selected; a round replays those that changed files reach.

    Programs are loaded by processes of their own, so that each round has the code of its time.
    """

    def __init__(self, session: ReplaySession, arguments: Sequence[str], jobs: int) -> None:
        self.session = session
        self._arguments = arguments
        self._jobs = jobs
        self._known: dict[str, BundleResult] = {}
        self._selected: Selection | None = None

    def round(self, changed: Collection[str]) -> tuple[Selection, list[BundleResult]] | None:
        """Replay what changes of these files, by their real paths, reach.

        Returns the results of all bundles selected, None where nothing can be another than in the round before. Raises
        UsageError and ProjectError; after one, the next round replays everything.
        """
        known, self._known = self._known, {}
        before, self._selected = self._selected, None
        request = self.session.request
        selection = select_bundles(self._arguments, request.flags.profile, request.flags.project, strict=request.strict)
        due = list(reached(changed, selection.bundles, known))
        if not due and before is not None and _names(before) == _names(selection):
            self._known, self._selected = known, before
            return None
        found = {each.path: known[each.path] for each in selection.bundles if each not in due}
        for result in replay_in_parallel(self.session, due, self._jobs):
            found[result.path] = result
        self._known, self._selected = found, selection
        results = [found[each.path] for each in selection.bundles]
        results += (BundleResult(each.path, Outcome.REFUSED, each.error) for each in selection.refusals)
        return selection, results


def _names(selection: Selection) -> tuple[tuple[str, ...], tuple[str, ...]]:
    refused = tuple(f"{each.path}: {each.error}" for each in selection.refusals)
    return tuple(each.path for each in selection.bundles), refused


def reached(
    changed: Collection[str], bundles: Sequence[BundlePath], known: dict[str, BundleResult]
) -> Iterator[BundlePath]:
    """The bundles that have no result yet, or whose result a change of these files may alter.

    A file that no replay has read reaches every bundle if it may be of a program, and in any case those whose program
    could not be loaded. The modules of own primitives are in no list of files, so that a module reaches the bundles of
    every graph.
    """
    recorded = {os.path.realpath(each.path) for each in bundles}
    read = {file: _real_files(result) for file, result in known.items()}
    every = frozenset[str]().union(*read.values())
    programs = [path for path in changed if path not in recorded and path.endswith(_PROGRAM_SUFFIXES)]
    is_new = any(path not in every for path in programs)
    has_module = any(path.endswith(".py") for path in programs)
    for bundle in bundles:
        files = read.get(bundle.path, frozenset())
        is_graph = not any(file.endswith(".py") for file in files)
        if (
            bundle.path not in known
            or os.path.realpath(bundle.path) in changed
            or not files.isdisjoint(changed)
            or is_new
            or (is_graph and has_module)
            or (not files and not recorded.issuperset(changed))
        ):
            yield bundle


def _real_files(result: BundleResult) -> frozenset[str]:
    return frozenset(map(os.path.realpath, result.files))


def watched_folders(arguments: Sequence[str], flags: ProgramFlags) -> tuple[str, ...]:
    """The existing folders that hold what decides: the project, the bundles named, the program that options name."""
    named = [flags.graph, flags.adapter, *flags.cluster_paths]
    places = [_project_folder(flags.project), *arguments, *(str(path) for path in named if path is not None)]
    folders = dict.fromkeys(os.path.realpath(_folder_of(place)) for place in places)
    return tuple(each for each in folders if not any(_is_below(each, other) for other in folders))


def _project_folder(project: Path | None) -> str:
    try:
        found = locate_project(None, project)
    except ErgoError:  # the replay says what is wrong with it
        if project is not None:
            return str(project)
        here = current_folder()
        return str(next((each for each in (here, *here.parents) if (each / ERGO_TOML).exists()), here))
    return str(current_folder() if found is None else found.root)


def _folder_of(place: str) -> str:
    """The folder itself, or the nearest that exists above a file or a pattern."""
    while not os.path.isdir(place):
        place = os.path.dirname(place) or os.curdir
    return place


def _is_below(folder: str, other: str) -> bool:
    return folder != other and folder.startswith(other.rstrip(os.sep) + os.sep)
