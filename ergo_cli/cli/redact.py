"""``ergo redact``: a bundle that is there, with values of its payloads redacted."""

from __future__ import annotations

from pathlib import Path
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
    RedactKeyFileOption,
    RedactOption,
    VerboseOption,
    VersionOption,
)

if TYPE_CHECKING:
    from ergo_cli.report.command_result import CommandResult

BundleArgument = Annotated[Path, typer.Argument(metavar="BUNDLE", readable=False, help="The bundle to redact.")]
OutputOption = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="OUT", readable=False, help="The redacted bundle; - is standard output."),
]


def redact(
    bundle: BundleArgument,
    output: OutputOption,
    redact: RedactOption = None,
    redact_key_file: RedactKeyFileOption = None,
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
    """Record a bundle anew, with values of its payloads redacted."""
    from ergo_cli.cli.session import Session
    from ergo_cli.project.finding import ProgramFlags
    from ergo_cli.project.redaction import RedactFlags
    from ergo_cli.project.store import ProgramStore
    from ergo_cli.replay.session import ReplayRequest
    from ergo_cli.report.redaction import render_redacted
    from ergo_cli.tools.accept.proposals import workplace
    from ergo_cli.tools.redact.redacting import redact_bundle

    session = Session("redact", form, color, quiet=quiet, verbose=verbose, max_input=max_input, output=output)
    flags = ProgramFlags(graph, program, adapter, tuple(cluster_path or ()), profile, project)

    def work() -> CommandResult:
        request = ReplayRequest(flags, strict=False, numbers=numbers)
        values = RedactFlags(tuple(redact or ()), redact_key_file)
        with workplace() as folder, session.progress("redact") as on_event:
            redacted = redact_bundle(
                str(bundle), str(output), values, request, ProgramStore.of_user(), folder, on_event
            )
        return render_redacted(redacted, flags.words)

    return session.conclude(work)
