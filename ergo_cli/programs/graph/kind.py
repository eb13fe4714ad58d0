"""The graph kind: programs that compute, whose effects the host realises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from ergo_cli.core.code_places import CodePlace
from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.json import JsonValue
from ergo_cli.core.values import Effect, Value, encode_effect
from ergo_cli.errors import ErgoError
from ergo_cli.events.adapter import Adapter, setup_failed
from ergo_cli.events.composition import compose
from ergo_cli.events.context_selection import Origin, origin_of
from ergo_cli.events.external import Context
from ergo_cli.programs.causes import Cause
from ergo_cli.programs.changes import Change
from ergo_cli.programs.graph.check.catalog import Inventory, Metadata
from ergo_cli.programs.graph.keys_read import keys_read
from ergo_cli.programs.graph.model import GraphAssets
from ergo_cli.programs.graph.primitives.primitive import ActionOutcome, TriggerEvent
from ergo_cli.programs.graph.program import SCHEDULE, GraphInvoker, GraphProgram, files_of
from ergo_cli.programs.graph.run.interpreter import NodeTrace, trace
from ergo_cli.programs.graph.run.steps import PortValue
from ergo_cli.programs.kind import Line, Ran
from ergo_cli.programs.pictures import Picture
from ergo_cli.programs.program import Program
from ergo_cli.programs.seat import Surroundings
from ergo_cli.programs.wiring import Wiring

if TYPE_CHECKING:
    from ergo_cli.programs.graph.referee import GraphReferee


class GraphComputing(Struct, frozen=True):
    """The ``Computing`` interface of graphs."""

    invoker = staticmethod(GraphInvoker)  # not a method: it would only pass the program on

    def fits(self, program: GraphProgram, adapter: Adapter) -> None:
        """Raise AdapterError ``adapter.setup_failed`` unless every source and action fits the adapter (COMP-*)."""
        faults = compose(adapter.provides, program.declared_sources(), program.declared_actions())
        if faults:
            raise setup_failed(adapter.label, faults)

    def changes(self, recorded: GraphProgram, today: GraphProgram) -> Sequence[Change]:
        """The nodes, parameters, wires and versions that differ."""
        from ergo_cli.programs.graph.changes import graph_changes  # imported here: a match does not need it

        return graph_changes(recorded, today)

    def why(self, program: GraphProgram, recorded: GraphProgram | None, ran: Ran, node: str) -> Cause:
        """The node, its inputs, and what feeds them, back to payload members, constants and parameters."""
        from ergo_cli.programs.graph.why import chain_of  # imported here: only ``ergo why`` needs it

        sides = [
            (each, trace(each.validated, each.inventory, ran.context.values, each.graph_id, ran.event_id))
            for each in (program, recorded)
            if each is not None
        ]
        recorded_side = sides[1] if len(sides) > 1 else None
        return chain_of(node, sides[0], recorded_side, partial(origin_of, ran.context))

    def wiring(self, program: GraphProgram) -> Wiring:
        """The nodes that feed each node, however far."""
        return program.wiring()

    def places(self, program: GraphProgram) -> Mapping[str, str]:
        """The nodes in the files of the graph and of its clusters."""
        nodes = program.expanded.nodes.values()
        return {node.path: node.place for node in nodes if node.place is not None}

    def maker(self, program: GraphProgram, effect: JsonValue) -> str | None:
        """The action that alone sets these keys, or emits this kind."""
        from ergo_cli.programs.graph.makers import only_maker  # imported here: a match does not need it

        return only_maker(program, effect)

    def files(self, program: GraphProgram) -> Mapping[str, str]:
        """The files of the root and of its clusters."""
        return files_of(program.assets)

    def contracts(self, program: GraphProgram) -> bytes:
        """The contracts of its primitives."""
        return msgspec.json.encode(program.contracts())

    def own_code(self, program: GraphProgram) -> Mapping[str, CodePlace]:
        """The functions of the nodes' own primitives."""
        return program.own_code()

    def own_names(self, program: GraphProgram) -> Mapping[str, str]:
        """The ids of the own primitives."""
        return program.own_names()

    def emits(self, program: GraphProgram) -> frozenset[str]:
        """The effect kinds that a pass can emit (spec 20 §11.4)."""
        return program.emittable_kinds

    def trace(self, program: GraphProgram, event_id: str, context: Context) -> Sequence[Line]:
        """Every node of one pass, in execution order, as the interpreter runs it."""
        traced = trace(program.validated, program.inventory, context.values, program.graph_id, event_id)
        keys = keys_read(program)
        return [_line(node, program, origin_of(context, keys.get(node.path, ""))) for node in traced]


