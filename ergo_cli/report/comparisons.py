"""Render the results of ``replay`` and ``diff`` (spec 00 §6, §12.7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from msgspec import UNSET, Struct

from ergo_cli.core.diagnostics import Notice
from ergo_cli.errors import exit_code
from ergo_cli.replay.results import BundleResult, Divergence, Episode, LogDifference, Outcome
from ergo_cli.report.command_result import CommandResult
from ergo_cli.report.document import (
    NOTHING_TO_DO,
    BundleDocument,
    DivergenceDocument,
    Report,
    error_document,
    failure_outcome,
    gravest,
    unicode,
    warning_texts,
)
from ergo_cli.report.failures import failure_documents, failure_lines
from ergo_cli.report.text import Block, Line, Table, Tone, fields, value_texts

_FULL_WIDTH = 160
_CELL_WIDTH = 40
_TONES = {Outcome.MATCH: Tone.GOOD, Outcome.DIVERGED: Tone.BAD, Outcome.REFUSED: Tone.BAD}
_CAUSES = {
    "numbers": "numbers: both agree once numbers are read as the original reads them; replay with --numbers original",
    "program_changed": "program_changed: today's program is not the one that was captured",
    "adapter_changed": "adapter_changed: today's adapter is not the one that was captured",
    "bundle_edited": "bundle_edited: the bundle was changed after its capture: an effect has not its recorded hash",
    "ActionMismatch": "ActionMismatch: the step function asks for another action",
    "EventMismatch": "EventMismatch: another event follows",
    "MissingEvents": "MissingEvents: the run ends too soon",
    "ExtraEvents": "ExtraEvents: the run goes on where it ended",
    "StateMismatch": "StateMismatch: the events are the same, the states are not",
    "OrphanAction": "OrphanAction: a request has no result, and no deadline to excuse it",
}


class Sides(Struct, frozen=True):
    """The names of the two sides of a comparison."""

    expected: str
    actual: str


REPLAY = Sides("expected", "actual")
DIFF = Sides("in A", "in B")


def render_comparison(
    command: str, results: Sequence[BundleResult], sides: Sides, notices: tuple[Notice, ...] = ()
) -> CommandResult:
    """Render the results of all bundles; the most severe exit code wins, without results the outcome is ``empty``."""
    codes = [_exit_code(result) for result in results] or [NOTHING_TO_DO]
    code = gravest(codes)
    errors = [result.error for result in results if result.error is not None]
    headline = next((error for error in errors if exit_code(error.code) == code), None)
    report = Report(
        command=command,
        outcome=_outcome(code),
        exit_code=code,
        error=None if headline is None else error_document(headline),
        bundles=tuple(bundle_document(result) for result in results),
        warnings=warning_texts(notices),
    )
    blocks = tuple(_blocks(results, sides))
    messages = tuple(line for result in results for line in failure_lines(result.failures))
    return CommandResult(report, blocks, tuple(errors), notices + tuple(_bundle_notices(results)), messages=messages)


def bundle_document(result: BundleResult) -> BundleDocument:
    """Return the document of one bundle's result."""
    return BundleDocument(
        path=unicode(result.path),
        base=UNSET if result.base is None else unicode(result.base),
        outcome=result.outcome.value,
        error=None if result.error is None else error_document(result.error),
        events=result.events,
        decisions=result.decisions,
        warnings=warning_texts(result.warnings),
        divergence_count=result.divergence_count,
        divergences=tuple(divergence_document(divergence) for divergence in result.divergences),
        failures=failure_documents(result.failures) or UNSET,
    )


def divergence_document(divergence: Divergence) -> DivergenceDocument:
    """Return the document of one difference, members in wire order."""
    return DivergenceDocument(
        seq=divergence.seq,
        event_id=divergence.event_id,
        episode_id=divergence.episode_id,
        occurrence=divergence.occurrence,
        kind=divergence.kind.value,
        code=divergence.code,
        path=divergence.path,
        expected=divergence.expected,
        actual=divergence.actual,
        node=divergence.node,
        origin=divergence.origin,
        cause=divergence.cause,
    )


def _exit_code(result: BundleResult) -> int:
    if result.error is not None:
        return exit_code(result.error.code)
    return 1 if result.outcome is Outcome.DIVERGED else 0


def _outcome(code: int) -> str:
    match code:
        case 0:
            return Outcome.MATCH.value
        case 1:
            return Outcome.DIVERGED.value
        case _:
            return failure_outcome(code)


def _bundle_notices(results: Sequence[BundleResult]) -> Iterator[Notice]:
    """The warnings of every bundle, with its path in front."""
    for result in results:
        for notice in result.warnings:
            where = result.path if notice.where is None else f"{result.path} {notice.where}"
            yield Notice(notice.message, where)


