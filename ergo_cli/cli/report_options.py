"""The options that say in which formats, and where, the result of a command is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

import typer

from ergo_cli.cli.commands import Format, beginning_with
from ergo_cli.report.formats.registry import FORMATS

NAMES = (Format.TEXT.value, *FORMATS)
"""The formats of standard output."""


class ReportFile(NamedTuple):
    """A file that gets the result in a format."""

    form: str
    path: str


PAGE_NAMES = (Format.TEXT.value, "json", "html")
"""The formats of a command whose result is no verdict on bundles or files."""


def _format_option(names: Sequence[str]) -> Any:
    """``--format`` with these names."""

    def form(text: str) -> str:
        if text not in names:
            raise typer.BadParameter(f"'{text[:40]}' is not one of {', '.join(names)}")
        return text

    return typer.Option(
        "--format",
        parser=form,
        metavar=f"[{'|'.join(names)}]",
        help="How to write the result.",
        autocompletion=_beginning(names),
    )


def _report_option(names: Sequence[str]) -> Any:
    """``--report FORMAT=PATH`` with these names but text."""
    known = names[1:]

    def report(text: str) -> ReportFile:
        form, _, path = str(text).partition("=")
        if form not in known:
            raise typer.BadParameter(f"'{form[:40]}' is not one of {', '.join(known)}")
        if path in ("", "-"):
            raise typer.BadParameter(f"'{text[:40]}' names no file: write {form}=PATH, or --format {form}")
        return ReportFile(form, path)

    return typer.Option(
        "--report",
        parser=report,
        metavar="FORMAT=PATH",
        help="Also write the result to a file; repeatable.",
        autocompletion=_beginning([f"{name}=" for name in known]),
    )


def _beginning(words: Sequence[str]) -> Callable[[str], list[str]]:
    """The completion of words."""

    def complete(incomplete: str) -> list[str]:
        return beginning_with(incomplete, words)

    return complete


ReportFormatOption = Annotated[str, _format_option(NAMES)]
ReportOption = Annotated[list[ReportFile] | None, _report_option(NAMES)]
PageFormatOption = Annotated[str, _format_option(PAGE_NAMES)]
PageReportOption = Annotated[list[ReportFile] | None, _report_option(PAGE_NAMES)]
