"""The commands of ``ergo`` and the options they share.

A command is imported, and its signature read, on request: reading all signatures takes longer than many commands run.
Commands import libraries when they run, so that ``ergo --version`` and usage errors do not load them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from ergo_cli.core.numbers import U64_MAX, Numbers
from ergo_cli.version import __version__


class Format(Enum):
    """How a result is written."""

    TEXT = "text"
    JSON = "json"


class Color(Enum):
    """Whether text is coloured; ``AUTO`` asks the terminal, ``NO_COLOR`` and ``FORCE_COLOR``."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def _duration(literal: str) -> int:
    from ergo_cli.core.time import parse_duration  # most command lines have no duration

    try:
        return parse_duration(literal)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _jobs(text: str) -> int:
    if text == "auto":
        return os.cpu_count() or 1
    if not str(text).isdecimal() or int(text) == 0:
        raise typer.BadParameter(f"'{text}' is neither a number of processes from 1 nor auto")
    return int(text)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"ergo {__version__}")
        raise typer.Exit


def _count_option(name: str, help_text: str) -> object:
    return typer.Option(name, min=0, max=U64_MAX, metavar="N", help=help_text, show_default=False)


def _duration_option(name: str, help_text: str) -> object:
    return typer.Option(name, parser=_duration, metavar="DURATION", help=help_text, show_default=False)


VersionOption = Annotated[
    bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
]
FormatOption = Annotated[Format, typer.Option("--format", help="How to write the result.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No notes, warnings or progress on standard error.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Say which program was found, and by which rule.")]
ColorOption = Annotated[Color, typer.Option("--color", help="Whether to colour text.")]

EventsArgument = Annotated[
    str | None,
    typer.Argument(metavar="EVENTS", help="A JSONL file (.gz and .zst too), or - for standard input."),
]
DriverCmdOption = Annotated[
    str | None,
    typer.Option("--driver-cmd", metavar="PROGRAM", help="A program that emits the events, in place of EVENTS."),
]
DriverArgOption = Annotated[
    list[str] | None,
    typer.Option("--driver-arg", metavar="VALUE", help="An argument of that program; repeatable."),
]
EgressConfigOption = Annotated[
    Path | None,
    typer.Option("--egress-config", metavar="FILE", readable=False, help="Where intents go: channels and routes."),
]
JournalOption = Annotated[
    Path | None,
    typer.Option("--journal", metavar="FILE", readable=False, help="Sync every step to this file; see ergo recover."),
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="STORE", help="Where runs of Python programs are kept: sqlite:PATH, postgres:DSN, default."
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="BUNDLE", readable=False, help="Where the bundle goes; - is standard output."
    ),
]
GraphOption = Annotated[
    Path | None, typer.Option("--graph", "-g", metavar="FILE", readable=False, help="The graph to run.")
]
ProgramOption = Annotated[
    str | None, typer.Option("--program", "-P", metavar="MODULE:ATTR", help="The Python program to run.")
]
AdapterOption = Annotated[
    Path | None,
    typer.Option("--adapter", "-a", metavar="FILE", readable=False, help="The adapter that binds events and effects."),
]
ClusterPathOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--cluster-path",
        "--search-path",
        metavar="DIR",
        readable=False,
        help="A folder to find clusters in; repeatable.",
    ),
]
ProfileOption = Annotated[
    str | None, typer.Option("--profile", "-p", metavar="NAME", help="The profile of the project to use.")
]
ProjectOption = Annotated[
    Path | None,
    typer.Option("--project", metavar="DIR", readable=False, help="The project's folder, instead of looking for it."),
]
NumbersOption = Annotated[
    Numbers | None, typer.Option("--numbers", help="Read numbers exactly, or as the original misreads them.")
]
GuardOption = Annotated[
    bool, typer.Option("--guard", help="Refuse own primitives that read clock, randomness, environment or files.")
]
FailOnErrorOption = Annotated[bool, typer.Option("--fail-on-error", help="Exit with 1 if an episode did not complete.")]
IgnoreOption = Annotated[
    list[str] | None,
    typer.Option("--ignore", metavar="PATH", help="A path inside decisions to leave out; repeatable."),
]
JobsOption = Annotated[
    int,
    typer.Option("--jobs", parser=_jobs, metavar="N|auto", help="Bundles replayed at once; auto: one a core."),
]
MaxDivergencesOption = Annotated[
    int, typer.Option("--max-divergences", min=0, metavar="N", help="How many divergences a bundle lists at most.")
]

