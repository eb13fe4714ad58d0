"""The chain behind what a node does, from traces of the recorded graph and today's (spec 70 §8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ergo_cli.core.json import free_text
from ergo_cli.programs.causes import Cause
from ergo_cli.programs.changes import placed
from ergo_cli.programs.graph.changes import binding_of, value_text
from ergo_cli.programs.graph.check.validation import Inbound
from ergo_cli.programs.graph.primitives.primitive import ActionOutcome, Family, TriggerEvent
from ergo_cli.programs.graph.program import GraphProgram
from ergo_cli.programs.graph.run.interpreter import NodeTrace
from ergo_cli.programs.graph.run.steps import PortValue

Traces = Mapping[str, NodeTrace]
"""One pass by the authoring paths of its nodes."""

DEEPEST = 100
"""How many steps a chain goes back, so that a graph of thousands of nodes in a row cannot exhaust the stack."""


def chain_of(
    path: str,
    today: tuple[GraphProgram, Sequence[NodeTrace]],
    recorded: tuple[GraphProgram, Sequence[NodeTrace]] | None,
) -> Cause:
    """The chain behind the node at ``path``; every node's sources are shown once.

    Where values differ, equal sources are not followed further. Without ``recorded`` both sides are today's.
    """
    return _Chain(today, recorded or today).of(path)


class _Chain:
    def __init__(
        self, today: tuple[GraphProgram, Sequence[NodeTrace]], recorded: tuple[GraphProgram, Sequence[NodeTrace]]
    ) -> None:
        self._today, self._recorded = today[0], recorded[0]
        self._now: Traces = {trace.path: trace for trace in today[1]}
        self._was: Traces = {trace.path: trace for trace in recorded[1]}
        self._wires = {**_wires(self._recorded), **_wires(self._today)}
        self._nodes = {node.path: node for node in self._today.expanded.nodes.values()}
        self._keys = {**_keys(self._recorded), **_keys(self._today)}
        self._shown: set[str] = set()

    def of(self, path: str) -> Cause:
        """The chain behind all that a node gives."""
        return self._node(path, None, "", DEEPEST)

    def _node(self, path: str, output: str | None, role: str, steps: int) -> Cause:
        """One step; its sources as far as ``steps``."""
        now, was = self._now.get(path), self._was.get(path)
        recorded, today = _output(was, output), _output(now, output)
        is_new = path not in self._shown
        sources = tuple(self._sources(path, steps - 1)) if steps and is_new else ()
        trace = now or was
        file, line = self._place(path)
        is_change = (now is None) != (was is None) or _impl(now) != _impl(was)
        if len(sources) == 1 and not self._wires.get(path):  # a constant: its parameter is its value
            [parameter] = sources
            file, line, is_change, sources = parameter.file, parameter.line, True, ()
        return Cause(
            part=path,
            role=role,
            recorded=recorded,
            today=today,
            made=_made(trace),
            key=self._keys.get(path),
            file=file,
            line=line,
            is_change=is_change,
            is_repeated=steps > 0 and not is_new and bool(self._wires.get(path)),
            sources=sources,
        )

    def _sources(self, path: str, steps: int) -> Iterator[Cause]:
        self._shown.add(path)
        yield from self._parameters(path)
        wires = self._wires.get(path, ())
        differing = [wire for wire in wires if self._differs(wire)]
        for wire in wires:
            is_followed = not differing or wire in differing
            yield self._node(wire.producer.path, wire.output, wire.input, steps if is_followed else 0)

    def _differs(self, wire: Inbound) -> bool:
        path = wire.producer.path
        return _output(self._was.get(path), wire.output) != _output(self._now.get(path), wire.output)

    def _parameters(self, path: str) -> Iterator[Cause]:
        """The parameters of a node that differ."""
        now, was = self._now.get(path), self._was.get(path)
        if now is None or was is None:
            return
        node = self._nodes[path]
        for name in dict.fromkeys((*now.parameters, *was.parameters)):
            recorded, today = value_text(was.parameters.get(name)), value_text(now.parameters.get(name))
            if recorded != today:
                file, line = placed(binding_of(self._today.assets, node, name).place or node.place)
                yield Cause(part=name, recorded=recorded, today=today, file=file, line=line, is_change=True)

    def _place(self, path: str) -> tuple[str | None, int | None]:
        return placed(self._nodes[path].place) if path in self._nodes else (None, None)


def _wires(program: GraphProgram) -> dict[str, tuple[Inbound, ...]]:
    return {node.node.path: node.inbound for node in program.validated.nodes.values()}


def _output(trace: NodeTrace | None, output: str | None) -> str | None:
    """One output of a node, or all that it gives, as a text; None where it did not get that far."""
    if trace is None:
        return None
    if output is not None:
        return _text(trace.outputs[output]) if output in trace.outputs else None
    if trace.family is Family.ACTION:
        return trace.why if not trace.ran else "acts"
    return ", ".join(_text(value) for value in trace.outputs.values()) or trace.why


def _text(value: PortValue) -> str:
    match value:
        case TriggerEvent.EMITTED:
            return "emitted"
        case TriggerEvent.NOT_EMITTED:
            return "not emitted"
        case ActionOutcome():
            return value.value.lower()
        case native:
            return free_text(native).decode()


def _made(trace: NodeTrace | None) -> str:
    """How a node's value comes about: its primitive with its inputs; empty for sources and actions."""
    if trace is None or not trace.inputs or trace.family is Family.ACTION:
        return ""
    return f"{trace.impl_id}({', '.join(trace.inputs)})"


def _keys(program: GraphProgram) -> dict[str, str]:
    """The member of the context that each source reads, of several the first."""
    needs = ((source, source.needs[0].name) for source in program.declared_sources() if source.needs)
    named = ((source, str(source.parameters.get(name[1:])) if name.startswith("$") else name) for source, name in needs)
    return {source.path: name for source, name in named}


def _impl(trace: NodeTrace | None) -> str | None:
    return None if trace is None else trace.impl_id
