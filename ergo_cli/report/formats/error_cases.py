"""The cases of errors: of files that were validated, and of a command that ended with one."""

from __future__ import annotations

import re

from msgspec import UNSET, UnsetType

from ergo_cli.core.diagnostics import counted
from ergo_cli.report.document import ErrorDocument, FileDocument, Report
from ergo_cli.report.error_text import near, without_hashes
from ergo_cli.report.formats.findings import EMPTY, INTERRUPTED, WARNING, Case, Finding, Gravity, one_line, text_or_none
from ergo_cli.report.formats.places import located, place_in, place_of_error
from ergo_cli.report.formats.registry import Around

PROJECT_FILE = "ergo.toml"
"""Where findings stand that are about no file."""

_MOST_CAUSES = 20
_POSITION = re.compile(r":\d+(:\d+)?|\bline \d+(, column \d+)?")
"""What a message may say of a line, which changes when others are added above it."""


def case_of_file(document: FileDocument, around: Around) -> Case:
    """The case of a file that was validated."""
    name, file = one_line(near(document.path)), located(document.path, around)
    findings = [_error_finding(each, "validate", file, around, document.reproduce) for each in document.errors]
    for warning in document.warnings:
        place = place_in(warning, around) or (file, None)
        findings.append(
            Finding(
                rule=WARNING,
                gravity=Gravity.WARNING,
                fails=False,
                text=one_line(near(warning)),
                file=place[0],
                line=place[1],
                subject=file,
                identity=("validate", file, WARNING, warning),
            )
        )
    count = len(document.errors)
    verdict = f"invalid  {name}  {counted(count, 'error')}" if count else f"valid  {name}"
    first = f": {document.errors[0].message}" if count else ""
    return Case(
        name=name,
        file=file,
        verdict=one_line(near(verdict + first)),
        details=tuple(line for error in document.errors for line in error_lines(error)),
        warnings=tuple(one_line(near(each)) for each in document.warnings),
        reproduce=text_or_none(document.reproduce),
        findings=tuple(findings),
        is_error=count > 0,
        fails=count > 0,
    )


def case_of_command(report: Report, around: Around) -> Case:
    """The case of a command that failed without a bundle or file that does."""
    command = f"ergo {report.command}" if report.command else "ergo"
    if report.error is not None:
        finding = _error_finding(report.error, command, located(PROJECT_FILE, around), around, UNSET)
        verdict, details = finding.text, finding.reasons
    else:
        is_empty = report.outcome == EMPTY
        rule, verdict = (EMPTY, "no bundle matched") if is_empty else (INTERRUPTED, "not everything was compared")
        details = ()
        finding = Finding(
            rule=rule,
            gravity=Gravity.ERROR,
            fails=True,
            text=f"{command}: {verdict}",
            file=located(PROJECT_FILE, around),
            subject=command,
            identity=(command, rule),
        )
    return Case(
        name=command,
        file=finding.file,
        verdict=f"{report.outcome}  {verdict}",
        details=details,
        findings=(finding,),
        is_error=True,
        fails=True,
    )


def _error_finding(
    error: ErrorDocument, command: str, file: str, around: Around, reproduce: str | UnsetType
) -> Finding:
    place = place_of_error(error, around) or (file, None)
    return Finding(
        rule=error.code,
        gravity=Gravity.ERROR,
        fails=True,
        text=one_line(without_hashes(near(error.message))),
        reasons=error_lines(error)[1:],
        file=place[0],
        line=place[1],
        subject=file,
        reproduce=text_or_none(reproduce),
        identity=(command, file, error.code, _POSITION.sub("", error.message)),
    )


def error_lines(error: ErrorDocument) -> tuple[str, ...]:
    """What is wrong, where, the remedy, and the errors behind it."""
    lines = [f"error: {error.message}"]
    if error.where is not None and error.where not in error.message:
        lines.append(f"where: {error.where}")
    if error.fix is not None:
        lines.append(f"fix: {error.fix}")
    lines.append(f"code: {error.code}")
    for cause in error.causes[:_MOST_CAUSES]:
        place = "" if cause.where is None else f"{cause.where}  "
        lines.append(f"cause: {place}{cause.message}")
    if len(error.causes) > _MOST_CAUSES:
        lines.append(f"and {len(error.causes) - _MOST_CAUSES:,} more causes")
    return tuple(one_line(near(line)) for line in lines)
