"""Render the chain behind a value (spec 70 §8)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from ergo_cli.core.diagnostics import Notice
from ergo_cli.programs.causes import Cause, Raised
from ergo_cli.programs.changes import Change
from ergo_cli.replay.reasons import Why
from ergo_cli.replay.results import BundleResult
from ergo_cli.report.chain_texts import alike_text, event_text, failure_texts, origin_text, side_text, sides_text
from ergo_cli.report.changes import change_documents, change_rows
from ergo_cli.report.command_result import CommandResult
from ergo_cli.report.comparisons import REPLAY
from ergo_cli.report.document import (
    NOTHING_TO_DO,
    CauseDocument,
    RaisedDocument,
    Report,
    WhyDocument,
    WrittenDocument,
    unicode,
    warning_texts,
)
from ergo_cli.report.error_text import near
from ergo_cli.report.facts import effect_facts
from ergo_cli.report.failures import failure_documents, failure_lines, place_document
from ergo_cli.report.first_decision import first_decision
from ergo_cli.report.layout import WIDTH
from ergo_cli.report.text import Block, Line, Row, Rows, Tone, shorten_pair

_SIDE_WIDTH = 76
_LEAST_BESIDE = 40


def render_why(
    why: Why | None,
    nothing: str,
    notices: tuple[Notice, ...],
    depth: int | None = None,
    changes: Sequence[Change] = (),
    without_chain: BundleResult | None = None,
) -> CommandResult:
    """Render the chain, as far as ``depth`` steps.

    Where there is none, ``nothing`` says what was looked at, and ``changes`` what changed in the program nevertheless;
    ``without_chain`` is what differs all the same.
    """
    warnings = warning_texts(notices)
    if why is None and without_chain is not None:
        report = Report(command="why", outcome="empty", exit_code=NOTHING_TO_DO, warnings=warnings)
        blocks = (Line(f"empty: {nothing}"), *_differing(without_chain))
        return CommandResult(report, blocks, notices=notices, messages=failure_lines(without_chain.failures))
    if why is None:
        report = Report(command="why", outcome="empty", exit_code=NOTHING_TO_DO, warnings=warnings)
        idle = [replace(change, effectless=True) for change in changes]
        return CommandResult(report, (Line(f"empty: {nothing}"), *change_rows([idle], listed=False)), notices=notices)
    report = Report(command="why", outcome="ok", exit_code=0, warnings=warnings, why=why_document(why, depth))
    return CommandResult(report, tuple(why_blocks(why, depth)), notices=notices)


def _differing(result: BundleResult) -> Iterator[Block]:
    yield from change_rows([result.changes], listed=False)
    yield from first_decision(result, REPLAY, verbose=False, named=False)


def why_document(why: Why, depth: int | None) -> WhyDocument:
    """The chain, as far as ``depth`` steps, for the report."""
    return WhyDocument(
        event_id=why.event_id,
        seq=why.seq,
        occurrence=why.occurrence,
        node=unicode(why.node),
        recorded=tuple(map(msgspec.json.decode, why.recorded)),
        actual=tuple(map(msgspec.json.decode, why.actual)),
        memory={key: WrittenDocument(each.event_id, each.seq) for key, each in sorted(why.memory.items())},
        knows_capture=why.knows_capture,
        chain=_step(why, why.cause, depth, None),
        failures=failure_documents(why.failures) or UNSET,
        changes=change_documents(why.changes) or UNSET,
    )


def _step(why: Why, cause: Cause, depth: int | None, event: WrittenDocument | None) -> CauseDocument:
    """A step of the episode of ``event``, unless it is of another."""
    inner = None if depth is None else depth - 1
    event = event if cause.episode is None else _written(why, cause.episode)
    return CauseDocument(
        part=unicode(cause.part),
        role=unicode(cause.role),
        recorded=None if cause.recorded is None else unicode(cause.recorded),
        today=None if cause.today is None else unicode(cause.today),
        differs=cause.differs,
        made=unicode(cause.made),
        key=None if cause.key is None else unicode(cause.key),
        file=None if cause.file is None else unicode(near(cause.file)),
        line=cause.line,
        is_change=cause.is_change,
        rewired=unicode(cause.rewired),
        is_repeated=cause.is_repeated,
        is_unknown=cause.is_unknown,
        event=event,
        written_by=None if cause.written is None else _written(why, cause.written),
        alike=cause.alike,
        is_parting=cause.is_parting,
        is_unset=cause.is_unset,
        payload_path=None if cause.payload_path is None else unicode(cause.payload_path),
        is_default=cause.is_default,
        recorded_failure=_raised(cause.recorded_failure),
        today_failure=_raised(cause.today_failure),
        sources=() if depth == 0 else tuple(_step(why, source, inner, event) for source in cause.sources),
    )


def _written(why: Why, episode: int) -> WrittenDocument | None:
    earlier = why.episodes.get(episode)
    return None if earlier is None else WrittenDocument(earlier.event_id, earlier.seq)


def _raised(failure: Raised | None) -> RaisedDocument | None:
    if failure is None:
        return None
    place = None if failure.place is None else place_document(failure.place)
    return RaisedDocument(unicode(failure.message), place)


def why_blocks(why: Why, depth: int | None) -> Iterator[Block]:
    """The effects on both sides, and the chain behind them, as far as ``depth`` steps."""
    chain = _Chain(why, depth)
    if why.is_recorded:
        head, *sides = _sides(why, chain.note(why.cause))
        yield from (Rows((head,)), Rows(tuple(sides), 0 if why.cause.differs else 2))
    else:
        yield Rows(tuple(_effects(why)))
    steps = tuple(chain.blocks())
    unmarked = list(_unmarked(why))
    if unmarked:
        yield from change_rows([unmarked], listed=False)
    if unmarked and steps:
        yield Line()
    yield from steps
    yield from (Line(line, whole=True) for line in failure_lines(why.failures))
    if not why.knows_capture and not why.is_recorded:
        yield Line()
        yield Line(f"today's values alone: {_unknown(why)}", Tone.FAINT)


def _unknown(why: Why) -> str:
    """Why a chain has no recorded values."""
    if why.changes:
        return "the program of the capture is kept as text, and not run"
    return "the capture's program is today's, or is not known"


def _room(before: int, behind: int) -> int:
    """The columns for a value between what stands before it and its note, which may stand on the next line."""
    beside = WIDTH - before - behind - 4
    return beside if beside >= _LEAST_BESIDE else WIDTH - before - 2


def _unmarked(why: Why) -> Iterator[Change]:
    """The changes that no step of the chain marks, where the two sides differ at all."""
    if why.cause.differs or why.recorded != why.actual:
        marked = set(_marked(why.cause))
        yield from (change for change in why.changes if _spot(change.file, change.line) not in marked)


def _spot(file: str | None, line: int | None) -> tuple[str | None, int | None]:
    """A place by which changes and steps can be compared: some name a file below the current folder in full."""
    return None if file is None else near(file), line


def _marked(cause: Cause) -> Iterator[tuple[str | None, int | None]]:
    """The places of the changes that a chain names."""
    if cause.is_change:
        yield _spot(cause.file, cause.line)
    for source in cause.sources:
        yield from _marked(source)


def _effects(why: Why) -> Iterator[Row]:
    """What the node did, on both sides."""
    recorded = [fact.row.cells[0][2:] for text in why.recorded for fact in effect_facts("-", msgspec.json.decode(text))]
    today = [fact.row.cells[0][2:] for text in why.actual for fact in effect_facts("+", msgspec.json.decode(text))]
    for text in (each for each in recorded if each not in today):
        yield Row((text, "only recorded"), Tone.REMOVED)
    for text in today:
        is_both = text in recorded
        yield Row((text, "" if is_both else "only today"), Tone.STRONG if is_both else Tone.ADDED)
    if not recorded and not today:
        yield Row((why.node,), Tone.STRONG)


def _sides(why: Why, note: str) -> Iterator[Row]:
    """A part of a recorded episode, with what it is on both sides; ``note`` says how it comes about."""
    cause = why.cause
    yield Row((f"{event_text(why)}  {cause.part}",), Tone.STRONG)
    recorded, today = shorten_pair(side_text(cause.recorded), side_text(cause.today), _SIDE_WIDTH)
    if not cause.differs:
        said = tuple(text for text in ("" if cause.today is None else today, note) if text)
        yield from (Row(said),) if said else ()
        return
    if cause.recorded is not None:
        yield Row((f"- {recorded}",), Tone.REMOVED)
    if cause.today is not None:
        yield Row((f"+ {today}",), Tone.ADDED)
    yield from (Row((note,)),) if note else ()


class _Chain:
    """The steps, each below the one that it is a source of; a file is named where it is not the last one's."""

    def __init__(self, why: Why, depth: int | None) -> None:
        self._why = why
        self._depth = depth
        self._file: str | None = None

    def blocks(self) -> Iterator[Block]:
        if not self._why.is_recorded:
            return self._blocks(self._why.cause, 0)
        return (block for source in self._sources(self._why.cause, 0) for block in self._blocks(source, 1))

    def _blocks(self, cause: Cause, level: int) -> Iterator[Block]:
        role = f"{cause.role}  " if cause.role else "by  " if level == 0 else ""
        differs = self._why.knows_capture and cause.differs
        tone = Tone.STRONG if cause.is_change else Tone.PLAIN if differs or level == 0 else Tone.FAINT
        indent = 2 * level if self._why.is_recorded else 2 * level + 2
        head, note = f"{role}{cause.part}", self.note(cause)
        yield Rows((Row((head, sides_text(cause, _room(indent + len(head), len(note))), note), tone),), indent)
        yield from (Line(" " * (indent + 2) + text, tone) for text in failure_texts(cause))
        sources = self._sources(cause, level)
        if sources and cause.alike:
            yield Line(" " * (indent + 2) + alike_text(cause), Tone.FAINT)
        for source in sources:
            yield from self._blocks(source, level + 1)

    def _sources(self, cause: Cause, level: int) -> Sequence[Cause]:
        return () if level == self._depth else cause.sources

    def note(self, cause: Cause) -> str:
        """How a value comes about, where it stands, and whether the program differs there."""
        unknown = "recorded value not kept" if cause.is_unknown else ""
        repeated = "(above)" if cause.is_repeated else ""
        parts = (cause.made, unknown, origin_text(self._why, cause), cause.rewired, self._place(cause), repeated)
        note = ", ".join(filter(None, parts))
        mark = "<- the change" if cause.is_change else "<- the first that differs" if cause.is_parting else ""
        return f"{note}  {mark}".strip()

    def _place(self, cause: Cause) -> str:
        if cause.file is None:
            return ""
        file = near(cause.file)
        name = "" if file == self._file else file
        self._file = file
        return name if cause.line is None else f"{name}:{cause.line}"
