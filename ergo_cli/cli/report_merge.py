"""``ergo report merge``: join the JSON reports of the shards of a replay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ergo_cli.cli.commands import (
    Color,
    ColorOption,
    ListOption,
    QuietOption,
    VerboseOption,
    VersionOption,
)
from ergo_cli.cli.report_options import ReportFormatOption, ReportOption

if TYPE_CHECKING:
    from ergo_cli.report.command_result import CommandResult

ReportsArgument = Annotated[
    list[str], typer.Argument(metavar="REPORT...", help="The JSON reports of all shards of one replay.")
]


def merge(
    files: ReportsArgument,
    listed: ListOption = False,
    form: ReportFormatOption = "text",
    reports: ReportOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Join the JSON reports of the shards of a replay into the report of the whole."""
    from ergo_cli.cli.session import Session
    from ergo_cli.report.merging import merged, read_shard_report

    session = Session("report.merge", form, color, quiet=quiet, verbose=verbose, reports=reports or ())

    def work() -> CommandResult:
        found = [read_shard_report(path, _text_of(path)) for path in files]
        return merged(found, listed=listed, verbose=verbose)

    return session.conclude(work)


def _text_of(path: str) -> bytes:
    from ergo_cli.errors import ErgoError, reason

    try:
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:
        message = f"the report '{path}' cannot be read: {reason(error)}"
        raise ErgoError("report.read_failed", message, where=path, fix="name a file that can be read") from error
