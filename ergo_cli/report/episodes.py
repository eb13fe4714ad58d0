"""One episode, told node by node (spec 00 §12.8, 20 §2.5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from ergo_cli.bundle.inspection import termination_name
from ergo_cli.bundle.schema import CapturedEffect
from ergo_cli.core.json import JsonValue
from ergo_cli.core.notices import Notice
from ergo_cli.core.values import Value
from ergo_cli.programs.graph.execution import NodeTrace
from ergo_cli.programs.graph.parameters import ParameterValue
from ergo_cli.programs.graph.program import GraphProgram
from ergo_cli.programs.graph.signals import ActionOutcome, TriggerEvent
from ergo_cli.programs.graph.steps import PortValue
from ergo_cli.replay.explaining import Explanation
from ergo_cli.report.blocks import Block, Line, Table, Tone, fields
from ergo_cli.report.document import EpisodeDocument, NodeDocument, Report, warning_texts
from ergo_cli.report.shortening import shorten
from ergo_cli.report.told import Told

_WIDTH = 40
_COLUMNS = ("id", "path", "impl", "params", "inputs", "outputs", "ran")


def explanation_told(explained: Explanation, notices: tuple[Notice, ...]) -> Told:
    """An episode; what finding the program had to say comes in ``notices``."""
    remark = () if explained.remark is None else (Notice(explained.remark),)
    report = Report(
        command="explain",
        outcome="ok",
        exit_code=0,
        warnings=warning_texts((*notices, *explained.notices, *remark)),
        episode=_document(explained),
    )
    return Told(report, tuple(_blocks(explained)), notices=(*notices, *explained.notices))


def tagged(value: PortValue) -> JsonValue:
    """A value with its type: ``{"Number":1.5}``, ``{"Event":{"Trigger":"Emitted"}}``."""
    match value:
        case TriggerEvent():
            return {"Event": {"Trigger": value.value}}
        case ActionOutcome():
            return {"Event": {"Action": value.value}}
        case native:
            return msgspec.to_builtins(Value.of(native))


def _document(explained: Explanation) -> EpisodeDocument:
    record = explained.record
    return EpisodeDocument(
        seq=explained.seq,
        event_id=record.event_id,
        episode_id=record.episode_id,
        decision=record.decision.value,
        termination=msgspec.to_builtins(record.termination),
        nodes=tuple(_node(node, explained.program) for node in explained.nodes),
        effects=tuple(_effect(effect) for effect in record.effects),
    )


def _node(node: NodeTrace, program: GraphProgram) -> NodeDocument:
    return NodeDocument(
        id=node.runtime_id,
        path=node.path,
        impl=_impl(node, program),
        family=node.family.value,
        params={name: _parameter(value) for name, value in node.parameters.items()},
        inputs={name: tagged(value) for name, value in node.inputs.items()},
        outputs={name: tagged(value) for name, value in node.outputs.items()},
        ran=node.ran,
        why=node.why,
    )


def _impl(node: NodeTrace, program: GraphProgram) -> str:
    return f"{node.impl_id}@{program.expanded.nodes[node.runtime_id].version}"


def _parameter(parameter: ParameterValue) -> JsonValue:
    return {parameter.type.value: parameter.value}


def _effect(effect: CapturedEffect) -> JsonValue:
    return msgspec.json.decode(effect.text)


def _blocks(explained: Explanation) -> Iterator[Block]:
    record = explained.record
    ended = "" if record.termination is None else f", {termination_name(record.termination)}"
    retries = f" after {record.retry_count} retries" if record.retry_count else ""
    yield Line(f"event {record.event_id}: {record.decision.value}{ended}{retries}", Tone.STRONG)
    pairs = (("decision", explained.seq), ("episode", record.episode_id), ("graph", explained.program.graph_id))
    yield fields(pairs, indent=2)
    if explained.remark is not None:
        yield Line(explained.remark)
    if explained.nodes:
        yield Line()
        yield Table(_COLUMNS, tuple(_row(node, explained.program) for node in explained.nodes))
    if record.effects:
        yield Line()
        yield from _effects(explained)


def _row(node: NodeTrace, program: GraphProgram) -> tuple[str, ...]:
    params = {name: value.value for name, value in node.parameters.items()}
    ran = "yes" if node.ran else "no"
    why = ran if node.why is None else f"{ran}: {node.why}"
    return (node.runtime_id, node.path, _impl(node, program), *map(_named, (params, node.inputs, node.outputs)), why)


def _named(values: Mapping[str, PortValue | int]) -> str:
    return ", ".join(f"{name}={shorten(_short(value), _WIDTH)}" for name, value in values.items())


def _short(value: PortValue | int) -> str:
    return value.value if isinstance(value, TriggerEvent | ActionOutcome) else msgspec.json.encode(value).decode()


def _effects(explained: Explanation) -> Iterator[Block]:
    """The recorded effects, each with the action that makes it today, where it makes the same."""
    makers = {repr(effect): node.path for node in explained.nodes for effect in node.effects}
    rows = ((makers.get(repr(each.effect), "-"), each.text.decode()) for each in explained.record.effects)
    yield Table(("made by", "effect"), tuple(rows))
