"""``ergo recover``: make a bundle from the journal of a run that did not finish."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ergo_cli.cli.commands import Color, ColorOption, Format, FormatOption, QuietOption, VerboseOption, VersionOption

if TYPE_CHECKING:
    from ergo_cli.report.command_result import CommandResult

JournalArgument = Annotated[
    Path, typer.Argument(metavar="JOURNAL", readable=False, help="The file that the run was given with --journal.")
]
OutputOption = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="BUNDLE", readable=False, help="Where the bundle goes; - is standard output."
    ),
]


def recover(
    journal: JournalArgument,
    output: OutputOption,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Make the bundle of every step that a journalled run committed."""
    from ergo_cli.cli.session import Session
    from ergo_cli.host.recovery import recover as recover_bundle
    from ergo_cli.report.runs import render_recovery

    session = Session("recover", form, color, quiet=quiet, verbose=verbose, output=output)

    def work() -> CommandResult:
        return render_recovery(str(journal), recover_bundle(journal, str(output)))

    return session.conclude(work)
