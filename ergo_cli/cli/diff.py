"""``ergo diff``: compare two bundles."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from ergo_cli.cli.commands import (
    MOST_LISTED,
    Color,
    ColorOption,
    IgnoreOption,
    ListOption,
    MaxDivergencesOption,
    MaxInputOption,
    ProjectOption,
    QuietOption,
    VerboseOption,
    VersionOption,
)
from ergo_cli.cli.fail_on import FailOnOption
from ergo_cli.cli.report_options import ReportFormatOption, ReportOption
from ergo_cli.core.levels import FailOn

if TYPE_CHECKING:
    from ergo_cli.report.command_result import CommandResult

BaseArgument = Annotated[str, typer.Argument(metavar="A", help="The bundle to compare with.")]
BundleArgument = Annotated[str, typer.Argument(metavar="B", help="The bundle to compare.")]


def diff(
    base: BaseArgument,
    bundle: BundleArgument,
    ignore: IgnoreOption = None,
    fail_on: FailOnOption = FailOn.ANY,
    max_divergences: MaxDivergencesOption = MOST_LISTED,
    listed: ListOption = False,
    project: ProjectOption = None,
    max_input: MaxInputOption = None,
    form: ReportFormatOption = "text",
    reports: ReportOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Compare two bundles, event by event, without running anything."""
    from msgspec.structs import replace

    from ergo_cli.cli.session import Session
    from ergo_cli.cli.usage import refuse_second_standard_input
    from ergo_cli.project.store import ProgramStore
    from ergo_cli.replay.diffing import diff_with_changes
    from ergo_cli.replay.paths import patterns_of_project, unmatched
    from ergo_cli.report.comparisons import DIFF, Shown, render_comparison

    session = Session("diff", form, color, quiet=quiet, verbose=verbose, max_input=max_input, reports=reports or ())

    def work() -> CommandResult:
        refuse_second_standard_input((base, bundle))
        begun = monotonic()
        patterns = patterns_of_project(ignore, Path(base), project)
        compared = diff_with_changes(base, bundle, patterns, max_divergences, fail_on, ProgramStore.of_user())
        result = replace(compared, seconds=monotonic() - begun)
        ignored = (word for pattern in ignore or () for word in ("--ignore", pattern))
        gate = () if fail_on is FailOn.ANY else ("--fail-on", fail_on.value)
        named = () if project is None else ("--project", str(project))
        shown = Shown(listed, verbose, options=(*ignored, *gate, *named))
        return render_comparison("diff", [result], DIFF, unmatched(patterns), shown)

    return session.conclude(work)
