"""How a node of each family is run (spec 20 §10.2–10.6)."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import cast

from ergo_cli.core.values import NativeValue, ValueType, type_of
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.expanded import ExpandedNode
from ergo_cli.programs.graph.faults import execution_fault
from ergo_cli.programs.graph.manifest import ComputeErrorType
from ergo_cli.programs.graph.parameters import ParameterType
from ergo_cli.programs.graph.primitives.faults import ComputeFault
from ergo_cli.programs.graph.signals import ActionOutcome, TriggerEvent
from ergo_cli.programs.graph.steps import (
    ActionStep,
    ComputeStep,
    Need,
    PortValue,
    PortValues,
    SourceStep,
    Step,
    TriggerStep,
    unconvertible,
)

Values = Mapping[str, NativeValue]


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
