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
    from ergo_cli.bundle.reader import BundleReader
    from ergo_cli.core.diagnostics import Notice
    from ergo_cli.programs.changes import Change
    from ergo_cli.replay.explaining import Assigned
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
    from msgspec.structs import replace

    from ergo_cli.bundle.reader import open_bundle
    from ergo_cli.cli.session import Session
    from ergo_cli.project.finding import ProgramFlags
    from ergo_cli.project.store import ProgramStore
    from ergo_cli.replay.reasons import why_event
    from ergo_cli.replay.record_reasons import why_closing, why_recorded
    from ergo_cli.replay.session import (
        ReplayRequest,
        all_decisions,
        first_divergence,
        one_decision,
        programs_and_changes,
    )
    from ergo_cli.report.picture_forms import Form, form_of
    from ergo_cli.report.why import render_why

    session = Session("why", form, color, quiet=quiet, verbose=verbose, output=output, max_input=max_input)
    flags = ProgramFlags(graph, program, adapter, tuple(cluster_path or ()), profile, project)
    store = ProgramStore.of_user()
    request = ReplayRequest(flags, strict=False, numbers=numbers)

    def work() -> CommandResult:
        chosen = form_of(output, None if as_ is None else Form(as_.value))
        notices: list[Notice] = []
        files = [bundle]
        changes: list[Change] = []
        event_id, at, node = event, occurrence, path

        def find(reader: BundleReader) -> Assigned:
            found, changed = programs_and_changes(reader, flags, store, numbers)
            notices.extend(found.notices)
            files.extend(found.files)
            changes.extend(changed.found)
            return found

        if event_id is None:
            first = first_divergence(bundle, request, store)
            if first is None:
                with open_bundle(bundle) as reader:
                    find(reader)
                return render_why(None, f"nothing of {bundle} differs; name an event", (), None, changes)
            event_id, at, node = first.event_id, first.occurrence, None if first.journal else first.node
        with open_bundle(bundle) as reader:
            if event_id is None:
                found = why_closing(reader, find, lambda: all_decisions(bundle, request, store))
            elif reader.kind.computing is not None:
                found = why_event(reader, find, event_id, node, at)
            else:
                found = why_recorded(
                    reader, find, lambda seq: one_decision(bundle, request, store, seq), event_id, node, at
                )
        if found is not None:
            found = replace(found, changes=tuple(changes))
        if found is None or (chosen is Form.TEXT and output is None):
            of = "of the end" if event_id is None else f"of event '{event_id}'"
            return render_why(found, f"nothing {of} differs; name a part of it", (*notices,), depth, changes)
        from ergo_cli.report.why_picture import draw_why, render_drawn_why
        from ergo_cli.tools.pictures import write_picture

        drawn = draw_why(found, chosen, depth)
        if output is not None:
            write_picture(output, drawn.data, files)
        return render_drawn_why(found, drawn, output, (*notices,), depth)

    return session.conclude(work)
