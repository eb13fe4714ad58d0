"""The interpreter: one pass over a validated graph (spec 20 §10); every faster way is held against it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ergo_cli.core.effects import Effect
from ergo_cli.core.values import NativeValue
from ergo_cli.errors import ErgoError, RuleError
from ergo_cli.programs.graph.catalog import Inventory
from ergo_cli.programs.graph.effect_building import build_effects
from ergo_cli.programs.graph.expanded import NodePort
from ergo_cli.programs.graph.families import (
    collect_inputs,
    is_suppressed,
    missing_output,
    presented,
    run_action,
    run_compute,
    run_source,
    run_trigger,
)
from ergo_cli.programs.graph.faults import execution_fault
from ergo_cli.programs.graph.manifest import Family
from ergo_cli.programs.graph.parameters import ParameterValue
from ergo_cli.programs.graph.signals import TriggerEvent
from ergo_cli.programs.graph.steps import (
    ActionStep,
    ComputeStep,
    PortValue,
    PortValues,
    SourceStep,
    Step,
    TriggerStep,
    prepare,
)
from ergo_cli.programs.graph.validation import ValidatedGraph

Values = Mapping[str, NativeValue]


class Report(Struct, frozen=True):
    """What one pass leaves: the graph's outputs by name, and the effects in program order."""

    outputs: dict[str, PortValue]
    effects: list[Effect]


class NodeTrace(Struct, frozen=True):
    """What happened at one node. ``why`` says why an action was skipped, or what went wrong where the pass failed."""

    runtime_id: str
    path: str
    impl_id: str
    family: Family
    parameters: Mapping[str, ParameterValue]
    inputs: PortValues
    outputs: PortValues
    ran: bool
    why: str | None
    effects: list[Effect]


class _Pass(Struct):
    """What has come of a pass so far, by runtime id."""

    outputs: dict[str, PortValues]
    effects: dict[str, list[Effect]]


class Interpreter:
    """Runs a validated graph, node by node. Prepared once; passes share nothing.

    Raises RuleError INTERNAL if the graph names what is not in the inventory.
    """

    def __init__(self, graph: ValidatedGraph, inventory: Inventory) -> None:
        self._graph = graph
        self._steps = prepare(graph, inventory)

    def execute(self, context: Values, graph_id: str, event_id: str) -> Report:
        """One pass. Raises RuleError (phase ``execution``): then there are no outputs and no effects at all."""
        found = _Pass({}, {})
        self._walk(found, context, graph_id, event_id)
        outputs = {port.name: self._boundary(found, port.source) for port in self._graph.outputs}
        return Report(outputs, [effect for effects in found.effects.values() for effect in effects])

    def execute_anonymous(self, context: Values) -> Report:
        """One pass without graph and event ids. Raises RuleError GW-EFX-META-1 if any action declares intents."""
        for step in self._steps:
            if isinstance(step, ActionStep) and step.effects.intents:
                message = f"action '{step.node.path}' declares intents: their ids need a graph id and an event id"
                raise execution_fault("GW-EFX-META-1", message, step.node, path=f"$.nodes.{step.id}")
        return self.execute(context, "graph", "event")

    def trace(self, context: Values, graph_id: str, event_id: str) -> list[NodeTrace]:
        """One pass told node by node, in execution order, up to and including the node that made it fail, if any."""
        found, failure = _Pass({}, {}), None
        try:
            self._walk(found, context, graph_id, event_id)
        except RuleError as error:
            failure = error.message
        told = [_told(step, found) for step in self._steps[: len(found.outputs)]]
        if failure is not None:
            told.append(_failed(self._steps[len(found.outputs)], found, failure))
        return told

    def _walk(self, found: _Pass, context: Values, graph_id: str, event_id: str) -> None:
        """The main loop of §10.1: every node once, in topological order."""
        for step in self._steps:
            inputs = collect_inputs(step, found.outputs)
            outputs = run_node(step, inputs, context)
            if isinstance(step, ActionStep) and not is_suppressed(inputs):
                attempted = presented(inputs)
                found.effects[step.id] = build_effects(step.effects, step.node, attempted, graph_id, event_id)
            found.outputs[step.id] = outputs

    def _boundary(self, found: _Pass, source: NodePort) -> PortValue:
        outputs = found.outputs.get(source.node_id, {})
        if source.port not in outputs:
            raise missing_output(self._graph.nodes[source.node_id].node, source.port)
        return outputs[source.port]


def run_node(step: Step, inputs: PortValues, context: Values) -> PortValues:
    """The outputs of one node, given what is at its wired inputs; those of a suppressed action say that it was skipped.

    They are a copy: a primitive may return one mapping again and again. Raises RuleError for whatever goes wrong,
    INTERNAL for an exception that leaks from the primitive (spec 20 §5.5).
    """
    try:
        match step:
            case SourceStep():
                return dict(run_source(step, context))
            case ComputeStep():
                return dict(run_compute(step, inputs))
            case TriggerStep():
                return dict(run_trigger(step, inputs))
            case ActionStep():
                return step.skipped if is_suppressed(inputs) else dict(run_action(step, presented(inputs)))
    except ErgoError:
        raise
    except (Exception, SystemExit) as error:
        raise _leaked(step, error) from error


def execute(graph: ValidatedGraph, inventory: Inventory, context: Values, graph_id: str, event_id: str) -> Report:
    """One pass of a graph that is run once; raises as ``Interpreter.execute``."""
    return Interpreter(graph, inventory).execute(context, graph_id, event_id)


def trace(
    graph: ValidatedGraph, inventory: Inventory, context: Values, graph_id: str, event_id: str
) -> list[NodeTrace]:
    """One pass of a graph that is run once, told node by node."""
    return Interpreter(graph, inventory).trace(context, graph_id, event_id)


def _leaked(step: Step, error: BaseException) -> RuleError:
    message = f"primitive '{step.node.impl_id}' of '{step.node.path}' broke: {type(error).__name__}: {error}"
    fix = "mend the primitive: it must handle every input of its declared types"
    return execution_fault("INTERNAL", message, step.node, fix=fix)


_FAMILY = {
    SourceStep: Family.SOURCE,
    ComputeStep: Family.COMPUTE,
    TriggerStep: Family.TRIGGER,
    ActionStep: Family.ACTION,
}


def _told(step: Step, found: _Pass) -> NodeTrace:
    inputs = collect_inputs(step, found.outputs)
    skipped = isinstance(step, ActionStep) and is_suppressed(inputs)
    why = _why_skipped(inputs) if skipped else None
    return _node_trace(step, inputs, found.outputs[step.id], not skipped, why, found.effects.get(step.id, []))


def _why_skipped(inputs: PortValues) -> str:
    silent = [name for name, value in inputs.items() if value is TriggerEvent.NOT_EMITTED]
    return f"not emitted: {', '.join(silent)}"


def _failed(step: Step, found: _Pass, failure: str) -> NodeTrace:
    try:
        inputs = collect_inputs(step, found.outputs)
    except RuleError:
        inputs = {}
    return _node_trace(step, inputs, {}, True, failure, [])


def _node_trace(
    step: Step, inputs: PortValues, outputs: PortValues, ran: bool, why: str | None, effects: list[Effect]
) -> NodeTrace:
    node = step.node
    return NodeTrace(
        step.id, node.path, node.impl_id, _FAMILY[type(step)], node.parameters, inputs, outputs, ran, why, effects
    )
