"""Validations, told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ergo_cli.errors import exit_code
from ergo_cli.host.validating.files import FileResult
from ergo_cli.report.blocks import Block, Line, Tone
from ergo_cli.report.document import FileDocument, Report, error_document, unicode, warning_texts
from ergo_cli.report.exit_codes import gravest
from ergo_cli.report.told import Told


def validation_told(results: Sequence[FileResult]) -> Told:
    """The results of all files; one invalid file makes the outcome ``invalid``."""
    errors = tuple(error for result in results for error in result.errors)
    code = gravest(exit_code(error.code) for error in errors)
    headline = next((error for error in errors if exit_code(error.code) == code), None)
    report = Report(
        command="validate",
        outcome=_outcome(not errors),
        exit_code=code,
        error=None if headline is None else error_document(headline),
        files=tuple(_document(result) for result in results),
    )
    notices = tuple(notice for result in results for notice in result.notices)
    return Told(report, tuple(_blocks(results)), errors, notices)


def _document(result: FileResult) -> FileDocument:
    return FileDocument(
        path=unicode(result.path),
        kind=None if result.kind is None else result.kind.value,
        id=result.id,
        outcome=_outcome(not result.errors),
        errors=tuple(error_document(error) for error in result.errors),
        warnings=warning_texts(result.notices),
    )


def _blocks(results: Sequence[FileResult]) -> Iterator[Block]:
    for result in results:
        what = " ".join(part for part in (result.kind.value if result.kind else None, result.id) if part)
        line = f"{_outcome(not result.errors)}: {result.path}" + (f" ({what})" if what else "")
        yield Line(line, Tone.BAD if result.errors else Tone.GOOD)


def _outcome(valid: bool) -> str:
    return "valid" if valid else "invalid"
