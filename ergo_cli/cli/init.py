"""``ergo init``: a project that captures and replays at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ergo_cli.cli.options import Color, ColorOption, Format, FormatOption, QuietOption, VerboseOption, VersionOption

if TYPE_CHECKING:
    from ergo_cli.report.told import Told

DirectoryArgument = Annotated[str, typer.Argument(metavar="DIR", help="The folder to make, or an empty one.")]
ForceOption = Annotated[
    bool, typer.Option("--force", "-f", help="Write into a folder that is not empty; other files there are left.")
]


def init(
    directory: DirectoryArgument,
    force: ForceOption = False,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Make a project: graph, adapter, own primitives, channels, events, a capture and its gate."""
    from ergo_cli.cli.interruption import Interrupted, requesting_stop
    from ergo_cli.cli.session import Session
    from ergo_cli.errors import ErgoError
    from ergo_cli.host.channels.process import kill_all
    from ergo_cli.host.initialising import initialise
    from ergo_cli.host.stopping import StopHandle
    from ergo_cli.report.initialisations import initialisation_told

    session = Session("init", form, color, quiet=quiet, verbose=verbose)

    def work() -> Told:
        stop = StopHandle()
        try:
            with requesting_stop(stop.stop, kill_all):
                made = initialise(directory, force=force, stop=stop)
        except ErgoError as error:
            if stop.stopped:
                raise Interrupted from error
            raise
        return initialisation_told(directory, made)

    return session.conclude(work)
