"""Bundles that no profile of the project reaches, so that no gate proves them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from ergo_cli.bundle.reader import open_bundle
from ergo_cli.core.diagnostics import Notice, counted
from ergo_cli.errors import ErgoError, ReplayError
from ergo_cli.project.profiles import reaching_profiles, resolve_profile
from ergo_cli.project.project_file import Project, current_folder, load_project, locate_project
from ergo_cli.project.store import ProgramStore
from ergo_cli.replay.results import Outcome
from ergo_cli.replay.selection import BundlePath, Selection, select_bundles
from ergo_cli.replay.session import ReplayRequest, ReplaySession, recorded_program


class Stale(Struct, frozen=True):
    """Bundles that no profile reaches, and how many of the others match."""

    paths: tuple[str, ...]
    matching: int
    notices: tuple[Notice, ...] = ()


def find_stale(
    arguments: Sequence[str], request: ReplayRequest, store: ProgramStore, on_event: Callable[[], None] | None
) -> Stale:
    """The bundles that no profile reaches, among ``arguments``, else in the folders that profiles capture to.

    A profile reaches the bundle that it captures to, and those of its program. Raises ReplayError ``accept.not_clean``
    unless all bundles that are reached match; ProjectError, and what refuses to open a bundle.
    """
    named = request.flags.project
    project = locate_project(None, named) or load_project(current_folder())
    selection = _selected(arguments, project)
    for refusal in selection.refusals:
        raise refusal.error
    stale: list[str] = []
    reached: dict[str, BundlePath] = {}
    for name in project.profiles:
        capture = resolve_profile(project, name).capture
        if capture.is_file():
            reached[os.path.realpath(capture)] = BundlePath(str(capture), name)
    for bundle in selection.bundles:
        profile = _profile_of(bundle.path, project)
        if profile is None:
            stale.append(bundle.path)
        else:
            reached.setdefault(os.path.realpath(bundle.path), BundlePath(bundle.path, profile))
    _check_clean(list(reached.values()), request, store, on_event)
    return Stale(tuple(stale), len(reached), selection.notices)


def _selected(arguments: Sequence[str], project: Project) -> Selection:
    if arguments:
        return select_bundles(arguments, None, project.root, strict=False)
    captures = (resolve_profile(project, name).capture.parent for name in project.profiles)
    folders = [str(folder) for folder in dict.fromkeys(captures) if folder.is_dir()]
    return select_bundles(folders, None, project.root, strict=False) if folders else Selection()


def _profile_of(path: str, project: Project) -> str | None:
    with open_bundle(path) as reader:
        recorded = recorded_program(reader)
        profiles = reaching_profiles(project, Path(path), reader.graph_id, recorded.reference)
    return profiles[0].name if profiles else None


def _check_clean(
    reached: Sequence[BundlePath],
    request: ReplayRequest,
    store: ProgramStore,
    on_event: Callable[[], None] | None,
) -> None:
    results = list(ReplaySession(request, store).results(reached, on_event))
    wrong = [result for result in results if result.outcome is not Outcome.MATCH]
    if not wrong:
        return
    message = (
        f"{len(wrong):,} of {counted(len(results), 'bundle')} that profiles reach do not match, first {wrong[0].path}"
    )
    causes: tuple[ErgoError, ...] = () if wrong[0].error is None else (wrong[0].error,)
    fix = "bring the replay to a match first: ergo replay"
    raise ReplayError("accept.not_clean", message, where=wrong[0].path, fix=fix, causes=causes)
