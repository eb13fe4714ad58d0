"""``ergo graph``: load a graph for a picture, draw it with Graphviz, write the file (spec 30 §25)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO, BinaryIO, cast

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.channels.group import ProcessGroup
from ergo_cli.core.diagnostics import Notice
from ergo_cli.errors import CaptureWriteError, ErgoError, ProgramError, RuleError, reason
from ergo_cli.host.files_read import Read, refuse_replacing
from ergo_cli.programs.graph.check.catalog import Catalog, standard_inventory
from ergo_cli.programs.graph.expand.boundary import with_bound_parameters
from ergo_cli.programs.graph.expand.expansion import expand
from ergo_cli.programs.graph.expand.instances import version_candidates
from ergo_cli.programs.graph.files.discovery import Discovered
from ergo_cli.programs.graph.model import ExpandedGraph
from ergo_cli.project.loading import load_graph_assets
from ergo_cli.project.primitives import graph_inventory, graph_project
from ergo_cli.project.project_file import IMPORT_REFUSED, Project
from ergo_cli.project.trust import cluster_gate
from ergo_cli.stores.remedies import temporary_remedy
from ergo_cli.stores.standard_output import open_output
from ergo_cli.stores.temporaries import unnamed_file


class Picture(Struct, frozen=True):
    """A graph to be drawn, with the catalog of its primitives, the notices of loading it and the files it is in."""

    graph: ExpandedGraph
    catalog: Catalog
    notices: tuple[Notice, ...] = ()
    files: tuple[str, ...] = ()


def load_picture(path: Path, cluster_paths: tuple[Path, ...] = (), named: Path | None = None) -> Picture:
    """Load the graph or cluster at ``path``, valid or not, with the clusters and primitives of its project.

    The project is ``named``, or found above ``path``; without trust its primitives are drawn without being imported.
    Raises ProgramError: ``cli.graph_to_dot_load_failed``, ``cli.graph_to_dot_expand_failed``; ProjectError, and as
    ``load_inventory``.
    """
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
    return Picture(graph, catalog, found.notices + notices, files)


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


PICTURE_LIMIT = 64 * 1024 * 1024
"""How many bytes a picture of Graphviz may have."""

_WORDS = 4096
_FIX_INSTALL = (
    "install Graphviz (apt install graphviz, brew install graphviz, https://graphviz.org/download), or use --as dot"
)


def draw_with_graphviz(dot: str, form: str) -> bytes:
    """Draw a DOT text as ``svg``, ``png`` or ``pdf`` with Graphviz: its program ``dot`` on the PATH, without a shell.

    Raises ErgoError: ``cli.graphviz_unavailable``, ``cli.graphviz_write_failed`` (the text cannot be handed over),
    ``cli.graphviz_wait_failed``, ``cli.graphviz_render_failed``.
    """
    program = shutil.which("dot")
    if program is None:
        message = "Graphviz is not installed: there is no program 'dot' on the PATH"
        raise ErgoError("cli.graphviz_unavailable", message, where="program 'dot'", fix=_FIX_INSTALL)
    with _temporary_file() as text, _temporary_file() as complaints:
        _hand_over(dot, text)
        drawn, status = _run(program, form, text, complaints)
        if len(drawn) > PICTURE_LIMIT:
            raise _not_rendered(program, f"the picture is larger than {PICTURE_LIMIT // 2**20} MiB", complaints)
        if status:
            raise _not_rendered(program, f"'dot' ended with status {status}", complaints)
        if not drawn:
            raise _not_rendered(program, "'dot' drew nothing", complaints)
    return drawn


def _temporary_file() -> IO[bytes]:
    try:
        return unnamed_file()
    except OSError as error:
        raise _not_handed_over(error) from error


def _hand_over(dot: str, text: IO[bytes]) -> None:
    """Write the text to a file: a pipe would block if ``dot`` does not read it."""
    try:
        text.write(dot.encode())
        text.seek(0)
    except OSError as error:
        raise _not_handed_over(error) from error


def _not_handed_over(error: OSError) -> ErgoError:
    message = f"the graph cannot be handed to 'dot': {reason(error)}"
    return ErgoError("cli.graphviz_write_failed", message, where="temporary file", fix=temporary_remedy(error))


def _run(program: str, form: str, text: IO[bytes], complaints: IO[bytes]) -> tuple[bytes, int]:
    """The program's output, cut off one byte beyond the limit, and its exit status."""
    try:
        group = ProcessGroup.start([program, f"-T{form}"], None, stdin=text, stderr=complaints)
    except OSError as error:
        message = f"'{program}' cannot be started: {reason(error)}"
        raise ErgoError("cli.graphviz_unavailable", message, where=program, fix=_FIX_INSTALL) from error
    with cast(BinaryIO, group.child.stdout) as pictured:
        try:
            drawn = pictured.read(PICTURE_LIMIT + 1)
            return drawn, 0 if len(drawn) > PICTURE_LIMIT else group.wait() or 0
        except OSError as error:
            message, fix = f"waiting for '{program}' failed: {reason(error)}", "try again, or use --as dot"
            raise ErgoError("cli.graphviz_wait_failed", message, where=program, fix=fix) from error
        finally:
            group.end()  # ``dot`` may be a script that starts another program


def _not_rendered(program: str, message: str, complaints: IO[bytes]) -> ErgoError:
    complaints.seek(0)
    words = complaints.read(_WORDS).decode(errors="replace").strip()
    fix = "use --as dot and look at the text, or reinstall Graphviz"
    return ErgoError("cli.graphviz_render_failed", message, where=program, fix=fix, details=(words,) if words else ())


def write_picture(path: Path, data: bytes, picture: Picture) -> None:
    """Write a picture atomically, or to standard output for ``-``.

    Raises UsageError ``cli.conflicting_options`` for a file that the picture was made of, ErgoError
    ``cli.graph_to_dot_write_failed``.
    """
    refuse_replacing(path, (Read(file, "a file of the graph") for file in picture.files))
    try:
        with open_output(str(path)) as file:
            file.write(data)
            file.commit()
    except CaptureWriteError as error:
        raise ErgoError("cli.graph_to_dot_write_failed", error.message, where=error.where, fix=error.fix) from error
