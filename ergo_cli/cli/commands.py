"""The commands of ``ergo``.

They import their libraries when they run, so that ``ergo --version`` and a usage error pay for none of them.
"""

from __future__ import annotations

import typer

from ergo_cli.cli.capture import capture
from ergo_cli.cli.diff import diff
from ergo_cli.cli.explain import explain
from ergo_cli.cli.fixture import from_csv
from ergo_cli.cli.fixture import inspect as inspect_fixture
from ergo_cli.cli.fixture import validate as validate_fixture
from ergo_cli.cli.graph import graph
from ergo_cli.cli.init import init
from ergo_cli.cli.inspect import inspect
from ergo_cli.cli.options import VersionOption
from ergo_cli.cli.recover import recover
from ergo_cli.cli.replay import replay
from ergo_cli.cli.run import run
from ergo_cli.cli.runs import fork, list_, resume, show, timeline
from ergo_cli.cli.validate import validate

_SETTINGS = {"help_option_names": ["-h", "--help"]}
_COMMANDS = {
    command.__name__: command
    for command in (run, capture, replay, diff, inspect, explain, validate, init, graph, recover)
}

_FIXTURE_COMMANDS = {"inspect": inspect_fixture, "validate": validate_fixture, "from-csv": from_csv}

_RUNS_COMMANDS = {"list": list_, "show": show, "timeline": timeline, "resume": resume, "fork": fork}

NAMES = (*_COMMANDS, "fixture", "runs")
"""What the commands are called."""

app = typer.Typer(
    name="ergo",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=_SETTINGS,
)
for _name, _command in _COMMANDS.items():
    app.command(_name, context_settings=_SETTINGS)(_command)

fixture_app = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=_SETTINGS)
for _name, _command in _FIXTURE_COMMANDS.items():
    fixture_app.command(_name, context_settings=_SETTINGS)(_command)
app.add_typer(fixture_app, name="fixture")


runs_app = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=_SETTINGS)
for _name, _command in _RUNS_COMMANDS.items():
    runs_app.command(_name, context_settings=_SETTINGS)(_command)
app.add_typer(runs_app, name="runs")


@fixture_app.callback(invoke_without_command=True)
def fixture(context: typer.Context, version: VersionOption = False) -> None:
    """Look into event streams, and make them of tables."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@runs_app.callback(invoke_without_command=True)
def runs(context: typer.Context, version: VersionOption = False) -> None:
    """Look at the runs of stateful programs in a store, resume and fork them."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.callback(invoke_without_command=True)
def ergo(context: typer.Context, version: VersionOption = False) -> None:
    """Run events through a deterministic program, capture what decided the outcome, prove later that it still does."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
