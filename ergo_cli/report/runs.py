"""Runs and captures, told."""

from __future__ import annotations

from ergo_cli.core.notices import Notice
from ergo_cli.host.capturing import RunResult
from ergo_cli.report.blocks import Line, Tone, fields
from ergo_cli.report.document import Report, RunDocument, unicode, warning_texts
from ergo_cli.report.told import Told


def run_told(command: str, result: RunResult, notices: tuple[Notice, ...], *, fail_on_error: bool) -> Told:
    """A run that came to its end; ``fail_on_error`` makes failed episodes exit code 1."""
    summary = result.summary
    report = Report(
        command=command,
        outcome="completed",
        exit_code=1 if fail_on_error and summary.failed else 0,
        warnings=warning_texts(notices),
        run=_document(result),
    )
    decisions = f"{summary.invoked} invoked, {summary.deferred} deferred, {summary.skipped} skipped"
    pairs = (
        ("graph", summary.graph_id),
        ("episodes", summary.episodes),
        ("decisions", decisions),
        ("failed", summary.failed),
        ("bundle", result.bundle),
    )
    headline = Line(f"completed: {summary.events} events", Tone.BAD if summary.failed else Tone.GOOD)
    return Told(report, (headline, fields(pairs, indent=2)), notices=notices)


def _document(result: RunResult) -> RunDocument:
    summary = result.summary
    return RunDocument(
        graph_id=summary.graph_id,
        events=summary.events,
        episodes=summary.episodes,
        invoked=summary.invoked,
        deferred=summary.deferred,
        skipped=summary.skipped,
        failed=summary.failed,
        interruption=None,
        bundle=None if result.bundle is None else unicode(result.bundle),
    )
