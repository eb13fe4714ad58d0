"""Render ``ergo redact``: what was replaced, and what is decided otherwise, by place and without a value."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from ergo_cli.core.diagnostics import counted
from ergo_cli.replay.results import Divergence
from ergo_cli.report.command_result import CommandResult
from ergo_cli.report.document import (
    RedactedPathDocument,
    RedactedPlaceDocument,
    RedactionDocument,
    Report,
    unicode,
    warning_texts,
)
from ergo_cli.report.error_text import near
from ergo_cli.report.reproducing import argument
from ergo_cli.report.text import Block, Line, Tone, fields
from ergo_cli.stores.standard_output import STANDARD_OUTPUT
from ergo_cli.tools.redact.redacting import Redacted

_SHOWN = 10


def render_redacted(redacted: Redacted, words: Sequence[str]) -> CommandResult:
    """Render a bundle that was redacted; ``words`` select its program on a command line."""
    report = Report(
        command="redact",
        outcome="ok",
        exit_code=0,
        warnings=warning_texts(redacted.notices),
        redaction=_document(redacted),
    )
    return CommandResult(report, tuple(_blocks(redacted, words)), notices=redacted.notices)


def _document(redacted: Redacted) -> RedactionDocument:
    difference = redacted.difference
    return RedactionDocument(
        unicode(redacted.path),
        unicode(redacted.output),
        redacted.events,
        redacted.changed,
        redacted.values,
        tuple(RedactedPathDocument(unicode(path), matches) for path, matches in redacted.matches),
        difference.divergence_count,
        tuple(
            RedactedPlaceDocument(each.seq, each.event_id, each.kind.value, each.path or None)
            for each in difference.divergences
        ),
        redacted.same_program,
    )


def _blocks(redacted: Redacted, words: Sequence[str]) -> Iterator[Block]:
    where = f"{redacted.changed:,} of {counted(redacted.events, 'event')}"
    before = f", {redacted.present:,} had been redacted before" if redacted.present else ""
    yield Line(f"redacted   {counted(redacted.values, 'value')} in {where}{before}", Tone.GOOD)
    yield fields(tuple((path, f"{matches:,}") for path, matches in redacted.matches), indent=2)
    is_passed_on = redacted.output == STANDARD_OUTPUT
    yield Line(f"bundle     {'standard output' if is_passed_on else near(redacted.output)}")
    yield Line()
    count, listed = redacted.difference.divergence_count, redacted.difference.divergences[:_SHOWN]
    if not count:
        yield Line("decides    as it did")
    else:
        yield Line(f"decides    otherwise: {counted(count, 'difference')}", Tone.STRONG)
        yield from (Line(f"  {_place(each)}") for each in listed)
        if count > len(listed):
            yield Line(f"  and {count - len(listed):,} more", Tone.FAINT)
    if not redacted.same_program:
        yield Line("program    today's is not the one that made the bundle: what differs may be its doing", Tone.FAINT)
    if is_passed_on:
        return
    command = ("ergo", "replay", argument(redacted.output), "--strict", *words)
    yield Line(f"prove      {shlex.join(command)}", whole=True)


def _place(divergence: Divergence) -> str:
    at = "when the program is closed" if divergence.event_id is None else f"event '{divergence.event_id}'"
    return f"{at}  {divergence.kind.value}  {divergence.path}".rstrip()
