"""Who is to blame for a difference: the action that made an effect, the first node whose output differs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from msgspec import Struct

from ergo_cli.core.json import JsonValue
from ergo_cli.events.composition import ActionNode
from ergo_cli.events.external import Context
from ergo_cli.programs.graph.execution import Interpreter, NodeTrace
from ergo_cli.programs.graph.program import GraphProgram
from ergo_cli.replay.compare import Difference
from ergo_cli.replay.divergence import DivergenceKind


class Blame(Struct, frozen=True):
    """Authoring paths; None where they cannot be told."""

    node: str | None = None
    origin: str | None = None


class Attribution:
    """Traces one episode through today's program, and through the recorded one where it is at hand."""

    def __init__(self, program: GraphProgram, recorded: GraphProgram | None) -> None:
        self._program = program
        self._today = _Tracer(program)
        self._before = _Tracer(recorded) if recorded is not None else None

    def blame(self, differences: list[Difference], event_id: str, context: Context | None) -> list[Blame]:
        """For each difference of one decision, who made the effect and where the two programs part.

        ``context`` is that of the episode that ran for the decision, None where none did.
        """
        if not differences:
            return []
        today = [] if context is None else self._today.trace(event_id, context)
        before = None if context is None or self._before is None else self._before.trace(event_id, context)
        changed = [] if before is None else _changed(before, today)
        makers = [self._maker(difference, before, today) for difference in differences]
        return [Blame(maker, self._origin(changed, maker)) for maker in makers]

    def _maker(self, difference: Difference, before: list[NodeTrace] | None, today: list[NodeTrace]) -> str | None:
        """The action behind an effect: in today's pass, or for a missing one in the recorded program's."""
        index = difference.effect
        if index is None:
            return None
        if difference.kind is not DivergenceKind.EFFECT_MISSING:
            return _made_by(today, index)
        return _made_by(before, index) if before is not None else _only_maker(self._program, difference.expected)

    def _origin(self, changed: list[str], maker: str | None) -> str | None:
        """The first changed node from which ``maker`` is fed; the very first where there is no such action today."""
        upstream = self._upstream.get(maker) if maker is not None else None
        return next((path for path in changed if upstream is None or path in upstream), None)

    @cached_property
    def _upstream(self) -> Mapping[str, frozenset[str]]:
        """For each node of today's graph the nodes that it depends on, and itself."""
        graph, found = self._program.validated, dict[str, frozenset[str]]()
        for node_id in graph.order:
            node = graph.nodes[node_id]
            sources = (found[wire.producer.path] for wire in node.inbound)
            found[node.node.path] = frozenset({node.node.path}).union(*sources)
        return found


class _Tracer:
    """One program, made ready for tracing when it is first asked."""

    def __init__(self, program: GraphProgram) -> None:
        self._program = program

    @cached_property
    def _interpreter(self) -> Interpreter:
        return Interpreter(self._program.validated, self._program.inventory)

    def trace(self, event_id: str, context: Context) -> list[NodeTrace]:
        return self._interpreter.trace(context.values, self._program.graph_id, event_id)


def _only_maker(program: GraphProgram, effect: JsonValue) -> str | None:
    """The one action of today's program that can make such an effect: one that sets these keys, or emits this kind."""
    match effect:
        case {"kind": "set_context", "writes": [*writes]}:
            keys = [write.get("key") for write in writes if isinstance(write, dict)]
            makers = [action.path for action in program.declared_actions() if _written_keys(action) == keys]
        case {"kind": kind}:
            actions = program.declared_actions()
            makers = [action.path for action in actions if kind in {intent.name for intent in action.effects.intents}]
        case _:
            makers = []
    return makers[0] if len(makers) == 1 else None


def _written_keys(action: ActionNode) -> list[JsonValue]:
    names = [write.name for write in action.effects.writes]
    return [action.parameters.get(name[1:]) if name.startswith("$") else name for name in names]


def _made_by(told: list[NodeTrace], index: int) -> str | None:
    makers = [node.path for node in told for _ in node.effects]
    return makers[index] if index < len(makers) else None


def _changed(before: list[NodeTrace], today: list[NodeTrace]) -> list[str]:
    """The nodes, in today's order, whose outputs are not those of the recorded program's node of their name."""
    recorded = {node.path: repr(node.outputs) for node in before}
    return [node.path for node in today if recorded.get(node.path) != repr(node.outputs)]
