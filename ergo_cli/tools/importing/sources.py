"""The forms that a source may have, and its rows."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import PurePath

from ergo_cli.errors import EventError, UsageError
from ergo_cli.host.event_input import open_source, source_label
from ergo_cli.stores.files import is_compressed
from ergo_cli.tools.importing.batches import Batch
from ergo_cli.tools.importing.cells import Notation
from ergo_cli.tools.importing.documents import document_batches, line_batches
from ergo_cli.tools.importing.text_tables import OnSkip, table_batches


class SourceForm(Enum):
    """The form of a source."""

    CSV = "csv"
    TSV = "tsv"
    JSON = "json"
    JSONL = "jsonl"
    PARQUET = "parquet"
    ARROW = "arrow"


_SUFFIXES = {
    ".csv": SourceForm.CSV,
    ".tsv": SourceForm.TSV,
    ".tab": SourceForm.TSV,
    ".json": SourceForm.JSON,
    ".jsonl": SourceForm.JSONL,
    ".ndjson": SourceForm.JSONL,
    ".parquet": SourceForm.PARQUET,
    ".arrow": SourceForm.ARROW,
    ".arrows": SourceForm.ARROW,
    ".feather": SourceForm.ARROW,
}
_TEXT_TABLES = {SourceForm.CSV: ",", SourceForm.TSV: "\t"}


def source_form(source: str, asked: SourceForm | None) -> SourceForm:
    """The form that was asked for, else that of the suffix, in front of that of a compression.

    Raises UsageError ``cli.missing_required_option`` where neither says it.
    """
    path = PurePath(source)
    suffix = (PurePath(path.stem) if is_compressed(source) else path).suffix.lower()
    form = asked or _SUFFIXES.get(suffix)
    if form is None:
        message = f"'{source}' does not say by its suffix what it is"
        fix = f"say it with --from {', '.join(each.value for each in SourceForm)}"
        raise UsageError("cli.missing_required_option", message, where="option --from", fix=fix)
    return form


@contextmanager
def open_batches(
    source: str, form: SourceForm, notation: Notation, on_skip: OnSkip, unread: frozenset[str] = frozenset()
) -> Generator[Iterator[Batch]]:
    """The rows of a source, read lazily; of ``unread`` columns the values may be of any type.

    Raises EventError, from the iterator too; UsageError as ``check_notation``.
    """
    check_notation(form, notation)
    if form in (SourceForm.PARQUET, SourceForm.ARROW):
        from ergo_cli.tools.importing.arrow import open_arrow  # it imports a heavy library

        with open_arrow(source, is_parquet=form is SourceForm.PARQUET, nulls=notation.nulls, unread=unread) as batches:
            yield batches
        return
    label = source_label(source)
    with open_source(source) as chunks:
        if form in _TEXT_TABLES:
            yield _named(table_batches(chunks, label, _TEXT_TABLES[form], notation, on_skip))
        elif form is SourceForm.JSONL:
            yield _named(line_batches(chunks, label))
        else:
            yield _named(document_batches(chunks, label))


def check_notation(form: SourceForm, notation: Notation) -> None:
    """Raise UsageError ``cli.conflicting_options`` for what only cells of texts have."""
    notation.check()
    if form in _TEXT_TABLES:
        return
    plain = Notation(nulls=notation.nulls)
    given = {
        "--thousands": notation.thousands != plain.thousands,
        "--decimal": notation.decimal != plain.decimal,
        "--text": notation.texts != plain.texts,
    }
    option = next((name for name, is_given in given.items() if is_given), None)
    if option is not None:
        message = f"{option} says how cells of texts are read, and {form.value} has numbers and texts of its own"
        raise UsageError("cli.conflicting_options", message, where=f"option {option}", fix=f"leave {option} out")


def _named(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The batches; a source that cannot be read on is said to be a source, not events."""
    try:
        yield from batches
    except EventError as error:
        if error.code == "driver.input_invalid":
            error.code = "import.source_invalid"
        raise
