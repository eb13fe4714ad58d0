"""The commands of ``ergo`` and the options they share.

A command is imported, and its signature read, on request: reading all signatures takes longer than many commands run.
Commands import libraries when they run, so that ``ergo --version`` and usage errors do not load them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum, StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from ergo_cli.core.numbers import I64_MAX, U64_MAX, Numbers
from ergo_cli.version import __version__


class Format(StrEnum):
    """How a result is written."""

    TEXT = "text"
    JSON = "json"


class Color(Enum):
    """Whether text is coloured; ``AUTO`` asks the terminal, ``NO_COLOR`` and ``FORCE_COLOR``."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


MOST_JOBS = 1024
"""The most processes that ``--jobs`` may ask for."""


def _duration(literal: str) -> int:
    from ergo_cli.core.time import parse_duration  # most command lines have no duration

    try:
        return parse_duration(literal)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


_SIZES = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def _size(literal: str) -> int:
    digits = str(literal).rstrip("KMGTiB")
    unit = str(literal)[len(digits) :]
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 20 and unit in _SIZES):
        raise typer.BadParameter(f"'{literal}' is not a size such as 500MiB or 100GiB")
    return int(digits) * _SIZES[unit]


def _jobs(text: str) -> int:
    if text == "auto":
        return os.cpu_count() or 1
    digits = str(text)
    if not digits.isdecimal() or len(digits) > len(str(MOST_JOBS)) or not 1 <= int(digits) <= MOST_JOBS:
        raise typer.BadParameter(f"'{digits[:40]}' is neither a number of processes from 1 to {MOST_JOBS} nor auto")
    return int(digits)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"ergo {__version__}")
        raise typer.Exit


def _count_option(name: str, help_text: str) -> object:
    return typer.Option(name, min=0, max=U64_MAX, metavar="N", help=help_text, show_default=False)


def place_option(name: str, metavar: str, help_text: str) -> object:
    """An option that counts records from 0: no file holds more than an i64 can count."""
    return typer.Option(name, min=0, max=I64_MAX, metavar=metavar, help=help_text)


def duration_option(name: str, help_text: str) -> object:
    """An option for a duration literal."""
    return typer.Option(name, parser=_duration, metavar="DURATION", help=help_text, show_default=False)


def _shells(incomplete: str) -> list[str]:
    from ergo_cli.cli.values_offered import SHELLS  # only a shell asks

    return beginning_with(incomplete, SHELLS)


def _profiles(context: typer.Context, incomplete: str) -> list[str]:
    from ergo_cli.cli.values_offered import profile_names  # only a shell asks

    return beginning_with(incomplete, profile_names(context.params.get("project")))


def beginning_with(incomplete: str, values: Iterable[str]) -> list[str]:
    """The values that a shell offers for a word begun."""
    return [value for value in values if value.startswith(incomplete)]


VersionOption = Annotated[
    bool, typer.Option("--version", "-V", callback=_show_version, is_eager=True, help="Show the version and exit.")
]
InstallCompletionOption = Annotated[
    str | None,
    typer.Option(
        "--install-completion",
        metavar="[SHELL]",
        help="Complete command lines of ergo in bash, zsh or fish.",
        autocompletion=_shells,
    ),
]
ShowCompletionOption = Annotated[
    str | None,
    typer.Option(
        "--show-completion",
        metavar="[SHELL]",
        help="Show the script for that, and write no file.",
        autocompletion=_shells,
    ),
]
FormatOption = Annotated[Format, typer.Option("--format", help="How to write the result.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No notes, warnings or progress on standard error.")]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say more: codes of errors, hashes, which program was found.")
]
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
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Start no channel: intents are recorded and not dispatched.")
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
ArtifactsOption = Annotated[
    str | None,
    typer.Option("--artifacts", metavar="URL", help="Where that store has its artifacts: s3://bucket/prefix."),
]
MaxInputOption = Annotated[
    int | None,
    typer.Option(
        "--max-input",
        parser=_size,
        metavar="SIZE",
        help="What a compressed file may hold: 500MiB, 100GiB.",
        show_default=False,
    ),
]
RedactOption = Annotated[
    list[str] | None,
    typer.Option("--redact", metavar="PATH", help="Values of payloads to redact: payload.customer.*; repeatable."),
]
RedactKeyFileOption = Annotated[
    Path | None,
    typer.Option("--redact-key-file", metavar="FILE", readable=False, help="The key, else it is in ERGO_REDACT_KEY."),
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
    str | None,
    typer.Option(
        "--profile", "-p", metavar="NAME", help="The profile of the project to use.", autocompletion=_profiles
    ),
]
ProjectOption = Annotated[
    Path | None,
    typer.Option("--project", metavar="DIR", readable=False, help="The project's folder, instead of looking for it."),
]
ContinueOption = Annotated[
    bool, typer.Option("--continue", help="Go on where the store has runs of these events as completed.")
]
AcceptPlanChangeOption = Annotated[
    bool,
    typer.Option("--accept-plan-change", help="Let runs go on although their plan has changed since they were begun."),
]
NumbersOption = Annotated[
    Numbers | None, typer.Option("--numbers", help="Read numbers exactly, or as the original misreads them.")
]
FormatsOption = Annotated[
    bool, typer.Option("--formats", help="Refuse texts of payloads that are not of their schema's format.")
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
MOST_LISTED = 1000
"""How many divergences of a bundle are kept, unless it is said."""

MaxDivergencesOption = Annotated[
    int, place_option("--max-divergences", "N", "How many divergences a bundle lists at most.")
]

ListOption = Annotated[bool, typer.Option("--list", help="List every divergence and bundle, not only groups of them.")]

MaxEventsOption = Annotated[int | None, _count_option("--max-events", "Stop after so many events.")]
MaxDurationOption = Annotated[int | None, duration_option("--max-duration", "Stop after this time.")]
MaxInFlightOption = Annotated[int | None, _count_option("--max-in-flight", "Episodes running at once, at most.")]
MaxPerWindowOption = Annotated[int | None, _count_option("--max-per-window", "Invocations per rate window, at most.")]
RateWindowOption = Annotated[int | None, duration_option("--rate-window", "The rate window: 500ms, 5s, 2m, 1h.")]
DeadlineOption = Annotated[int | None, duration_option("--deadline", "The time an episode may take.")]
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
    name: f"{name}:{name}" if name != "import" else "import_:import_"
    for name in (
        "run",
        "capture",
        "replay",
        "watch",
        "accept",
        "diff",
        "inspect",
        "export",
        "import",
        "explain",
        "why",
        "shrink",
        "bisect",
        "validate",
        "init",
        "graph",
        "recover",
        "redact",
        "help",
    )
}
_FIXTURE_COMMANDS = {"inspect": "fixture:inspect", "validate": "fixture:validate", "from-csv": "fixture:from_csv"}
_RUNS_COMMANDS = {
    "list": "runs:list_",
    "show": "runs:show",
    "timeline": "runs:timeline",
    "resume": "runs:resume",
    "fork": "runs:fork",
    "cancel": "runs:cancel",
    "export": "runs:export",
    "import": "runs:import_",
    "gc": "runs:gc",
}

