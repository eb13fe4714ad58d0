"""Run one command to its exit code: the result to stdout, messages to stderr, in the format and colour requested.

Streams and formats follow spec 00 §7; ``--color`` overrides ``NO_COLOR`` and ``FORCE_COLOR``.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from time import monotonic_ns
from typing import TYPE_CHECKING, NamedTuple, TextIO

from ergo_cli.cli.commands import Color, Format
from ergo_cli.cli.streams import is_colored, is_drawn, is_terminal, width_of
from ergo_cli.core.diagnostics import Notice
from ergo_cli.errors import ErgoError, EventError, exit_code
from ergo_cli.report.command_result import CommandResult, interruption, refusal
from ergo_cli.report.document import DEFECT, INTERRUPTED, encode_report, gravest, warning_text
from ergo_cli.report.error_text import error_lines, fitting, near, without_hashes
from ergo_cli.report.formats.registry import FORMATS
from ergo_cli.report.layout import plain_lines
from ergo_cli.report.text import Block, Line
from ergo_cli.signals import Interrupted, is_of_a_signal, requesting_stop

if TYPE_CHECKING:
    from pathlib import Path

    from ergo_cli.cli.report_options import ReportFile
    from ergo_cli.host.perform import KeepRequest, RunResult
    from ergo_cli.host.run_plan import RunPlan, RunRequest
    from ergo_cli.tools.verification import Verification


class Done(NamedTuple):
    """How much of a whole is done, counted in ``unit``: bundles, events, or bytes."""

    part: int
    whole: int
    unit: str


class Session:
    """Runs the work of one command and writes the result to stdout, everything else to stderr.

    Where the ``output`` of the command is ``-``, stdout is for that alone: the result goes to stderr, and as text not
    with ``-q``.
    """

    def __init__(
        self,
        command: str | None,
        form: str = Format.TEXT,
        color: Color = Color.AUTO,
        *,
        quiet: bool = False,
        verbose: bool = False,
        max_input: int | None = None,
        output: Path | str | None = None,
        reports: Sequence[ReportFile] = (),
    ) -> None:
        self.command = command
        self._form = form
        self._color = color
        self._reports = reports
        self._is_all = form not in tuple(Format) and FORMATS[form].is_all
        self._quiet = quiet or self._is_all
        self._verbose = verbose
        self._max_input = max_input
        self._is_apart = output is not None and _is_standard_output(output)

    def conclude(self, work: Callable[[], CommandResult]) -> int:
        """Run ``work``, write its result or its error, and return the exit code."""
        result = self._reported(self._result_of(work))
        self.warn(result.notices)
        for message in result.messages:
            self._say(message)
        if not self._is_all:
            self._complain_of(result.errors)
        try:
            self._write(result)
        except OSError as error:
            return self.not_written(error, result.report.exit_code)
        except ErgoError as error:  # the library of a format is not installed
            self._complain_of([error])
            return gravest((result.report.exit_code, exit_code(error.code)))
        except Interrupted:  # the reader of the result has stopped reading
            _discard(sys.stdout)
            return INTERRUPTED
        return result.report.exit_code

    @property
    def verbose(self) -> bool:
        """Whether ``-v`` was given."""
        return self._verbose

    def ask(self, blocks: Sequence[Block], question: str) -> str | None:
        """Show what is asked about on standard error, and read a line from standard input; None at its end."""
        self._complain(blocks)
        sys.stderr.write(question)
        sys.stderr.flush()
        line = sys.stdin.readline()
        return line.strip() if line else None

    def note(self, text: str) -> None:
        """Write one line to stderr if ``-v`` was given."""
        if self._verbose:
            self._say(f"note: {fitting(near(text))}")

    def warn(self, notices: Iterable[Notice]) -> None:
        """Write one line to stderr for each notice, unless ``-q`` was given."""
        for notice in notices:
            text = near(warning_text(notice))
            self._say(f"warning: {fitting(text if self._verbose else without_hashes(text))}")

    @contextmanager
    def progress(
        self, label: str, done: Callable[[], Done] | None = None, counts: str = "event"
    ) -> Generator[Callable[[], None] | None]:
        """A counter to call once per event, shown on a terminal; None without a terminal, with ``-q`` or in CI.

        ``counts`` is what is counted in the place of events. ``done`` says how much of the whole is done, where the
        whole is known; it is asked when the line is drawn.
        """
        if self._quiet or os.environ.get("CI") or not is_terminal(sys.stderr):
            yield None
            return
        from ergo_cli.report.terminal import EventProgress  # only terminals pay for Rich

        colored = is_colored(self._color, sys.stderr)
        with EventProgress(label, sys.stderr, colored=colored, done=done, counts=counts) as progress:
            yield progress.step

    def _result_of(self, work: Callable[[], CommandResult]) -> CommandResult:
        try:
            with redirect_stdout(sys.stderr), self._bounded():  # prints of a user's Python are not the result
                return work()
        except BaseException as error:  # noqa: BLE001 - also sys.exit in a user's Python: it must not count as success
            if is_of_a_signal(error):
                self._say("interrupted")
                return interruption(self.command)
            if isinstance(error, ErgoError):
                return refusal(self.command, error, exit_code(error.code))
            return refusal(self.command, _defect(error), DEFECT)

    def _bounded(self) -> AbstractContextManager[None]:
        """Within, compressed files may hold what ``--max-input`` says."""
        if self._max_input is None:
            return nullcontext()
        from ergo_cli.stores.inflation import reading_at_most  # only for those who ask for it

        return reading_at_most(self._max_input)

    def _reported(self, result: CommandResult) -> CommandResult:
        """Write the reports and summaries; the result then also has what became of them."""
        if not self._reports and self._form in tuple(Format):
            return result
        from ergo_cli.cli.report_files import with_reports  # only those who ask for formats of CI systems

        return with_reports(result, self._reports, self._form)

    def _write(self, result: CommandResult) -> None:
        stream = sys.stderr if self._is_apart else sys.stdout
        if stream is None or (self._is_apart and self._quiet and self._form == Format.TEXT):
            return
        if self._form == Format.JSON:
            stream.buffer.write(result.document or encode_report(result.report))
        elif self._form == Format.TEXT:
            _print(result.blocks, self._color, stream)
        else:
            from ergo_cli.cli.report_files import in_format  # as above

            stream.buffer.write(in_format(result, self._form))
        stream.flush()

    def _say(self, line: str) -> None:
        if not self._quiet:
            self._complain((Line(line),))

    def _complain_of(self, errors: Iterable[ErgoError]) -> None:
        self._complain(tuple(error_lines(errors, verbose=self._verbose)))

    def _complain(self, lines: Sequence[Block]) -> None:
        """Write lines to stderr, if it is open."""
        if not lines or sys.stderr is None:
            return
        try:
            _print(lines, self._color, sys.stderr)
        except OSError:
            _discard(sys.stderr)

    def not_written(self, error: OSError, result: int) -> int:
        """The exit code if stdout fails: ``result`` if the reader closed the pipe, else that of a reported error."""
        _discard(sys.stdout)
        if isinstance(error, BrokenPipeError):
            return result
        from ergo_cli.stores.remedies import remedy  # only a failure needs it

        message = f"the result could not be written to standard output: {error.strerror or error}"
        fix = remedy(error, "redirect it to another place")
        fault = ErgoError("cli.output_write_failed", message, where="standard output", fix=fix)
        self._complain_of([fault])
        return exit_code(fault.code)


def _defect(error: BaseException) -> ErgoError:
    from ergo_cli.programs.kinds import unexpected  # only a defect needs it

    traceback.print_exception(error)
    return unexpected(error)


def _is_standard_output(output: Path | str) -> bool:
    from ergo_cli.stores.standard_output import STANDARD_OUTPUT  # only commands that write need it

    return str(output) == STANDARD_OUTPUT


def _print(blocks: Iterable[Block], color: Color, stream: TextIO) -> None:
    if not is_drawn(color, stream):
        stream.writelines(line + "\n" for line in plain_lines(blocks, width_of(stream)))
        return
    from ergo_cli.report.terminal import console, draw  # only terminals pay for Rich

    draw(blocks, console(stream, colored=is_colored(color, stream), width=width_of(stream)))


def _discard(stream: TextIO) -> None:
    """Redirect the stream to the null device: the interpreter flushes it at exit, which would fail again."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def run_and_report(
    command: str,
    session: Session,
    request: RunRequest,
    keep: KeepRequest | None,
    journal: Path | None,
    *,
    fail_on_error: bool,
) -> CommandResult:
    """Perform the run of ``run`` or ``capture``, write its bundle if ``keep`` is given, and render the result.

    A bundle that is written beside its destination is moved into place only if it holds elsewhere.

    The first signal stops the run after the current step, the second at once. Before the run waits for its first event,
    the first one ends it at once.
    """
    from ergo_cli.host.event_input import Reading, stopped_too_soon  # other commands need none of these
    from ergo_cli.host.perform import RunOptions, perform
    from ergo_cli.host.run_plan import plan_run, refuse_dry_run_of_acting
    from ergo_cli.host.timing import StopHandle
    from ergo_cli.report.runs import render_run
    from ergo_cli.report.waiting import Answers

    plan = plan_run(request)
    refuse_dry_run_of_acting(plan)
    session.note(f"program '{plan.found.program.graph_id}' found by {plan.found.rule}")
    session.warn(plan.notices)
    stop, reading, begun = StopHandle(), Reading(), monotonic_ns()
    done = None if plan.bounds.max_events is not None else lambda: Done(*reading.done, "bytes")
    try:
        with session.progress(command, done) as on_step, requesting_stop(stop.stop_if_heeded):
            result = perform(plan, keep, on_step, RunOptions(stop, journal, reading=reading))
    except EventError as error:
        if not stop.stopped or error.code != "driver.output_incomplete":
            raise
        return refusal(command, error, INTERRUPTED)
    except Interrupted:
        if stop.heeded:
            raise
        return refusal(command, stopped_too_soon(), INTERRUPTED)
    signalled = stop.stopped and result.interruption is not None
    verification = None
    if keep is not None and keep.is_beside:
        result, verification = _settled(result, request, plan, monotonic_ns() - begun)
    rendered = render_run(
        command,
        result,
        plan.notices,
        Answers.of(request, plan),
        fail_on_error=fail_on_error,
        signalled=signalled,
    )
    if verification is None:
        return rendered
    from ergo_cli.report.verification import with_verification  # imported here: only --verify needs it

    return with_verification(rendered, result, verification, request.flags.words)


def _settled(
    result: RunResult, request: RunRequest, plan: RunPlan, spent_ns: int
) -> tuple[RunResult, Verification | ErgoError | None]:
    """The bundle of a run in its place, if it holds elsewhere, and what it came to there."""
    from ergo_cli.tools.verification import flags_from_anywhere, settle  # imported here: only --verify needs it

    return settle(result, flags_from_anywhere(request.flags, plan.found), plan.prepared.numbers, spent_ns)
