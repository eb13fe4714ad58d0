"""The options that commands share, each defined once (spec 00 §7)."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ergo_cli import __version__
from ergo_cli.core.numbers import U64_MAX, Numbers


class Format(Enum):
    """How a result is told."""

    TEXT = "text"
    JSON = "json"


class Color(Enum):
    """Whether text is coloured; ``AUTO`` asks the terminal, ``NO_COLOR`` and ``FORCE_COLOR``."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def _duration(literal: str) -> int:
    from ergo_cli.core.time import parse_duration  # most command lines name no duration

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
FormatOption = Annotated[Format, typer.Option("--format", help="How to tell the result.")]
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
    Path | None, typer.Option("--output", "-o", metavar="BUNDLE", readable=False, help="Where the bundle goes.")
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
