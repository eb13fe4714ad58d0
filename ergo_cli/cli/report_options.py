"""The options that say in which formats, and where, the result of a command is written."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import typer

from ergo_cli.cli.commands import Format, beginning_with
from ergo_cli.report.formats.registry import FORMATS

NAMES = (Format.TEXT.value, *FORMATS)
"""The formats of standard output."""


class ReportFile(NamedTuple):
    """A file that gets the result in a format."""

    form: str
    path: str


def _form(text: str) -> str:
    if text not in NAMES:
        raise typer.BadParameter(f"'{text[:40]}' is not one of {', '.join(NAMES)}")
    return text


def _report(text: str) -> ReportFile:
    form, _, path = str(text).partition("=")
    known = NAMES[1:]
    if form not in known:
        raise typer.BadParameter(f"'{form[:40]}' is not one of {', '.join(known)}")
    if path in ("", "-"):
        raise typer.BadParameter(f"'{text[:40]}' names no file: write {form}=PATH, or --format {form}")
    return ReportFile(form, path)


def _forms(incomplete: str) -> list[str]:
    return beginning_with(incomplete, NAMES)


def _reports(incomplete: str) -> list[str]:
    return beginning_with(incomplete, [f"{name}=" for name in NAMES[1:]])


ReportFormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        parser=_form,
        metavar=f"[{'|'.join(NAMES)}]",
        help="How to write the result.",
        autocompletion=_forms,
    ),
]
ReportOption = Annotated[
    list[ReportFile] | None,
    typer.Option(
        "--report",
        parser=_report,
        metavar="FORMAT=PATH",
        help="Also write the result to a file; repeatable.",
        autocompletion=_reports,
    ),
]


PAGE_NAMES = (Format.TEXT.value, "json", "html")
"""The formats of a command whose result is no verdict on bundles or files."""


def _page_form(text: str) -> str:
    if text not in PAGE_NAMES:
        raise typer.BadParameter(f"'{text[:40]}' is not one of {', '.join(PAGE_NAMES)}")
    return text


def _page_report(text: str) -> ReportFile:
    file = _report(text)
    if file.form not in PAGE_NAMES:
        raise typer.BadParameter(f"'{file.form}' is not one of {', '.join(PAGE_NAMES[1:])}")
    return file


def _page_forms(incomplete: str) -> list[str]:
    return beginning_with(incomplete, PAGE_NAMES)


def _page_reports(incomplete: str) -> list[str]:
    return beginning_with(incomplete, [f"{name}=" for name in PAGE_NAMES[1:]])


PageFormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        parser=_page_form,
        metavar=f"[{'|'.join(PAGE_NAMES)}]",
        help="How to write the result.",
        autocompletion=_page_forms,
    ),
]
PageReportOption = Annotated[
    list[ReportFile] | None,
    typer.Option(
        "--report",
        parser=_page_report,
        metavar="FORMAT=PATH",
        help="Also write the result to a file; repeatable.",
        autocompletion=_page_reports,
    ),
]
