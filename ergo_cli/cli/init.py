"""``ergo init``: make a project that can capture and replay immediately."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ergo_cli.cli.commands import Color, ColorOption, Format, FormatOption, QuietOption, VerboseOption, VersionOption

if TYPE_CHECKING:
    from ergo_cli.report.command_result import CommandResult

DirectoryArgument = Annotated[str, typer.Argument(metavar="DIR", help="The folder to make, or an empty one.")]

TEMPLATES = Path(__file__).parents[1] / "tools" / "init_kinds"
"""The templates of the kinds that are not the default."""

KINDS = ("graph", *sorted(place.parent.name for place in TEMPLATES.glob("*/init_template")))
"""The kinds of programs that a project can be made for, the default first."""


def _kind(name: str) -> str:
    """One of ``KINDS``. Raises typer.BadParameter."""
    if name not in KINDS:
        raise typer.BadParameter(f"'{name[:40]}' is none of {', '.join(KINDS)}")
    return name


KindOption = Annotated[
    str, typer.Option("--kind", parser=_kind, metavar=f"<{'|'.join(KINDS)}>", help="What its program is.")
]
ForceOption = Annotated[
    bool, typer.Option("--force", "-f", help="Write into a folder that is not empty; other files there are left.")
]


def init(
    directory: DirectoryArgument,
    kind: KindOption = KINDS[0],
    force: ForceOption = False,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Make a project: a program, events, a capture and its gate; with a graph also adapter, primitives, channels."""
    from ergo_cli.cli.session import Session
    from ergo_cli.errors import ErgoError
    from ergo_cli.host.timing import StopHandle
    from ergo_cli.report.tool_results import render_initialisation
    from ergo_cli.signals import Interrupted, requesting_stop
    from ergo_cli.tools.init_project import initialise

    session = Session("init", form, color, quiet=quiet, verbose=verbose)

    def work() -> CommandResult:
        stop = StopHandle()
        try:
            with requesting_stop(stop.stop_if_heeded):
                made = initialise(directory, kind=kind, force=force, stop=stop)
        except ErgoError as error:
            if stop.stopped:
                raise Interrupted from error
            raise
        return render_initialisation(directory, made)

    return session.conclude(work)
