"""``ergo why``: the chain behind a value, recorded beside today's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ergo_cli.cli.commands import (
    AdapterOption,
    ClusterPathOption,
    Color,
    ColorOption,
    Format,
    FormatOption,
    GraphOption,
    MaxInputOption,
    NumbersOption,
    ProfileOption,
    ProgramOption,
    ProjectOption,
    QuietOption,
    VerboseOption,
    VersionOption,
    place_option,
)
from ergo_cli.cli.explain import BundleArgument
from ergo_cli.cli.graph import As, OutputOption

if TYPE_CHECKING:
    from ergo_cli.report.command_result import CommandResult

EventArgument = Annotated[
    str | None, typer.Argument(metavar="[EVENT]", help="The event; else that of the first divergence.")
]
PathArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[PATH]", help="A node, a record, a member of a state, the key or kind of an effect; else what differs."
    ),
]
OccurrenceOption = Annotated[int, place_option("--occurrence", "N", "Which of several events of one id, from 0.")]
AsOption = Annotated[
    As | None, typer.Option("--as", help="Draw the chain; else by the suffix of the output, else text.")
]
DepthOption = Annotated[int | None, place_option("--depth", "N", "How many steps of the chain are shown.")]


def why(
    bundle: BundleArgument,
    event: EventArgument = None,
    path: PathArgument = None,
    occurrence: OccurrenceOption = 0,
    depth: DepthOption = None,
    as_: AsOption = None,
    output: OutputOption = None,
    graph: GraphOption = None,
    program: ProgramOption = None,
    adapter: AdapterOption = None,
    cluster_path: ClusterPathOption = None,
    profile: ProfileOption = None,
    project: ProjectOption = None,
    numbers: NumbersOption = None,
    max_input: MaxInputOption = None,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Say why a value is what it is: the nodes behind it, back to payload, memory, constants and the change."""
    from ergo_cli.cli.session import Session
    from ergo_cli.project.finding import ProgramFlags
    from ergo_cli.project.store import ProgramStore
    from ergo_cli.replay.questions import Question, reply_to
    from ergo_cli.replay.session import ReplayRequest
    from ergo_cli.report.picture_forms import Form, form_of
    from ergo_cli.report.why import render_why

    session = Session("why", form, color, quiet=quiet, verbose=verbose, output=output, max_input=max_input)
    flags = ProgramFlags(graph, program, adapter, tuple(cluster_path or ()), profile, project)

    def work() -> CommandResult:
        chosen = form_of(output, None if as_ is None else Form(as_.value))
        request = ReplayRequest(flags, strict=False, numbers=numbers)
        reply = reply_to(Question(bundle, event, path, occurrence), request, ProgramStore.of_user())
        if reply.why is None or (chosen is Form.TEXT and output is None):
            return render_why(reply.why, reply.nothing, reply.notices, depth, reply.changes, reply.without_chain)
        from ergo_cli.report.why_picture import draw_why, render_drawn_why
        from ergo_cli.tools.pictures import write_picture

        drawn = draw_why(reply.why, chosen, depth)
        if output is not None:
            write_picture(output, drawn.data, reply.files)
        return render_drawn_why(reply.why, drawn, output, reply.notices, depth)

    return session.conclude(work)
