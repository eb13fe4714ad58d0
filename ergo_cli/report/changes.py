"""Render what changed in a program since a capture (spec 70 §2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ergo_cli.core.diagnostics import counted
from ergo_cli.programs.changes import Change, Layer, Verb
from ergo_cli.report.document import ChangeDocument, unicode
from ergo_cli.report.error_text import near
from ergo_cli.report.text import Block, Line, Row, Rows, Tone

_MOST = 8
_BESIDE = 11
"""The columns of the label ``changed`` and the gap behind it."""
_TONES = {Verb.ADDED: Tone.ADDED, Verb.REMOVED: Tone.REMOVED, Verb.CHANGED: Tone.PLAIN}
_LAYERS = {Layer.PROGRAM: "", Layer.ADAPTER: "adapter ", Layer.CONSTRAINTS: "constraint "}


def change_documents(changes: Sequence[Change]) -> tuple[ChangeDocument, ...]:
    """The documents of the changes of one bundle's program."""
    return tuple(
        ChangeDocument(
            layer=change.layer.value,
            change=change.verb.value,
            subject=unicode(change.subject),
            before=None if change.before is None else unicode(change.before),
            after=None if change.after is None else unicode(change.after),
            file=None if change.file is None else unicode(near(change.file)),
            line=change.line,
            nodes=tuple(map(unicode, change.nodes)),
            idle=change.idle,
            without_effect=change.effectless,
        )
        for change in changes
    )


def change_rows(changes: Sequence[Sequence[Change]], *, listed: bool) -> Iterator[Block]:
    """The changes of all bundles, each once: its place, its subject, both values; the first eight if not listed."""
    found = list(dict.fromkeys(change for each in changes for change in each))
    if not found:
        return
    shown = found if listed else found[:_MOST]
    yield Line()
    yield Rows(tuple(_row(number, change) for number, change in enumerate(shown)), hang=_BESIDE)
    if len(found) > len(shown):
        yield Line(f"           and {counted(len(found) - len(shown), 'more change')}; --list lists them", Tone.FAINT)


def _row(number: int, change: Change) -> Row:
    label = "" if number else "changed"
    place = "" if change.file is None else near(change.file) + ("" if change.line is None else f":{change.line}")
    values = f"{values_of(change)}  without effect".strip() if change.effectless else values_of(change)
    tone = Tone.FAINT if change.idle or change.effectless else _TONES[change.verb]
    return Row((f"{label:9}", place, subject_of(change), values), tone)


def subject_of(change: Change) -> str:
    """What changed, behind the name of its layer unless that is the program."""
    return f"{_LAYERS[change.layer]}{change.subject}"


def values_of(change: Change) -> str:
    """Both values of a change, or that it came or went."""
    if change.before is not None and change.after is not None:
        return f"{change.before} -> {change.after}"
    if change.verb is Verb.CHANGED:
        return ""
    value = change.after if change.verb is Verb.ADDED else change.before
    return change.verb.value if value is None else f"{change.verb.value}  {value}"
