"""Render one explained episode: node by node as the current program runs it, or record by record (00 §12.8, §13.8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
from msgspec import UNSET

from ergo_cli.bundle.schema import termination_name
from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.json import JsonValue
from ergo_cli.programs.kind import Line as EpisodeLine
from ergo_cli.replay.explaining import Explanation, Part
from ergo_cli.report.command_result import CommandResult
from ergo_cli.report.document import EpisodeDocument, NodeDocument, Report, StateDocument, unicode, warning_texts
from ergo_cli.report.facts import effect_facts
from ergo_cli.report.failures import place_document, place_text
from ergo_cli.report.text import Block, Line, Row, Rows, Table, Tone, fields, shorten

_WIDTH = 40
_CONTENT_WIDTH = 60
_EFFECT_WIDTH = 400
_NODE_COLUMNS = ("id", "path", "impl", "params", "inputs", "outputs", "ran")
_RECORD_COLUMNS = ("seq", "event", "part", "value")


def render_explanation(explained: Explanation, notices: tuple[Notice, ...]) -> CommandResult:
    """Render an explained episode; ``notices`` come from finding the program."""
    remark = () if explained.remark is None else (Notice(explained.remark),)
    report = Report(
        command="explain",
        outcome="ok",
        exit_code=0,
        warnings=warning_texts((*notices, *explained.notices, *remark)),
        episode=_document(explained),
    )
    return CommandResult(report, tuple(_blocks(explained)), notices=(*notices, *explained.notices))


def _document(explained: Explanation) -> EpisodeDocument:
    record = explained.record
    return EpisodeDocument(
        seq=explained.seq,
        event_id=record.event_id,
        episode_id=record.episode_id,
        decision=record.decision.value,
        termination=msgspec.to_builtins(record.termination),
        nodes=tuple(_node(line) for part in explained.parts for line in part.lines),
        effects=tuple(msgspec.json.decode(effect.text) for effect in record.effects),
        states=tuple(state for part in explained.parts for state in _states(part)) or UNSET,
        intent_acks=tuple(msgspec.to_builtins(ack) for ack in record.intent_acks) or UNSET,
        interruption=UNSET if record.interruption is None else unicode(record.interruption),
    )


def _states(part: Part) -> Iterator[StateDocument]:
    for state, why in part.reasons:
        yield StateDocument(part.run_id or "", state, why)


def _node(line: EpisodeLine) -> NodeDocument:
    return NodeDocument(
        id=line.id,
        path=line.path,
        impl=line.impl,
        family=line.family,
        params=line.params,
        inputs=line.inputs,
        outputs=line.outputs,
        ran=line.ran,
        why=line.why,
        place=UNSET if line.place is None else place_document(line.place),
    )


def _blocks(explained: Explanation) -> Iterator[Block]:
    record = explained.record
    ended = "" if record.termination is None else f", {termination_name(record.termination)}"
    retries = f" after {record.retry_count} retries" if record.retry_count else ""
    yield Line(f"event {record.event_id}: {record.decision.value}{ended}{retries}", Tone.STRONG)
    pairs = (
        ("decision", explained.seq),
        ("episode", record.episode_id),
        ("program", f"{explained.kind} {explained.graph_id}"),
    )
    run_id = next((part.run_id for part in explained.parts), None)
    yield fields((*pairs, ("run", run_id), ("interruption", record.interruption)), indent=2)
    if explained.remark is not None:
        yield Line(explained.remark)
    for part in explained.parts:
        yield Line()
        yield from _part(part, run_id, several=sum(each.end is not None for each in explained.parts) > 1)
    if record.effects:
        yield Line()
        yield Line("effects", Tone.STRONG)
        yield Rows(tuple(_effects(explained)), 2)
    if record.intent_acks:
        yield Line()
        rows = tuple((ack.intent_id, ack.channel, ack.acceptance, ack.egress_ref or "-") for ack in record.intent_acks)
        yield Table(("intent acknowledged", "channel", "acceptance", "reference"), rows)


def _part(part: Part, run_id: str | None, *, several: bool) -> Iterator[Block]:
    """``several``: more than one call of the program belongs to the episode."""
    if part.run_id is None:
        yield from _pass(part)
    elif part.end is None:
        yield Line(f"spawned run {part.run_id}", Tone.STRONG)
        yield from _records(part)
    else:
        yield from _call(part, run_id, several=several)


def _pass(part: Part) -> Iterator[Block]:
    yield Table(_NODE_COLUMNS, tuple(map(_node_row, part.lines)))


def _node_row(line: EpisodeLine) -> tuple[str, ...]:
    ran = "yes" if line.ran else "no"
    why = ran if line.why is None else f"{ran}: {line.why}"
    why += "" if line.place is None else f" ({place_text(line.place)})"
    return (line.id, line.path, line.impl, *map(_named, (line.params, line.inputs, line.outputs)), why)


def _named(values: Mapping[str, JsonValue]) -> str:
    return ", ".join(f"{name}={shorten(_short(value), _WIDTH)}" for name, value in values.items())


def _short(value: JsonValue) -> str:
    """A tagged value without its tag; for an event, its name."""
    match value:
        case {"Event": dict(event)}:
            return str(next(iter(event.values())))
        case dict():
            return msgspec.json.encode(next(iter(value.values()))).decode()
        case _:
            return msgspec.json.encode(value).decode()


def _call(part: Part, run_id: str | None, *, several: bool) -> Iterator[Block]:
    if several:
        of = "" if part.run_id == run_id else f" of {part.run_id}"
        yield Line(f"attempt {part.attempt}{of}", Tone.STRONG)
    yield from _records(part)
    end = part.end
    assert end is not None, "a call has an end"
    status = bytes(end.status).decode()
    if part.lines:
        yield Line()
    yield fields(
        (
            ("ended", termination_name(end.termination)),
            ("status", None if status == "null" else status),
            ("error", None if end.error is None else f"{end.error.code}: {end.error.message}"),
            ("state", end.state),
        ),
        indent=2,
    )


def _records(part: Part) -> Iterator[Block]:
    if part.reasons:
        yield Table(("state", "why"), tuple(part.reasons))
        yield Line()
    if part.lines:
        yield Table(_RECORD_COLUMNS, tuple(map(_record_row, part.lines)), frozenset({"seq"}))


def _record_row(line: EpisodeLine) -> tuple[str, ...]:
    value = next((msgspec.json.encode(value).decode() for value in (*line.inputs.values(), *line.outputs.values())), "")
    return line.id, line.impl, line.path, shorten(value, _CONTENT_WIDTH)


def _effects(explained: Explanation) -> Iterator[Row]:
    """The recorded effects; if the program was rerun, each with the node that produces it now."""
    lines = (line for part in explained.parts for line in part.lines)
    makers = {text: line.path for line in lines for text in line.effects}
    for effect in explained.record.effects:
        for fact in effect_facts("+", msgspec.json.decode(effect.text), makers.get(effect.text), width=_EFFECT_WIDTH):
            yield Row((fact.text, fact.made))
