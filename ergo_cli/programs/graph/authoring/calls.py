"""Fits a plain function to the call of its family (spec 20 §6): arguments by name, results as exact native values.

Python takes an int for a float, so an int becomes one wherever a Number is declared, on the way in and on the way out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, cast

from ergo_cli.core.declarations import ContextNeed
from ergo_cli.core.values import NativeValue, ValueType, type_of
from ergo_cli.programs.graph.authoring.signature import Signature
from ergo_cli.programs.graph.manifest import ComputeErrorType, ParameterSpec
from ergo_cli.programs.graph.parameters import ParameterType
from ergo_cli.programs.graph.primitives.faults import ComputeFault
from ergo_cli.programs.graph.primitives.primitive import Compute, Evaluate, Execute, Parameters, Produce, Values
from ergo_cli.programs.graph.signals import ActionOutcome, TriggerEvent

Function: TypeAlias = Callable[..., Any]
Convert: TypeAlias = Callable[[Any], object]


def produce_call(function: Function, signature: Signature, needs: Iterable[ContextNeed]) -> Produce:
    """A source; ``needs`` stand beside the inputs they fill. An optional one of another type counts as missing."""
    reads = tuple(zip(signature.inputs, needs, strict=True))
    converts, results = _converts(signature), _results(signature)

    def produce(params: Parameters, context: Values) -> Mapping[str, NativeValue]:
        found: dict[str, object] = dict(params)
        for port, need in reads:
            value = context.get(_key(need.name, params))
            if value is not None and type_of(value) is need.type:
                found[port.name] = value
        return results(function(**_converted(found, converts)))

    return produce


def compute_call(function: Function, signature: Signature) -> Compute:
    """A compute; the graph gives it every number as a float, so one that asks for an int is given a whole one."""
    whole = {spec.name: _whole(spec.name) for spec in signature.parameters if spec.type is ParameterType.INT}
    converts, results = {**_converts(signature), **whole}, _results(signature)

    def compute(inputs: Values, params: Parameters) -> Mapping[str, NativeValue]:
        return results(function(**_converted({**inputs, **params}, converts)))

    return compute


def evaluate_call(function: Function, signature: Signature) -> Evaluate:
    """A trigger: True is Emitted. Raises TypeError for what is no bool."""
    converts, (output,) = _converts(signature), signature.outputs

    def evaluate(inputs: Mapping[str, NativeValue | TriggerEvent], params: Parameters) -> Mapping[str, TriggerEvent]:
        happens = function(**_converted({**inputs, **params}, converts))
        if not isinstance(happens, bool):
            raise TypeError(f"a trigger returns True or False, got {happens!r:.80}")
        return {output.name: TriggerEvent.EMITTED if happens else TriggerEvent.NOT_EMITTED}

    return evaluate


def execute_call(function: Function, signature: Signature) -> Execute:
    """An action. Raises TypeError for what is no outcome."""
    converts, (output,) = _converts(signature), signature.outputs

    def execute(inputs: Mapping[str, NativeValue | ActionOutcome], params: Parameters) -> Mapping[str, ActionOutcome]:
        outcome = function(**_converted({**inputs, **params}, converts))
        if not isinstance(outcome, ActionOutcome):
            raise TypeError(f"an action returns an ActionOutcome, got {outcome!r:.80}")
        return {output.name: outcome}

    return execute


def _key(name: str, params: Parameters) -> str:
    return str(params[name[1:]]) if name.startswith("$") else name


def _converted(arguments: dict[str, object], converts: Mapping[str, Convert]) -> dict[str, object]:
    for name, convert in converts.items():
        if name in arguments:
            arguments[name] = convert(arguments[name])
    return arguments


def _converts(signature: Signature) -> dict[str, Convert]:
    """What has to be done to arguments: copies of lists the function may change, floats for ints, texts checked."""
    converts: dict[str, Convert] = dict.fromkeys(sorted(signature.own_lists), list)
    for spec in signature.parameters:
        if spec.type is ParameterType.NUMBER:
            converts[spec.name] = float
        elif spec.type is ParameterType.ENUM:
            converts[spec.name] = _option(spec, signature.options[spec.name])
    return converts


def _option(spec: ParameterSpec, options: tuple[str, ...]) -> Convert:
    def check(text: str) -> str:
        if text not in options:
            raise ValueError(f"parameter '{spec.name}' must be one of {', '.join(options)}, got '{text}'")
        return text

    return check


def _whole(name: str) -> Convert:
    def convert(number: float) -> int:
        if not number.is_integer():
            raise ComputeFault(ComputeErrorType.INVALID_PARAMETER, name, "must be a whole number")
        return int(number)

    return convert


def _results(signature: Signature) -> Callable[[Any], Mapping[str, NativeValue]]:
    """From what a function returns to outputs by name; what is of a wrong type is left for the engine to refuse."""
    natives = [(port.name, _NATIVE.get(port.type, _as_it_is)) for port in signature.outputs]
    if signature.fields:
        return lambda result: {name: native(value) for (name, native), value in zip(natives, result, strict=True)}
    [(name, native)] = natives
    return lambda result: {name: native(result)}


def _number(value: Any) -> Any:
    return float(value) if type(value) is not bool and isinstance(value, int | float) else value


def _series(value: Any) -> Any:
    return [_number(item) for item in cast("list[object]", value)] if isinstance(value, list) else value


def _as_it_is(value: Any) -> Any:
    return value


_NATIVE: dict[ValueType, Callable[[Any], Any]] = {ValueType.NUMBER: _number, ValueType.SERIES: _series}
