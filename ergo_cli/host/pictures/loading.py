"""A graph as a picture needs it: expanded, not necessarily valid (spec 30 §25)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.notices import Notice
from ergo_cli.errors import ErgoError, ProgramError, RuleError
from ergo_cli.programs.graph.candidates import version_candidates
from ergo_cli.programs.graph.catalog import Catalog, standard_inventory
from ergo_cli.programs.graph.discovery import Discovered
from ergo_cli.programs.graph.expanded import ExpandedGraph
from ergo_cli.programs.graph.expansion import expand
from ergo_cli.programs.graph.stand_ins import with_bound_parameters
from ergo_cli.project.graph_files import load_graph_assets
from ergo_cli.project.surroundings import graph_inventory, graph_project
from ergo_cli.project.toml import Project


class Picture(Struct, frozen=True):
    """A graph to be drawn, with the catalog that knows its primitives and what loading had to say."""

    graph: ExpandedGraph
    catalog: Catalog
    notices: tuple[Notice, ...] = ()


def load_picture(path: Path, cluster_paths: tuple[Path, ...] = (), named: Path | None = None) -> Picture:
    """The graph or cluster at ``path``, with the clusters and own primitives of its project (``named``, or nearby).

    Primitives of a project that is not trusted are drawn without being imported. Raises ProgramError:
    ``cli.graph_to_dot_load_failed``, ``cli.graph_to_dot_expand_failed``; ProjectError, and as ``load_inventory``.
    """
    project = graph_project(path, named)
    folders = () if project is None else (project.root / "clusters",)
    try:
        found = load_graph_assets(path, folders + cluster_paths)
    except ErgoError as error:
        message = f"graph '{path}' cannot be loaded: {error.message}"
        raise _failed("cli.graph_to_dot_load_failed", message, error) from error
    catalog, notices = _catalog(path, project)
    return Picture(expand_for_picture(found, catalog, os.path.realpath), catalog, found.notices + notices)


def expand_for_picture(
    found: Discovered, catalog: Catalog, locate: Callable[[str], str] | None = None
) -> ExpandedGraph:
    """The flat graph of what discovery found; parameters of the root are given stand-ins.

    ``locate`` turns a label into the place of a file; without it labels are those of texts in memory. Raises
    ProgramError ``cli.graph_to_dot_expand_failed``, which for a version that does not exist lists those that do.
    """
    assets = found.assets
    try:
        return expand(replace(assets, root=with_bound_parameters(assets.root)), catalog)
    except RuleError as error:
        message = f"graph expansion failed: [{error.rule}] {error.message}"
        heading = "available cluster sources:" if locate is None else "available cluster files:"
        details = tuple(version_candidates(error, assets, heading, locate or str))
        raise _failed("cli.graph_to_dot_expand_failed", message, error, details) from error


def _catalog(path: Path, project: Project | None) -> tuple[Catalog, tuple[Notice, ...]]:
    try:
        return graph_inventory(path, project).catalog, ()
    except ProgramError as error:
        if error.code != "program.import_refused":
            raise
        return standard_inventory().catalog, (Notice(error.message, error.where),)


def _failed(code: str, message: str, cause: ErgoError, details: tuple[str, ...] = ()) -> ProgramError:
    details += tuple(cause.details)
    return ProgramError(
        code, message, where=cause.where, fix=cause.fix, rule=cause.rule, details=details, causes=cause.causes
    )
