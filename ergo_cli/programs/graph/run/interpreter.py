"""The interpreter: one pass over a validated graph (spec 20 §10), the reference for the compiled function."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import cast

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.core.code_places import CodePlace, user_place
from ergo_cli.core.values import Effect, NativeValue, ValueType, type_of
from ergo_cli.errors import ErgoError, RuleError, described
from ergo_cli.programs.graph.check.catalog import Inventory
from ergo_cli.programs.graph.check.validation import ValidatedGraph
from ergo_cli.programs.graph.model import ExpandedNode, NodePort, execution_fault
from ergo_cli.programs.graph.primitives.primitive import (
    ActionOutcome,
    ComputeErrorType,
    ComputeFault,
    Family,
    ParameterType,
    ParameterValue,
    TriggerEvent,
    Values,
)
from ergo_cli.programs.graph.run.steps import (
    ActionStep,
    ComputeStep,
    Need,
    PortValue,
    PortValues,
    SourceStep,
    Step,
    TriggerStep,
    build_effects,
    prepare,
    unconvertible,
)
from ergo_cli.supervisor.seam import ErrKind, Failed


class Report(Struct, frozen=True):
    """What one pass leaves: the graph's outputs by name, and the effects in program order."""

    outputs: dict[str, PortValue]
    effects: list[Effect]


class NodeTrace(Struct, frozen=True):
    """What happened at one node. ``why`` says why it did not run, or what went wrong where the pass failed.

    ``place`` is the user's line where it failed.
    """

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
    place: CodePlace | None = None

    @property
    def has_failed(self) -> bool:
        """Whether the pass failed here."""
        return self.ran and self.why is not None


