"""Runs of a store, told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Raw

from ergo_cli.errors import exit_code
from ergo_cli.host.runs.forking import ForkedRun
from ergo_cli.host.runs.listing import ListedRun
from ergo_cli.host.runs.resuming import ResumedRun
from ergo_cli.host.runs.showing import ShownRun, TimedRun
from ergo_cli.programs.kernel import wire
from ergo_cli.programs.kernel.events import SequencedEvent
from ergo_cli.programs.kernel.lifecycle import DerivedStatus
from ergo_cli.programs.kernel.status import BlockedInfo, RunBlocked, RunCompleted, RunStatus
from ergo_cli.programs.kernel.timeline import ids_of
from ergo_cli.report.blocks import Block, Line, Table, Tone, fields
from ergo_cli.report.document import (
    ForkDocument,
    ListedRunDocument,
    Report,
    ResumptionDocument,
    ShownRunDocument,
    SnapshotDocument,
    TimelineDocument,
    error_document,
)
from ergo_cli.report.exit_codes import failure_outcome
from ergo_cli.report.shortening import shorten
from ergo_cli.report.told import Told

LIST, SHOW, TIMELINE, RESUME, FORK = (f"runs.{name}" for name in ("list", "show", "timeline", "resume", "fork"))

_NUMERIC = frozenset({"events", "snapshot", "seq"})
_WIDTH = 60
_TONES = {
    DerivedStatus.EMPTY: Tone.FAINT,
    DerivedStatus.ACTIVE: Tone.PLAIN,
    DerivedStatus.BLOCKED: Tone.STRONG,
    DerivedStatus.FAILED: Tone.BAD,
    DerivedStatus.COMPLETED: Tone.GOOD,
}


def runs_listed(runs: Sequence[ListedRun]) -> Told:
    """All runs of a store; the first error of one that cannot be read is that of the command."""
    errors = tuple(run.error for run in runs if run.error is not None)
    code = exit_code(errors[0].code) if errors else 0
    report = Report(
        command=LIST,
        outcome=failure_outcome(code) if errors else "ok",
        exit_code=code,
        error=error_document(errors[0]) if errors else None,
        runs=tuple(map(_listed_document, runs)),
    )
    rows = tuple(tuple(map(_cell, _listed_row(run))) for run in runs)
    table = Table(("run", "status", "events", "snapshot"), rows, _NUMERIC)
    return Told(report, (table if runs else Line("no runs"),), errors)


def run_shown(run: ShownRun) -> Told:
    """Where one run stands."""
    snapshot = run.snapshot
    document = ShownRunDocument(
        run_id=run.run_id,
        head=run.head,
        status=Raw(wire.encode(run.status)),
        derived_status=run.derived_status.value,
        snapshot=None if snapshot is None else SnapshotDocument(snapshot.at_seq, snapshot.version),
        interrupt=_record(run.interrupt),
        request=_record(run.request),
        last_events=tuple(Raw(wire.encode(event)) for event in run.last_events),
    )
    pairs = (
        ("status", run.derived_status.value),
        ("events", run.head),
        ("snapshot", None if snapshot is None else f"at {snapshot.at_seq}, state version {snapshot.version}"),
        ("asks", None if run.interrupt is None else _text(run.interrupt.value)),
        ("request", None if run.request is None else f"{run.request.action_id} {_text(run.request.payload)}"),
    )
    rows = tuple(tuple(map(_cell, _event_row(event))) for event in run.last_events)
    table = Table(("seq", "event", "id", "content"), rows, _NUMERIC)
    headline = Line(run.run_id, _TONES[run.derived_status])
    report = Report(command=SHOW, outcome="ok", exit_code=0, run_summary=document)
    return Told(report, (headline, fields(pairs, indent=2), Line(), table))


def run_timed(run: TimedRun) -> Told:
    """One run event by event."""
    timeline = run.timeline
    document = TimelineDocument(
        run_id=timeline.run_id,
        events=tuple(Raw(wire.encode(entry)) for entry in timeline.events),
        final_status=Raw(wire.encode(timeline.final_status)),
        derived_status=run.derived_status.value,
    )
    rows = tuple(
        tuple(map(_cell, (entry.seq, entry.kind, entry.step_id, entry.action_id))) for entry in timeline.events
    )
    table = Table(("seq", "event", "step", "action"), rows, _NUMERIC)
    status = Line(f"status: {run.derived_status.value}", _TONES[run.derived_status])
    report = Report(command=TIMELINE, outcome="ok", exit_code=0, run_timeline=document)
    return Told(report, (Line(timeline.run_id, Tone.STRONG), table, status))


def run_resumed(run: ResumedRun) -> Told:
    """What a resumption came to."""
    document = ResumptionDocument(run.run_id, Raw(wire.encode(run.status)), run.head_before, run.head)
    blocked = run.status.blocked if isinstance(run.status, RunBlocked) else BlockedInfo()
    pairs = (
        ("events", f"{run.head}, {run.head - run.head_before} of them new"),
        ("asks", None if blocked.interrupt is None else _text(blocked.interrupt.value)),
        ("waits for", None if blocked.wait_signal is None else f"signal {blocked.wait_signal}"),
    )
    report = Report(command=RESUME, outcome="ok", exit_code=0, run_resumed=document)
    return Told(report, (_resumed_line(run.run_id, run.status), fields(pairs, indent=2)))


def run_forked(forked: ForkedRun) -> Told:
    """A branch that was written."""
    fork = forked.fork
    document = ForkDocument(
        fork.source_run_id, fork.branch_id, fork.fork_point_seq, _record(fork.alternate_event), forked.head
    )
    headline = Line(f"forked: {fork.source_run_id} at {fork.fork_point_seq} as {fork.branch_id}", Tone.GOOD)
    report = Report(command=FORK, outcome="ok", exit_code=0, run_fork=document)
    return Told(report, (headline, fields((("events", forked.head),), indent=2)))


def _listed_document(run: ListedRun) -> ListedRunDocument:
    status = None if run.status is None else run.status.value
    error = None if run.error is None else error_document(run.error)
    return ListedRunDocument(run.run_id, run.head, status, run.snapshot, error)


def _listed_row(run: ListedRun) -> Iterable[object]:
    return run.run_id, "unreadable" if run.status is None else run.status.value, run.head, run.snapshot


def _event_row(event: SequencedEvent) -> Iterator[object]:
    step_id, action_id = ids_of(event.event)
    yield event.seq
    yield event.kind
    yield step_id or action_id
    contents = [getattr(event.event, name) for name in event.event.__struct_fields__ if not name.endswith("_id")]
    yield _text(contents[0]) if contents else None


def _resumed_line(run_id: str, status: RunStatus) -> Block:
    match status:
        case RunCompleted():
            return Line(f"completed: {run_id}", Tone.GOOD)
        case RunBlocked():
            return Line(f"blocked: {run_id}", Tone.STRONG)
        case _:
            return Line(f"failed: {run_id}", Tone.BAD)


def _record(record: object | None) -> Raw | None:
    return None if record is None else Raw(wire.encode(record))


def _text(value: object) -> str:
    return shorten(wire.encode(value).decode(), _WIDTH)


def _cell(value: object) -> str:
    return "-" if value is None else str(value)
