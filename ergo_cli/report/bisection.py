"""Render which commit made a bundle differ, and its layer of change."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import islice

from msgspec.structs import asdict, replace

from ergo_cli.core.diagnostics import counted
from ergo_cli.report.changes import change_documents, change_rows
from ergo_cli.report.command_result import CommandResult
from ergo_cli.report.comparisons import divergence_document
from ergo_cli.report.document import (
    NOTHING_TO_DO,
    BisectionDocument,
    CommitDocument,
    DivergenceDocument,
    Report,
    SkippedCommitDocument,
    error_document,
    unicode,
    warning_texts,
)
from ergo_cli.report.error_text import fitting, near
from ergo_cli.report.text import Block, Line, Row, Rows, Tone
from ergo_cli.tools.bisecting import Bisection, Origin
from ergo_cli.tools.git_repository import Commit
from ergo_cli.tools.past_replays import Difference

FOUND = "found"
AMBIGUOUS = "ambiguous"

_MOST = 8
_MARGIN = len("differs    ")
_RECORD = re.compile(r"journals\[\d+\]\.records\[(\d+)\]\.(?!end\b)")
_DATE = len("2026-01-31")


def render_bisection(bundle: str, found: Bisection, *, listed: bool = False) -> CommandResult:
    """Render the commit that was found, or those that may be it; ``listed``: every change, file and commit."""
    outcome, code = _outcome(found.origin)
    report = Report(
        command="bisect",
        outcome=outcome,
        exit_code=code,
        warnings=warning_texts(found.notices),
        bisection=_document(found),
    )
    if found.origin is None:
        blocks = (Line(f"empty: nothing of {near(bundle)} differs at commit {found.bad.short}"),)
    else:
        blocks = tuple(_blocks(bundle, found, found.origin, listed=listed))
    return CommandResult(report, blocks, notices=found.notices)


def _outcome(origin: Origin | None) -> tuple[str, int]:
    if origin is None:
        return "empty", NOTHING_TO_DO
    return (FOUND, 0) if len(origin.candidates) == 1 else (AMBIGUOUS, 1)


def _document(found: Bisection) -> BisectionDocument:
    origin = found.origin
    candidates = () if origin is None else tuple(map(_commit, origin.candidates))
    return BisectionDocument(
        commit=candidates[0] if len(candidates) == 1 else None,
        candidates=candidates,
        divergence=None if origin is None else _divergence_document(origin.first),
        changes=() if origin is None else change_documents(origin.changes),
        files=() if origin is None else tuple(map(unicode, origin.files)),
        good=None if origin is None else _commit(origin.good),
        bad=_commit(found.bad),
        replays=found.replays,
        skipped=tuple(
            SkippedCommitDocument(**asdict(_commit(each.commit)), error=error_document(each.fault))
            for each in found.skipped
        ),
    )


def _commit(commit: Commit) -> CommitDocument:
    return CommitDocument(commit.id, commit.short, unicode(commit.subject), unicode(commit.author), commit.authored_at)


def _blocks(bundle: str, found: Bisection, origin: Origin, *, listed: bool) -> Iterator[Block]:
    yield from _verdict(origin)
    yield from change_rows([origin.changes], listed=listed)
    yield from _files(origin, listed=listed)
    yield Line()
    yield from _differing(bundle, origin.first)
    yield Line(f"searched   {origin.good.short} to {found.bad.short}, {counted(found.replays, 'replay')}")
    yield from _skipped(found, listed=listed)
    yield Line()
    yield Line(f"closer     {shlex.join(('git', 'show', origin.candidates[-1].short))}", whole=True)


def _verdict(origin: Origin) -> Iterator[Block]:
    if len(origin.candidates) == 1:
        yield Line("  ".join(("found", *_cells(origin.candidates[0]))), Tone.STRONG)
        return
    yield Line(f"ambiguous  one of {len(origin.candidates):,} commits; all but the last cannot be run", Tone.STRONG)
    yield Rows(tuple(Row(_cells(commit)) for commit in origin.candidates), 2)


def _cells(commit: Commit) -> tuple[str, ...]:
    return commit.short, commit.subject, f"{commit.author}, {commit.authored_at[:_DATE]}"


def _files(origin: Origin, *, listed: bool) -> Iterator[Block]:
    """The files of the commit, where the changes of the program do not name them all."""
    named = tuple(change.file for change in origin.changes if change.file is not None)
    files = [file for file in origin.files if not any(each.endswith(file) for each in named)]
    if not files:
        return
    if not origin.changes:
        yield Line()
    shown = files if listed else files[:_MOST]
    more = f" and {len(files) - len(shown):,} more" if len(files) > len(shown) else ""
    label = "files" if not origin.changes else "and files"
    yield Line(f"{label:9}  {', '.join(shown)}{more}", Tone.FAINT if origin.changes else Tone.PLAIN)


def _differing(bundle: str, first: Difference) -> Iterator[Block]:
    """What the bundle differs in; of a record the place in it."""
    event = "" if first.event_id is None else f"event {first.event_id}"
    record = _RECORD.match(first.path)
    if record is not None:
        event += f"  record {record[1]}"
    yield Line(f"differs    {near(bundle)}  {event}".rstrip())
    yield Rows(tuple(Row((fact,)) for fact in first.facts), _MARGIN)


def _divergence_document(first: Difference) -> DivergenceDocument:
    return replace(divergence_document(first.divergence), facts=first.facts)


def _skipped(found: Bisection, *, listed: bool) -> Iterator[Block]:
    if not found.skipped:
        return
    yield Line(f"skipped    {counted(len(found.skipped), 'commit')} that cannot be run", Tone.FAINT)
    shown = islice(found.skipped, None if listed else _MOST)
    yield Rows(tuple(Row((each.commit.short, fitting(near(each.fault.message))), Tone.FAINT) for each in shown), 2)
    if not listed and len(found.skipped) > _MOST:
        yield Line(f"  and {len(found.skipped) - _MOST:,} more; --list lists them", Tone.FAINT)
