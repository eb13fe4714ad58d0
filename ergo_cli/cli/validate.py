"""``ergo validate``: check files without running anything."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from ergo_cli.cli.commands import (
    AdapterOption,
    ClusterPathOption,
    Color,
    ColorOption,
    FormatsOption,
    MaxInputOption,
    ProjectOption,
    QuietOption,
    VerboseOption,
    VersionOption,
)
from ergo_cli.cli.report_options import ReportFormatOption, ReportOption

if TYPE_CHECKING:
    from ergo_cli.report.command_result import CommandResult

FilesArgument = Annotated[
    list[str],
    typer.Argument(metavar="FILE...", help="Graphs, adapters, primitive manifests, events, bundles, project files."),
]
StrictOption = Annotated[bool, typer.Option("--strict", help="Take warnings for errors.")]


def validate(
    files: FilesArgument,
    strict: StrictOption = False,
    adapter: AdapterOption = None,
    formats: FormatsOption = False,
    cluster_path: ClusterPathOption = None,
    project: ProjectOption = None,
    max_input: MaxInputOption = None,
    form: ReportFormatOption = "text",
    reports: ReportOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Check files for everything that can be wrong with them."""
    from ergo_cli.cli.session import Session
    from ergo_cli.cli.usage import refuse_second_standard_input
    from ergo_cli.project.authored import load_adapter_file
    from ergo_cli.report.tool_results import render_validation
    from ergo_cli.tools.file_checks import Surroundings
    from ergo_cli.tools.validation import validate_files

    session = Session("validate", form, color, quiet=quiet, verbose=verbose, max_input=max_input, reports=reports or ())

    def work() -> CommandResult:
        refuse_second_standard_input(files)
        bound = None if adapter is None else load_adapter_file(adapter)
        surroundings = Surroundings(bound, tuple(cluster_path or ()), project, formats=formats)
        paths = (
            ("--adapter", adapter),
            *(("--cluster-path", each) for each in cluster_path or ()),
            ("--project", project),
        )
        words = (word for option, path in paths if path is not None for word in (option, str(path)))
        options = (*(("--strict",) if strict else ()), *(("--formats",) if formats else ()), *words)
        return render_validation(validate_files(files, surroundings, strict=strict, clock=monotonic), options)

    return session.conclude(work)
