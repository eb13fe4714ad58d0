"""Render the results of ``replay`` and ``diff`` (spec 00 §6, §12.7)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from copy import copy

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from ergo_cli.bundle.inspection import DecisionCounts
from ergo_cli.core.diagnostics import Notice, counted
from ergo_cli.core.levels import FailOn
from ergo_cli.errors import ErgoError, exit_code
from ergo_cli.replay.level_counts import LevelCounts
from ergo_cli.replay.results import WHOLE, BundleResult, Divergence, Outcome, Window, as_shown
from ergo_cli.report.changes import change_documents, change_rows
from ergo_cli.report.command_result import CommandResult
from ergo_cli.report.compared import Compared
from ergo_cli.report.consequences import following_lines, independent
from ergo_cli.report.document import (
    NOTHING_TO_DO,
    BundleDocument,
    DivergenceDocument,
    LineDocument,
    MemoryDocument,
    Report,
    ShardDocument,
    SidesDocument,
    WindowDocument,
    error_document,
    failure_outcome,
    gravest,
    unicode,
    warning_texts,
)
from ergo_cli.report.error_text import near
from ergo_cli.report.expected import (
    CLOSED,
    closed_line,
    expect_documents,
    expected_count,
    expected_lines,
    expected_text,
    without_expected,
)
from ergo_cli.report.facts import FactsOf, facts, remembered
from ergo_cli.report.failures import failure_documents, failure_lines
from ergo_cli.report.first_decision import MOST_FACTS, Sides, event_text, first_decision
from ergo_cli.report.grouping import Refused, bundle_rows, first_of, group_rows, groups, refused_alike
from ergo_cli.report.levels import below_gate, level_mark, levels_text
from ergo_cli.report.reproducing import argument, reproducing
from ergo_cli.report.text import Block, Line, Row, Rows, Tone, event_counts
from ergo_cli.stores.files import STANDARD_INPUT


class Shown(Struct, frozen=True):
    """What a text report shows: ``listed``, every divergence; ``verbose``, hashes, codes and JSON of the first one.

    ``seconds`` is how long the comparison took, None where it is not to be said. ``program`` are the options that
    select the program as words of a command line, for the commands that the text suggests; ``options`` are all that
    repeat the comparison. ``accepts``: what differs can become the recording, and the text says how. ``shard`` is the
    part of the selection that was compared, None for all of it.
    """

    listed: bool = False
    verbose: bool = False
    seconds: float | None = None
    program: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    accepts: bool = False
    shard: ShardDocument | None = None


REPLAY = Sides("expected", "actual")
DIFF = Sides("in A", "in B")


def render_comparison(
    command: str,
    results: Sequence[BundleResult],
    sides: Sides,
    notices: tuple[Notice, ...] = (),
    shown: Shown = Shown(),
    searched: Sequence[str] = (),
    unmet: Sequence[ErgoError] = (),
) -> CommandResult:
    """Render the results of all bundles; the most severe exit code wins, without results the outcome is ``empty``.

    A shard without any of the bundles that others have is a match.

    ``searched`` are the places that were looked at, which are named if there are no results. ``unmet`` are the errors
    of expectations that do not hold any more.
    """
    is_empty = not results and (shown.shard is None or not shown.shard.selected)
    codes = [NOTHING_TO_DO] if is_empty else [_exit_code(result) for result in results]
    codes += (exit_code(error.code) for error in unmet)
    code, levels = gravest(codes), sum((result.levels for result in results), LevelCounts())
    gate = next((result.fail_on for result in results if result.fail_on is not FailOn.ANY), FailOn.ANY)
    errors = [*(result.error for result in results if result.error is not None), *unmet]
    headline = next((error for error in errors if exit_code(error.code) == code), None)
    facts_of = remembered()  # text and document have the same ones
    report = Report(
        command=command,
        outcome=_outcome(code, results),
        exit_code=code,
        error=None if headline is None else error_document(headline),
        bundles=tuple(_repeatable(command, result, shown.options, facts_of) for result in results),
        warnings=warning_texts(notices),
        levels=levels or UNSET,
        fail_on=UNSET if gate is FailOn.ANY else gate.value,
        expects=expect_documents(results) or UNSET,
        shard=shown.shard or UNSET,
    )
    blocks = tuple(_empty(searched) if is_empty else _blocks(results, sides, shown, facts_of))
    if report.outcome == CLOSED:
        blocks = (closed_line(unmet), *blocks)
    messages = failure_lines(*(result.failures for result in results))
    complaints = (*_complaints(refused_alike(results)), *unmet)
    notices += tuple(_bundle_notices(results, verbose=shown.verbose))
    seconds = tuple(result.seconds for result in results)
    compared = Compared(tuple(results), (sides.expected, sides.actual), shown.program, shown.accepts)
    return CommandResult(
        report,
        blocks,
        complaints,
        notices,
        messages=messages,
        seconds=seconds,
        files=_files(results),
        compared=compared if results else None,
    )


def _files(results: Sequence[BundleResult]) -> tuple[str, ...]:
    """The bundles, and the files of their programs."""
    files = (file for each in results for file in (each.path, each.base, *each.files) if file is not None)
    return tuple(dict.fromkeys(files))


def _repeatable(command: str, result: BundleResult, options: Sequence[str], facts_of: FactsOf) -> BundleDocument:
    """The document of a result with the command that repeats it, unless both sides are equal."""
    document = bundle_document(result, facts_of)
    if result.outcome is Outcome.MATCH:
        return document
    paths = (result.path,) if result.base is None else (result.base, result.path)
    return replace(document, reproduce=reproducing(command, paths, options))


def bundle_document(result: BundleResult, facts_of: FactsOf = facts) -> BundleDocument:
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
        divergences=tuple(divergence_document(divergence, facts_of) for divergence in result.divergences),
        levels=result.levels or UNSET,
        expected=result.expected or UNSET,
        failures=failure_documents(result.failures) or UNSET,
        changes=change_documents(result.changes) or UNSET,
        window=UNSET if result.window == WHOLE else WindowDocument(result.window.first, result.window.last),
        program=_program(result),
    )


def _program(result: BundleResult) -> str | UnsetType:
    if result.program_file is None or result.outcome is Outcome.MATCH:
        return UNSET
    return unicode(near(result.program_file))


def divergence_document(divergence: Divergence, facts_of: FactsOf = facts) -> DivergenceDocument:
    """Return the document of one difference, members in wire order."""
    log = divergence.log
    return DivergenceDocument(
        seq=divergence.seq,
        event_id=divergence.event_id,
        episode_id=divergence.episode_id,
        occurrence=divergence.occurrence,
        kind=divergence.kind.value,
        level=divergence.level.value,
        code=divergence.code,
        path=divergence.path,
        expected=divergence.expected,
        actual=divergence.actual,
        node=divergence.node,
        origin=divergence.origin,
        cause=divergence.cause,
        changes=divergence.changes,
        expected_by=divergence.expected_by,
        state={path: SidesDocument(was, now) for path, was, now in log.state} if log else {},
        state_before=dict(log.before) if log else {},
        facts=tuple(dict.fromkeys(unicode(_fact_line(fact.row)) for fact in facts_of(divergence))),
        place=None if divergence.place is None else _line_document(*divergence.place),
        memory=tuple(MemoryDocument(unicode(each.key), each.event_id, each.occurrence) for each in divergence.memory),
    )


def _fact_line(row: Row) -> str:
    return "  ".join(filter(None, row.cells))


def _line_document(file: str, line: int | None) -> LineDocument:
    return LineDocument(unicode(near(file)), line)


def _exit_code(result: BundleResult) -> int:
    if result.error is not None:
        return exit_code(result.error.code)
    return 0 if result.passes else 1


def _outcome(code: int, results: Sequence[BundleResult]) -> str:
    """The outcome of all: what differs less than the gate has exit code 0, and is no match."""
    if code > 1:
        return failure_outcome(code)
    if code == 1:
        return CLOSED if all(result.passes for result in results) else Outcome.DIVERGED.value
    return (Outcome.DIVERGED if any(result.outcome is Outcome.DIVERGED for result in results) else Outcome.MATCH).value


def _bundle_notices(results: Sequence[BundleResult], *, verbose: bool) -> Iterator[Notice]:
    """The warnings of every bundle; one that several bundles have is said once, one of changes that are shown is not.

    One without a place of its own has the paths of its bundles in front; the place is that of a file they share.
    """
    places: dict[Notice, list[str]] = {}
    for result in results:
        for notice in result.warnings:
            if notice.is_of_changes and result.changes and not verbose:
                continue
            places.setdefault(notice, []).append(result.path)
    for notice, paths in places.items():
        yield notice if notice.where is not None else Notice(notice.message, first_of(paths))


def _complaints(refused: Sequence[Refused]) -> Iterator[ErgoError]:
    """The errors for standard error: one that several bundles have is said once.

    Where the text lacks the bundles and they cannot be known otherwise, their names stand in front.
    """
    for error, results in refused:
        paths = [result.path for result in results]
        is_named = any(path in text for path in paths for text in (error.message, error.where or ""))
        if len(refused) > 1 and not is_named and reason_of_change(error) is None:
            error = copy(error)
            error.message = f"{first_of(paths)}: {error.message}"
        yield error


def _empty(searched: Sequence[str]) -> Iterator[Block]:
    yield Line("empty: no bundle matched")
    yield from (Line(f"  looked in {unicode(near(place))}") for place in searched)


def _shard_line(shard: ShardDocument, taken: int) -> Line:
    bundles = counted(shard.selected, "bundle")
    return Line(f"shard {shard.index}/{shard.count}: {f'{taken:,}' if taken else 'none'} of {bundles}")


def _blocks(results: Sequence[BundleResult], sides: Sides, shown: Shown, facts_of: FactsOf) -> Iterator[Block]:
    diverged = [result for result in results if result.outcome is Outcome.DIVERGED]
    if len(results) == 1:
        yield _verdict(results[0])
    elif results:
        yield _sum(results, diverged, shown.seconds)
    if shown.shard is not None:
        yield _shard_line(shown.shard, len(results))
    if len(results) > 1:
        if shown.listed:
            yield from (_verdict(result, listed=True) for result in results)
        else:
            yield from (_refusals(*refused) for refused in refused_alike(results))
    yield from below_gate(results)
    yield from change_rows([result.changes for result in results], listed=shown.listed)
    yield from expected_lines(results)
    if diverged:
        yield from _divergences([*map(without_expected, diverged)], sides, shown, facts_of)
    elif (changed := next((each for each in results if reason_of_change(each.error) is not None), None)) is not None:
        yield Line()
        again = shlex.join(("ergo", "replay", argument(changed.path), *shown.program))
        yield Line(f"compare    {again}", whole=True)


_VERDICTS = {Outcome.MATCH: "match", Outcome.DIVERGED: "differs", Outcome.REFUSED: "refused"}
_REASONS = {
    "replay.runtime_provenance_mismatch": "the program changed since the capture",
    "replay.adapter_provenance_mismatch": "the adapter changed since the capture",
}


def reason_of_change(error: ErgoError | None) -> str | None:
    """Why a strict replay refuses to compare what could be compared otherwise; None for any other error."""
    return None if error is None else _REASONS.get(error.code)


def _refusals(error: ErgoError, results: Sequence[BundleResult]) -> Line:
    """The verdict on bundles that are refused alike; what else is wrong is said by the error."""
    names = first_of([_name(result) for result in results])
    return Line("  ".join(filter(None, (_VERDICTS[Outcome.REFUSED], names, reason_of_change(error)))), Tone.BAD)


def _verdict(result: BundleResult, *, listed: bool = False) -> Line:
    """The verdict on one bundle; ``listed``: among those on others, so that it says of itself whether it passes."""
    if result.error is not None:
        return _refusals(result.error, (result,))
    parts = [_VERDICTS[result.outcome], _name(result), *_window(result.window)]
    if result.outcome is Outcome.DIVERGED:
        parts += (extent(result), *levels_text(result.levels), *expected_text(result))
        parts += ("passes",) if listed and result.passes else ()
    elif result.events is not None and result.decisions is not None:
        parts.append(_counts(result.events, result.decisions))
    return Line("  ".join(parts), _tone(result.outcome, passes=result.passes))


def _sum(results: Sequence[BundleResult], diverged: Sequence[BundleResult], seconds: float | None) -> Line:
    """The verdict over several bundles: the gravest of theirs, how many have it, and how many events there were.

    How many of those that differ pass is said where not all do.
    """
    refused = sum(result.outcome is Outcome.REFUSED for result in results)
    verdict = Outcome.REFUSED if refused else Outcome.DIVERGED if diverged else Outcome.MATCH
    passing, bundles = sum(result.passes for result in diverged), f"{len(results):,} bundles"
    parts = [_VERDICTS[verdict]]
    if refused:
        parts.append(f"{refused:,} of {bundles}" + (f", {len(diverged):,} differ" if diverged else ""))
    else:
        parts.append(f"{len(diverged):,} of {bundles}" if diverged else bundles)
    if 0 < passing < len(diverged) or (passing and refused):
        gate = diverged[0].fail_on
        parts[-1] += f", {passing:,} expected" if gate is FailOn.ANY else f", {passing:,} below --fail-on {gate.value}"
    parts += levels_text(sum((result.levels for result in results), LevelCounts()))
    parts.append(counted(sum(result.events or 0 for result in results), "event"))
    if seconds is not None:
        parts.append(f"({seconds:.1f} s)")
    return Line("  ".join(parts), _tone(verdict, passes=passing == len(diverged)))


def _tone(verdict: Outcome, *, passes: bool) -> Tone:
    if verdict is Outcome.MATCH:
        return Tone.GOOD
    return Tone.STRONG if verdict is Outcome.DIVERGED and passes else Tone.BAD


def _name(result: BundleResult) -> str:
    path = near(result.path)
    return path if result.base is None else f"{near(result.base)} → {path}"


def _window(window: Window) -> Iterator[str]:
    """Which decisions were compared, where not all were."""
    if window.event is not None:
        yield f"event {window.event} alone"
    elif window != WHOLE:
        parts = (("from", window.first), ("until", window.last))
        yield "decisions " + " ".join(f"{word} {place}" for word, place in parts if place is not None)


def _counts(events: int, decisions: DecisionCounts) -> str:
    parts = ((decisions.invoke, "invoked"), (decisions.defer, "deferred"), (decisions.skip, "skipped"))
    return event_counts(events, parts)


def extent(result: BundleResult) -> str:
    """How much differs: decisions, or what is no decision's."""
    if result.decisions is None or not result.differing:
        return counted(result.divergence_count, "difference")
    decided = result.decisions.invoke + result.decisions.defer + result.decisions.skip
    return f"{result.differing:,} of {counted(max(decided, result.differing), 'decision')}"


