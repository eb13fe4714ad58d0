"""The standard library: 7 sources, 27 computes, 2 triggers, 6 actions (spec 20 §5).

A primitive is one entry of a table: its manifest, its function and, where the operation is plain Python on values of
known types, the expression that the compiler puts in place of the call.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import reduce
from math import inf, isfinite

from ergo_cli.core.values import ContextNeed, EffectSpecs, NativeValue, ValueType, WriteSpec
from ergo_cli.programs.graph.primitives.primitive import (
    ActionManifest,
    ActionOutcome,
    ActionPrimitive,
    AnyPrimitive,
    Compute,
    ComputeErrorType,
    ComputeFault,
    ComputeManifest,
    ComputePrimitive,
    Constants,
    Evaluate,
    Execute,
    Inline,
    InputSpec,
    OutputSpec,
    Parameters,
    ParameterSpec,
    ParameterType,
    ParameterValue,
    Produce,
    SourceManifest,
    SourcePrimitive,
    TriggerEvent,
    TriggerManifest,
    TriggerPrimitive,
    Values,
    boolean,
    number,
    series,
    text,
)

NUMBER, SERIES, BOOL, STRING, EVENT = ValueType
_VERSION = "0.1.0"
NOT_FINITE = "{result} - {result} != 0.0"
"""The guard of arithmetic; faster than ``not isfinite({result})``, which is a call."""


# Sources: constants and context keys (spec 20 §5.1)


def produce_number(params: Parameters, context: Values) -> dict[str, NativeValue]:
    """The parameter ``value``; an Int binding becomes the nearest float, beyond 2**53 too."""
    return {"value": number(params, "value") if "value" in params else 0.0}


def produce_bool(params: Parameters, context: Values) -> dict[str, NativeValue]:
    """The parameter ``value``."""
    return {"value": "value" in params and boolean(params, "value")}


def produce_string(params: Parameters, context: Values) -> dict[str, NativeValue]:
    """The parameter ``value``."""
    return {"value": text(params, "value") if "value" in params else ""}


def _constant_source(impl_id: str, output: ValueType, default: ParameterValue, produce: Produce) -> SourcePrimitive:
    manifest = SourceManifest(
        impl_id,
        _VERSION,
        outputs=(OutputSpec("value", output),),
        parameters=(ParameterSpec("value", default.type, default),),
    )
    return SourcePrimitive(manifest, produce)


_DEFAULT_KEY = "x"


def from_context(native: type[NativeValue], absent: NativeValue) -> Produce:
    """A source that gives the context key named by ``key``, or ``absent`` where it is missing or of another type."""

    def produce(params: Parameters, context: Values) -> dict[str, NativeValue]:
        value = context.get(text(params, "key") if "key" in params else _DEFAULT_KEY)
        return {"value": value if isinstance(value, native) else absent}

    return produce


def _read(absent: NativeValue, guard: str, otherwise: str = "{reference}") -> Inline:
    """A context key, read once; a value of another type goes to the reference, which knows the default."""

    def constants(parameters: Parameters) -> Constants | None:
        key = parameters.get("key", _DEFAULT_KEY)
        return {"key": key, "absent": absent} if isinstance(key, str) else None

    return Inline("get({key}, {absent})", guard, constants, otherwise, _SOUND, reads_context=True)


def _context_source(
    impl_id: str, output: ValueType, native: type[NativeValue], absent: NativeValue, inline: Inline
) -> SourcePrimitive:
    key = ParameterSpec("key", ParameterType.STRING, ParameterValue(ParameterType.STRING, _DEFAULT_KEY))
    manifest = SourceManifest(
        impl_id,
        _VERSION,
        outputs=(OutputSpec("value", output),),
        parameters=(key,),
        requires=(ContextNeed("$key", output, required=False),),
    )
    return SourcePrimitive(manifest, from_context(native, absent), inline=inline)


def is_sound(series: list[float]) -> bool:
    """Whether every item is a finite float, and no int or bool that passes for one."""
    return _FLOAT.issuperset(map(type, series)) and all(map(isfinite, series))


_FLOAT = frozenset({float})
_SOUND = {"is_sound": is_sound}
_READ_NUMBER = _read(
    0.0,
    f"type({{result}}) is not float or {NOT_FINITE}",
    "float({result}) if type({result}) is whole else {reference}",
)
_READ_BOOL = _read(False, "type({result}) is not bool")
_READ_STRING = _read("", "type({result}) is not str or not {result}.isascii()")
_READ_SERIES = _read([], "type({result}) is not list or not is_sound({result})")

SOURCES: tuple[SourcePrimitive, ...] = (
    _constant_source("number_source", NUMBER, ParameterValue(ParameterType.NUMBER, 0.0), produce_number),
    _constant_source("boolean_source", BOOL, ParameterValue(ParameterType.BOOL, False), produce_bool),
    _constant_source("string_source", STRING, ParameterValue(ParameterType.STRING, ""), produce_string),
    _context_source("context_number_source", NUMBER, float, 0.0, _READ_NUMBER),
    _context_source("context_bool_source", BOOL, bool, False, _READ_BOOL),
    _context_source("context_string_source", STRING, str, "", _READ_STRING),
    _context_source("context_series_source", SERIES, list, [], _READ_SERIES),
)


# Computes (spec 20 §5.2): arithmetic is binary64; sums are plain folds from left to right


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
    quotient = a / b if b != 0.0 else inf
    return {"result": quotient if isfinite(quotient) else number(params, "fallback")}


def _fallback(parameters: Parameters) -> Constants | None:
    return {"fallback": parameters["fallback"]} if "fallback" in parameters else None


def select(inputs: Values, params: Parameters) -> dict[str, NativeValue]:
    """``when_true`` or ``when_false``, as ``cond`` says."""
    return {"result": inputs["when_true" if boolean(inputs, "cond") else "when_false"]}


def append(inputs: Values, params: Parameters) -> dict[str, NativeValue]:
    """A new series with ``value`` at its end."""
    return {"result": [*series(inputs, "series"), number(inputs, "value")]}


_WINDOW_SIZE = 5.0


def window(inputs: Values, params: Parameters) -> dict[str, NativeValue]:
    """The last ``size`` items. Raises ComputeFault (InvalidParameter) unless size is a positive whole number."""
    size = number(params, "size") if "size" in params else _WINDOW_SIZE
    if not size.is_integer() or size <= 0.0:
        raise ComputeFault(ComputeErrorType.INVALID_PARAMETER, "size", "size must be a positive integer")
    return {"result": series(inputs, "series")[-int(size) :]}


def _window_start(parameters: Parameters) -> Constants | None:
    size = parameters.get("size", _WINDOW_SIZE)
    return {"start": -int(size)} if isinstance(size, float) and size.is_integer() and size > 0.0 else None


def fold(items: list[float]) -> float:
    """The sum from left to right, starting from -0.0 and never compensated as the built-in ``sum`` is."""
    return reduce(operator.add, items, -0.0)


_FOLD = "reduce(add, {series}, -0.0)"
_FOLDING = {"add": operator.add, "reduce": reduce}


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


def _finite(result: float) -> float:
    if not isfinite(result):
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


def _compute(
    impl_id: str,
    inputs: dict[str, ValueType],
    output: ValueType,
    compute: Compute,
    inline: Inline,
    *,
    parameters: tuple[ParameterSpec, ...] = (),
    errors: tuple[ComputeErrorType, ...] = (),
    version: str = _VERSION,
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
    return ComputePrimitive(manifest, compute, inline=inline)


def _constant(impl_id: str, output: ValueType, parameter: ParameterType) -> ComputePrimitive:
    """A constant needs no expression: the compiler folds what depends on nothing."""
    manifest = ComputeManifest(
        impl_id,
        _VERSION,
        inputs=(InputSpec("unit", output, required=False),),
        outputs=(OutputSpec("value", output),),
        parameters=(ParameterSpec("value", parameter, required=True),),
    )
    return ComputePrimitive(manifest, constant)


def _select(impl_id: str, branch: ValueType) -> ComputePrimitive:
    inline = Inline("{when_true} if {cond} else {when_false}")
    return _compute(impl_id, {"cond": BOOL, "when_true": branch, "when_false": branch}, branch, select, inline)


_ONE, _PAIR, _BOOLS, _LIST = {"value": NUMBER}, {"a": NUMBER, "b": NUMBER}, {"a": BOOL, "b": BOOL}, {"series": SERIES}
_NON_FINITE = (ComputeErrorType.NON_FINITE_RESULT,)
_QUOTIENT = (ComputeErrorType.DIVISION_BY_ZERO, *_NON_FINITE)
_FALLBACK = ParameterSpec("fallback", ParameterType.NUMBER, required=True)
_SIZE = ParameterSpec(
    "size", ParameterType.NUMBER, ParameterValue(ParameterType.NUMBER, _WINDOW_SIZE), bounds="integer > 0"
)
_DIVIDE = Inline("{a} / {b} if {b} != 0.0 else inf", NOT_FINITE, names={"inf": inf})
_SAFE_DIVIDE = Inline("{a} / {b} if {b} != 0.0 else {fallback}", NOT_FINITE, _fallback)
_WINDOW = Inline("{series}[{start}:]", constants=_window_start)
_MEAN = Inline(f"{_FOLD} / len({{series}}) if {{series}} else 0.0", NOT_FINITE, names=_FOLDING)

COMPUTES: tuple[ComputePrimitive, ...] = (
    _constant("const_number", NUMBER, ParameterType.NUMBER),
    _constant("const_bool", BOOL, ParameterType.BOOL),
    _compute("abs", _ONE, NUMBER, _of_number(abs), Inline("abs({value})")),
    _compute("negate", _ONE, NUMBER, _of_number(operator.neg), Inline("-{value}")),
    _compute("add", _PAIR, NUMBER, _of_numbers(operator.add), Inline("{a} + {b}", NOT_FINITE)),
    _compute("subtract", _PAIR, NUMBER, _of_numbers(operator.sub), Inline("{a} - {b}", NOT_FINITE)),
    _compute("multiply", _PAIR, NUMBER, _of_numbers(operator.mul), Inline("{a} * {b}", NOT_FINITE)),
    _compute("divide", _PAIR, NUMBER, divide, _DIVIDE, errors=_QUOTIENT, version="0.2.0"),
    _compute("safe_divide", _PAIR, NUMBER, safe_divide, _SAFE_DIVIDE, parameters=(_FALLBACK,)),
    _compute("gt", _PAIR, BOOL, _of_numbers(operator.gt), Inline("{a} > {b}")),
    _compute("gte", _PAIR, BOOL, _of_numbers(operator.ge), Inline("{a} >= {b}")),
    _compute("lt", _PAIR, BOOL, _of_numbers(operator.lt), Inline("{a} < {b}")),
    _compute("lte", _PAIR, BOOL, _of_numbers(operator.le), Inline("{a} <= {b}")),
    _compute("eq", _PAIR, BOOL, _of_numbers(operator.eq), Inline("{a} == {b}")),
    _compute("neq", _PAIR, BOOL, _of_numbers(operator.ne), Inline("{a} != {b}")),
    _compute("min", _PAIR, NUMBER, _of_numbers(min), Inline("{b} if {b} < {a} else {a}")),
    _compute("max", _PAIR, NUMBER, _of_numbers(max), Inline("{b} if {b} > {a} else {a}")),
    _compute("and", _BOOLS, BOOL, _of_bools(lambda a, b: a and b), Inline("{a} and {b}")),
    _compute("or", _BOOLS, BOOL, _of_bools(lambda a, b: a or b), Inline("{a} or {b}")),
    _compute("not", {"value": BOOL}, BOOL, _not, Inline("not {value}")),
    _select("select", NUMBER),
    _select("select_bool", BOOL),
    _compute("append", {"series": SERIES, "value": NUMBER}, SERIES, append, Inline("[*{series}, {value}]")),
    _compute(
        "window", _LIST, SERIES, window, _WINDOW, parameters=(_SIZE,), errors=(ComputeErrorType.INVALID_PARAMETER,)
    ),
    _compute("mean", _LIST, NUMBER, mean, _MEAN, errors=_NON_FINITE),
    _compute("sum", _LIST, NUMBER, total, Inline(_FOLD, NOT_FINITE, names=_FOLDING), errors=_NON_FINITE),
    _compute("len", _LIST, NUMBER, count, Inline("float(len({series}))")),
)


# Triggers (spec 20 §5.3)

TriggerInputs = Mapping[str, NativeValue | TriggerEvent]


def emit_if_true(inputs: TriggerInputs, params: Parameters) -> dict[str, TriggerEvent]:
    """Emitted exactly when ``input`` is true."""
    return {"event": _decision(boolean(inputs, "input"))}


def emit_if_event_and_true(inputs: TriggerInputs, params: Parameters) -> dict[str, TriggerEvent]:
    """Emitted exactly when ``event`` is Emitted and ``condition`` is true."""
    return {"event": _decision(inputs["event"] is TriggerEvent.EMITTED and boolean(inputs, "condition"))}


def _decision(happens: bool) -> TriggerEvent:
    return TriggerEvent.EMITTED if happens else TriggerEvent.NOT_EMITTED


def _trigger(impl_id: str, inputs: dict[str, ValueType], evaluate: Evaluate, inline: Inline) -> TriggerPrimitive:
    ports = tuple(InputSpec(name, type_) for name, type_ in inputs.items())
    return TriggerPrimitive(
        TriggerManifest(impl_id, _VERSION, ports, outputs=(OutputSpec("event", EVENT),)), evaluate, inline=inline
    )


_GATED = {"event": EVENT, "condition": BOOL}

TRIGGERS: tuple[TriggerPrimitive, ...] = (
    _trigger("emit_if_true", {"input": BOOL}, emit_if_true, Inline("{input}")),
    _trigger("emit_if_event_and_true", _GATED, emit_if_event_and_true, Inline("{event} and {condition}")),
)


# Actions (spec 20 §5.4): what they write is declared in their manifests, not done here

ActionInputs = Mapping[str, NativeValue | ActionOutcome]


def acknowledge(inputs: ActionInputs, params: Parameters) -> dict[str, ActionOutcome]:
    """Completed, or Rejected where the parameter ``accept`` is false."""
    rejected = params.get("accept") is False
    return {"outcome": ActionOutcome.REJECTED if rejected else ActionOutcome.COMPLETED}


def attempt(inputs: ActionInputs, params: Parameters) -> dict[str, ActionOutcome]:
    """Attempted, for all inputs."""
    return {"outcome": ActionOutcome.ATTEMPTED}


def _action(
    impl_id: str,
    execute: Execute,
    parameter: ParameterSpec,
    payload: tuple[InputSpec, ...] = (),
    effects: EffectSpecs = EffectSpecs(),
) -> ActionPrimitive:
    manifest = ActionManifest(
        impl_id,
        _VERSION,
        inputs=(InputSpec("event", EVENT), *payload),
        outputs=(OutputSpec("outcome", EVENT),),
        parameters=(parameter,),
        effects=effects,
    )
    return ActionPrimitive(manifest, execute)


def _context_set(impl_id: str, value: ValueType) -> ActionPrimitive:
    key = ParameterSpec("key", ParameterType.STRING, required=True)
    effects = EffectSpecs(writes=(WriteSpec("$key", value, from_input="value"),))
    return _action(impl_id, attempt, key, (InputSpec("value", value),), effects)


_ACCEPT = ParameterSpec("accept", ParameterType.BOOL, ParameterValue(ParameterType.BOOL, True))
_NOTE = ParameterSpec("note", ParameterType.STRING, ParameterValue(ParameterType.STRING, ""))

ACTIONS: tuple[ActionPrimitive, ...] = (
    _action("ack_action", acknowledge, _ACCEPT),
    _action("annotate_action", attempt, _NOTE),
    _context_set("context_set_number", NUMBER),
    _context_set("context_set_bool", BOOL),
    _context_set("context_set_string", STRING),
    _context_set("context_set_series", SERIES),
)


STANDARD: tuple[AnyPrimitive, ...] = (*SOURCES, *COMPUTES, *TRIGGERS, *ACTIONS)
"""Every standard primitive, in the order of spec 20 §5."""
