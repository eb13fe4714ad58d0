"""The chain behind what a node does, from traces of the recorded graph and today's (spec 70 §8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.json import free_text
from ergo_cli.events.context_selection import Origin
from ergo_cli.programs.causes import Cause, Raised
from ergo_cli.programs.changes import placed
from ergo_cli.programs.graph.bindings import binding_of, value_text
from ergo_cli.programs.graph.check.validation import Inbound
from ergo_cli.programs.graph.keys_read import keys_read
from ergo_cli.programs.graph.model import ExpandedNode, NodePort
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
    origin: Callable[[str], Origin | None],
) -> Cause:
    """The chain behind the node at ``path``; every node's sources are shown once.

    Where a node differs, only sources that differ are followed further. A node that ended a pass before ``path`` was
    reached, and that it does not depend on, is the last source. Without ``recorded`` both sides are today's. ``origin``
    says where the value of a context key comes from.
    """
    return _Chain(_Side.of(*today), _Side.of(*(recorded or today)), origin).of(path)


class _Side(Struct, frozen=True):
    """A program and its pass, by the authoring paths of its nodes.

    ``failed`` is the node that ended the pass; ``cut_off`` are those behind it that do not depend on it.
    """

    program: GraphProgram
    traces: Traces
    nodes: Mapping[str, ExpandedNode]
    wires: Mapping[str, tuple[Inbound, ...]]
    keys: Mapping[str, str]
    failed: str | None
    cut_off: frozenset[str]

    @classmethod
    def of(cls, program: GraphProgram, traces: Sequence[NodeTrace]) -> _Side:
        """One side of a chain."""
        failed = next((trace.path for trace in traces if trace.has_failed), None)
        return cls(
            program,
            {trace.path: trace for trace in traces},
            {node.path: node for node in program.expanded.nodes.values()},
            {node.node.path: node.inbound for node in program.validated.nodes.values()},
            keys_read(program),
            failed,
            frozenset() if failed is None else _cut_off(program, failed, [trace.path for trace in traces]),
        )

    def made(self, path: str) -> tuple[str, str] | None:
        """The primitive and its version; None for a node that the program does not have."""
        node = self.nodes.get(path)
        return None if node is None else (node.impl_id, node.version)

    def given(self, wire: Inbound | None) -> str | None:
        """What comes over a wire."""
        return None if wire is None else _output(self.traces.get(wire.producer.path), wire.output)


class _Feed(Struct, frozen=True):
    """An input of a node with its wire at the capture, and today's; not both are None."""

    name: str
    was: Inbound | None
    now: Inbound | None

    @property
    def shown(self) -> Inbound:
        """Today's wire, else that of the capture."""
        wire = self.now or self.was
        assert wire is not None
        return wire

    @property
    def is_rewired(self) -> bool:
        """Whether today something else feeds the input."""
        return _end(self.was) != _end(self.now)


