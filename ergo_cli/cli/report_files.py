"""Write a result to files in the formats asked for, and a summary where a CI system names a file for one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from ergo_cli.cli.report_options import ReportFile
from ergo_cli.core.diagnostics import Notice
from ergo_cli.errors import CaptureWriteError, ErgoError, UsageError, exit_code
from ergo_cli.report.command_result import CommandResult
from ergo_cli.report.document import error_document, failure_outcome, gravest, warning_texts
from ergo_cli.report.formats.registry import FORMATS, Around, rendered, summary

_TOPS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")
"""The variables by which CI systems name the folder of the repository."""

MOST_SUMMARY = 1_048_576 - 1024
"""The bytes of a summary, below the MiB that a step may have."""


def around(result: CommandResult) -> Around:
    """What formats know besides the report: paths are relative to the repository, where the environment names it."""
    named = (os.path.realpath(folder) for name in _TOPS if (folder := os.environ.get(name)))
    try:
        here = os.getcwd() + os.sep
    except OSError:
        return Around(None, result.seconds, result.compared)
    top = next((top for top in named if here.startswith(top.rstrip(os.sep) + os.sep)), None)
    return Around(top, result.seconds, result.compared)


def in_format(result: CommandResult, form: str) -> bytes:
    """The result in a format."""
    return rendered(form, result.report, around(result))


def with_reports(result: CommandResult, files: Sequence[ReportFile], form: str) -> CommandResult:
    """Write the files and the summaries; the result then has their errors, and an exit code that says so."""
    told = list(append_summaries(result, (form, *(file.form for file in files))))
    errors = [each for each in told if isinstance(each, ErgoError)] + list(write_reports(result, files))
    notices = tuple(each for each in told if isinstance(each, Notice))
    report = replace(result.report, warnings=result.report.warnings + warning_texts(notices))
    result = replace(result, report=report, notices=result.notices + notices)
    if not errors:
        return result
    code = gravest((result.report.exit_code, *(exit_code(error.code) for error in errors)))
    headline = next((error for error in errors if exit_code(error.code) == code), None)
    report = replace(report, exit_code=code, outcome=failure_outcome(code))
    if headline is not None:
        report = replace(report, error=error_document(headline))
    return replace(result, report=report, errors=(*result.errors, *errors))


def write_reports(result: CommandResult, files: Sequence[ReportFile]) -> Iterator[ErgoError]:
    """Write each file whole or not at all; yield the error of each that cannot be written.

    UsageError ``cli.conflicting_options`` for one that the command has read, ``cli.report_write_failed`` otherwise,
    also for a format whose library is not installed.
    """
    from ergo_cli.host.files_read import Read, refuse_replacing
    from ergo_cli.stores.standard_output import open_output

    taken = [Read(path, "a file that the command has read") for path in result.files]
    for file in files:
        try:
            refuse_replacing(file.path, taken)
            if not result.files:
                _refuse_replacing_another(file)
            with open_output(file.path) as target:
                target.write(in_format(result, file.form))
                target.commit()
        except CaptureWriteError as error:
            yield ErgoError("cli.report_write_failed", error.message, where=error.where, fix=error.fix)
        except ErgoError as error:
            yield error
        taken.append(Read(file.path, "another report"))


def _refuse_replacing_another(file: ReportFile) -> None:
    """Refuse a file that may be anything, of a command that ended before it was known what it reads."""
    try:
        with open(file.path, "rb") as standing:
            beginning = standing.read(len(FORMATS[file.form].beginning))
    except (OSError, ValueError):
        return  # writing it says what is wrong
    if beginning not in (b"", FORMATS[file.form].beginning):
        message = f"'{file.path}' is no such report, and may be what the command reads: it is not replaced"
        fix = "name another file to write to"
        raise UsageError("cli.conflicting_options", message, where=file.path, fix=fix)


def append_summaries(result: CommandResult, forms: Iterable[str]) -> Iterator[Notice | ErgoError]:
    """Append the summary of each format that has one to the file that its variable names.

    UsageError ``cli.conflicting_options`` for one that the command has read, ``cli.report_write_failed`` otherwise.
    """
    for form in dict.fromkeys(forms):
        variable = FORMATS[form].summary if form in FORMATS else None
        path = os.environ.get(variable) if variable is not None else None
        if path:
            yield from _append(path, form, result, str(variable))


def _append(path: str, form: str, result: CommandResult, variable: str) -> Iterator[Notice | ErgoError]:
    from ergo_cli.host.files_read import Read, refuse_replacing

    try:
        refuse_replacing(path, [Read(read, "a file that the command has read") for read in result.files])
        with open(path, "ab", opener=_without_waiting) as file:
            text = summary(form, result.report, around(result), MOST_SUMMARY - file.tell())
            file.write(text)
    except UsageError as error:
        yield error
        return
    except OSError as error:
        from ergo_cli.stores.remedies import remedy  # only a failure needs it

        message = f"the summary could not be written to '{path}': {error.strerror or error}"
        yield ErgoError("cli.report_write_failed", message, where=path, fix=remedy(error, f"unset {variable}"))
        return
    if not text:
        yield Notice(f"the summary is left out: '{path}' is full")


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe that is not read fails at once."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)
