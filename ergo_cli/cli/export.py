"""``ergo export``: write what a bundle records, or what a replay of it finds, as rows for other tools."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ergo_cli.cli.commands import (
    MOST_LISTED,
    AdapterOption,
    ClusterPathOption,
    Color,
    ColorOption,
    Format,
    FormatOption,
    GraphOption,
    GuardOption,
    IgnoreOption,
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
from ergo_cli.cli.replay import StrictOption

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ergo_cli.report.command_result import CommandResult
    from ergo_cli.tools.export.forms import RowForm
    from ergo_cli.tools.export.rows import Records


class As(Enum):
    """The form of the rows."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


DecisionsOption = Annotated[bool, typer.Option("--decisions", help="One row a decision, as without any of these.")]
EffectsOption = Annotated[bool, typer.Option("--effects", help="One row an effect.")]
EventsOption = Annotated[bool, typer.Option("--events", help="One row an event.")]
DivergencesOption = Annotated[
    bool, typer.Option("--divergences", help="Replay the bundle; one row for each divergence.")
]
WhereOption = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="PATH=VALUE", help="Only rows that have this value there; repeatable."),
]
AsOption = Annotated[
    As | None, typer.Option("--as", help="The form of the rows; else by the suffix of the output, else jsonl.")
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", readable=False, help="Where the rows go, if not to standard output."
    ),
]
MostDivergencesOption = Annotated[
    int | None, place_option("--max-divergences", "N", f"How many divergences are looked at, {MOST_LISTED} else.")
]

STANDARD_OUTPUT = "-"


def export(
    bundle: BundleArgument,
    decisions: DecisionsOption = False,
    effects: EffectsOption = False,
    events: EventsOption = False,
    divergences: DivergencesOption = False,
    where: WhereOption = None,
    as_: AsOption = None,
    output: OutputOption = None,
    strict: StrictOption = False,
    graph: GraphOption = None,
    program: ProgramOption = None,
    adapter: AdapterOption = None,
    cluster_path: ClusterPathOption = None,
    profile: ProfileOption = None,
    project: ProjectOption = None,
    ignore: IgnoreOption = None,
    max_divergences: MostDivergencesOption = None,
    numbers: NumbersOption = None,
    guard: GuardOption = False,
    max_input: MaxInputOption = None,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Write decisions, effects, events or divergences of a bundle as rows for other tools."""
    from ergo_cli.cli.session import Session
    from ergo_cli.cli.streams import is_terminal
    from ergo_cli.project.finding import ProgramFlags
    from ergo_cli.project.store import ProgramStore
    from ergo_cli.replay.session import ReplayRequest
    from ergo_cli.report.tool_results import render_export
    from ergo_cli.tools.conditions import conditions_of
    from ergo_cli.tools.export.exporting import ExportRequest, export_divergences, export_records
    from ergo_cli.tools.export.forms import RowForm, row_form
    from ergo_cli.tools.export.rows import Records

    destination = STANDARD_OUTPUT if output is None else str(output)
    session = Session("export", form, color, quiet=quiet, verbose=verbose, max_input=max_input, output=destination)
    flags = ProgramFlags(graph, program, adapter, tuple(cluster_path or ()), profile, project, guard)
    on_terminal = destination == STANDARD_OUTPUT and is_terminal(sys.stdout)
    chosen = {
        Records.DECISIONS: decisions,
        Records.EFFECTS: effects,
        Records.EVENTS: events,
        Records.DIVERGENCES: divergences,
    }
    of_replay = {
        "--strict": strict,
        "--graph": graph,
        "--program": program,
        "--adapter": adapter,
        "--cluster-path": cluster_path,
        "--profile": profile,
        "--project": project,
        "--ignore": ignore,
        "--max-divergences": max_divergences,
        "--numbers": numbers,
        "--guard": guard,
    }

    def work() -> CommandResult:
        records = _records(chosen)
        named = row_form(destination, None if as_ is None else RowForm(as_.value))
        if on_terminal:
            _refuse_on_terminal(named)
        request = ExportRequest(bundle, records, named, destination, conditions_of(where or ()))
        with session.progress("export") as on_row:
            if divergences:
                listed = MOST_LISTED if max_divergences is None else max_divergences
                patterns = None if ignore is None else tuple(ignore)
                replay = ReplayRequest(flags, strict, patterns, listed, numbers)
                return render_export(request, export_divergences(request, replay, ProgramStore.of_user(), on_row))
            _refuse_options_of_replay(of_replay)
            return render_export(request, export_records(request, on_row))

    return session.conclude(work)


def _records(chosen: Mapping[Records, bool]) -> Records:
    """What is asked for, decisions where nothing is. Raises UsageError for several."""
    from ergo_cli.errors import UsageError

    asked = [records for records, is_asked in chosen.items() if is_asked]
    if len(asked) > 1:
        first, second = (f"--{records.value}" for records in asked[:2])
        message, fix = f"{first} and {second} ask for different rows", "give one of them, and export twice for both"
        raise UsageError("cli.conflicting_options", message, where=f"option {second}", fix=fix)
    return asked[0] if asked else next(iter(chosen))


def _refuse_options_of_replay(given: Mapping[str, object]) -> None:
    """Raise UsageError for an option that only a replay heeds."""
    from ergo_cli.errors import UsageError

    option = next((name for name, value in given.items() if value is not None and value is not False), None)
    if option is not None:
        message = f"{option} says how to replay, and what is recorded is exported without a replay"
        fix = f"leave {option} out, or export --divergences"
        raise UsageError("cli.conflicting_options", message, where=f"option {option}", fix=fix)


def _refuse_on_terminal(form: RowForm) -> None:
    """Raise UsageError for rows that are no text."""
    from ergo_cli.errors import UsageError
    from ergo_cli.tools.export.forms import RowForm

    if form is RowForm.PARQUET:
        message, fix = "Parquet is no text for a terminal", "name a file with -o rows.parquet"
        raise UsageError("cli.missing_required_option", message, where="option --output", fix=fix)
