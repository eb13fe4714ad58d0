"""Render the results of ``runs`` (spec 00 §13.8)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import UNSET, Raw, UnsetType

from ergo_cli.core.diagnostics import Notice, counted
from ergo_cli.errors import exit_code
from ergo_cli.host.moved_runs import Moved
from ergo_cli.programs.runs import (
    CancelledRun,
    ExportedRun,
    ForkedRun,
    ListedRun,
    ResumedRun,
    RunDriver,
    RunRecord,
    ShownRun,
    Standing,
    TimedRun,
)
from ergo_cli.report.command_result import CommandResult
from ergo_cli.report.document import (
    CancelDocument,
    ExportDocument,
    ForkDocument,
    ListedRunDocument,
    MovedRunsDocument,
    Report,
    ResumptionDocument,
    RunDriverDocument,
    ShownRunDocument,
    SnapshotDocument,
    TimelineDocument,
    error_document,
    failure_outcome,
    warning_texts,
)
from ergo_cli.report.text import Block, Fields, Line, Table, Tone, fields, shorten

_COMMANDS = ("list", "show", "timeline", "resume", "fork", "cancel", "export", "import")
LIST, SHOW, TIMELINE, RESUME, FORK, CANCEL, EXPORT, IMPORT = (f"runs.{name}" for name in _COMMANDS)

_NUMERIC = frozenset({"events", "snapshot", "seq"})
_WIDTH = 60
_TONES = {
    Standing.EMPTY: Tone.FAINT,
    Standing.ACTIVE: Tone.PLAIN,
    Standing.BLOCKED: Tone.STRONG,
    Standing.FAILED: Tone.BAD,
    Standing.COMPLETED: Tone.GOOD,
    Standing.CANCELLED: Tone.BAD,
}


def render_run_list(runs: Sequence[ListedRun], notices: Sequence[Notice] = ()) -> CommandResult:
    """Render all runs of a store; the first error of an unreadable run is the error of the command.

    ``notices`` are warnings about the listing itself.
    """
    errors = tuple(run.error for run in runs if run.error is not None)
    code = exit_code(errors[0].code) if errors else 0
    report = Report(
        command=LIST,
        outcome=failure_outcome(code) if errors else "ok",
        exit_code=code,
        error=error_document(errors[0]) if errors else None,
        warnings=warning_texts(notices),
        runs=tuple(map(_listed_document, runs)),
    )
    rows = tuple(tuple(map(_cell, _listed_row(run))) for run in runs)
    table = Table(("run", "status", "events", "snapshot"), rows, _NUMERIC)
    if any(run.program for run in runs):
        table = _with_programs(table, runs)
    driven = [Line(f"run '{run.run_id}' is driven by {_driver_text(run.driver)}") for run in runs if run.driver]
    return CommandResult(report, (table if runs else Line("no runs"), *driven), errors, tuple(notices))


def render_run_state(run: ShownRun) -> CommandResult:
    """Render the state of one run: status, snapshot, what it waits for, last records."""
    snapshot, request = run.snapshot, run.request
    document = ShownRunDocument(
        run_id=run.run_id,
        head=run.head,
        status=Raw(run.status),
        derived_status=run.standing.value,
        snapshot=None if snapshot is None else SnapshotDocument(snapshot.at_seq, snapshot.version),
        interrupt=_raw(run.interrupt),
        request=None if request is None else Raw(request.record),
        last_events=tuple(Raw(each.record) for each in run.last_records),
        driver=_driver_document(run.driver),
    )
    pairs = (
        ("status", run.standing.value),
        *run.about,
        ("driven by", None if run.driver is None else _driver_text(run.driver)),
        ("events", run.head),
        ("snapshot", None if snapshot is None else f"at {snapshot.at_seq}, state version {snapshot.version}"),
        ("asks", _text(run.question)),
        ("request", None if request is None else f"{request.action_id} {_text(request.payload)}"),
    )
    rows = tuple(tuple(map(_cell, _record_row(each))) for each in run.last_records)
    table = Table(("seq", "event", "id", "content"), rows, _NUMERIC)
    tables = (Table(each.columns, tuple(each.rows), each.numeric) for each in run.tables if each.rows)
    parts: Sequence[Block] = [block for each in tables for block in (Line(), each)]
    headline = Line(run.run_id, _TONES[run.standing])
    report = Report(command=SHOW, outcome="ok", exit_code=0, run_summary=document)
    return CommandResult(report, (headline, fields(pairs, indent=2), *parts, Line(), table))


def render_timeline(run: TimedRun) -> CommandResult:
    """Render one run record by record."""
    document = TimelineDocument(
        run_id=run.run_id,
        events=tuple(map(Raw, run.records)),
        final_status=Raw(run.final_status),
        derived_status=run.standing.value,
    )
    rows = tuple(tuple(map(_cell, row)) for row in run.rows)
    table = Table(run.columns, rows, _NUMERIC)
    status = Line(f"status: {run.standing.value}", _TONES[run.standing])
    report = Report(command=TIMELINE, outcome="ok", exit_code=0, run_timeline=document)
    return CommandResult(report, (Line(run.run_id, Tone.STRONG), table, status))


def render_resumption(run: ResumedRun) -> CommandResult:
    """Render the state of a run after it was resumed."""
    document = ResumptionDocument(run.run_id, Raw(run.status), run.head_before, run.head)
    pairs = (
        ("events", f"{run.head}, {run.head - run.head_before} of them new"),
        ("asks", _text(run.question)),
        ("waits for", None if run.wait_signal is None else f"signal {run.wait_signal}"),
    )
    notices = tuple(run.notices)
    report = Report(command=RESUME, outcome="ok", exit_code=0, warnings=warning_texts(notices), run_resumed=document)
    headline: Block = Line(f"{run.standing.value.lower()}: {run.run_id}", _TONES[run.standing])
    return CommandResult(report, (headline, fields(pairs, indent=2)), notices=notices)


def render_fork(fork: ForkedRun) -> CommandResult:
    """Render a written branch."""
    document = ForkDocument(
        fork.source_run_id, fork.branch_id, fork.fork_point_seq, _raw(fork.alternate_event), fork.head
    )
    headline = Line(f"forked: {fork.source_run_id} at {fork.fork_point_seq} as {fork.branch_id}", Tone.GOOD)
    report = Report(command=FORK, outcome="ok", exit_code=0, run_fork=document)
    return CommandResult(report, (headline, fields((("events", fork.head),), indent=2)))


def render_cancellation(run: CancelledRun) -> CommandResult:
    """Render a run that was ended as cancelled."""
    document = CancelDocument(run.run_id, run.head, run.children, run.was_driven)
    pairs = (
        ("events", run.head),
        ("by", "the process that drove it" if run.was_driven else None),
        ("with", ", ".join(run.children) or None),
    )
    headline = Line(f"cancelled: {run.run_id}", Tone.GOOD)
    report = Report(command=CANCEL, outcome="ok", exit_code=0, run_cancelled=document)
    return CommandResult(report, (headline, fields(pairs, indent=2)))


def render_export(run: ExportedRun) -> CommandResult:
    """Render a run that was exported."""
    document = ExportDocument(run.run_id, run.form, run.path, run.files, run.records)
    pairs = (("folder", run.path), ("form", run.form), ("files", run.files), ("records", run.records))
    headline = Line(f"exported: {run.run_id}", Tone.GOOD)
    report = Report(command=EXPORT, outcome="ok", exit_code=0, run_exported=document)
    return CommandResult(report, (headline, fields(pairs, indent=2)))


def render_archive(path: str, moved: Moved) -> CommandResult:
    """Render the runs that were written to a file."""
    document = MovedRunsDocument(path, moved.runs, moved.records, moved.artifacts)
    headline = Line(f"exported: {counted(moved.runs, 'run')}", Tone.GOOD)
    report = Report(command=EXPORT, outcome="ok", exit_code=0, runs_archived=document)
    return CommandResult(report, (headline, _moved_fields(path, moved)))


def render_import(path: str, moved: Moved) -> CommandResult:
    """Render the runs that were taken from a file."""
    document = MovedRunsDocument(path, moved.runs, moved.records, moved.artifacts, moved.present)
    present = f", {moved.present} were there already" if moved.present else ""
    headline = Line(f"imported: {counted(moved.runs, 'run')}{present}", Tone.GOOD)
    report = Report(command=IMPORT, outcome="ok", exit_code=0, runs_imported=document)
    return CommandResult(report, (headline, _moved_fields(path, moved)))


def _moved_fields(path: str, moved: Moved) -> Fields:
    pairs = (("file", path), ("records", str(moved.records)), ("artifacts", str(moved.artifacts)))
    return fields(pairs, indent=2)


def _listed_document(run: ListedRun) -> ListedRunDocument:
    standing = None if run.standing is None else run.standing.value
    error = None if run.error is None else error_document(run.error)
    driver, program = _driver_document(run.driver), UNSET if run.program is None else run.program
    return ListedRunDocument(run.run_id, run.head, standing, run.snapshot, error, driver, program)


def _driver_document(driver: RunDriver | None) -> RunDriverDocument | UnsetType:
    if driver is None:
        return UNSET
    owner = driver.owner
    return RunDriverDocument(owner.host, owner.pid, owner.name, driver.held_ms, driver.heartbeat_ms)


def _driver_text(driver: RunDriver) -> str:
    return f"{driver.owner} for {driver.held_ms // 1000} s, heard of {driver.heartbeat_ms // 1000} s ago"


def _with_programs(table: Table, runs: Sequence[ListedRun]) -> Table:
    rows = tuple((*row, _cell(run.program)) for row, run in zip(table.rows, runs, strict=True))
    return Table((*table.columns, "program"), rows, table.numeric)


def _listed_row(run: ListedRun) -> Iterable[object]:
    return run.run_id, "unreadable" if run.standing is None else run.standing.value, run.head, run.snapshot


def _record_row(record: RunRecord) -> Iterable[object]:
    return record.seq, record.name, record.id, _text(record.content)


def _raw(record: bytes | None) -> Raw | None:
    return None if record is None else Raw(record)


def _text(value: bytes | None) -> str | None:
    return None if value is None else shorten(value.decode(), _WIDTH)


def _cell(value: object) -> str:
    return "-" if value is None else str(value)
