"""Render the results of ``replay`` and ``diff`` (spec 00 §6, §12.7)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from copy import copy

import msgspec
from msgspec import UNSET, Struct

from ergo_cli.bundle.inspection import DecisionCounts
from ergo_cli.core.diagnostics import Notice
from ergo_cli.errors import ErgoError, exit_code
from ergo_cli.replay.results import BundleResult, Divergence, DivergenceKind, LogDifference, Outcome
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
from ergo_cli.report.error_text import near
from ergo_cli.report.facts import effect_facts, facts
from ergo_cli.report.failures import failure_documents, failure_lines
from ergo_cli.report.grouping import Refused, bundle_rows, first_of, group_rows, groups, refused_alike
from ergo_cli.report.text import Block, Line, Row, Rows, Tone, fields, shorten, value_texts

_FULL_WIDTH = 160
_CELL_WIDTH = 40
_MOST_FACTS = 12
"""How many facts of one decision the text shows."""
_CAUSES = {
    "numbers": "both agree once numbers are read as the original reads them; replay with --numbers original",
    "program_changed": "today's program is not the one that was captured",
    "adapter_changed": "today's adapter is not the one that was captured",
    "bundle_edited": "the bundle was changed after its capture: an effect has not its recorded hash",
    "ActionMismatch": "ActionMismatch: the step function asks for another action",
    "EventMismatch": "EventMismatch: another event follows",
    "MissingEvents": "MissingEvents: the run ends too soon",
    "ExtraEvents": "ExtraEvents: the run goes on where it ended",
    "StateMismatch": "StateMismatch: the events are the same, the states are not",
    "OrphanAction": "OrphanAction: a request has no result, and no deadline to excuse it",
    "snapshot_mismatch": "snapshot_mismatch: the state writes other values",
    "request_mismatch": "request_mismatch: the fact key is the same, what is asked is not",
    "missing_fact": "missing_fact: the facts that are asked for are not those that were recorded",
    "event_mismatch": "event_mismatch: another event follows",
    "order_mismatch": "order_mismatch: another attempt follows, or one on another context",
    "status_mismatch": "status_mismatch: the attempt or the run ends in another way",
    "unreproducible_failure": "unreproducible_failure: the recorded failure does not come again",
}


class Sides(Struct, frozen=True):
    """The names of the two sides of a comparison."""

    expected: str
    actual: str


class Shown(Struct, frozen=True):
    """What a text report shows: ``listed``, every divergence; ``verbose``, hashes, codes and JSON of the first one.

    ``seconds`` is how long the comparison took, None where it is not to be said.
    """

    listed: bool = False
    verbose: bool = False
    seconds: float | None = None


REPLAY = Sides("expected", "actual")
DIFF = Sides("in A", "in B")


def render_comparison(
    command: str,
    results: Sequence[BundleResult],
    sides: Sides,
    notices: tuple[Notice, ...] = (),
    shown: Shown = Shown(),
    searched: Sequence[str] = (),
) -> CommandResult:
    """Render the results of all bundles; the most severe exit code wins, without results the outcome is ``empty``.

    ``searched`` are the places that were looked at, which are named if there are no results.
    """
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
    blocks = tuple(_blocks(results, sides, shown)) if results else tuple(_empty(searched))
    messages = failure_lines(*(result.failures for result in results))
    complaints = tuple(_complaints(refused_alike(results)))
    return CommandResult(report, blocks, complaints, notices + tuple(_bundle_notices(results)), messages=messages)


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
    """The warnings of every bundle, with its path in front; one that several bundles have is said once."""
    places: dict[str, list[str]] = {}
    for result in results:
        for notice in result.warnings:
            where = result.path if notice.where is None else f"{result.path} {notice.where}"
            places.setdefault(notice.message, []).append(where)
    for message, found in places.items():
        yield Notice(message, first_of(found))


def _complaints(refused: Sequence[Refused]) -> Iterator[ErgoError]:
    """The errors for standard error: one that several bundles have is said once.

    Where the text lacks the bundles and they cannot be known otherwise, their names stand in front.
    """
    for error, results in refused:
        paths = [result.path for result in results]
        is_named = any(path in text for path in paths for text in (error.message, error.where or ""))
        if len(refused) > 1 and not is_named and _reason(error) is None:
            error = copy(error)
            error.message = f"{first_of(paths)}: {error.message}"
        yield error


def _empty(searched: Sequence[str]) -> Iterator[Block]:
    yield Line("empty: no bundle matched")
    yield from (Line(f"  looked in {unicode(place)}") for place in searched)


def _blocks(results: Sequence[BundleResult], sides: Sides, shown: Shown) -> Iterator[Block]:
    diverged = [result for result in results if result.outcome is Outcome.DIVERGED]
    if len(results) == 1:
        yield _verdict(results[0])
    else:
        yield _sum(results, diverged, shown.seconds)
        if shown.listed:
            yield from map(_verdict, results)
        else:
            yield from (_refusals(*refused) for refused in refused_alike(results))
    if diverged:
        yield from _divergences(diverged, sides, shown)
    elif (changed := next((each for each in results if _reason(each.error) is not None), None)) is not None:
        yield Line()
        yield Line(f"compare    ergo replay {shlex.quote(near(changed.path))}")


_VERDICTS = {Outcome.MATCH: "match", Outcome.DIVERGED: "differs", Outcome.REFUSED: "refused"}
_REASONS = {
    "replay.runtime_provenance_mismatch": "the program changed since the capture",
    "replay.adapter_provenance_mismatch": "the adapter changed since the capture",
}


def _reason(error: ErgoError | None) -> str | None:
    """Why a strict replay refuses to compare what could be compared otherwise; None for any other error."""
    return None if error is None else _REASONS.get(error.code)


def _refusals(error: ErgoError, results: Sequence[BundleResult]) -> Line:
    """The verdict on bundles that are refused alike; what else is wrong is said by the error."""
    names = first_of([_name(result) for result in results])
    return Line("  ".join(filter(None, (_VERDICTS[Outcome.REFUSED], names, _reason(error)))), Tone.BAD)


def _verdict(result: BundleResult) -> Line:
    if result.error is not None:
        return _refusals(result.error, (result,))
    parts = [_VERDICTS[result.outcome], _name(result)]
    if result.outcome is Outcome.DIVERGED:
        parts.append(_extent(result))
    elif result.events is not None and result.decisions is not None:
        parts.append(_counts(result.events, result.decisions))
    return Line("  ".join(parts), Tone.GOOD if result.outcome is Outcome.MATCH else Tone.BAD)


def _sum(results: Sequence[BundleResult], diverged: Sequence[BundleResult], seconds: float | None) -> Line:
    """The verdict over several bundles: the gravest of theirs, how many have it, and how many events there were."""
    refused = sum(result.outcome is Outcome.REFUSED for result in results)
    verdict = Outcome.REFUSED if refused else Outcome.DIVERGED if diverged else Outcome.MATCH
    bundles = f"{len(results):,} bundles"
    parts = [_VERDICTS[verdict]]
    if refused:
        parts.append(f"{refused:,} of {bundles}" + (f", {len(diverged):,} differ" if diverged else ""))
    else:
        parts.append(f"{len(diverged):,} of {bundles}" if diverged else bundles)
    parts.append(_count_text(sum(result.events or 0 for result in results), "event"))
    if seconds is not None:
        parts.append(f"({seconds:.1f} s)")
    return Line("  ".join(parts), Tone.GOOD if verdict is Outcome.MATCH else Tone.BAD)


def _name(result: BundleResult) -> str:
    path = near(result.path)
    return path if result.base is None else f"{near(result.base)} → {path}"


def _counts(events: int, decisions: DecisionCounts) -> str:
    counted = ((decisions.invoke, "invoked"), (decisions.defer, "deferred"), (decisions.skip, "skipped"))
    return ", ".join([_count_text(events, "event"), *(f"{number:,} {name}" for number, name in counted if number)])


def _extent(result: BundleResult) -> str:
    """How much differs: decisions, or what is no decision's."""
    if result.decisions is None or not result.differing:
        return _count_text(result.divergence_count, "difference")
    decided = result.decisions.invoke + result.decisions.defer + result.decisions.skip
    return f"{result.differing:,} of {_count_text(max(decided, result.differing), 'decision')}"


