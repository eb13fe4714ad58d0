"""The entry point of ``ergo``: run a command line, report errors of the command line itself, return an exit code.

Other modules are imported after the signal handlers are installed, so that an interrupt during imports is reported.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NoReturn

from ergo_cli.signals import INTERRUPTED, Interrupted, end_with, stop_on_signals

if TYPE_CHECKING:
    from ergo_cli.cli.session import Session

_OBJECTS_TO_SEARCH = 100_000
_LARGE_BLOCK = 8 * 1024 * 1024
_DRIVER = ("--driver-cmd", "--driver-arg")
_COMPLETION = ("--install-completion", "--show-completion")
_QUESTION = "_ERGO_COMPLETE"
"""The environment variable by which a shell asks to complete a line; scripts call ergo without arguments."""

_UNSET = ""
"""The name of a variable that no environment has: the parser itself looks for no question."""


def main() -> NoReturn:
    """Run the command line of the process and exit with its code."""
    try:
        stop_on_signals()
        _keep_memory()
        _escape_what_cannot_be_encoded()
        code = execute(sys.argv[1:])
        sys.stdout = sys.stderr  # what a user's Python prints at its end is not the result
        end_with(code)  # the result is written: a signal at interpreter exit would replace the exit code
    except Interrupted:  # outside the command, which reports its own
        code = INTERRUPTED
        end_with(code)
    gc.freeze()  # skips collecting objects that end with the process anyway
    sys.exit(code)


def execute(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code (spec 00 §7)."""
    try:
        if any(_names_nothing(arguments)):
            return _refuse_empty(arguments)
        if arguments and arguments[0].partition("=")[0] in _COMPLETION:
            return _set_up_completion(arguments)
        if not arguments and os.environ.get(_QUESTION):
            return _answer()
        from ergo_cli.cli.commands import application

        line = {"args": list(arguments), "prog_name": "ergo", "obj": arguments}
        return application(arguments)(**line, complete_var=_UNSET, standalone_mode=False) or 0
    except SystemExit:  # raised by the parser if the reader of --help closes the pipe
        return 0
    except OSError as error:  # commands handle their own output errors: this is --help or --version
        return _session(arguments).not_written(error, 0)
    except (Exception, Interrupted) as error:  # noqa: BLE001 - _refuse distinguishes them
        return _refuse(error, arguments)


def _answer() -> int:
    from ergo_cli.cli.completion import answer  # only shells ask

    return answer(_QUESTION)


def _set_up_completion(arguments: Sequence[str]) -> int:
    from ergo_cli.cli.completion import set_up_completion  # most command lines ask for none

    text = set_up_completion(arguments)
    if sys.stdout is not None:  # closed: as for every command, the result goes nowhere
        sys.stdout.write(text)
        sys.stdout.flush()
    return 0


def _names_nothing(arguments: Sequence[str]) -> Iterator[bool]:
    """Yield for each argument whether it, or the value of its option, is empty; a driver's arguments may be."""
    for option, word in pairwise(("", *arguments)):
        empty = word == "" or (word.startswith("--") and word.find("=") == len(word) - 1)
        yield empty and option not in _DRIVER and word.removesuffix("=") not in _DRIVER


def _refuse_empty(arguments: Sequence[str]) -> int:
    """Refuse an empty argument: as a path it would silently mean the current folder."""
    from ergo_cli.cli.usage import empty_word

    index = list(_names_nothing(arguments)).index(True)
    option = arguments[index].removesuffix("=") or (arguments[index - 1] if index else "")
    return _refuse(empty_word(option), arguments)


def _refuse(error: BaseException, arguments: Sequence[str]) -> int:
    """Report an error of the command line or an interrupt; any other exception as a defect of ergo."""
    from ergo_cli.cli.usage import usage_error
    from ergo_cli.report.command_result import CommandResult

    def fail() -> CommandResult:
        raise usage_error(error, arguments) or error

    return _session(arguments).conclude(fail)


def _session(arguments: Sequence[str]) -> Session:
    """The session of a command line that failed before its command started."""
    from ergo_cli.cli.commands import NAMES
    from ergo_cli.cli.session import Session

    command = next((word for word in arguments if word in NAMES), None)
    verbose = any(word in ("-v", "--verbose") for word in arguments)
    return Session(command, _asked_format(arguments), verbose=verbose)


def _asked_format(arguments: Sequence[str]) -> str:
    """The format that the arguments request, even if they are otherwise invalid."""
    from ergo_cli.cli.commands import Format
    from ergo_cli.report.formats.registry import FORMATS

    words = [word.removeprefix("--format=") for word in arguments if word.startswith("--format=")]
    words += [word for option, word in pairwise(arguments) if option == "--format"]
    return next((word for word in words if word in FORMATS), Format.TEXT)


def _keep_memory() -> None:
    """Collect garbage rarely, and keep freed memory in the process: a run soon needs it again.

    ergo creates few reference cycles. Freeing one large block raises the size from which the C library returns freed
    blocks to the system.
    """
    gc.set_threshold(_OBJECTS_TO_SEARCH)
    bytes(_LARGE_BLOCK)


def _escape_what_cannot_be_encoded() -> None:
    """Write characters that the terminal's encoding lacks as escapes instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
