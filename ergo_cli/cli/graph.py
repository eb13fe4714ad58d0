"""``ergo graph``: draw a graph."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ergo_cli.cli.commands import (
    ClusterPathOption,
    Color,
    ColorOption,
    Format,
    FormatOption,
    ProjectOption,
    QuietOption,
    VerboseOption,
    VersionOption,
)

if TYPE_CHECKING:
    from ergo_cli.report.command_result import CommandResult


class As(Enum):
    """The form of the picture."""

    TEXT = "text"
    DOT = "dot"
    MERMAID = "mermaid"
    SVG = "svg"
    PNG = "png"
    PDF = "pdf"


FileArgument = Annotated[Path, typer.Argument(metavar="FILE", readable=False, help="The graph or cluster to draw.")]
AsOption = Annotated[As | None, typer.Option("--as", help="What to draw; else by the suffix of the output, else text.")]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", readable=False, help="Where to write the picture; - is standard output."
    ),
]
ShowPortsOption = Annotated[bool, typer.Option("--show-ports", help="Name the ports of every edge.")]
ShowImplOption = Annotated[bool, typer.Option("--show-impl", help="Name the primitive of every node.")]
ShowRuntimeIdOption = Annotated[bool, typer.Option("--show-runtime-id", help="Name the runtime id of every node.")]


def graph(
    file: FileArgument,
    as_: AsOption = None,
    output: OutputOption = None,
    show_ports: ShowPortsOption = False,
    show_impl: ShowImplOption = False,
    show_runtime_id: ShowRuntimeIdOption = False,
    cluster_path: ClusterPathOption = None,
    project: ProjectOption = None,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Draw a graph with all its clusters opened."""
    from ergo_cli.cli.session import Session
    from ergo_cli.report.graph_pictures import Shown, draw, render_picture
    from ergo_cli.report.picture_forms import Form, form_of
    from ergo_cli.tools.pictures import load_picture, write_picture

    session = Session("graph", form, color, quiet=quiet, verbose=verbose, output=output)

    def work() -> CommandResult:
        chosen = form_of(output, None if as_ is None else Form(as_.value))
        picture = load_picture(file, tuple(cluster_path or ()), project)
        drawn = draw(picture, chosen, Shown(show_ports, show_impl, show_runtime_id))
        if output is not None:
            write_picture(output, drawn.data, picture)
        return render_picture(drawn, output)

    return session.conclude(work)