def _divergences(diverged: Sequence[BundleResult], sides: Sides, shown: Shown) -> Iterator[Block]:
    names = [_name(result) for result in diverged]
    found = groups(diverged, names)
    if len(diverged) > 1:
        yield Line()
        yield Rows(tuple(bundle_rows(found, listed=shown.listed)), 2)
    elif len({(each.event_id, each.occurrence) for each in diverged[0].divergences}) > 1:
        yield Line()
        yield Rows(tuple(group_rows(found)), 2, frozenset({0}))
    yield from _first(diverged[0], sides, shown, named=len(diverged) > 1)
    for result in diverged if shown.listed else ():
        if result.divergences:
            yield Line()
            yield Line(_name(result), Tone.STRONG)
            yield Rows(tuple(_list(result.divergences)), 2, frozenset({0}))
    unlisted = sum(result.divergence_count - len(result.divergences) for result in diverged)
    if unlisted:
        yield Line(f"and {unlisted:,} more; --max-divergences lists them", Tone.FAINT)
    elif not shown.listed and sum(len(result.divergences) for result in diverged) > _MOST_FACTS:
        yield Line("all        --list", Tone.FAINT)


def _first(result: BundleResult, sides: Sides, shown: Shown, *, named: bool) -> Iterator[Block]:
    """The first decision of a bundle that differs: what differs, why, what came before, what to do next."""
    if not result.divergences:
        return
    first = result.divergences[0]
    together = [each for each in result.divergences if (each.seq, each.event_id) == (first.seq, first.event_id)]
    rows = [fact.row for each in together for fact in facts(each)]
    yield Line()
    yield Line(_place(result, first, named=named), Tone.STRONG)
    yield Rows(tuple(rows[:_MOST_FACTS]), 2)
    if len(rows) > _MOST_FACTS:
        yield Line(f"  and {len(rows) - _MOST_FACTS:,} more of this decision", Tone.FAINT)
    yield Rows(tuple(_reasons(together)), 2)
    yield Rows(tuple(_before(result)), 2)
    if shown.verbose:
        yield fields(_in_full(first, sides), indent=2)
    closer = _closer(result, first)
    if closer is not None:
        yield Line()
        yield Line(f"closer     {closer}")


