"""The ``ergo`` command from start to exit code, and what happens when the command line itself is wrong.

Everything else is imported once signals are looked after: an interrupt that comes while it is loaded is told as well.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NoReturn

from ergo_cli.cli.interruption import Interrupted, ignore_signals, stop_on_signals

if TYPE_CHECKING:
    from ergo_cli.cli.options import Format
    from ergo_cli.cli.session import Session

_OBJECTS_TO_SEARCH = 100_000
_LARGE_BLOCK = 8 * 1024 * 1024
_DRIVER = ("--driver-cmd", "--driver-arg")


def main() -> NoReturn:
    """The entry point: run the command line, exit with its code."""
    stop_on_signals()
    _keep_memory()
    _escape_what_cannot_be_encoded()
    code = execute(sys.argv[1:])
    ignore_signals()  # all is told; one that comes while the interpreter ends would replace the exit code
    gc.freeze()  # nor does the interpreter have to search for garbage in what goes with the process
    sys.exit(code)


def execute(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code (spec 00 §7)."""
    try:
        if any(_names_nothing(arguments)):
            return _refuse_empty(arguments)
        from ergo_cli.cli.commands import application

        return application(arguments)(args=list(arguments), prog_name="ergo", standalone_mode=False) or 0
    except SystemExit:  # how the parser answers a reader of --help or --version that went away
        return 0
    except OSError as error:  # commands tell their own: this is --help or --version
        return _session(arguments).not_written(error, 0)
    except (Exception, Interrupted) as error:  # noqa: BLE001 - told apart in there
        return _refuse(error, arguments)


def _names_nothing(arguments: Sequence[str]) -> Iterator[bool]:
    """For each argument whether it is an empty text, or an option whose value is one; a driver's may be."""
    for option, word in pairwise(("", *arguments)):
        empty = word == "" or (word.startswith("--") and word.find("=") == len(word) - 1)
        yield empty and option not in _DRIVER and word.removesuffix("=") not in _DRIVER


def _refuse_empty(arguments: Sequence[str]) -> int:
    """An empty text names nothing: as a path it would quietly stand for the current folder."""
    from ergo_cli.cli.usage import empty_word

    index = list(_names_nothing(arguments)).index(True)
    option = arguments[index].removesuffix("=") or (arguments[index - 1] if index else "")
    return _refuse(empty_word(option), arguments)


def _refuse(error: BaseException, arguments: Sequence[str]) -> int:
    """Tell a fault of the command line, or an interrupt; anything else is told as a defect of ours."""
    from ergo_cli.cli.usage import usage_error
    from ergo_cli.report.told import Told

    def fail() -> Told:
        raise usage_error(error, arguments) or error

    return _session(arguments).conclude(fail)


def _session(arguments: Sequence[str]) -> Session:
    """The session of a command line that no command has taken up."""
    from ergo_cli.cli.commands import NAMES
    from ergo_cli.cli.session import Session

    command = next((word for word in arguments if word in NAMES), None)
    return Session(command, _asked_format(arguments))


def _asked_format(arguments: Sequence[str]) -> Format:
    """The format that the arguments ask for, whether or not they are right otherwise."""
    from ergo_cli.cli.options import Format

    asked = "--format=json" in arguments or ("--format", "json") in pairwise(arguments)
    return Format.JSON if asked else Format.TEXT


def _keep_memory() -> None:
    """Let the process look for garbage rarely, and keep the memory that it gave back: a run needs the same ever again.

    Little of ours is ever garbage. The C library takes a large block that comes and goes as a word that more will.
    """
    gc.set_threshold(_OBJECTS_TO_SEARCH)
    bytes(_LARGE_BLOCK)


def _escape_what_cannot_be_encoded() -> None:
    """Let a text that the terminal's encoding lacks be shown as escapes rather than end the command."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
