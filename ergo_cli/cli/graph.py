"""``ergo graph``: draw a program, or the run that a bundle records."""

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
    MaxInputOption,
    ProfileOption,
    ProgramOption,
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


FileArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="FILE",
        readable=False,
        help="A graph or cluster, or a bundle, of which the run is drawn. Without it, the program that is named.",
    ),
]
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
    file: FileArgument = None,
    program: ProgramOption = None,
    profile: ProfileOption = None,
    as_: AsOption = None,
    output: OutputOption = None,
    show_ports: ShowPortsOption = False,
    show_impl: ShowImplOption = False,
    show_runtime_id: ShowRuntimeIdOption = False,
    cluster_path: ClusterPathOption = None,
    project: ProjectOption = None,
    max_input: MaxInputOption = None,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Draw a program, or the run that a bundle records with what became of each part."""
    from ergo_cli.cli.session import Session
    from ergo_cli.cli.usage import refuse_program_beside_file
    from ergo_cli.project.finding import ProgramFlags
    from ergo_cli.report.picture_forms import Form, form_of
    from ergo_cli.report.picture_looks import Shown
    from ergo_cli.report.pictures import draw, render_picture
    from ergo_cli.tools.pictures import load_picture, write_picture

    session = Session("graph", form, color, quiet=quiet, verbose=verbose, output=output, max_input=max_input)
    flags = ProgramFlags(program=program, profile=profile, cluster_paths=tuple(cluster_path or ()), project=project)

    def work() -> CommandResult:
        chosen = form_of(output, None if as_ is None else Form(as_.value))
        refuse_program_beside_file(file, program, profile)
        loaded = load_picture(file, flags)
        drawn = draw(loaded.picture, chosen, Shown(show_ports, show_impl, show_runtime_id))
        if output is not None:
            write_picture(output, drawn.data, loaded.files)
        return render_picture(loaded, drawn, output)

    return session.conclude(work)