def _blocks(results: Sequence[BundleResult], sides: Sides) -> Iterator[Block]:
    if not results:
        yield Line("empty: no bundle matched")
    for result in results:
        yield Line(_headline(result), _TONES[result.outcome])
        if result.divergences:
            yield from _divergences(result, sides)
    if len(results) > 1:
        outcomes = Counter(result.outcome for result in results)
        counted = ", ".join(f"{outcomes[outcome]} {outcome.value}" for outcome in Outcome if outcomes[outcome])
        yield Line(f"{len(results)} bundles: {counted}", Tone.STRONG)


def _headline(result: BundleResult) -> str:
    path = result.path if result.base is None else f"{result.base} → {result.path}"
    line = f"{result.outcome.value}: {path}"
    if result.events is not None and result.decisions is not None:
        counts = result.decisions
        line += f": {result.events} events, {counts.invoke} invoked, {counts.defer} deferred, {counts.skip} skipped"
    if result.error is not None:
        line += f": {result.error.code}: {result.error.message}"
    if result.divergence_count:
        line += f", {_count_text(result.divergence_count, 'divergence')}"
    return line


def _divergences(result: BundleResult, sides: Sides) -> Iterator[Block]:
    first, *others = result.divergences
    yield Line()
    yield Line("first divergence", Tone.STRONG)
    yield fields(_in_full(first, sides), indent=2)
    if result.before_first:
        yield Line()
        yield Line("before it", Tone.STRONG)
        yield _episodes(result.before_first)
    if others:
        yield Line()
        yield Line("further divergences", Tone.STRONG)
        yield _table(others, sides)
    unlisted = result.divergence_count - len(result.divergences)
    if unlisted:
        yield Line(f"and {unlisted} more; --max-divergences lists them", Tone.FAINT)
    yield Line()


def _in_full(divergence: Divergence, sides: Sides) -> list[tuple[str, object | None]]:
    expected, actual = value_texts(divergence.expected, divergence.actual, _FULL_WIDTH)
    return [
        ("decision", divergence.seq),
        ("event", _event(divergence)),
        ("episode", divergence.episode_id),
        ("kind", divergence.kind.value),
        ("path", divergence.path or None),
        (sides.expected, expected),
        (sides.actual, actual),
        ("node", divergence.node),
        ("origin", divergence.origin),
        ("cause", _CAUSES.get(divergence.cause or "", divergence.cause)),
        ("code", divergence.code),
        *_log_in_full(divergence.log, sides),
    ]


def _log_in_full(log: LogDifference | None, sides: Sides) -> list[tuple[str, object | None]]:
    """The first difference of two run logs: its position, and both records with their hashes."""
    if log is None:
        return []
    expected, actual = value_texts(log.expected, log.actual, _FULL_WIDTH)
    records = log.expected is not None or log.actual is not None
    return [
        ("run", log.run_id),
        ("first divergent seq", log.first_divergent_seq),
        ("common prefix", log.common_prefix),
        (f"record ({sides.expected})", expected if records else None),
        (f"record ({sides.actual})", actual if records else None),
        (f"hash ({sides.expected})", log.expected_hash),
        (f"hash ({sides.actual})", log.actual_hash),
        ("ended with", log.error),
    ]


def _table(divergences: Sequence[Divergence], sides: Sides) -> Table:
    columns = {
        "decision": [str(each.seq) for each in divergences],
        "event": [_event(each) or "-" for each in divergences],
        "kind": [each.kind.value for each in divergences],
        "path": [each.path for each in divergences],
    }
    pairs = [value_texts(each.expected, each.actual, _CELL_WIDTH) for each in divergences]
    columns[sides.expected] = [expected for expected, _ in pairs]
    columns[sides.actual] = [actual for _, actual in pairs]
    if any(each.node for each in divergences):
        columns["node"] = [each.node or "-" for each in divergences]
    if any(each.origin for each in divergences):
        columns["origin"] = [each.origin or "-" for each in divergences]
    return Table(tuple(columns), tuple(zip(*columns.values(), strict=True)), frozenset({"decision"}))


def _episodes(episodes: Sequence[Episode]) -> Table:
    return Table(
        ("decision", "event", "episode", "kind", "termination", "effects"),
        tuple(
            (
                str(each.seq),
                each.event_id,
                str(each.episode_id),
                each.decision,
                each.termination or "-",
                str(each.effects),
            )
            for each in episodes
        ),
        frozenset({"decision", "episode", "effects"}),
    )


def _event(divergence: Divergence) -> str | None:
    if divergence.event_id is None or not divergence.occurrence:
        return divergence.event_id
    return f"{divergence.event_id} (again, {divergence.occurrence} before it)"


def _count_text(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
