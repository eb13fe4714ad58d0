"""The four decorators that make a plain function a primitive (spec 20 §3, §6).

Arguments are passed by name, results become exact native values. Python takes an int for a float, so an int becomes a
float wherever a Number is declared, on the way in and on the way out. An async or a generator function is refused with
ProgramError ``program.unfit_function``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Generic, ParamSpec, TypeAlias, TypeVar, cast

from msgspec import Struct

from ergo_cli.core.values import (
    ContextNeed,
    EffectSpecs,
    IntentFieldSpec,
    IntentSpec,
    MirrorWrite,
    NativeValue,
    ValueType,
    WriteSpec,
    type_of,
)
from ergo_cli.errors import RuleError
from ergo_cli.programs.functions import unfit, unfit_result
from ergo_cli.programs.graph.authoring.signature import FunctionSignature, place_of, read_signature
from ergo_cli.programs.graph.check.rules import Heading
from ergo_cli.programs.graph.primitives.primitive import (
    FIELD_TYPES,
    ActionManifest,
    ActionOutcome,
    CallT,
    Compute,
    ComputeErrorType,
    ComputeFault,
    ComputeManifest,
    Evaluate,
    Execute,
    Family,
    ManifestT,
    Parameters,
    ParameterSpec,
    ParameterType,
    Primitive,
    Produce,
    SourceManifest,
    TriggerEvent,
    TriggerManifest,
    Values,
)

NOTHING: Mapping[str, str] = MappingProxyType({})


class IntentTemplate(Struct, frozen=True):
    """An intent that an action emits whenever it runs; ``kind`` is the effect kind that adapters and routes name.

    ``fields`` maps each field to the argument that fills it, an input or a parameter. ``mirror_writes`` maps context
    keys to fields: what the intent says is written to the context as well. A key ``$p`` is the String parameter ``p``.
    """

    kind: str
    fields: Mapping[str, str] = NOTHING
    mirror_writes: Mapping[str, str] = NOTHING


def effect_specs(
    signature: FunctionSignature, writes: Mapping[str, str], intents: Sequence[IntentTemplate]
) -> EffectSpecs:
    """The declarations, each with the type of the argument it is taken from.

    An argument that does not exist is left for registration to refuse: ACT-22, ACT-28, ACT-32.
    """
    types = {port.name: port.type for port in signature.inputs}
    return EffectSpecs(
        tuple(WriteSpec(key, types.get(name, ValueType.NUMBER), name) for key, name in writes.items()),
        tuple(_intent(intent, signature, types) for intent in intents),
    )


def _intent(intent: IntentTemplate, signature: FunctionSignature, types: Mapping[str, ValueType]) -> IntentSpec:
    parameters = {spec.name: FIELD_TYPES.get(spec.type, ValueType.STRING) for spec in signature.parameters}
    fields = tuple(
        IntentFieldSpec(field, parameters[name], from_param=name)
        if name in parameters
        else IntentFieldSpec(field, types.get(name, ValueType.NUMBER), from_input=name)
        for field, name in intent.fields.items()
    )
    declared = {field.name: field.type for field in fields}
    mirrors = tuple(
        MirrorWrite(key, declared.get(field, ValueType.NUMBER), field) for key, field in intent.mirror_writes.items()
    )
    return IntentSpec(intent.kind, fields, mirrors)


P = ParamSpec("P")
R = TypeVar("R")
ResultT = TypeVar("ResultT", bound=NativeValue | tuple[NativeValue, ...])


class OwnPrimitive(Primitive[ManifestT, CallT], Generic[ManifestT, CallT, P, R], frozen=True, kw_only=True):
    """A primitive written as a plain function; called like one, it is that function."""

    function: Callable[P, R]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """What the function returns for these arguments."""
        return self.function(*args, **kwargs)


def source(
    impl_id: str, version: str, *, keys: Mapping[str, str] = NOTHING
) -> Callable[[Callable[P, ResultT]], OwnPrimitive[SourceManifest, Produce, P, ResultT]]:
    """A source: its positional arguments are context keys of their name, or of the name that ``keys`` gives them.

    A key ``$p`` is the value of the String parameter ``p``. The decorator raises RuleError as ``read_signature``.
    """

    def declare(function: Callable[P, ResultT]) -> OwnPrimitive[SourceManifest, Produce, P, ResultT]:
        signature = _signature(function, impl_id, Family.SOURCE)
        needs = tuple(
            ContextNeed(keys.get(port.name, port.name), port.type, port.required) for port in signature.inputs
        )
        manifest = SourceManifest(impl_id, version, signature.outputs, signature.parameters, needs)
        call = produce_call(function, signature, needs)
        return OwnPrimitive(manifest, call, place_of(function), function=function)

    return declare


def compute(
    impl_id: str, version: str, *, errors: Sequence[ComputeErrorType] = ()
) -> Callable[[Callable[P, ResultT]], OwnPrimitive[ComputeManifest, Compute, P, ResultT]]:
    """A compute: a pure function of its inputs; ``errors`` are the error types of the ``ComputeFault`` it raises.

    The decorator raises RuleError as ``read_signature``.
    """

    def declare(function: Callable[P, ResultT]) -> OwnPrimitive[ComputeManifest, Compute, P, ResultT]:
        signature = _signature(function, impl_id, Family.COMPUTE)
        manifest = ComputeManifest(
            impl_id,
            version,
            signature.inputs,
            signature.outputs,
            signature.parameters,
            may_error=bool(errors),
            errors_allowed=bool(errors),
            error_types=tuple(errors),
        )
        return OwnPrimitive(manifest, compute_call(function, signature), place_of(function), function=function)

    return declare


def trigger(
    impl_id: str, version: str
) -> Callable[[Callable[P, bool]], OwnPrimitive[TriggerManifest, Evaluate, P, bool]]:
    """A trigger: its function says whether the event happens. The decorator raises RuleError as ``read_signature``."""

    def declare(function: Callable[P, bool]) -> OwnPrimitive[TriggerManifest, Evaluate, P, bool]:
        signature = _signature(function, impl_id, Family.TRIGGER)
        manifest = TriggerManifest(impl_id, version, signature.inputs, signature.outputs, signature.parameters)
        return OwnPrimitive(manifest, evaluate_call(function, signature), place_of(function), function=function)

    return declare


def action(
    impl_id: str, version: str, *, writes: Mapping[str, str] = NOTHING, intents: Sequence[IntentTemplate] = ()
) -> Callable[[Callable[P, ActionOutcome]], OwnPrimitive[ActionManifest, Execute, P, ActionOutcome]]:
    """An action: ``writes`` maps context keys to the inputs they are set from; its function gives only the outcome.

    A key ``$p`` is the value of the String parameter ``p``. The decorator raises RuleError as ``read_signature``.
    """

    def declare(function: Callable[P, ActionOutcome]) -> OwnPrimitive[ActionManifest, Execute, P, ActionOutcome]:
        signature = _signature(function, impl_id, Family.ACTION)
        effects = effect_specs(signature, writes, intents)
        manifest = ActionManifest(impl_id, version, signature.inputs, signature.outputs, signature.parameters, effects)
        return OwnPrimitive(manifest, execute_call(function, signature), place_of(function), function=function)

    return declare


def _signature(function: Callable[..., object], impl_id: str, family: Family) -> FunctionSignature:
    fault = unfit_result(function)
    if fault is not None:
        raise unfit(f"{family.value} '{impl_id}' {fault}", function, "with the same arguments")
    try:
        return read_signature(function, Heading(impl_id, family))
    except RuleError as error:
        error.where = " ".join(part for part in (place_of(function), error.path) if part and part != "$")
        raise


Function: TypeAlias = Callable[..., Any]
Convert: TypeAlias = Callable[[Any], object]


def produce_call(function: Function, signature: FunctionSignature, needs: Iterable[ContextNeed]) -> Produce:
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


def compute_call(function: Function, signature: FunctionSignature) -> Compute:
    """A compute; the graph gives it every number as a float, so one that asks for an int is given a whole one."""
    whole = {spec.name: _whole(spec.name) for spec in signature.parameters if spec.type is ParameterType.INT}
    converts, results = {**_converts(signature), **whole}, _results(signature)

    def compute(inputs: Values, params: Parameters) -> Mapping[str, NativeValue]:
        return results(function(**_converted({**inputs, **params}, converts)))

    return compute


def evaluate_call(function: Function, signature: FunctionSignature) -> Evaluate:
    """A trigger: True is Emitted. Raises TypeError for a result that is not a bool."""
    converts, (output,) = _converts(signature), signature.outputs

    def evaluate(inputs: Mapping[str, NativeValue | TriggerEvent], params: Parameters) -> Mapping[str, TriggerEvent]:
        happens = function(**_converted({**inputs, **params}, converts))
        if not isinstance(happens, bool):
            raise TypeError(f"a trigger returns True or False, got {happens!r:.80}")
        return {output.name: TriggerEvent.EMITTED if happens else TriggerEvent.NOT_EMITTED}

    return evaluate


def execute_call(function: Function, signature: FunctionSignature) -> Execute:
    """An action. Raises TypeError for a result that is not an outcome."""
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


def _converts(signature: FunctionSignature) -> dict[str, Convert]:
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


def _results(signature: FunctionSignature) -> Callable[[Any], Mapping[str, NativeValue]]:
    """From what a function returns to outputs by name; the interpreter refuses a value of a wrong type."""
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
