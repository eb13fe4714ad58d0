"""``ergo shrink``: the smallest stream that still fails."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ergo_cli.cli.commands import (
    AdapterOption,
    ClusterPathOption,
    Color,
    ColorOption,
    Format,
    FormatOption,
    GraphOption,
    IgnoreOption,
    MaxInputOption,
    NumbersOption,
    ProfileOption,
    ProgramOption,
    ProjectOption,
    QuietOption,
    VerboseOption,
    VersionOption,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ergo_cli.replay.session import ReplayRequest
    from ergo_cli.report.command_result import CommandResult
    from ergo_cli.tools.shrink.tries import Limits, Tries

_LEAST_SECONDS, _MOST_SECONDS = 0.001, 1e9


def _seconds(literal: str) -> float:
    try:
        seconds = float(literal)
    except ValueError:
        seconds = 0.0
    if not _LEAST_SECONDS <= seconds <= _MOST_SECONDS:  # nor is it what is not a number
        message = f"'{literal}' is not a number of seconds from {_LEAST_SECONDS:g} to {_MOST_SECONDS:g}"
        raise typer.BadParameter(message)
    return seconds


StreamArgument = Annotated[
    str, typer.Argument(metavar="BUNDLE|EVENTS", help="A bundle that differs, or with --run a stream of events.")
]
OutputOption = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="FILE", readable=False, help="Where the smallest stream goes; - is stdout."),
]
RunOption = Annotated[
    str | None,
    typer.Option("--run", metavar="CMD", help="The command that fails on EVENTS, whose path stands for {} or last."),
]
TestOption = Annotated[
    Path | None,
    typer.Option("--test", metavar="FILE", readable=False, help="A pytest file to write, with what was decided."),
]
MaxTriesOption = Annotated[
    int | None, typer.Option("--max-tries", min=1, max=2**63 - 1, metavar="N", help="Stop after so many tries.")
]
MaxSecondsOption = Annotated[
    float | None,
    typer.Option("--max-seconds", parser=_seconds, metavar="N", help="Stop after so many seconds, 0.001 to 1e9."),
]


def shrink(
    stream: StreamArgument,
    output: OutputOption,
    run: RunOption = None,
    test: TestOption = None,
    graph: GraphOption = None,
    program: ProgramOption = None,
    adapter: AdapterOption = None,
    cluster_path: ClusterPathOption = None,
    profile: ProfileOption = None,
    project: ProjectOption = None,
    ignore: IgnoreOption = None,
    numbers: NumbersOption = None,
    max_tries: MaxTriesOption = None,
    max_seconds: MaxSecondsOption = None,
    max_input: MaxInputOption = None,
    form: FormatOption = Format.TEXT,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    color: ColorOption = Color.AUTO,
    version: VersionOption = False,
) -> int:
    """Find the smallest stream that still differs in the same way, or on which a command still fails."""
    from ergo_cli.cli.session import Done, Session
    from ergo_cli.project.finding import ProgramFlags
    from ergo_cli.replay.session import ReplayRequest
    from ergo_cli.tools.shrink.tries import Limits

    session = Session("shrink", form, color, quiet=quiet, verbose=verbose, max_input=max_input, output=output)
    flags = ProgramFlags(graph, program, adapter, tuple(cluster_path or ()), profile, project)
    limits, left = Limits(max_tries, max_seconds), [0, 0]

    def work() -> CommandResult:
        _check_together(stream, run, test, output, (*flags.words, *(ignore or ()), *([numbers] if numbers else ())))
        with session.progress("shrink", lambda: Done(left[0], left[1], "parts left"), "run") as step:

            def on_try(tries: Tries[Any]) -> None:
                left[:] = len(tries.best), tries.whole
                if step is not None:
                    step()

            if run is not None:
                return _of_events(stream, run, str(output), limits, on_try)
            request = ReplayRequest(
                flags, strict=False, ignore=None if ignore is None else tuple(ignore), numbers=numbers
            )
            return _of_bundle(stream, request, str(output), test, limits, on_try, verbose=verbose)

    return session.conclude(work)


def _of_events(path: str, run: str, output: str, limits: Limits, on_try: Callable[[Tries[Any]], None]) -> CommandResult:
    from ergo_cli.host.files_read import Read
    from ergo_cli.report.shrinking import render_nothing, render_shrunk_events
    from ergo_cli.tools.shrink.commands import Command, shrink_events
    from ergo_cli.tools.shrink.outputs import check_output, write_text

    command = Command.of(run)
    words = [Read(word, "a file of the command") for word in command.words]
    check_output(output, [Read(path, "the stream that is shrunk"), *words])
    shrunk = shrink_events(path, command, limits, on_try)
    if shrunk is None:
        return render_nothing(f"the command succeeds on {path}")
    write_text(output, shrunk.text)
    return render_shrunk_events(shrunk, command, path, output)


def _of_bundle(
    path: str,
    request: ReplayRequest,
    output: str,
    test: Path | None,
    limits: Limits,
    on_try: Callable[[Tries[Any]], None],
    *,
    verbose: bool,
) -> CommandResult:
    from ergo_cli.project.finding import FoundProgram
    from ergo_cli.project.store import ProgramStore
    from ergo_cli.report.shrinking import render_nothing, render_shrunk_bundle
    from ergo_cli.tools.shrink.bundles import shrink_bundle
    from ergo_cli.tools.shrink.outputs import check_bundle_outputs, write_bundle, write_text
    from ergo_cli.tools.shrink.written_test import check_testable, test_text

    flags, programs = request.flags, list[FoundProgram]()

    def check(found: FoundProgram) -> None:
        programs.append(found)
        check_bundle_outputs(path, found, output, test)
        if test is not None:
            check_testable(found, flags)

    shrunk = shrink_bundle(path, request, ProgramStore.of_user(), limits, on_try, check)
    if shrunk is None:
        return render_nothing(f"nothing of {path} differs")
    write_bundle(output, shrunk.bundle)
    if test is not None:
        write_text(str(test), test_text(test, output, shrunk.bundle, programs[0], flags).encode())
    written = None if test is None else str(test)
    return render_shrunk_bundle(shrunk, path, output, written, flags.words, verbose=verbose)


def _check_together(path: str, run: str | None, test: Path | None, output: Path, given: Sequence[object]) -> None:
    """Raise UsageError for a stream of the wrong sort, and for options that do not belong together."""
    from ergo_cli.bundle.recognition import has_suffix, looks_like_bundle
    from ergo_cli.errors import UsageError
    from ergo_cli.stores.files import STANDARD_INPUT
    from ergo_cli.stores.standard_output import STANDARD_OUTPUT

    def conflict(message: str, option: str, fix: str) -> UsageError:
        return UsageError("cli.conflicting_options", message, where=f"option {option}", fix=fix)

    if run is None and path != STANDARD_INPUT and not looks_like_bundle(path):
        message = f"'{path}' is not a bundle: of events, --run says what fails on them"
        fix = "name a bundle that differs, or add --run CMD"
        raise UsageError("cli.missing_required_option", message, where="option --run", fix=fix)
    if run is not None and path != STANDARD_INPUT and has_suffix(path) and looks_like_bundle(path):
        fix = "name the events that it was captured from, or leave --run out"
        raise conflict(f"'{path}' is a bundle, and a command is given events", "--run", fix)
    if run is not None and given:
        raise conflict("the command finds its program itself", "--run", "leave options that select a program out")
    if run is not None and test is not None:
        message = "a test states what a program decided, and a command decides nothing"
        raise conflict(message, "--test", "leave --test out; the command is the test")
    if test is not None and str(output) == STANDARD_OUTPUT:
        raise conflict("the test reads the bundle from a file", "--output", "name a file with -o")
