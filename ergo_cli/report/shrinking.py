"""Render the smallest stream that still fails (``ergo shrink``)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from itertools import chain
from typing import Any

from msgspec.structs import replace

from ergo_cli.core.diagnostics import Notice, counted
from ergo_cli.report.changes import change_documents, change_rows
from ergo_cli.report.command_result import CommandResult
from ergo_cli.report.comparisons import REPLAY, divergence_document
from ergo_cli.report.document import (
    INTERRUPTED,
    NOTHING_TO_DO,
    Report,
    ShrinkDocument,
    unicode,
    warning_texts,
)
from ergo_cli.report.error_text import near
from ergo_cli.report.first_decision import first_decision
from ergo_cli.report.text import Block, Line, Tone
from ergo_cli.stores.standard_output import STANDARD_OUTPUT
from ergo_cli.tools.shrink.bundles import ShrunkBundle
from ergo_cli.tools.shrink.commands import Command, ShrunkEvents
from ergo_cli.tools.shrink.search import Found
from ergo_cli.tools.shrink.tries import Stop

_STOPS = {
    Stop.TRIES: "--max-tries was reached",
    Stop.SECONDS: "--max-seconds was reached",
    Stop.HUNG: "too many tries hung",
    Stop.INTERRUPTED: "a signal stopped the search",
}


def render_nothing(message: str) -> CommandResult:
    """Render a stream that does not fail: there is nothing to shrink."""
    report = Report(command="shrink", outcome="empty", exit_code=NOTHING_TO_DO, shrink=None)
    return CommandResult(report, (Line(f"empty: {message}"),))


def render_shrunk_bundle(
    shrunk: ShrunkBundle, path: str, output: str, test: str | None, program: tuple[str, ...], *, verbose: bool
) -> CommandResult:
    """Render the smallest bundle, which was written to ``output``, with what differs in it.

    ``program`` are the words of a command line that select the program.
    """
    result = replace(shrunk.result, path=output)
    first = result.divergences[0] if result.divergences else None
    document = _document(shrunk.found, path, output, test, shrunk.events, len(shrunk.bundle.events))
    document = replace(
        document,
        divergence=None if first is None else divergence_document(first),
        changes=tuple(change_documents(result.changes)),
    )
    decision = first_decision(result, REPLAY, program, verbose=verbose, named=False)
    body = chain(change_rows([result.changes], listed=verbose), decision)
    return _result(document, shrunk.found, body, shrunk.notices)


def render_shrunk_events(shrunk: ShrunkEvents, command: Command, path: str, output: str) -> CommandResult:
    """Render the smallest stream of events, which was written to ``output``, with how the command ends on it."""
    document = _document(shrunk.found, path, output, None, shrunk.events, len(shrunk.found.stream))
    document = replace(document, command=tuple(map(unicode, command.words)), status=shrunk.status)
    ended = f"signal {-shrunk.status}" if shrunk.status < 0 else f"exit code {shrunk.status}"
    body = (Line(), Line(f"fails      {ended}  {shlex.join(command.on(near(output)))}", whole=True))
    return _result(document, shrunk.found, iter(body), ())


def _document(
    found: Found[Any], path: str, output: str, test: str | None, events_before: int, events: int
) -> ShrinkDocument:
    return ShrinkDocument(
        path=unicode(path),
        output=unicode(output),
        test=None if test is None else unicode(test),
        events_before=events_before,
        events=events,
        tries=found.tries,
        event_tries=found.event_tries,
        hung=found.hung,
        stopped=None if found.stop is None else found.stop.value,
    )


def _result(
    document: ShrinkDocument, found: Found[Any], body: Iterator[Block], notices: tuple[Notice, ...]
) -> CommandResult:
    if found.hung:
        hung = counted(found.hung, "try", "tries")
        notices += (Notice(f"{hung} took too long, and counts as not failing"),)
    is_interrupted = found.stop is Stop.INTERRUPTED
    report = Report(
        command="shrink",
        outcome="interrupted" if is_interrupted else "ok",
        exit_code=INTERRUPTED if is_interrupted else 0,
        warnings=warning_texts(notices),
        shrink=document,
    )
    return CommandResult(report, tuple(_blocks(document, found.stop, body)), notices=notices)


def _blocks(document: ShrinkDocument, stop: Stop | None, body: Iterator[Block]) -> Iterator[Block]:
    sizes = f"{counted(document.events_before, 'event')} -> {document.events:,}"
    tries = counted(document.tries, "try", "tries")
    yield Line(f"shrunk  {near(document.path)}  {sizes}  ({tries})", Tone.GOOD)
    if stop is not None:
        yield Line(f"  not the smallest: {_STOPS[stop]}", Tone.BAD)
    yield from body
    yield Line()
    if document.output != STANDARD_OUTPUT:
        yield Line(f"written    {near(document.output)}", whole=True)
    if document.test is not None:
        yield Line(f"test       pytest {shlex.quote(near(document.test))}", whole=True)
