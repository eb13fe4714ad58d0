"""What ``ergo graph`` draws: load the picture of a file, a bundle or a program, write it to a file (spec 30 §25)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.bundle.journals import BundleJournals
from ergo_cli.bundle.reader import BundleReader, open_bundle
from ergo_cli.bundle.recognition import is_bundle
from ergo_cli.core.diagnostics import Notice
from ergo_cli.errors import CaptureWriteError, ErgoError, ProgramError, RuleError
from ergo_cli.host.files_read import Read, refuse_replacing
from ergo_cli.programs.graph.check.catalog import Catalog, standard_inventory
from ergo_cli.programs.graph.expand.boundary import with_bound_parameters
from ergo_cli.programs.graph.expand.expansion import expand
from ergo_cli.programs.graph.expand.instances import version_candidates
from ergo_cli.programs.graph.files.discovery import Discovered
from ergo_cli.programs.graph.model import ExpandedGraph
from ergo_cli.programs.graph.picture import picture_of
from ergo_cli.programs.pictures import DrawsPrograms, DrawsRuns, Picture
from ergo_cli.project.finding import ProgramFlags, find_named_program
from ergo_cli.project.loading import load_graph_assets
from ergo_cli.project.primitives import graph_inventory, graph_project
from ergo_cli.project.project_file import IMPORT_REFUSED, Project
from ergo_cli.project.trust import cluster_gate
from ergo_cli.stores.standard_output import open_output


class LoadedPicture(Struct, frozen=True):
    """A picture to be drawn, with the notices of loading it and the files that it was made of."""

    picture: Picture
    notices: tuple[Notice, ...] = ()
    files: tuple[str, ...] = ()


def load_picture(path: Path | None, flags: ProgramFlags) -> LoadedPicture:
    """The picture of a graph, a cluster or a bundle; without ``path``, of the program that ``flags`` name.

    Raises as ``picture_of_file``, ``picture_of_bundle`` and ``picture_of_program``.
    """
    if path is None:
        return picture_of_program(flags)
    if is_bundle(str(path)):
        return picture_of_bundle(str(path))
    return picture_of_file(path, flags.cluster_paths, flags.project)


def picture_of_program(flags: ProgramFlags) -> LoadedPicture:
    """The picture of the program of a flag, else of the profile.

    Raises ProgramError ``program.no_picture`` for a kind that has none, and as ``find_named_program``.
    """
    found = find_named_program(flags)
    kind = found.program.kind
    if not isinstance(kind, DrawsPrograms):
        message = f"a {kind.name} program has no picture"
        fix = "draw another program; ergo explain BUNDLE --event ID shows what this one does"
        raise ProgramError("program.no_picture", message, where=f"program '{found.program.ref}'", fix=fix)
    return LoadedPicture(kind.picture(found.program.value), found.notices, found.all_files)


def picture_of_bundle(path: str) -> LoadedPicture:
    """The picture of the run that a bundle records, of its records alone; with one episode in memory at a time.

    Raises BundleError, ProgramError ``program.unknown_kind``, and ``program.no_picture`` for a kind whose runs have
    none and for a bundle without records.
    """
    with open_bundle(path) as reader:
        acting = reader.kind.acting
        if not isinstance(acting, DrawsRuns):
            raise _not_drawn(reader, f"it records a {reader.kind_name} program, whose runs have no picture")
        picture = acting.run_picture(BundleJournals(reader).recorded())
        if picture is None:
            raise _not_drawn(reader, "it records no episode, so that nothing says what its program is made of")
    return LoadedPicture(picture, files=(path,))


def _not_drawn(reader: BundleReader, why: str) -> ProgramError:
    message = f"the bundle '{reader.path}' cannot be drawn: {why}"
    can_draw = isinstance(reader.kind, DrawsPrograms)
    fix = "draw its program: ergo graph FILE, or -P MODULE:ATTR" if can_draw else "ergo inspect says what is in it"
    return ProgramError("program.no_picture", message, where=reader.path, fix=fix)


def picture_of_file(path: Path, cluster_paths: tuple[Path, ...] = (), named: Path | None = None) -> LoadedPicture:
    """The picture of the graph or cluster at ``path``, valid or not, with the clusters and primitives of its project.

    The project is ``named``, or found above ``path``; without trust its primitives are drawn without being imported.
    Raises ProgramError: ``cli.graph_to_dot_load_failed``, ``cli.graph_to_dot_expand_failed``; ProjectError, and as
    ``load_inventory``.
    """
    if path.suffix == ".py":
        raise _python(path)
    project = graph_project(path, named)
    folders = () if project is None else (project.root / "clusters",)
    try:
        found = load_graph_assets(path, folders + cluster_paths, cluster_gate(project, cluster_paths))
    except ErgoError as error:
        if error.code == IMPORT_REFUSED:
            raise
        message = f"graph '{path}' cannot be loaded: {error.message}"
        raise _failed("cli.graph_to_dot_load_failed", message, error) from error
    catalog, notices = _catalog(path, project)
    files = found.discovered_ids if project is None else (*found.discovered_ids, str(project.file))
    graph = expand_for_picture(found, catalog, os.path.realpath, with_unknown=bool(notices))
    return LoadedPicture(picture_of(graph, catalog), found.notices + notices, files)


def expand_for_picture(
    found: Discovered,
    catalog: Catalog,
    locate: Callable[[str], str] | None = None,
    *,
    with_unknown: bool = False,
) -> ExpandedGraph:
    """Expand what discovery found to a flat graph; stand-ins are bound to the parameters of the root.

    ``with_unknown`` as for ``expand``. ``locate`` turns a label into the path of a file; without it, labels name texts
    in memory. Raises ProgramError ``cli.graph_to_dot_expand_failed``, which for a version that does not exist lists
    those that do.
    """
    assets = found.assets
    try:
        root = with_bound_parameters(assets.root)
        return expand(replace(assets, root=root), catalog, with_unknown=with_unknown)
    except RuleError as error:
        message = f"graph expansion failed: [{error.rule}] {error.message}"
        heading = "available cluster sources:" if locate is None else "available cluster files:"
        details = tuple(version_candidates(error, assets, heading, locate or str))
        raise _failed("cli.graph_to_dot_expand_failed", message, error, details) from error


def _python(path: Path) -> ProgramError:
    message = f"graph '{path}' cannot be loaded: it is Python"
    fix = "name the program in it with -P MODULE:ATTR, or the profile that has it with -p NAME"
    return ProgramError("cli.graph_to_dot_load_failed", message, where=str(path), fix=fix)


def _catalog(path: Path, project: Project | None) -> tuple[Catalog, tuple[Notice, ...]]:
    try:
        return graph_inventory(path, project).catalog, ()
    except ProgramError as error:
        if error.code != IMPORT_REFUSED:
            raise
        return standard_inventory().catalog, (Notice(error.message, error.where),)


def _failed(code: str, message: str, cause: ErgoError, details: tuple[str, ...] = ()) -> ProgramError:
    details += tuple(cause.details)
    return ProgramError(
        code, message, where=cause.where, fix=cause.fix, rule=cause.rule, details=details, causes=cause.causes
    )


def write_picture(path: Path, data: bytes, files: Iterable[str]) -> None:
    """Write a picture atomically, or to standard output for ``-``.

    Raises UsageError ``cli.conflicting_options`` for one of ``files``, of which the picture was made, ErgoError
    ``cli.graph_to_dot_write_failed``.
    """
    refuse_replacing(path, (Read(file, "a file of the picture") for file in files))
    try:
        with open_output(str(path)) as file:
            file.write(data)
            file.commit()
    except CaptureWriteError as error:
        raise ErgoError("cli.graph_to_dot_write_failed", error.message, where=error.where, fix=error.fix) from error