class _Pass(Struct):
    """The results of a pass so far, by runtime id."""

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
        """One pass. Raises RuleError (phase ``execution``): then there are no outputs and no effects."""
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
        """One pass, node by node in execution order; nodes behind one that made it fail did not run."""
        found, failure = _Pass({}, {}), None
        try:
            self._walk(found, context, graph_id, event_id)
        except RuleError as error:
            failure = error
        traces = [_traced(step, found) for step in self._steps[: len(found.outputs)]]
        if failure is not None:
            failed, *unreached = self._steps[len(traces) :]
            traces.append(_failed(failed, found, failure))
            why = f"not reached: '{failed.node.path}' failed"
            traces += [_node_trace(step, {}, {}, False, why, []) for step in unreached]
        return traces

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
    """The outputs of one node, given what is at its wired inputs; a suppressed action's are its skipped ones.

    They are a copy: a primitive may return one mapping again and again. Raises RuleError for every failure,
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
    """One pass of a graph that is run once, node by node."""
    return Interpreter(graph, inventory).trace(context, graph_id, event_id)


def _leaked(step: Step, error: BaseException) -> RuleError:
    message = f"primitive '{step.node.impl_id}' of '{step.node.path}' broke: {described(error)}"
    fix = "mend the primitive: it must handle every input of its declared types"
    return execution_fault("INTERNAL", message, step.node, fix=fix)


_FAMILY = {
    SourceStep: Family.SOURCE,
    ComputeStep: Family.COMPUTE,
    TriggerStep: Family.TRIGGER,
    ActionStep: Family.ACTION,
}


def _traced(step: Step, found: _Pass) -> NodeTrace:
    inputs = collect_inputs(step, found.outputs)
    skipped = isinstance(step, ActionStep) and is_suppressed(inputs)
    why = _why_skipped(inputs) if skipped else None
    return _node_trace(step, inputs, found.outputs[step.id], not skipped, why, found.effects.get(step.id, []))


def _why_skipped(inputs: PortValues) -> str:
    silent = [name for name, value in inputs.items() if value is TriggerEvent.NOT_EMITTED]
    return f"not emitted: {', '.join(silent)}"


def _failed(step: Step, found: _Pass, failure: RuleError) -> NodeTrace:
    try:
        inputs = collect_inputs(step, found.outputs)
    except RuleError:
        inputs = {}
    return replace(_node_trace(step, inputs, {}, True, failure.message, []), place=user_place(failure))


def _node_trace(
    step: Step, inputs: PortValues, outputs: PortValues, ran: bool, why: str | None, effects: list[Effect]
) -> NodeTrace:
    node = step.node
    return NodeTrace(
        step.id, node.path, node.impl_id, _FAMILY[type(step)], node.parameters, inputs, outputs, ran, why, effects
    )


def collect_inputs(step: Step, produced: Mapping[str, PortValues]) -> dict[str, PortValue]:
    """The value at each wired input. Raises RuleError CMP-11 for an output that its node did not give."""
    try:
        return {wire.input: produced[wire.node_id][wire.output] for wire in step.wires}
    except KeyError:
        for wire in step.wires:
            if wire.output not in produced.get(wire.node_id, {}):
                raise missing_output(wire.producer, wire.output) from None
        raise


def run_source(step: SourceStep, context: Values) -> PortValues:
    """The outputs of a source. Raises RuleError SRC-10, SRC-11, NUM-FINITE-1, V.4."""
    for need in step.needs:
        _check_need(step.node, need, context)
    outputs = step.call(step.parameters, context)
    _check_outputs(step, outputs)
    return outputs


def run_compute(step: ComputeStep, inputs: PortValues) -> PortValues:
    """The outputs of a compute. Raises RuleError X.11, I.4, CMP-11, CMP-12, NUM-FINITE-1, V.4."""
    if step.parameters is None:
        raise _parameter_fault(step.node)
    try:
        outputs = step.call(cast(Values, inputs), step.parameters)
    except ComputeFault as fault:
        raise _compute_fault(step.node, inputs, fault) from fault
    for name, _ in step.outputs:
        if name not in outputs:
            raise missing_output(step.node, name)
    _check_outputs(step, outputs)
    return outputs


def run_trigger(step: TriggerStep, inputs: PortValues) -> PortValues:
    """The decision of a trigger. Raises RuleError V.4."""
    outputs = step.call(cast(Mapping[str, NativeValue | TriggerEvent], inputs), step.parameters)
    _check_outputs(step, outputs)
    return outputs


def run_action(step: ActionStep, inputs: Mapping[str, NativeValue | ActionOutcome]) -> PortValues:
    """The outcome of an action. Raises RuleError V.4."""
    outputs = step.call(inputs, step.parameters)
    _check_outputs(step, outputs)
    return outputs


def is_suppressed(inputs: PortValues) -> bool:
    """Whether an action is skipped: any of its events did not happen (R.7)."""
    return TriggerEvent.NOT_EMITTED in inputs.values()


def presented(inputs: PortValues) -> dict[str, NativeValue | ActionOutcome]:
    """The inputs as an action is shown them: an emitted event is an attempt."""
    return {
        name: ActionOutcome.ATTEMPTED if isinstance(value, TriggerEvent) else value for name, value in inputs.items()
    }


def missing_output(node: ExpandedNode, name: str) -> RuleError:
    """CMP-11: a node that ran did not give this output."""
    message = f"'{node.path}' ({node.impl_id}) did not give its output '{name}'"
    fix = "let the primitive return every output that it declares"
    return execution_fault("CMP-11", message, node, path=_output_path(node, name), fix=fix)


def _check_outputs(step: Step, outputs: PortValues) -> None:
    """V.4 for a value that is not of the declared type, NUM-FINITE-1 for one that is not finite; in declared order."""
    for name, native in step.outputs:
        value = outputs.get(name, _MISSING)
        if value is _MISSING:
            continue
        if type(value) is not native or (isinstance(value, str) and not _is_text(value)):
            raise _type_fault(step.node, name, native, value)
        if isinstance(value, float):
            if not isfinite(value):
                raise _non_finite(step.node, name, value)
        elif isinstance(value, list):
            _check_series(step.node, name, cast("list[float]", value))


_MISSING = object()


def _is_text(value: str) -> bool:
    """Whether a str can be written: one with a lone surrogate has no bytes."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_series(node: ExpandedNode, name: str, series: list[float]) -> None:
    if not set(map(type, series)) <= {float}:
        raise _type_fault(node, name, float, next(item for item in series if type(item) is not float))
    if not all(map(isfinite, series)):
        raise _non_finite(node, name, series)


