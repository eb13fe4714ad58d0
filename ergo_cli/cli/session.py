"""One command from start to exit code: what it has to say, and on which stream (spec 00 §7)."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, redirect_stdout
from typing import TextIO

from ergo_cli.cli.coloring import is_colored, is_drawn, is_terminal
from ergo_cli.cli.interruption import Interrupted
from ergo_cli.cli.options import Color, Format
from ergo_cli.core.notices import Notice
from ergo_cli.errors import ErgoError, defect, exit_code
from ergo_cli.report.blocks import Block
from ergo_cli.report.document import encode_report, warning_text
from ergo_cli.report.errors import error_block, fitting
from ergo_cli.report.exit_codes import DEFECT, INTERRUPTED
from ergo_cli.report.plain import plain_lines
from ergo_cli.report.told import Told, interruption, refusal


class Session:
    """Runs the work of one command and tells what came of it: the result on stdout, all else on stderr."""

    def __init__(
        self,
        command: str | None,
        form: Format = Format.TEXT,
        color: Color = Color.AUTO,
        *,
        quiet: bool = False,
        verbose: bool = False,
    ) -> None:
        self.command = command
        self._form = form
        self._color = color
        self._quiet = quiet
        self._verbose = verbose

    def conclude(self, work: Callable[[], Told]) -> int:
        """Do ``work``, tell its result or what ended it, return the exit code."""
        told = self._result_of(work)
        self.warn(told.notices)
        for number, error in enumerate(told.errors):
            if number:
                _complain("")
            self._error(error)
        try:
            self._tell(told)
        except OSError as error:
            return self.not_written(error, told.report.exit_code)
        except Interrupted:  # whoever reads the result has had enough of it
            _discard(sys.stdout)
            return INTERRUPTED
        return told.report.exit_code

    def note(self, text: str) -> None:
        """One line on stderr for those who asked for more with ``-v``."""
        if self._verbose:
            self._say(f"note: {fitting(text)}")

    def warn(self, notices: Iterable[Notice]) -> None:
        """One line on stderr for each notice: for those that cannot wait until the result is told."""
        for notice in notices:
            self._say(f"warning: {fitting(warning_text(notice))}")

    @contextmanager
    def progress(self, label: str) -> Generator[Callable[[], None] | None]:
        """A counter to call once an event, shown on a terminal; None where nobody would see it."""
        if self._quiet or os.environ.get("CI") or not is_terminal(sys.stderr):
            yield None
            return
        from ergo_cli.report.progress import EventProgress  # only terminals pay for Rich

        with EventProgress(label, sys.stderr, colored=is_colored(self._color, sys.stderr)) as progress:
            yield progress.step

    def _result_of(self, work: Callable[[], Told]) -> Told:
        try:
            with redirect_stdout(sys.stderr):  # what a user's own Python prints is no result
                return work()
        except ErgoError as error:
            return refusal(self.command, error, exit_code(error.code))
        except (Interrupted, KeyboardInterrupt):
            self._say("interrupted")
            return interruption(self.command)
        except BaseException as error:  # noqa: BLE001 - a user's own sys.exit too must not pass for a success
            return refusal(self.command, _reported(error), DEFECT)

    def _tell(self, told: Told) -> None:
        if sys.stdout is None:
            return
        if self._form is Format.JSON:
            sys.stdout.buffer.write(told.document or encode_report(told.report))
        else:
            _print(told.blocks, self._color)
        sys.stdout.flush()

    def _say(self, line: str) -> None:
        if not self._quiet:
            _complain(line)

    def _error(self, error: ErgoError) -> None:
        for line in error_block(error):
            _complain(line)

    def not_written(self, error: OSError, result: int) -> int:
        """The exit code where standard output is gone: a reader that went away is no fault, a full disk is."""
        _discard(sys.stdout)
        if isinstance(error, BrokenPipeError):
            return result
        message = f"the result could not be written to standard output: {error.strerror or error}"
        fault = ErgoError("cli.output_write_failed", message, where="standard output", fix="make room, or redirect it")
        self._error(fault)
        return exit_code(fault.code)


def _reported(error: BaseException) -> ErgoError:
    traceback.print_exception(error)
    return defect(error)


def _print(blocks: Iterable[Block], color: Color) -> None:
    if not is_drawn(color, sys.stdout):
        sys.stdout.writelines(line + "\n" for line in plain_lines(blocks))
        return
    from ergo_cli.report.terminal import console, draw  # only terminals pay for Rich

    draw(blocks, console(sys.stdout, colored=is_colored(color, sys.stdout)))


def _complain(line: str) -> None:
    """One line on stderr; where that is gone, there is nobody left to tell."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(line + "\n")
    except OSError:
        _discard(sys.stderr)


def _discard(stream: TextIO) -> None:
    """Send what is still to come, and what the interpreter flushes at its end, nowhere."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())
