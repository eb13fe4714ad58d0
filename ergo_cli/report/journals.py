"""One episode of a kernel program, told record by record (spec 00 §13.8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from ergo_cli.bundle.inspection import termination_name
from ergo_cli.bundle.kernel_journals import KernelCall
from ergo_cli.core.json import JsonValue
from ergo_cli.core.notices import Notice
from ergo_cli.programs.kernel.events import (
    ActionFailed,
    ActionRequested,
    ActionSucceeded,
    Interrupted,
    Resumed,
    SequencedEvent,
    StateUpdated,
)
from ergo_cli.replay.kernel.explaining import JournalExplanation
from ergo_cli.report.blocks import Block, Line, Table, Tone, fields
from ergo_cli.report.document import EpisodeDocument, NodeDocument, Report, warning_texts
from ergo_cli.report.shortening import shorten
from ergo_cli.report.told import Told

_WIDTH = 60


def journal_told(explained: JournalExplanation) -> Told:
    """An episode with the events of its run."""
    remark = explained.decided.remark
    notices = () if remark is None else (Notice(remark),)
    report = Report(
        command="explain", outcome="ok", exit_code=0, warnings=warning_texts(notices), episode=_document(explained)
    )
    return Told(report, tuple(_blocks(explained)))


def _document(explained: JournalExplanation) -> EpisodeDocument:
    record = explained.decided.record
    return EpisodeDocument(
        seq=explained.decided.seq,
        event_id=record.event_id,
        episode_id=record.episode_id,
        decision=record.decision.value,
        termination=msgspec.to_builtins(record.termination),
        nodes=tuple(_node(event) for call in explained.calls for event in call.events),
        effects=tuple(msgspec.json.decode(effect.text) for effect in record.effects),
    )


def _node(event: SequencedEvent) -> NodeDocument:
    place, inputs, outputs = _parts(event)
    return NodeDocument(
        id=str(event.seq),
        path=place,
        impl=event.kind,
        family="event",
        params={},
        inputs=inputs,
        outputs=outputs,
        ran=True,
        why=None,
    )


def _parts(event: SequencedEvent) -> tuple[str, Mapping[str, JsonValue], Mapping[str, JsonValue]]:
    """The step or the action of an event, what it gave to the world, and what it brought to the run."""
    match event.event:
        case StateUpdated(step_id, payload):
            return step_id or "", {}, {"payload": payload}
        case ActionRequested(action_id, payload):
            return action_id, {"payload": payload}, {}
        case ActionSucceeded(action_id, output):
            return action_id, {}, {"output": output}
        case ActionFailed(action_id, error):
            return action_id, {}, {"error": error}
        case Interrupted(value):
            return "", {"value": value}, {}
        case Resumed(value):
            return "", {}, {"value": value}
        case _:
            return "", {}, {}


def _blocks(explained: JournalExplanation) -> Iterator[Block]:
    decided = explained.decided
    record = decided.record
    ended = "" if record.termination is None else f", {termination_name(record.termination)}"
    retries = f" after {record.retry_count} retries" if record.retry_count else ""
    yield Line(f"event {record.event_id}: {record.decision.value}{ended}{retries}", Tone.STRONG)
    pairs = (
        ("decision", decided.seq),
        ("episode", record.episode_id),
        ("graph", explained.graph_id),
        ("run", explained.run_id),
    )
    yield fields(pairs, indent=2)
    if decided.remark is not None:
        yield Line(decided.remark)
    for call in explained.calls:
        yield Line()
        yield from _call(call, several=len(explained.calls) > 1)
    if record.effects:
        yield Line()
        yield Table(("effect",), tuple((effect.text.decode(),) for effect in record.effects))


def _call(call: KernelCall, *, several: bool) -> Iterator[Block]:
    if several:
        yield Line(f"attempt {call.begin.attempt}", Tone.STRONG)
    if call.events:
        yield Table(("seq", "event", "step or action", "value"), tuple(map(_row, call.events)), frozenset({"seq"}))
    error = call.end.error
    yield fields(
        (
            ("ended", termination_name(call.end.termination)),
            ("status", None if call.status is None else bytes(call.end.status).decode()),
            ("error", None if error is None else f"{error.code}: {error.message}"),
            ("state", call.end.state),
        ),
        indent=2,
    )


def _row(event: SequencedEvent) -> tuple[str, ...]:
    place, inputs, outputs = _parts(event)
    value = next((msgspec.json.encode(value).decode() for value in (*inputs.values(), *outputs.values())), "")
    return str(event.seq), event.kind, place, shorten(value, _WIDTH)
