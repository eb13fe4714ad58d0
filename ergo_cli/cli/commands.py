"""The commands of ``ergo``.

They import their libraries when they run, so that ``ergo --version`` and a usage error pay for none of them.
"""

from __future__ import annotations

import typer

from ergo_cli.cli.capture import capture
from ergo_cli.cli.diff import diff
from ergo_cli.cli.inspect import inspect
from ergo_cli.cli.options import VersionOption
from ergo_cli.cli.replay import replay
from ergo_cli.cli.run import run
from ergo_cli.cli.validate import validate

_SETTINGS = {"help_option_names": ["-h", "--help"]}
_COMMANDS = {command.__name__: command for command in (run, capture, replay, diff, inspect, validate)}

NAMES = tuple(_COMMANDS)
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


@app.callback(invoke_without_command=True)
def ergo(context: typer.Context, version: VersionOption = False) -> None:
    """Run events through a deterministic program, capture what decided the outcome, prove later that it still does."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
