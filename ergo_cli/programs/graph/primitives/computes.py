"""The 27 standard computes (spec 20 §5.2). Arithmetic is binary64; sums are plain folds from left to right."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import reduce

from ergo_cli.core.values import NativeValue, ValueType
from ergo_cli.programs.graph.manifest import (
    ComputeErrorType,
    ComputeManifest,
    InputSpec,
    OutputSpec,
    ParameterSpec,
)
from ergo_cli.programs.graph.parameters import ParameterType, ParameterValue
from ergo_cli.programs.graph.primitives.faults import ComputeFault
from ergo_cli.programs.graph.primitives.primitive import Compute, ComputePrimitive, Parameters, Values
from ergo_cli.programs.graph.primitives.reading import boolean, number, series

NUMBER, BOOL, SERIES = ValueType.NUMBER, ValueType.BOOL, ValueType.SERIES


def constant(inputs: Values, params: Parameters) -> dict[str, NativeValue]:
    """The parameter ``value``; the input ``unit`` only gives the node a place in the graph."""
    return {"value": params["value"]}


def divide(inputs: Values, params: Parameters) -> dict[str, NativeValue]:
    """a / b. Raises ComputeFault: DivisionByZero for b = ±0, NonFiniteResult beyond the finite range."""
    a, b = number(inputs, "a"), number(inputs, "b")
    if b == 0.0:
        raise ComputeFault(ComputeErrorType.DIVISION_BY_ZERO)
    return {"result": _finite(a / b)}


def safe_divide(inputs: Values, params: Parameters) -> dict[str, NativeValue]:
    """a / b, or the parameter ``fallback`` where b = ±0 or the quotient is not finite."""
    a, b = number(inputs, "a"), number(inputs, "b")
    quotient = a / b if b != 0.0 else math.inf
    return {"result": quotient if math.isfinite(quotient) else number(params, "fallback")}


def select(inputs: Values, params: Parameters) -> dict[str, NativeValue]:
    """``when_true`` or ``when_false``, as ``cond`` says."""
    return {"result": inputs["when_true" if boolean(inputs, "cond") else "when_false"]}


def append(inputs: Values, params: Parameters) -> dict[str, NativeValue]:
    """A new series with ``value`` at its end."""
    return {"result": [*series(inputs, "series"), number(inputs, "value")]}


def window(inputs: Values, params: Parameters) -> dict[str, NativeValue]:
    """The last ``size`` items. Raises ComputeFault (InvalidParameter) unless size is a positive whole number."""
    size = number(params, "size") if "size" in params else _WINDOW_SIZE
    if not size.is_integer() or size <= 0.0:
        raise ComputeFault(ComputeErrorType.INVALID_PARAMETER, "size", "size must be a positive integer")
    return {"result": series(inputs, "series")[-int(size) :]}


def mean(inputs: Values, params: Parameters) -> dict[str, NativeValue]:
    """The sum divided by the count; 0.0 of nothing. Raises ComputeFault (NonFiniteResult)."""
    items = series(inputs, "series")
    return {"result": _finite(fold(items) / len(items)) if items else 0.0}


def total(inputs: Values, params: Parameters) -> dict[str, NativeValue]:
    """The sum. Raises ComputeFault (NonFiniteResult)."""
    return {"result": _finite(fold(series(inputs, "series")))}


def count(inputs: Values, params: Parameters) -> dict[str, NativeValue]:
    """The number of items."""
    return {"result": float(len(series(inputs, "series")))}


def fold(items: list[float]) -> float:
    """The sum from left to right, starting from -0.0 and never compensated as the built-in ``sum`` is."""
    return reduce(operator.add, items, -0.0)


def _finite(result: float) -> float:
    if not math.isfinite(result):
        raise ComputeFault(ComputeErrorType.NON_FINITE_RESULT)
    return result


def _of_number(function: Callable[[float], float]) -> Compute:
    return lambda inputs, params: {"result": function(number(inputs, "value"))}


def _of_numbers(function: Callable[[float, float], float | bool]) -> Compute:
    return lambda inputs, params: {"result": function(number(inputs, "a"), number(inputs, "b"))}


def _of_bools(function: Callable[[bool, bool], bool]) -> Compute:
    return lambda inputs, params: {"result": function(boolean(inputs, "a"), boolean(inputs, "b"))}


def _not(inputs: Values, params: Parameters) -> dict[str, NativeValue]:
    return {"result": not boolean(inputs, "value")}


_WINDOW_SIZE = 5.0
_NON_FINITE = (ComputeErrorType.NON_FINITE_RESULT,)
_QUOTIENT = (ComputeErrorType.DIVISION_BY_ZERO, *_NON_FINITE)
_FALLBACK = ParameterSpec("fallback", ParameterType.NUMBER, required=True)
_SIZE = ParameterSpec(
    "size", ParameterType.NUMBER, ParameterValue(ParameterType.NUMBER, _WINDOW_SIZE), bounds="integer > 0"
)


def _compute(
    impl_id: str,
    inputs: dict[str, ValueType],
    output: ValueType,
    compute: Compute,
    *,
    parameters: tuple[ParameterSpec, ...] = (),
    errors: tuple[ComputeErrorType, ...] = (),
    version: str = "0.1.0",
) -> ComputePrimitive:
    manifest = ComputeManifest(
        impl_id,
        version,
        inputs=tuple(InputSpec(name, type_) for name, type_ in inputs.items()),
        outputs=(OutputSpec("result", output),),
        parameters=parameters,
        may_error=bool(errors),
        errors_allowed=bool(errors),
        error_types=errors,
    )
    return ComputePrimitive(manifest, compute)


def _constant(impl_id: str, output: ValueType, parameter: ParameterType) -> ComputePrimitive:
    manifest = ComputeManifest(
        impl_id,
        "0.1.0",
        inputs=(InputSpec("unit", output, required=False),),
        outputs=(OutputSpec("value", output),),
        parameters=(ParameterSpec("value", parameter, required=True),),
    )
    return ComputePrimitive(manifest, constant)


def _select(impl_id: str, branch: ValueType) -> ComputePrimitive:
    return _compute(impl_id, {"cond": BOOL, "when_true": branch, "when_false": branch}, branch, select)


_ONE, _PAIR, _BOOLS, _LIST = {"value": NUMBER}, {"a": NUMBER, "b": NUMBER}, {"a": BOOL, "b": BOOL}, {"series": SERIES}

COMPUTES: tuple[ComputePrimitive, ...] = (
    _constant("const_number", NUMBER, ParameterType.NUMBER),
    _constant("const_bool", BOOL, ParameterType.BOOL),
    _compute("abs", _ONE, NUMBER, _of_number(abs)),
    _compute("negate", _ONE, NUMBER, _of_number(operator.neg)),
    _compute("add", _PAIR, NUMBER, _of_numbers(operator.add)),
    _compute("subtract", _PAIR, NUMBER, _of_numbers(operator.sub)),
    _compute("multiply", _PAIR, NUMBER, _of_numbers(operator.mul)),
    _compute("divide", _PAIR, NUMBER, divide, errors=_QUOTIENT, version="0.2.0"),
    _compute("safe_divide", _PAIR, NUMBER, safe_divide, parameters=(_FALLBACK,)),
    _compute("gt", _PAIR, BOOL, _of_numbers(operator.gt)),
    _compute("gte", _PAIR, BOOL, _of_numbers(operator.ge)),
    _compute("lt", _PAIR, BOOL, _of_numbers(operator.lt)),
    _compute("lte", _PAIR, BOOL, _of_numbers(operator.le)),
    _compute("eq", _PAIR, BOOL, _of_numbers(operator.eq)),
    _compute("neq", _PAIR, BOOL, _of_numbers(operator.ne)),
    _compute("min", _PAIR, NUMBER, _of_numbers(min)),
    _compute("max", _PAIR, NUMBER, _of_numbers(max)),
    _compute("and", _BOOLS, BOOL, _of_bools(lambda a, b: a and b)),
    _compute("or", _BOOLS, BOOL, _of_bools(lambda a, b: a or b)),
    _compute("not", {"value": BOOL}, BOOL, _not),
    _select("select", NUMBER),
    _select("select_bool", BOOL),
    _compute("append", {"series": SERIES, "value": NUMBER}, SERIES, append),
    _compute("window", _LIST, SERIES, window, parameters=(_SIZE,), errors=(ComputeErrorType.INVALID_PARAMETER,)),
    _compute("mean", _LIST, NUMBER, mean, errors=_NON_FINITE),
    _compute("sum", _LIST, NUMBER, total, errors=_NON_FINITE),
    _compute("len", _LIST, NUMBER, count),
)