def _check_need(node: ExpandedNode, need: Need, context: Values) -> None:
    key = need.name if need.key is None else need.key
    value = context.get(key)
    if need.key is None or value is None:
        message = f"'{node.path}' needs context key '{key}', which is missing"
        raise execution_fault("SRC-10", message, node, path=f"$.context.{key}", fix="send it in the event's payload")
    if type_of(value) is not need.type:
        message = f"'{node.path}' needs context key '{key}' as {need.type.value}, got {type_of(value).value}"
        raise execution_fault("SRC-11", message, node, path=f"$.context.{key}", fix=f"send a {need.type.value}")


def _parameter_fault(node: ExpandedNode) -> RuleError:
    name, parameter = unconvertible(node)[0]
    if parameter.type is ParameterType.INT:
        message = f"parameter '{name}' of '{node.path}' is {parameter.value}, beyond ±2^53 where integers are not exact"
        path = f"$.nodes.{node.runtime_id}.parameters.{name}"
        return execution_fault("X.11", message, node, path=path, fix="write a Number, with a decimal point")
    message = f"parameter '{name}' of '{node.path}' is a {parameter.type.value}: computes take Numbers and Bools only"
    return execution_fault("I.4", message, node, fix="bind a Number or a Bool")


_COMPUTE_ERRORS = {
    ComputeErrorType.DIVISION_BY_ZERO: ("division by zero", "keep the divisor from zero, or use safe_divide"),
    ComputeErrorType.NON_FINITE_RESULT: ("the result is not finite", "keep the inputs within range"),
    ComputeErrorType.INVALID_PARAMETER: ("invalid parameter", "bind a value that the primitive takes"),
}


def _compute_fault(node: ExpandedNode, inputs: PortValues, fault: ComputeFault) -> RuleError:
    reason, fix = _COMPUTE_ERRORS[fault.kind]
    if fault.parameter is not None:
        reason += f" '{fault.parameter}': {fault.reason}"
    message = f"'{node.path}' ({node.impl_id}@{node.version}) failed: {reason}"
    details = [fault.kind.value, *(f"{name} = {_shown(value)}" for name, value in inputs.items())]
    return execution_fault("CMP-12", message, node, path=f"$.nodes.{node.runtime_id}", fix=fix, details=details)


def _non_finite(node: ExpandedNode, name: str, value: object) -> RuleError:
    message = f"output '{name}' of '{node.path}' ({node.impl_id}) is not finite: {_shown(value)}"
    fix = "keep the inputs within range"
    return execution_fault("NUM-FINITE-1", message, node, path=_output_path(node, name), fix=fix)


def _type_fault(node: ExpandedNode, name: str, expected: type, value: object) -> RuleError:
    message = f"output '{name}' of '{node.path}' ({node.impl_id}) must be {_type_name(expected)}, got {value!r:.80}"
    return execution_fault("V.4", message, node, fix=f"let the primitive return a Python {expected.__name__}")


def _type_name(native: type) -> str:
    names = {float: ValueType.NUMBER, list: ValueType.SERIES, bool: ValueType.BOOL, str: ValueType.STRING}
    return names[native].value if native in names else native.__name__


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _output_path(node: ExpandedNode, name: str) -> str:
    return f"$.nodes.{node.runtime_id}.outputs.{name}"


_SEMANTIC = frozenset({"CMP-12", "NUM-FINITE-1", "SRC-10", "SRC-11"})
"""Rules that an unchanged event breaks again on every retry."""


def termination_of(error: RuleError) -> Failed:
    """SemanticError for what the values of this event lead to, RuntimeError for everything else."""
    return Failed(ErrKind.SEMANTIC_ERROR if error.rule in _SEMANTIC else ErrKind.RUNTIME_ERROR)