MaxEventsOption = Annotated[int | None, _count_option("--max-events", "Stop after so many events.")]
MaxDurationOption = Annotated[int | None, _duration_option("--max-duration", "Stop after this time.")]
MaxInFlightOption = Annotated[int | None, _count_option("--max-in-flight", "Episodes running at once, at most.")]
MaxPerWindowOption = Annotated[int | None, _count_option("--max-per-window", "Invocations per rate window, at most.")]
RateWindowOption = Annotated[int | None, _duration_option("--rate-window", "The rate window: 500ms, 5s, 2m, 1h.")]
DeadlineOption = Annotated[int | None, _duration_option("--deadline", "The time an episode may take.")]
MaxRetriesOption = Annotated[int | None, _count_option("--max-retries", "Retries of an episode, at most.")]


def driver_command(program: str | None, arguments: Sequence[str] | None) -> tuple[str, ...] | None:
    """The command line of ``--driver-cmd`` and ``--driver-arg``. Raises UsageError for arguments without program."""
    if program is not None:
        return (program, *(arguments or ()))
    if arguments:
        from ergo_cli.errors import UsageError  # imported for this error only: most command lines are right

        message = "--driver-arg is an argument of a driver program, and there is none"
        fix = "name the program with --driver-cmd PROGRAM"
        raise UsageError("cli.missing_required_option", message, where="option --driver-cmd", fix=fix)
    return None


_SETTINGS = {"help_option_names": ["-h", "--help"]}

_COMMANDS = {
    name: f"{name}:{name}"
    for name in ("run", "capture", "replay", "diff", "inspect", "explain", "validate", "init", "graph", "recover")
}
_FIXTURE_COMMANDS = {"inspect": "fixture:inspect", "validate": "fixture:validate", "from-csv": "fixture:from_csv"}
_RUNS_COMMANDS = {
    "list": "runs:list_",
    "show": "runs:show",
    "timeline": "runs:timeline",
    "resume": "runs:resume",
    "fork": "runs:fork",
}

NAMES = (*_COMMANDS, "fixture", "runs")
"""The names of the commands and command groups."""


def application(arguments: Sequence[str]) -> typer.Typer:
    """The parser of a command line: it has the command named first, none for ``--version``, else all of them."""
    first = arguments[0] if arguments else ""
    asked = (first,) if first in NAMES else () if first == "--version" else NAMES
    app = _typer(_ergo, {name: place for name, place in _COMMANDS.items() if name in asked})
    if "fixture" in asked:
        app.add_typer(_typer(_fixture, _FIXTURE_COMMANDS), name="fixture")
    if "runs" in asked:
        app.add_typer(_typer(_runs, _RUNS_COMMANDS), name="runs")
    return app


def _typer(callback: Callable[..., object], commands: Mapping[str, str]) -> typer.Typer:
    made = typer.Typer(
        add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, context_settings=_SETTINGS
    )
    made.callback(invoke_without_command=True)(callback)
    for name, place in commands.items():
        made.command(name, context_settings=_SETTINGS)(_function(place))
    return made


def _function(place: str) -> Callable[..., object]:
    module, _, name = place.partition(":")
    return getattr(import_module(f"ergo_cli.cli.{module}"), name)


def _ergo(context: typer.Context, version: VersionOption = False) -> None:
    """Run events through a deterministic program, capture what decided the outcome, prove later that it still does."""
    _show_help(context)


def _fixture(context: typer.Context, version: VersionOption = False) -> None:
    """Look into event streams, and make them of tables."""
    _show_help(context)


def _runs(context: typer.Context, version: VersionOption = False) -> None:
    """Look at the runs of stateful programs in a store, resume and fork them."""
    _show_help(context)


def _show_help(context: typer.Context) -> None:
    """Show the help of a command group if the command line names none of its commands."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