class _Chain:
    def __init__(self, today: _Side, recorded: _Side, origin: Callable[[str], Origin | None]) -> None:
        self._today, self._recorded, self._origin = today, recorded, origin
        self._shown: set[str] = set()

    def of(self, path: str) -> Cause:
        """The chain behind all that a node gives."""
        cause = self._node(path, None, "", DEEPEST)
        failed = dict.fromkeys((self._today.failed, self._recorded.failed))
        beside = [each for each in failed if each is not None and not _holds(cause, each)]
        return replace(
            cause, sources=(*cause.sources, *(self._node(each, None, "ended by", DEEPEST) for each in beside))
        )

    def _node(self, path: str, output: str | None, role: str, steps: int) -> Cause:
        """One step; its sources as far as ``steps``."""
        now, was = self._today.traces.get(path), self._recorded.traces.get(path)
        recorded, today = _output(was, output), _output(now, output)
        is_new = path not in self._shown
        sources = tuple(self._sources(path, steps - 1)) if steps and is_new else ()
        feeds = self._feeds(path)
        file, line = self._place(path)
        is_change, made = self._today.made(path) != self._recorded.made(path), _made(now or was)
        if len(sources) == 1 and not feeds and (sources[0].recorded, sources[0].today) == (recorded, today):
            [parameter] = sources  # a constant: its parameter is its value
            file, line, is_change, sources = parameter.file, parameter.line, True, ()
            made = "" if parameter.part.startswith(f"{path}.") else parameter.part
        key = self._today.keys.get(path) or self._recorded.keys.get(path)
        origin = None if key is None else self._origin(key)
        return Cause(
            part=path,
            role=role,
            recorded=recorded,
            today=today,
            made=made,
            key=key,
            payload_path=None if origin is None else origin.path,
            is_default=origin is not None and origin.is_default,
            file=file,
            line=line,
            is_change=is_change,
            is_repeated=steps > 0 and not is_new and bool(feeds or list(self._parameters(path))),
            recorded_failure=_failure(was),
            today_failure=_failure(now),
            sources=sources,
        )

    def _sources(self, path: str, steps: int) -> Iterator[Cause]:
        """The parameters that differ, and every input; followed are those that differ, or all where nothing does."""
        if path in self._today.cut_off | self._recorded.cut_off:
            return
        self._shown.add(path)
        parameters = list(self._parameters(path))
        yield from parameters
        feeds = self._feeds(path)
        differing = [feed for feed in feeds if self._differs(feed)]
        is_other = bool(parameters) or self._differs_itself(path)
        for feed in feeds:
            is_followed = feed in differing if differing else not is_other
            yield self._input(path, feed, steps if is_followed else 0)

    def _differs_itself(self, path: str) -> bool:
        """Whether a node is another, or gives something else, on the two sides."""
        now, was = self._today, self._recorded
        return now.made(path) != was.made(path) or _did(now.traces.get(path)) != _did(was.traces.get(path))

    def _feeds(self, path: str) -> list[_Feed]:
        """The inputs that are fed on either side, in the order of today's wires."""
        was, now = ({wire.input: wire for wire in side.wires.get(path, ())} for side in (self._recorded, self._today))
        return [_Feed(name, was.get(name), now.get(name)) for name in dict.fromkeys((*now, *was))]

    def _differs(self, feed: _Feed) -> bool:
        return self._recorded.given(feed.was) != self._today.given(feed.now)

    def _input(self, path: str, feed: _Feed, steps: int) -> Cause:
        """What feeds an input; of one that is fed from elsewhere the value of each side's own wire."""
        shown = feed.shown
        if not feed.is_rewired or self._today.made(path) is None or self._recorded.made(path) is None:
            return self._node(shown.producer.path, shown.output, feed.name, steps)
        is_other = self._differs(_Feed(feed.name, shown, shown))
        cause = self._node(shown.producer.path, shown.output, feed.name, steps if is_other else 0)
        file, line = self._place_of_wire(path, feed)
        return replace(
            cause,
            recorded=self._recorded.given(feed.was),
            today=self._today.given(feed.now),
            file=file,
            line=line,
            is_change=True,
            rewired=_rewired(feed),
        )

    def _parameters(self, path: str) -> Iterator[Cause]:
        """The parameters of a node that differ."""
        now, was = self._today.nodes.get(path), self._recorded.nodes.get(path)
        if now is None or was is None:
            return
        for name in dict.fromkeys((*now.parameters, *was.parameters)):
            recorded, today = value_text(was.parameters.get(name)), value_text(now.parameters.get(name))
            if recorded != today:
                binding = binding_of(self._today.program.assets, now, name)
                file, line = placed(binding.place or now.place)
                yield Cause(part=binding.at, recorded=recorded, today=today, file=file, line=line, is_change=True)

    def _place(self, path: str) -> tuple[str | None, int | None]:
        node = self._today.nodes.get(path)
        return (None, None) if node is None else placed(node.place)

    def _place_of_wire(self, path: str, feed: _Feed) -> tuple[str | None, int | None]:
        """The place of today's wire, else of the node that has it no more."""
        node = self._today.nodes[path]
        target = NodePort(node.runtime_id, feed.name)
        wires = (edge.place for edge in self._today.program.expanded.edges if edge.target == target)
        return placed(next(wires, None) or node.place)


def _cut_off(program: GraphProgram, failed: str, paths: Sequence[str]) -> frozenset[str]:
    later, wiring = paths[paths.index(failed) + 1 :], program.wiring()
    return frozenset(path for path in later if not wiring.depends(path, (failed,)))


def _end(wire: Inbound | None) -> str | None:
    """The output that a wire comes from, as its author names it."""
    return None if wire is None else f"{wire.producer.path}.{wire.output}"


def _rewired(feed: _Feed) -> str:
    if feed.now is None:
        return "not fed any more"
    return "not fed before" if feed.was is None else f"was {_end(feed.was)}"


def _holds(cause: Cause, path: str) -> bool:
    return cause.part == path or any(_holds(source, path) for source in cause.sources)


def _output(trace: NodeTrace | None, output: str | None) -> str | None:
    """One output of a node, or all that it gives, as a text; None where it did not get that far."""
    if trace is None:
        return None
    if trace.has_failed:
        return "fails"
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


def _did(trace: NodeTrace | None) -> str:
    return repr(trace and (trace.outputs, trace.why))


def _made(trace: NodeTrace | None) -> str:
    """How a node's value comes about: its primitive with its inputs; empty for sources and actions."""
    if trace is None or not trace.inputs or trace.family is Family.ACTION:
        return ""
    return f"{trace.impl_id}({', '.join(trace.inputs)})"


def _failure(trace: NodeTrace | None) -> Raised | None:
    if trace is None or not trace.has_failed or trace.why is None:
        return None
    return Raised(trace.why, trace.place)