def _place(result: BundleResult, first: Divergence, *, named: bool) -> str:
    parts = [near(result.path)] if named else []
    if first.event_id is None:
        parts.append("at the end" if first.kind is DivergenceKind.JOURNAL else first.kind.value)
    else:
        parts += [f"decision {first.seq}", f"event {_event(first)}"]
    if first.log is not None:
        parts.append(f"run {first.log.run_id}  record {first.log.first_divergent_seq}")
    return "  ".join(parts)


def _reasons(together: Sequence[Divergence]) -> Iterator[Row]:
    """Why: the first node that differs, else what is known of the cause; each reason once."""
    said: set[str] = set()
    for each in together:
        cause = _CAUSES.get(each.cause or "", each.cause)
        origin = None if each.origin is None else f"{each.origin} is the first node that differs"
        for reason in (cause, origin):
            if reason is not None and reason not in said:
                yield Row((f"{'' if said else 'because':10}{reason}",))
                said.add(reason)


def _before(result: BundleResult) -> Iterator[Row]:
    """The decisions before the first that differs, one line each."""
    for number, episode in enumerate(result.before_first):
        made = [
            fact.row.cells[0].removeprefix("+ ")
            for text in episode.texts
            for fact in effect_facts("+", msgspec.json.decode(text))
        ]
        done = ", ".join(made) or episode.termination or episode.decision
        label = "" if number else "before"
        yield Row((f"{label:10}{episode.event_id}", shorten(done, _CELL_WIDTH)), Tone.FAINT)


def _closer(result: BundleResult, first: Divergence) -> str | None:
    """The command that shows the event node by node, where the bundle has it."""
    if first.event_id is None or result.path == "-" or first.kind is DivergenceKind.EVENT_MISSING:
        return None
    event = shlex.quote(first.event_id)
    option = f"--event={event}" if first.event_id.startswith("-") else f"--event {event}"
    again = f" --occurrence {first.occurrence}" if first.occurrence else ""
    return f"ergo explain {shlex.quote(near(result.path))} {option}{again}"


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


def _list(divergences: Sequence[Divergence]) -> Iterator[Row]:
    """Every divergence: its decision, its event, what differs."""
    for each in divergences:
        for fact in facts(each):
            yield Row((str(each.seq), _event(each) or "", *fact.row.cells), fact.row.tone)


def _event(divergence: Divergence) -> str | None:
    if divergence.event_id is None or not divergence.occurrence:
        return divergence.event_id
    return f"{divergence.event_id} (again, {divergence.occurrence} before it)"


def _count_text(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
