"""``ergo explain``: show one episode of a bundle, node by node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ergo_cli.cli.commands import (
    AdapterOption,
    ClusterPathOption,
    Color,
    ColorOption,
    Format,
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
from ergo_cli.cli.report_options import PageFormatOption, PageReportOption

if TYPE_CHECKING:
    from ergo_cli.bundle.reader import BundleReader
    from ergo_cli.replay.explaining import Assigned
    from ergo_cli.report.command_result import CommandResult

BundleArgument = Annotated[str, typer.Argument(metavar="BUNDLE", help="The bundle.")]
EventOption = Annotated[str, typer.Option("--event", metavar="ID", help="The event whose episode is shown.")]
OnlyDifferingOption = Annotated[
    bool, typer.Option("--diff", help="Only nodes that did otherwise with the program of the capture.")
]
OccurrenceOption = Annotated[int, place_option("--occurrence", "N", "Which of several events of one id, from 0.")]


_ONE_SIDE = (
    "--diff leaves nothing out: there is no other graph of the capture, or it is not known; ergo why says what differs"
)
_RECORDED = "--diff leaves nothing out: all that is shown was recorded; ergo why compares it with today's program"


def explain(
    bundle: BundleArgument,
    event: EventOption,
    occurrence: OccurrenceOption = 0,
    graph: GraphOption = None,
    program: ProgramOption = None,
    adapter: AdapterOption = None,
    cluster_path: ClusterPathOption = None,
    profile: ProfileOption = None,
    project: ProjectOption = None,
    numbers: NumbersOption = None,
    diff: OnlyDifferingOption = False,
    max_input: MaxInputOption = None,
    form: PageFormatOption = Format.TEXT.value,
    report: PageReportOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Say what every node of the program did for one event, and why an action ran or did not."""
    from msgspec.structs import replace

    from ergo_cli.bundle.reader import open_bundle
    from ergo_cli.cli.session import Session
    from ergo_cli.core.diagnostics import Notice
    from ergo_cli.project.finding import ProgramFlags
    from ergo_cli.project.store import ProgramStore
    from ergo_cli.replay.explaining import explain_event
    from ergo_cli.replay.session import both_programs
    from ergo_cli.report.episodes import render_explanation

    reports = tuple(report or ())
    session = Session("explain", form, color, quiet=quiet, verbose=verbose, max_input=max_input, reports=reports)
    flags = ProgramFlags(graph, program, adapter, tuple(cluster_path or ()), profile, project)

    def work() -> CommandResult:
        notices: list[Notice] = []
        files = [bundle]

        def find(reader: BundleReader) -> Assigned:
            found = both_programs(reader, flags, ProgramStore.of_user(), numbers)
            session.note(f"{bundle}: program '{found.program.graph_id}' found by {found.rule}")
            notices.extend(found.notices)
            files.extend(found.files)
            return found

        with open_bundle(bundle) as reader:
            explained = explain_event(reader, find, event, occurrence)
        if diff and all(part.recorded is None for part in explained.parts):
            notices.append(Notice(_ONE_SIDE if explained.is_traced else _RECORDED))
        return replace(render_explanation(explained, tuple(notices), only_differing=diff), files=tuple(files))

    return session.conclude(work)