class GraphKind(Struct, frozen=True):
    """Graphs of sources, computes, triggers and actions."""

    name: str = "graph"
    tag: str = "rpv1"
    computing: GraphComputing = GraphComputing()
    acting: None = None

    def claims(self, value: object) -> bool:
        """A graph is written as text: no Python value is one."""
        return False

    def check(self, program: GraphProgram, around: Surroundings) -> tuple[Notice, ...]:
        """Composition with the adapter; without one, the graph gate (RUN-CANON-2)."""
        if around.adapter is not None:
            self.computing.fits(program, around.adapter)
        else:
            _check_gate(program)
        return ()

    def picture(self, program: GraphProgram) -> Picture:
        """Its primitives in their clusters, and the wires between them."""
        from ergo_cli.programs.graph.picture import picture_of  # only a picture needs it

        return picture_of(program.expanded, program.inventory.catalog)

    def referee(self, program: GraphProgram, recorded: GraphProgram | None, deadline: int | None) -> GraphReferee:
        """Run the compiled graph, and trace where it differs from the recorded one."""
        from ergo_cli.programs.graph.referee import (
            GraphReferee,
        )  # imported here: runs and matching replays do not need it

        return GraphReferee(program, recorded, deadline)


KIND = GraphKind()


def load_graph(assets: GraphAssets, inventory: Inventory) -> Program[GraphProgram]:
    """The program that a graph with its clusters makes. Raises RuleError, everything else found in its ``causes``."""
    return _program(GraphProgram.load(assets, inventory))


def describe_graph(assets: GraphAssets, contracts: bytes) -> Program[GraphProgram]:
    """The program of a graph whose primitives are known by their ``contracts`` alone: it is compared, and cannot run.

    Raises as ``load_graph``, and ValueError for contracts that are damaged.
    """
    return _program(GraphProgram.described(assets, msgspec.json.decode(contracts, type=list[Metadata])))


def _program(graph: GraphProgram) -> Program[GraphProgram]:
    return Program(KIND, graph.ref, graph.graph_id, graph.provenance, graph, graph.newer_provenance, graph.has_own_code)


BUILT_IN = _program(SCHEDULE)
"""``ergo:schedule``: no nodes, every invocation completes without effects (spec 00 §12.6)."""


def _check_gate(program: GraphProgram) -> None:
    sources, writers = program.required_context_nodes, program.write_nodes
    if not sources and not writers:
        return
    details: list[str] = []
    if sources:
        details.append(f"required source context at node(s): {', '.join(sources)}")
    if writers:
        details.append(f"action writes at node(s): {', '.join(writers)}")
    raise ErgoError(
        "adapter.required_for_graph",
        f"graph '{program.graph_id}' reads required context or writes effects, so it needs an adapter",
        rule="RUN-CANON-2",
        where=f"node '{(sources or writers)[0]}'",
        fix="give an adapter manifest with --adapter, or in the profile",
        details=details,
    )


def _line(node: NodeTrace, program: GraphProgram, origin: Origin | None) -> Line:
    return Line(
        id=node.runtime_id,
        path=node.path,
        impl=f"{node.impl_id}@{program.expanded.nodes[node.runtime_id].version}",
        family=node.family.value,
        params={name: {value.type.value: value.value} for name, value in node.parameters.items()},
        inputs={name: _tagged(value) for name, value in node.inputs.items()},
        outputs={name: _tagged(value) for name, value in node.outputs.items()},
        ran=node.ran,
        why=node.why,
        effects=tuple(_text(effect) for effect in node.effects),
        place=node.place,
        origin=None if origin is None else str(origin),
    )


def _text(effect: Effect) -> bytes:
    """The compact JSON of an effect; empty for one that JSON cannot hold, which no recorded effect equals."""
    try:
        return encode_effect(effect)
    except ValueError:
        return b""


def _tagged(value: PortValue) -> JsonValue:
    """A value with its type: ``{"Number":1.5}``, ``{"Event":{"Trigger":"Emitted"}}`` (spec 20 §2.5)."""
    match value:
        case TriggerEvent():
            return {"Event": {"Trigger": value.value}}
        case ActionOutcome():
            return {"Event": {"Action": value.value}}
        case native:
            return msgspec.to_builtins(Value.of(native))
