"""The commands of ``ergo``, of which a command line gets the one that it asks for.

A command is imported, and its signature read, when it is asked for: to read them all takes longer than many a command.
Libraries they import when they run, so that ``ergo --version`` and a usage error pay for none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

import typer

from ergo_cli.cli.options import VersionOption

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
"""What the commands are called."""


def application(arguments: Sequence[str]) -> typer.Typer:
    """The parser of a command line: it knows the command named first, none for ``--version``, else all of them."""
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
    """What a command with commands of its own does where none of them is named."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