_REPORT_COMMANDS = {"merge": "report_merge:merge"}

NAMES = (*_COMMANDS, "fixture", "runs", "report")
"""The names of the commands and command groups."""

BELOW: Mapping[str, Sequence[str]] = {
    "fixture": tuple(_FIXTURE_COMMANDS),
    "runs": tuple(_RUNS_COMMANDS),
    "report": tuple(_REPORT_COMMANDS),
}
"""The names of the commands of each group."""


_EXAMPLES = """\b
Examples:
  ergo capture events.jsonl -g graph.yaml -a adapter.yaml -o monday.json
  ergo replay monday.json --strict
"""


class _Command(TyperCommand):
    """A command with options in groups in its help."""

    def get_help(self, ctx: Any) -> str:
        """The help, as its reader can show it."""
        return _page(self, ctx)


class _Group(TyperGroup):
    """A group of commands with options in groups in its help."""

    def get_help(self, ctx: Any) -> str:
        """The help, as its reader can show it."""
        return _page(self, ctx)


def _page(command: TyperCommand | TyperGroup, context: Any) -> str:
    return str(_function("help_pages:help_page")(command, context))


def application(arguments: Sequence[str]) -> typer.Typer:
    """The parser of a command line: it has the command named first, none for ``--version``, else all of them."""
    first = arguments[0] if arguments else ""
    asked = (first,) if first in NAMES else () if first in ("--version", "-V") else NAMES
    app = _typer(_ergo, {name: place for name, place in _COMMANDS.items() if name in asked})
    if "fixture" in asked:
        app.add_typer(_typer(_fixture, _FIXTURE_COMMANDS), name="fixture", short_help=_whole(_fixture))
    if "runs" in asked:
        app.add_typer(_typer(_runs, _RUNS_COMMANDS), name="runs", short_help=_whole(_runs))
    if "report" in asked:
        app.add_typer(_typer(_report, _REPORT_COMMANDS), name="report", short_help=_whole(_report))
    return app


def _typer(callback: Callable[..., object], commands: Mapping[str, str]) -> typer.Typer:
    made = typer.Typer(
        add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, context_settings=_SETTINGS
    )
    epilog = _EXAMPLES if callback is _ergo else None
    made.callback(cls=_Group, invoke_without_command=True, epilog=epilog)(callback)
    for name, place in commands.items():
        function = _function(place)
        made.command(name, cls=_Command, context_settings=_SETTINGS, short_help=_whole(function))(function)
    return made


def _whole(function: Callable[..., object]) -> str:
    """The first line of a docstring for a list of commands, which the parser would cut."""
    return (function.__doc__ or "").partition("\n")[0]


def _function(place: str) -> Callable[..., object]:
    module, _, name = place.partition(":")
    return getattr(import_module(f"ergo_cli.cli.{module}"), name)


def _ergo(
    context: typer.Context,
    install: InstallCompletionOption = None,
    show: ShowCompletionOption = None,
    version: VersionOption = False,
) -> None:
    """Run events through a deterministic program, capture what decided the outcome, prove later that it still does."""
    _show_help(context)


def _fixture(context: typer.Context, version: VersionOption = False) -> None:
    """Look into event streams, and make them of tables."""
    _show_help(context)


def _runs(context: typer.Context, version: VersionOption = False) -> None:
    """Look at the runs of stateful programs in a store, resume and fork them."""
    _show_help(context)


def _report(context: typer.Context, version: VersionOption = False) -> None:
    """Join the JSON reports of the shards of a replay."""
    _show_help(context)


def _show_help(context: typer.Context) -> None:
    """Show the help of a command group if the command line names none of its commands."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), color=context.color)
