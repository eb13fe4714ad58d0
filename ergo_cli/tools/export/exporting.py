"""``ergo export``: write what a bundle records, or what a replay of it finds, as rows to a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from ergo_cli.bundle.reader import open_bundle
from ergo_cli.core.diagnostics import Notice, counted
from ergo_cli.errors import CaptureWriteError, ErgoError
from ergo_cli.host.files_read import Read, refuse_replacing
from ergo_cli.project.store import ProgramStore
from ergo_cli.replay.results import BundleResult
from ergo_cli.replay.selection import BundlePath
from ergo_cli.replay.session import ReplayRequest, ReplaySession
from ergo_cli.stores.files import compressor_for
from ergo_cli.stores.standard_output import Output, open_output
from ergo_cli.tools.conditions import Condition, unmet
from ergo_cli.tools.export.columns import Row, Rows, flat
from ergo_cli.tools.export.forms import RowForm, write_rows
from ergo_cli.tools.export.rows import COLUMNS, Records, Tree, divergence_rows, recorded_rows


class ExportRequest(Struct, frozen=True):
    """Which rows of the bundle at ``path`` go to ``output``, a file or ``-``, which is standard output."""

    path: str
    records: Records
    form: RowForm
    output: str
    conditions: tuple[Condition, ...] = ()


class Exported(Struct, frozen=True):
    """How many rows were written, and what there is to say of them."""

    rows: int
    notices: tuple[Notice, ...] = ()


def export_records(request: ExportRequest, on_row: Callable[[], None] | None = None) -> Exported:
    """Write the events, decisions or effects of a bundle; at an error nothing is written.

    Raises as ``open_bundle``, ``recorded_rows`` and ``write_rows``; UsageError ``cli.conflicting_options`` for an
    output that is the bundle, ErgoError ``cli.export_write_failed``.
    """
    refuse_replacing(request.output, [Read(request.path, "the bundle")])
    with open_bundle(request.path) as reader:
        return _written(request, lambda: recorded_rows(reader, request.records), on_row)


def export_divergences(
    request: ExportRequest, replay: ReplayRequest, store: ProgramStore, on_event: Callable[[], None] | None = None
) -> Exported:
    """Replay a bundle and write its divergences. Raises what refuses the bundle, and as ``export_records``."""
    refuse_replacing(request.output, [Read(request.path, "the bundle")])
    session = ReplaySession(replay, store)
    [result] = session.results([BundlePath(request.path)], on_event)
    if result.error is not None:
        raise result.error
    refuse_replacing(request.output, (Read(file, "a file of the program") for file in result.files))
    written = _written(request, lambda: divergence_rows(result), None)
    notices = (*result.warnings, *session.notices(), *_unlisted(result), *written.notices)
    return Exported(written.rows, notices)


def _unlisted(result: BundleResult) -> Iterator[Notice]:
    listed = len(result.divergences)
    if listed < result.divergence_count:
        found = counted(result.divergence_count, "divergence")
        yield Notice(f"{result.path}: {found}, of which the first {listed:,} are looked at: see --max-divergences")


def _written(
    request: ExportRequest, trees: Callable[[], Iterator[Tree]], on_row: Callable[[], None] | None
) -> Exported:
    def rows() -> Iterator[Row]:
        for tree in trees():
            held = [condition.holds(tree) for condition in request.conditions]  # each looks at every row
            if all(held):
                yield flat(tree)
            if on_row is not None:
                on_row()

    try:
        with open_output(request.output) as file:
            number = _write(request, rows, file)
            _pass_on(file)
    except CaptureWriteError as error:
        raise ErgoError("cli.export_write_failed", error.message, where=error.where, fix=error.fix) from error
    return Exported(number, unmet(request.conditions))


def _write(request: ExportRequest, rows: Rows, file: Output) -> int:
    columns, compressor = COLUMNS[request.records], compressor_for(request.output)
    if compressor is None:
        return write_rows(request.form, rows, columns, file.write)
    number = write_rows(request.form, rows, columns, lambda data: file.write(compressor.compress(data)))
    file.write(compressor.flush())
    return number


def _pass_on(file: Output) -> None:
    """Commit; a reader of standard output that has seen enough is no fault."""
    try:
        file.commit()
    except CaptureWriteError as error:
        if not isinstance(error.__cause__, BrokenPipeError):
            raise
