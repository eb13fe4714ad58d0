"""Render the results of ``run``, ``capture`` and ``recover``."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ergo_cli.channels.interruption import Interruption
from ergo_cli.core.diagnostics import Notice, counted
from ergo_cli.host.effects import SentIntent
from ergo_cli.host.perform import RunResult
from ergo_cli.report.command_result import CommandResult
from ergo_cli.report.document import (
    BROKEN,
    INTERRUPTED,
    IntentDocument,
    InterruptionDocument,
    RecoveryDocument,
    Report,
    RunDocument,
    error_document,
    unicode,
    warning_texts,
)
from ergo_cli.report.error_text import near
from ergo_cli.report.failures import failure_documents, failure_lines
from ergo_cli.report.reproducing import argument
from ergo_cli.report.text import Block, Line, Tone, event_counts, fields
from ergo_cli.report.waiting import Answers, waiting_blocks, waiting_documents

if TYPE_CHECKING:
    from ergo_cli.host.recovery import Recovered


def render_run(
    command: str,
    result: RunResult,
    notices: tuple[Notice, ...],
    answers: Answers,
    *,
    fail_on_error: bool,
    signalled: bool = False,
) -> CommandResult:
    """Render a finished run; its ``notices`` were printed at its start.

    ``answers`` says how runs that wait are answered.
    ``fail_on_error`` makes failed episodes, a failed closing and an early end exit code 1; ``signalled``: a signal
    ended the run.
    """
    summary = result.summary
    outcome = "completed" if result.interruption is None else "interrupted"
    report = Report(
        command=command,
        outcome=outcome,
        exit_code=_exit_code(result, fail_on_error=fail_on_error, signalled=signalled),
        error=None if result.error is None else error_document(result.error),
        warnings=warning_texts(notices + result.notices),
        run=_document(result, answers),
    )
    counts = (
        (summary.invoked, "invoked"),
        (summary.deferred, "deferred"),
        (summary.skipped, "skipped"),
        (summary.failed, "failed"),
        (result.waiting.count, "waiting"),
    )
    pairs = (
        ("closing", result.failures.closing),
        ("interruption", None if result.interruption is None else _interruption_text(result.interruption)),
        ("bundle", None if result.bundle is None else near(result.bundle)),
    )
    good = result.error is None and not _has_failures(result)
    verdict = "done" if result.interruption is None else outcome
    headline = Line(f"{verdict}  {event_counts(summary.events, counts)}", Tone.GOOD if good else Tone.BAD)
    errors = () if result.error is None else (result.error,)
    blocks = (headline, fields(pairs, indent=2), *waiting_blocks(result.waiting, answers), *_closer(result))
    return CommandResult(report, blocks, errors, result.notices, messages=failure_lines(result.failures))


def _closer(result: RunResult) -> Iterator[Block]:
    """The command that shows the first episode that failed, where a bundle holds it."""
    first = next((group.first for group in result.failures.groups if group.first is not None), None)
    if first is not None and result.bundle is not None and not first.startswith("-"):
        yield Line()
        yield Line(
            f"closer     {shlex.join(('ergo', 'explain', argument(result.bundle), '--event', first))}", whole=True
        )


def render_recovery(journal: str, recovered: Recovered) -> CommandResult:
    """Render a bundle recovered from a journal, with a warning for every intent whose step is not in it."""
    notices = recovered.notices + tuple(Notice(_unconfirmed_text(sent)) for sent in recovered.unconfirmed)
    report = Report(
        command="recover",
        outcome="ok",
        exit_code=0,
        warnings=warning_texts(notices),
        recovery=RecoveryDocument(
            unicode(journal),
            unicode(recovered.bundle),
            recovered.steps,
            tuple(IntentDocument(sent.event_id, sent.intent_id, sent.channel) for sent in recovered.unconfirmed),
        ),
    )
    pairs = (("program", f"{recovered.kind} {recovered.header.graph_id}"), ("bundle", near(recovered.bundle)))
    headline = Line(f"recovered: {counted(recovered.steps, 'event')}", Tone.GOOD)
    return CommandResult(report, (headline, fields(pairs, indent=2)), notices=notices)


def _exit_code(result: RunResult, *, fail_on_error: bool, signalled: bool) -> int:
    if signalled:
        return INTERRUPTED
    if result.error is not None:
        return BROKEN
    return 1 if fail_on_error and (_has_failures(result) or result.interruption is not None) else 0


def _has_failures(result: RunResult) -> bool:
    """Whether an episode has failed, or closing the program."""
    return result.summary.failed > 0 or result.failures.closing is not None


def _interruption_text(interruption: Interruption) -> str:
    """The reason as spec 30 §23.3 writes it: its code, then what it names."""
    named = (("channel", interruption.channel), ("intent_id", interruption.intent_id))
    return " ".join([interruption.code, *(f"{name}={value}" for name, value in named if value is not None)])


def _unconfirmed_text(sent: SentIntent) -> str:
    return (
        f"intent '{sent.intent_id}' of event '{sent.event_id}' may have been sent to channel '{sent.channel}': "
        "the run ended before its step was committed, so its delivery is unknown"
    )


def _document(result: RunResult, answers: Answers) -> RunDocument:
    summary = result.summary
    return RunDocument(
        graph_id=summary.graph_id,
        events=summary.events,
        episodes=summary.episodes,
        invoked=summary.invoked,
        deferred=summary.deferred,
        skipped=summary.skipped,
        failed=summary.failed,
        interruption=None if result.interruption is None else _interruption_document(result.interruption),
        bundle=None if result.bundle is None else unicode(result.bundle),
        failures=failure_documents(result.failures),
        other_failures=result.failures.others,
        waiting=waiting_documents(result.waiting, answers),
        waiting_runs=result.waiting.count,
    )


def _interruption_document(interruption: Interruption) -> InterruptionDocument:
    return InterruptionDocument(interruption.code, interruption.channel, interruption.intent_id)
