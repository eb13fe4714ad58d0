"""``ergo explain``: one episode of a bundle, node by node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ergo_cli.cli.options import (
    AdapterOption,
    ClusterPathOption,
    Color,
    ColorOption,
    Format,
    FormatOption,
    GraphOption,
    NumbersOption,
    ProfileOption,
    ProgramOption,
    ProjectOption,
    QuietOption,
    VerboseOption,
    VersionOption,
)

if TYPE_CHECKING:
    from ergo_cli.bundle.reader import BundleReader
    from ergo_cli.report.told import Told

BundleArgument = Annotated[str, typer.Argument(metavar="BUNDLE", help="The bundle.")]
EventOption = Annotated[str, typer.Option("--event", metavar="ID", help="The event whose episode is told.")]
OccurrenceOption = Annotated[
    int, typer.Option("--occurrence", min=0, metavar="N", help="Which of several events of one id, from 0.")
]


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
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Say what every node of the program did for one event, and why an action ran or did not."""
    from ergo_cli.bundle.reader import open_bundle
    from ergo_cli.cli.session import Session
    from ergo_cli.project.finding import ProgramFlags
    from ergo_cli.project.store import ProgramStore
    from ergo_cli.replay.explaining import explain_event
    from ergo_cli.replay.sessions import find_for_bundle, graph_program, numbers_for
    from ergo_cli.report.episodes import explanation_told

    session = Session("explain", form, color, quiet=quiet, verbose=verbose)
    flags = ProgramFlags(graph, program, adapter, tuple(cluster_path or ()), profile, project)

    def work() -> Told:
        with open_bundle(bundle) as reader:
            if reader.program is not None and reader.program.kind == "kernel":
                return _journal(reader, event, occurrence)
            found = find_for_bundle(reader, flags, ProgramStore.of_user())
            session.note(f"{bundle}: program '{found.program.graph_id}' found by {found.rule}")
            graph_of = graph_program(reader, found.program)
            explained = explain_event(reader, graph_of, event, occurrence, numbers_for(found, numbers))
        return explanation_told(explained, found.notices)

    return session.conclude(work)


def _journal(reader: BundleReader, event: str, occurrence: int) -> Told:
    """A kernel bundle holds what happened: no program has to be found."""
    from ergo_cli.replay.kernel.explaining import explain_journal
    from ergo_cli.report.journals import journal_told

    return journal_told(explain_journal(reader, event, occurrence))
