"""The ``ergo`` command: its commands, and what happens when the command line itself is wrong.

Commands import their libraries when they run, so that ``ergo --version`` and a usage error pay for none of them.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from itertools import pairwise
from types import FrameType
from typing import NoReturn

import typer

from ergo_cli.cli.capture import capture
from ergo_cli.cli.diff import diff
from ergo_cli.cli.inspect import inspect
from ergo_cli.cli.options import Format, VersionOption
from ergo_cli.cli.replay import replay
from ergo_cli.cli.run import run
from ergo_cli.cli.validate import validate

_SETTINGS = {"help_option_names": ["-h", "--help"]}
_COMMANDS = {command.__name__: command for command in (run, capture, replay, diff, inspect, validate)}
_INTERRUPTED = 130

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


def main() -> NoReturn:
    """The entry point: run the command line, exit with its code."""
    _stop_on_signals()
    _escape_what_cannot_be_encoded()
    sys.exit(execute(sys.argv[1:]))


def execute(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code (spec 00 §7)."""
    try:
        return app(args=list(arguments), prog_name="ergo", standalone_mode=False) or 0
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - told apart in there
        return _refuse(error, arguments)


def _refuse(error: Exception, arguments: Sequence[str]) -> int:
    """Tell a fault of the command line; anything else is told as a defect of ours."""
    from ergo_cli.cli.session import Session
    from ergo_cli.cli.usage import usage_error
    from ergo_cli.report.told import Told

    def fail() -> Told:
        raise usage_error(error, arguments, tuple(_COMMANDS)) or error

    command = next((word for word in arguments if word in _COMMANDS), None)
    return Session(command, _asked_format(arguments)).conclude(fail)


def _asked_format(arguments: Sequence[str]) -> Format:
    """The format that the arguments ask for, whether or not they are right otherwise."""
    asked = "--format=json" in arguments or ("--format", "json") in pairwise(arguments)
    return Format.JSON if asked else Format.TEXT


def _stop_on_signals() -> None:
    """Let SIGTERM end a command as Ctrl-C does; a signal that the caller ignores stays ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Stop once: further signals must not disturb the clearing away of what is half written."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _escape_what_cannot_be_encoded() -> None:
    """Let a text that the terminal's encoding lacks be shown as escapes rather than end the command."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
