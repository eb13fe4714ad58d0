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
from ergo_cli.report.document import (
    EpisodeDocument,
    NodeDocument,
    RecordedNodeDocument,
    Report,
    StateDocument,
    unicode,
    warning_texts,
)
from ergo_cli.report.facts import effect_facts
from ergo_cli.report.failures import place_document, place_text
from ergo_cli.report.text import Block, Line, Row, Rows, Table, Tone, fields, shorten

_WIDTH = 40
_CONTENT_WIDTH = 60
_EFFECT_WIDTH = 400
_NODE_COLUMNS = ("id", "path", "impl", "params", "inputs", "outputs", "ran")
_RECORD_COLUMNS = ("seq", "event", "part", "value")


def render_explanation(
    explained: Explanation, notices: tuple[Notice, ...], *, only_differing: bool = False
) -> CommandResult:
    """Render an explained episode; ``notices`` come from finding the program.

    ``only_differing`` leaves out of the text what the program of the capture did as well.
    """
    remark = () if explained.remark is None else (Notice(explained.remark),)
    report = Report(
        command="explain",
        outcome="ok",
        exit_code=0,
        warnings=warning_texts((*notices, *explained.notices, *remark)),
        episode=_document(explained),
    )
    return CommandResult(
        report, tuple(_blocks(explained, only_differing=only_differing)), notices=(*notices, *explained.notices)
    )


def _document(explained: Explanation) -> EpisodeDocument:
    record = explained.record
    return EpisodeDocument(
        seq=explained.seq,
        event_id=record.event_id,
        episode_id=record.episode_id,
        decision=record.decision.value,
        termination=msgspec.to_builtins(record.termination),
        nodes=tuple(_node(line, part.recorded) for part in explained.parts for line in part.lines),
        gone=tuple(sorted(_gone(explained))) or UNSET,
        effects=tuple(msgspec.json.decode(effect.text) for effect in record.effects),
        states=tuple(state for part in explained.parts for state in _states(part)) or UNSET,
        intent_acks=tuple(msgspec.to_builtins(ack) for ack in record.intent_acks) or UNSET,
        interruption=UNSET if record.interruption is None else unicode(record.interruption),
    )


def _states(part: Part) -> Iterator[StateDocument]:
    for state, why in part.reasons:
        yield StateDocument(part.run_id or "", state, why)


def _gone(explained: Explanation) -> set[str]:
    """The nodes that the program of the capture has, and today's has not."""
    recorded = {path for part in explained.parts for path in part.recorded or ()}
    return recorded - {line.path for part in explained.parts for line in part.lines}


def _node(line: EpisodeLine, recorded: Mapping[str, EpisodeLine] | None) -> NodeDocument:
    was = None if recorded is None else recorded.get(line.path)
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
        recorded=UNSET if recorded is None or not _differs(line, was) else _recorded_node(was),
        origin=UNSET if line.origin is None else unicode(line.origin),
    )


def _recorded_node(line: EpisodeLine | None) -> RecordedNodeDocument | None:
    if line is None:
        return None
    place = UNSET if line.place is None else place_document(line.place)
    return RecordedNodeDocument(line.impl, line.params, line.inputs, line.outputs, line.ran, line.why, place)


def _differs(line: EpisodeLine, was: EpisodeLine | None) -> bool:
    """Whether a node did otherwise with the program of the capture, or is new."""
    return was is None or _did(line) != _did(was)


def _did(line: EpisodeLine) -> tuple[object, ...]:
    return line.impl, line.params, line.inputs, line.outputs, line.ran, line.why, line.effects


def _blocks(explained: Explanation, *, only_differing: bool) -> Iterator[Block]:
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
        several = sum(each.end is not None for each in explained.parts) > 1
        yield from _part(part, run_id, several=several, only_differing=only_differing)
    if record.effects:
        yield Line()
        yield Line("recorded effects", Tone.STRONG)
        yield Rows(tuple(_effects(explained)), 2)
    if record.intent_acks:
        yield Line()
        rows = tuple((ack.intent_id, ack.channel, ack.acceptance, ack.egress_ref or "-") for ack in record.intent_acks)
        yield Table(("intent acknowledged", "channel", "acceptance", "reference"), rows)


def _part(part: Part, run_id: str | None, *, several: bool, only_differing: bool) -> Iterator[Block]:
    """``several``: more than one call of the program belongs to the episode."""
    if part.run_id is None:
        yield from _pass(part, only_differing=only_differing)
    elif part.end is None:
        yield Line(f"spawned run {part.run_id}", Tone.STRONG)
        yield from _records(part)
    else:
        yield from _call(part, run_id, several=several)


def _pass(part: Part, *, only_differing: bool) -> Iterator[Block]:
    """The nodes; with the program of the capture beside today's the first column marks those that did otherwise."""
    if part.recorded is None:
        yield Table(_NODE_COLUMNS, tuple(_node_row(line, line) for line in part.lines))
        return
    rows: list[tuple[str, ...]] = []
    for line in part.lines:
        was = part.recorded.get(line.path)
        sign = "+" if was is None else "~" if _differs(line, was) else ""
        if sign or not only_differing:
            rows.append((sign, *_node_row(line, was or line)))
    today = {line.path for line in part.lines}
    rows += (("-", *_node_row(line, line)) for path, line in part.recorded.items() if path not in today)
    yield Table(("", *_NODE_COLUMNS), tuple(rows))


def _node_row(line: EpisodeLine, was: EpisodeLine) -> tuple[str, ...]:
    """A node; what differs from ``was`` with both values."""
    params, outputs = _named(was.params, line.params), _named(was.outputs, line.outputs)
    inputs = _named(was.inputs, line.inputs) if line.origin is None else f"from {line.origin}"
    before, now = _ran(was), _ran(line)
    ran = now if before == now else f"{before} -> {now}"
    impl = line.impl if line.impl == was.impl else f"{was.impl} -> {line.impl}"
    return (line.id, line.path, impl, params, inputs, outputs, ran)


def _ran(line: EpisodeLine) -> str:
    ran = "yes" if line.ran else "no"
    place = "" if line.place is None else f" ({place_text(line.place)})"
    return ran if line.why is None else f"{ran}: {line.why}{place}"


def _named(was: Mapping[str, JsonValue], now: Mapping[str, JsonValue]) -> str:
    return ", ".join(f"{name}={_both(was.get(name), now.get(name))}" for name in dict.fromkeys((*now, *was)))


def _both(was: JsonValue, now: JsonValue) -> str:
    """A value, with the recorded one where that is another."""
    before, after = ("(none)" if value is None else shorten(_short(value), _WIDTH) for value in (was, now))
    return after if was == now else f"{before} -> {after}"


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