def _divergences(diverged: Sequence[BundleResult], sides: Sides, shown: Shown, facts_of: FactsOf) -> Iterator[Block]:
    names = [_name(result) for result in diverged]
    found = groups(diverged, names, facts_of=facts_of)
    following = () if shown.listed else tuple(following_lines(diverged))
    if len(diverged) > 1:
        yield Line()
        yield Rows(tuple(bundle_rows(found, listed=shown.listed)), 2)
        yield from following
        following = ()
    elif len({(each.event_id, each.occurrence) for each in independent(diverged[0])}) > 1:
        yield Line()
        yield Rows(tuple(group_rows(found)), 2, frozenset({0}))
        yield from following
        following = ()
    in_full = next((result for result in diverged if not result.passes and result.divergences), diverged[0])
    named = len(diverged) > 1
    yield from first_decision(in_full, sides, shown.program, following, verbose=shown.verbose, named=named)
    is_open = in_full.divergence_count > expected_count(in_full)
    if shown.accepts and is_open and in_full.path != STANDARD_INPUT:
        accept = shlex.join(("ergo", "accept", argument(in_full.path), *shown.program))
        yield Line(f"intended?  {accept}", whole=True)
    for result in diverged if shown.listed else ():
        if result.divergences:
            yield Line()
            yield Line(_name(result), Tone.STRONG)
            yield Rows(tuple(_list(as_shown(result.divergences), facts_of)), 2, frozenset({0}))
    unlisted = sum(each.divergence_count - expected_count(each) - len(each.divergences) for each in diverged)
    if unlisted:
        yield Line(f"and {unlisted:,} more; --max-divergences lists them", Tone.FAINT)
    elif not shown.listed and sum(len(independent(result)) for result in diverged) > MOST_FACTS:
        yield Line("all        --list", Tone.FAINT)


def _list(divergences: Sequence[Divergence], facts_of: FactsOf) -> Iterator[Row]:
    """Every divergence: its decision, its event, its level if that is no decision's, what differs."""
    for each in divergences:
        for fact in facts_of(each):
            at = str(each.seq), event_text(each) or "", level_mark(each.level)
            yield Row((*at, *fact.row.cells), fact.row.tone)
