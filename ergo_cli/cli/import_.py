"""``ergo import``: make a stream of events of a table or of documents."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ergo_cli.cli.commands import (
    Color,
    ColorOption,
    Format,
    FormatOption,
    MaxInputOption,
    QuietOption,
    VerboseOption,
    VersionOption,
)

if TYPE_CHECKING:
    from ergo_cli.report.command_result import CommandResult
    from ergo_cli.tools.importing.importing import ImportRequest


class From(Enum):
    """The form of a source."""

    CSV = "csv"
    TSV = "tsv"
    JSON = "json"
    JSONL = "jsonl"
    PARQUET = "parquet"
    ARROW = "arrow"


class MissingValues(Enum):
    """What becomes of a row that lacks a value."""

    NULL = "null"
    DROP = "drop"
    REFUSE = "refuse"


class AtUnit(Enum):
    """What a count since 1970 counts."""

    S = "s"
    MS = "ms"
    US = "us"
    NS = "ns"


class SortBy(Enum):
    """What events are sorted by."""

    AT = "at"


SourceArgument = Annotated[
    str, typer.Argument(metavar="SOURCE", help="A table or documents (.gz and .zst too), or - for standard input.")
]
EventsOption = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="EVENTS", readable=False, help="The stream to write; - is standard output."),
]
FromOption = Annotated[From | None, typer.Option("--from", help="The form of the source; else by its suffix.")]
IdOption = Annotated[
    list[str] | None, typer.Option("--id", metavar="COLUMNS", help="The id of an event; several columns are joined.")
]
AtOption = Annotated[
    list[str] | None, typer.Option("--at", metavar="COLUMNS", help="The time of an event, such as Date,Time.")
]
UnitOption = Annotated[AtUnit | None, typer.Option("--at-unit", help="What times count that are numbers.")]
ZoneOption = Annotated[
    str | None, typer.Option("--zone", metavar="NAME", help="The zone of times that say none, such as Europe/Berlin.")
]
KindOption = Annotated[
    str | None, typer.Option("--kind", metavar="NAME", help="The semantic kind of the events, for an adapter.")
]
MapOption = Annotated[
    list[str] | None, typer.Option("--map", metavar="NAME=COLUMN", help="A member of payloads; repeatable.")
]
DropOption = Annotated[
    list[str] | None, typer.Option("--drop", metavar="COLUMNS", help="Columns that payloads do not get.")
]
WhereOption = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="PATH=VALUE", help="Only rows that have this value there; repeatable."),
]
SortOption = Annotated[SortBy | None, typer.Option("--sort-by", help="Write the events in the order of their times.")]
MissingOption = Annotated[
    MissingValues, typer.Option("--missing", help="A row without some value: null there, no event, or an error.")
]
NullOption = Annotated[
    list[str] | None, typer.Option("--null", metavar="TEXT", help="A cell that stands for no value; repeatable.")
]
TextOption = Annotated[
    list[str] | None, typer.Option("--text", metavar="COLUMN", help="A column of texts, also if like numbers.")
]
ThousandsOption = Annotated[
    str | None, typer.Option("--thousands", metavar="CHARACTER", help="What separates thousands in numbers.")
]
DecimalOption = Annotated[
    str, typer.Option("--decimal", metavar="CHARACTER", help="What separates the fraction of numbers.")
]


def import_(
    source: SourceArgument,
    output: EventsOption,
    from_: FromOption = None,
    id_: IdOption = None,
    at: AtOption = None,
    at_unit: UnitOption = None,
    zone: ZoneOption = None,
    kind: KindOption = None,
    map_: MapOption = None,
    drop: DropOption = None,
    where: WhereOption = None,
    sort_by: SortOption = None,
    missing: MissingOption = MissingValues.NULL,
    null: NullOption = None,
    text: TextOption = None,
    thousands: ThousandsOption = None,
    decimal: DecimalOption = ".",
    max_input: MaxInputOption = None,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Make an event stream of a table, of JSON or of Parquet."""
    from ergo_cli.cli.session import Session
    from ergo_cli.errors import UsageError
    from ergo_cli.report.tool_results import render_import
    from ergo_cli.tools.conditions import conditions_of
    from ergo_cli.tools.importing.cells import Notation
    from ergo_cli.tools.importing.columns import Columns, Missing, listed, renamed_of
    from ergo_cli.tools.importing.importing import ImportRequest, import_events
    from ergo_cli.tools.importing.sources import SourceForm, source_form
    from ergo_cli.tools.importing.times import Unit, zone_of

    session = Session("import", form, color, quiet=quiet, verbose=verbose, max_input=max_input, output=output)

    def request() -> ImportRequest:
        if not at:
            for option, given in (("--at-unit", at_unit), ("--zone", zone), ("--sort-by", sort_by)):
                if given is not None:
                    message = f"{option} is about times, and no column has them"
                    fix = "name the column of the times with --at"
                    raise UsageError("cli.missing_required_option", message, where=f"option {option}", fix=fix)
        ids = listed(id_ or ())
        return ImportRequest(
            source=source,
            output=str(output),
            form=source_form(source, None if from_ is None else SourceForm(from_.value)),
            columns=Columns(ids, listed(at or ()), renamed_of(map_ or ()), listed(drop or ())),
            notation=Notation(
                thousands,
                decimal,
                frozenset(null or ()),
                frozenset(text or ()),
                frozenset(column.name for column in ids),
            ),
            conditions=conditions_of(where or ()),
            semantic_kind=kind,
            missing=Missing(missing.value),
            zone=None if zone is None else zone_of(zone),
            unit=None if at_unit is None else Unit(at_unit.value),
            is_sorted=sort_by is not None,
        )

    def work() -> CommandResult:
        asked = request()
        with session.progress("import", counts="row") as on_row:
            return render_import(asked.source, asked.form.value, asked.output, import_events(asked, on_row))

    return session.conclude(work)
