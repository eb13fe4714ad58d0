"""``ergo fixture``: the original's tools for event streams."""

from __future__ import annotations

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
    beginning_with,
)

if TYPE_CHECKING:
    from ergo_cli.report.command_result import CommandResult

EventsArgument = Annotated[
    str, typer.Argument(metavar="EVENTS", help="A JSONL file (.gz and .zst too), or - for standard input.")
]
TableArgument = Annotated[str, typer.Argument(metavar="PRICES", help="A CSV file, or - for standard input.")]
OutputArgument = Annotated[
    str, typer.Argument(metavar="EVENTS", help="The fixture to write, or - for standard output.")
]


def _event_kind(spelling: str) -> str:
    from ergo_cli.tools.fixture_from_csv import parse_event_kind

    try:
        return parse_event_kind(spelling).value
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _event_kinds(incomplete: str) -> list[str]:
    from ergo_cli.tools.fixture_from_csv import EVENT_KINDS  # only a shell asks

    return beginning_with(incomplete, (kind.value for kind in EVENT_KINDS))


def _not_blank(text: str) -> str:
    if not text.strip():
        raise typer.BadParameter("it is blank")
    return text


SemanticKindOption = Annotated[
    str, typer.Option("--semantic-kind", parser=_not_blank, metavar="NAME", help="The semantic kind of the events.")
]
EventKindOption = Annotated[
    str,
    typer.Option(
        "--event-kind",
        parser=_event_kind,
        metavar="KIND",
        help="Pump, DataAvailable or Command.",
        autocompletion=_event_kinds,
    ),
]
EpisodeIdOption = Annotated[
    str, typer.Option("--episode-id", parser=_not_blank, metavar="ID", help="The label of the one episode.")
]


def inspect(
    events: EventsArgument,
    max_input: MaxInputOption = None,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Count what is in an event stream."""
    from ergo_cli.cli.session import Session
    from ergo_cli.report.tool_results import FIXTURE_INSPECT, render_fixture_stats
    from ergo_cli.tools.fixture_stats import inspect_fixture

    session = Session(FIXTURE_INSPECT, form, color, quiet=quiet, verbose=verbose, max_input=max_input)
    return session.conclude(lambda: render_fixture_stats(events, inspect_fixture(events)))


def validate(
    events: EventsArgument,
    max_input: MaxInputOption = None,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Check an event stream by itself."""
    from ergo_cli.cli.session import Session
    from ergo_cli.report.tool_results import FIXTURE_VALIDATE, render_fixture_check
    from ergo_cli.tools.fixture_stats import validate_fixture

    session = Session(FIXTURE_VALIDATE, form, color, quiet=quiet, verbose=verbose, max_input=max_input)
    return session.conclude(lambda: render_fixture_check(events, validate_fixture(events)))


def from_csv(
    prices: TableArgument,
    events: OutputArgument,
    semantic_kind: SemanticKindOption = "price_bar",
    event_kind: EventKindOption = "DataAvailable",
    episode_id: EpisodeIdOption = "E1",
    max_input: MaxInputOption = None,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Make an event stream of a table of prices."""
    from ergo_cli.cli.session import Session
    from ergo_cli.events.external import EventKind
    from ergo_cli.report.tool_results import FIXTURE_FROM_CSV, render_conversion
    from ergo_cli.tools.fixture_from_csv import ConversionOptions, convert_csv

    session = Session(FIXTURE_FROM_CSV, form, color, quiet=quiet, verbose=verbose, max_input=max_input, output=events)

    def work() -> CommandResult:
        options = ConversionOptions(semantic_kind, EventKind(event_kind), episode_id)
        return render_conversion(events, convert_csv(prices, events, options))

    return session.conclude(work)
