"""Render ``ergo accept``: what is asked, what waits, what was accepted (spec 00 §7)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from msgspec import UNSET
from msgspec.structs import replace

from ergo_cli.core.diagnostics import counted
from ergo_cli.errors import ErgoError, ReplayError, UsageError, exit_code
from ergo_cli.replay.results import BundleResult
from ergo_cli.report.changes import change_rows
from ergo_cli.report.command_result import CommandResult
from ergo_cli.report.comparisons import REPLAY
from ergo_cli.report.document import (
    NOTHING_TO_DO,
    AcceptDocument,
    AcceptedBundleDocument,
    AcceptedGroupDocument,
    Report,
    error_document,
    failure_outcome,
    gravest,
    unicode,
    warning_texts,
)
from ergo_cli.report.error_text import near
from ergo_cli.report.failures import failure_documents, failure_lines
from ergo_cli.report.first_decision import first_decision
from ergo_cli.report.grouping import bundle_rows, group_rows, groups
from ergo_cli.report.reproducing import argument
from ergo_cli.report.text import Block, Line, Rows, Tone
from ergo_cli.tools.accept.proposals import Proposal
from ergo_cli.tools.accept.result import Accepted
from ergo_cli.tools.accept.review import Group, Part, Review, Special
from ergo_cli.tools.accept.stale import Stale
from ergo_cli.tools.accept.writing import Written


def group_screen(number: int, total: int, group: Group, part: Part) -> tuple[Block, ...]:
    """One group in one bundle: the change behind it, and its first example."""
    return tuple(_group_screen(number, total, group, part))


def _group_screen(number: int, total: int, group: Group, part: Part) -> Iterator[Block]:
    result, at = part.proposal.result, group.parts.index(part)
    bundles = f"bundle {at + 1} of {len(group.parts)}  " if len(group.parts) > 1 else ""
    here = f"  {counted(len(part.divergences), 'difference')}" if part.divergences else ""
    yield Line()
    yield Line(f"group {number} of {total}  {bundles}{near(part.proposal.path)}{here}", Tone.STRONG)
    yield from _failures(result)
    yield from change_rows([result.changes], listed=False)
    match group.key:
        case Special.FINGERPRINT:
            yield Line()
            yield Line("  nothing is decided otherwise: the bundle names another program or adapter")
        case Special.UNLISTED:
            yield Line()
            yield Line(f"  {part.proposal.unlisted:,} further differences, which are not listed")
        case _:
            yield from first_decision(replace(result, divergences=part.divergences), REPLAY, verbose=False, named=False)
    if part.proposal.rebound:
        yield Line()
        yield Line(f"context    {counted(part.proposal.rebound, 'event')} hold what today's decisions wrote before")
    waiting = len(part.proposal.result.divergences)
    if waiting > len(part.divergences):
        yield Line()
        yield Line("whole      this bundle is accepted only with all of its groups", Tone.FAINT)


def _failures(result: BundleResult) -> Iterator[Block]:
    lines = failure_lines(result.failures)
    if lines:
        yield Line()
        yield Line("fails      episodes of today's program that did not fail", Tone.BAD)
        yield from (Line(line) for line in lines)


def render_waiting(accepted: Accepted, command: Sequence[str]) -> CommandResult:
    """What waits where nobody can be asked: exit code 2, or that of what refuses a bundle."""
    review = accepted.review
    message = f"{counted(len(review.proposals), 'bundle')} to review, and no terminal to ask on"
    fix = f"review on a terminal, or accept all of it: {shlex.join(('ergo', 'accept', *command, '--all'))}"
    error = UsageError("cli.missing_required_option", message, where="option --all", fix=fix)
    blocks = (Line(f"waiting    {counted(len(review.proposals), 'bundle')}", Tone.BAD), *_waiting(review))
    return _result(accepted, (error, *accepted.errors), blocks, "waiting")


def nothing_meant(chosen: Sequence[str], review: Review) -> ReplayError:
    """The error for options that choose none of the differences; ``chosen`` are these options as words."""
    waiting = dict.fromkeys(each.kind.value for part in _parts(review) for each in part.divergences)
    message = f"no difference is chosen by {shlex.join(chosen)}: nothing is accepted"
    fix = "leave the options out" + (f"; there are differences of the kinds {', '.join(waiting)}" if waiting else "")
    return ReplayError("accept.nothing_matched", message, where=f"option {chosen[0]}", fix=fix)


def _parts(review: Review) -> Iterator[Part]:
    return (part for group in review.groups for part in group.parts)


def render_accepted(accepted: Accepted, words: Sequence[str]) -> CommandResult:
    """What was accepted, and what is left as it was; ``words`` select the program on a command line."""
    return _result(accepted, accepted.errors, tuple(_accepted(accepted, words)), "left")


def render_stale(stale: Stale) -> CommandResult:
    """The bundles that no profile reaches."""
    report = Report(
        command="accept",
        outcome="ok",
        exit_code=0,
        warnings=warning_texts(stale.notices),
        stale=tuple(map(unicode, stale.paths)),
    )
    blocks = [Line(f"stale      {counted(len(stale.paths), 'bundle')}", Tone.STRONG)]
    blocks += (Line(f"  {near(path)}") for path in stale.paths)
    blocks.append(Line(f"match      {counted(stale.matching, 'bundle')} that profiles reach", Tone.GOOD))
    return CommandResult(report, tuple(blocks), notices=stale.notices)


def _result(accepted: Accepted, errors: Sequence[ErgoError], blocks: tuple[Block, ...], left: str) -> CommandResult:
    review = accepted.review
    is_empty = not (review.proposals or errors or accepted.matching)
    code = NOTHING_TO_DO if is_empty else gravest(exit_code(error.code) for error in errors)
    headline = next((error for error in errors if exit_code(error.code) == code), None)
    report = Report(
        command="accept",
        outcome="ok" if code == 0 else failure_outcome(code),
        exit_code=code,
        error=None if headline is None else error_document(headline),
        warnings=warning_texts(accepted.notices),
        accept=AcceptDocument(
            tuple(
                _document(review, proposal, accepted.written.get(proposal.path), left) for proposal in review.proposals
            ),
            tuple(dict.fromkeys(unicode(written.log) for written in accepted.written.values())),
        ),
    )
    if is_empty:
        blocks = (
            Line("empty: no bundle matched"),
            *(Line(f"  looked in {near(each)}") for each in accepted.selection.searched),
        )
    messages = failure_lines(*(proposal.result.failures for proposal in review.proposals))
    return CommandResult(report, blocks, tuple(errors), accepted.notices, messages=messages)


def _accepted(accepted: Accepted, words: Sequence[str]) -> Iterator[Block]:
    review, written = accepted.review, accepted.written
    if not review.proposals:
        if accepted.matching or not accepted.errors:
            yield Line(f"match      {counted(accepted.matching, 'bundle')}: nothing to accept", Tone.GOOD)
        return
    yield Line(f"accepted   {len(written):,} of {counted(len(review.proposals), 'bundle')}", Tone.STRONG)
    for proposal in review.proposals:
        if proposal.path in written:
            yield Line(f"  {near(proposal.path)}", Tone.GOOD)
    unwritten = [proposal for proposal in review.whole if proposal.path not in written]
    if unwritten:
        yield Line()
        yield Line(f"refused    {counted(len(unwritten), 'bundle')}: accepted, but not written", Tone.BAD)
        yield from (Line(f"  {near(proposal.path)}") for proposal in unwritten)
    left = [proposal for proposal in review.proposals if proposal not in review.whole]
    if left:
        yield Line()
        yield Line(f"left       {counted(len(left), 'bundle')}: accepted only with all of its groups", Tone.STRONG)
        for proposal in left:
            total = counted(len(review.groups_of(proposal)), "group")
            yield Line(f"  {near(proposal.path)}  {review.accepted_of(proposal)} of {total} accepted")
    if written:
        logs = ", ".join(dict.fromkeys(near(each.log) for each in written.values()))
        yield Line()
        yield Line(f"noted      {logs}")
        first = next(iter(written))
        yield Line(f"prove      {shlex.join(('ergo', 'replay', argument(first), '--strict', *words))}", whole=True)


def _waiting(review: Review) -> Iterator[Block]:
    chosen = [proposal for proposal in review.proposals if review.has_meant(proposal)]
    results = [replace(proposal.result, divergences=review.meant_of(proposal)) for proposal in chosen]
    yield from change_rows([result.changes for result in results], listed=False)
    names = [near(proposal.path) for proposal in chosen]
    found = groups(results, names, whole=True)
    if found:
        yield Line()
        rows = group_rows(found) if len(results) == 1 else bundle_rows(found, listed=False)
        yield Rows(tuple(rows), 2, frozenset({0}) if len(results) == 1 else frozenset())
    kept = sum(not review.can_be_whole(proposal) for proposal in chosen)
    if kept:
        yield Line()
        yield Line(f"  {counted(kept, 'bundle')} with other differences too, which would stay as they are", Tone.FAINT)
    alike = [near(proposal.path) for proposal in chosen if proposal.is_of_fingerprint_alone]
    if alike:
        yield Line()
        yield Line("  nothing is decided otherwise, another program or adapter is named:")
        yield from (Line(f"    {name}") for name in alike)


def _document(review: Review, proposal: Proposal, written: Written | None, left: str) -> AcceptedBundleDocument:
    return AcceptedBundleDocument(
        unicode(proposal.path),
        left if written is None else "accepted",
        None if written is None else written.sha256,
        proposal.was,
        proposal.rebound,
        tuple(_group_document(review, proposal, group) for group in review.groups_of(proposal)),
        failure_documents(proposal.result.failures) or UNSET,
    )


def _group_document(review: Review, proposal: Proposal, group: Group) -> AcceptedGroupDocument:
    part = next(part for part in group.parts if part.proposal is proposal)
    is_accepted = review.is_accepted(proposal, group)
    if isinstance(group.key, Special):
        count = proposal.unlisted if group.key is Special.UNLISTED else 0
        return AcceptedGroupDocument(group.key.value, None, None, count, is_accepted)
    first = part.divergences[0]
    return AcceptedGroupDocument(first.kind.value, first.node, first.path or None, len(part.divergences), is_accepted)
