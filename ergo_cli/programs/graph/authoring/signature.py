"""What a function's signature declares: ports, parameters and outputs (spec 20 §4.1).

Positional arguments are inputs (of a source: context keys), keyword-only ones are parameters; what is returned is the
output, or the outputs if it is a NamedTuple. An input with a default is optional, a parameter without one required.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from types import NoneType, SimpleNamespace, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from msgspec import Struct

from ergo_cli.core.values import ValueType
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.check.registration import unknown_input_type, unknown_output_type, unknown_parameter_type
from ergo_cli.programs.graph.check.rules import Heading, broken
from ergo_cli.programs.graph.primitives.primitive import (
    ActionOutcome,
    Family,
    InputSpec,
    OutputSpec,
    ParameterSpec,
    ParameterType,
    ParameterValue,
    TriggerEvent,
)

_VALUE_TYPES = {float: ValueType.NUMBER, bool: ValueType.BOOL, str: ValueType.STRING}
_PARAMETER_TYPES = {
    int: ParameterType.INT,
    float: ParameterType.NUMBER,
    bool: ParameterType.BOOL,
    str: ParameterType.STRING,
}
_EVENTS = {Family.TRIGGER: TriggerEvent, Family.ACTION: ActionOutcome}
_OUTPUT = {Family.SOURCE: "value", Family.COMPUTE: "result", Family.TRIGGER: "event", Family.ACTION: "outcome"}
_DECISIONS = {Family.TRIGGER: bool, Family.ACTION: ActionOutcome}
_INPUT_WORDS = {
    Family.SOURCE: "float, bool, str or list[float]",
    Family.COMPUTE: "float, bool or list[float]",
    Family.TRIGGER: "float, bool, list[float] or TriggerEvent",
    Family.ACTION: "float, bool, str, list[float] or ActionOutcome",
}
_OUTPUT_WORDS = {
    Family.SOURCE: "float, bool, str, list[float] or a NamedTuple of these",
    Family.COMPUTE: "float, bool, str, list[float] or a NamedTuple of these",
    Family.TRIGGER: "bool: whether the event happens",
    Family.ACTION: "ActionOutcome",
}
_FREE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)


class FunctionSignature(Struct, frozen=True):
    """A function as a primitive: inputs and parameters by argument name, outputs by name.

    ``own_lists`` are the inputs annotated ``list[float]``, which the function may change: it is given copies.
    ``fields`` is true where the outputs are the fields of a NamedTuple.
    """

    inputs: tuple[InputSpec, ...]
    parameters: tuple[ParameterSpec, ...]
    outputs: tuple[OutputSpec, ...]
    own_lists: frozenset[str]
    options: dict[str, tuple[str, ...]]
    fields: bool


def place_of(function: Callable[..., object]) -> str | None:
    """Where a function is written, ``file:line``; None for one without Python code."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return None if code is None else f"{code.co_filename}:{code.co_firstlineno}"


def read_signature(function: Callable[..., object], heading: Heading) -> FunctionSignature:
    """The ports and parameters that ``function`` declares.

    Raises RuleError for an annotation that its family does not take: CMP-13, TRG-6, ACT-6 (input), SRC-7, CMP-20,
    TRG-8, ACT-9 (output), CMP-15 (parameter), INTERNAL for any other signature that is unfit for a primitive.
    """
    hints = _hints(function, heading)
    arguments = inspect.signature(function).parameters.values()
    for argument in arguments:
        if argument.kind in _FREE:
            raise _unfit(heading, f"has argument '{argument}', which has no name in a graph")
    inputs = [argument for argument in arguments if argument.kind is not inspect.Parameter.KEYWORD_ONLY]
    parameters = [argument for argument in arguments if argument.kind is inspect.Parameter.KEYWORD_ONLY]
    outputs, fields = _outputs(hints.get("return"), heading)
    return FunctionSignature(
        tuple(_input(argument, hints.get(argument.name), heading) for argument in inputs),
        tuple(_parameter(argument, hints.get(argument.name), heading) for argument in parameters),
        outputs,
        frozenset(argument.name for argument in inputs if _is_list(_present(hints[argument.name]))),
        {argument.name: _options(hints[argument.name]) for argument in parameters if _options(hints[argument.name])},
        fields,
    )


def _hints(annotated: object, heading: Heading) -> dict[str, object]:
    try:
        return cast("dict[str, object]", get_type_hints(annotated))
    except Exception as error:
        what = _unreadable(annotated)
        unfit = _unfit(heading, f"has {what} that cannot be read: {type(error).__name__}: {error}")
        unfit.fix = "Correct the annotation: a name in it must be built in, imported or defined in the module"
        raise unfit from error


def _unreadable(annotated: object) -> str:
    """Which annotation of a function cannot be read; of a class, that one cannot."""
    scope = getattr(annotated, "__globals__", None)
    annotations = cast("dict[str, object]", getattr(annotated, "__annotations__", {}))
    for name, annotation in annotations.items() if scope is not None else ():
        try:
            get_type_hints(SimpleNamespace(__annotations__={name: annotation}), scope)
        except Exception:  # noqa: BLE001 - evaluating an annotation runs any code
            return "a return annotation" if name == "return" else f"an annotation of '{name}'"
    return "an annotation"


def _input(argument: inspect.Parameter, annotation: object, heading: Heading) -> InputSpec:
    is_event = isinstance(annotation, type) and annotation is _EVENTS.get(heading.family)
    type_ = ValueType.EVENT if is_event else _value_type(_present(annotation))
    if type_ is None:
        raise _unknown_input(heading, argument.name, _word(annotation))
    return InputSpec(argument.name, type_, required=argument.default is inspect.Parameter.empty)


def _unknown_input(heading: Heading, name: str, word: str) -> RuleError:
    fix = f"Annotate '{name}' as {_INPUT_WORDS[heading.family]}"
    if heading.family is Family.SOURCE:
        sentence = f"reads context key '{name}' as {word}, which no context holds"
        return broken(heading, "INTERNAL", "InvalidSignature", "$.requires.context[].type", sentence, fix)
    error = unknown_input_type(heading, name, word)
    error.fix = fix
    return error


def _parameter(argument: inspect.Parameter, annotation: object, heading: Heading) -> ParameterSpec:
    name, options = argument.name, _options(annotation)
    type_ = ParameterType.ENUM if options else _plain(_PARAMETER_TYPES, annotation)
    if type_ is None:
        raise unknown_parameter_type(heading, name, _word(annotation))
    bounds = f"one of {', '.join(options)}" if options else None
    if argument.default is inspect.Parameter.empty:
        return ParameterSpec(name, type_, required=True, bounds=bounds)
    if not isinstance(argument.default, bool | int | float | str):
        raise _unfit(heading, f"gives parameter '{name}' the default {argument.default!r:.80}, which no graph can bind")
    return ParameterSpec(name, type_, ParameterValue.declared(argument.default, type_), bounds=bounds)


def _outputs(annotation: object, heading: Heading) -> tuple[tuple[OutputSpec, ...], bool]:
    family = heading.family
    if family in _DECISIONS:
        if annotation is not _DECISIONS[family]:
            raise _unknown_output(heading, _OUTPUT[family], _word(annotation))
        return (OutputSpec(_OUTPUT[family], ValueType.EVENT),), False
    names = _field_names(annotation)
    if names is not None:
        hints = _hints(annotation, heading)
        return tuple(_output(name, hints.get(name), heading) for name in names), True
    return (_output(_OUTPUT[family], annotation, heading),), False


def _field_names(annotation: object) -> tuple[str, ...] | None:
    """The fields of a NamedTuple, None for anything else."""
    if not isinstance(annotation, type) or tuple not in annotation.__mro__:
        return None
    return cast("tuple[str, ...] | None", getattr(annotation, "_fields", None))


def _output(name: str, annotation: object, heading: Heading) -> OutputSpec:
    type_ = _value_type(annotation)
    if type_ is None:
        raise _unknown_output(heading, name, _word(annotation))
    return OutputSpec(name, type_)


def _unknown_output(heading: Heading, name: str, word: str) -> RuleError:
    error = unknown_output_type(heading, name, word)
    error.fix = f"Annotate what the function returns as {_OUTPUT_WORDS[heading.family]}"
    return error


def _value_type(annotation: object) -> ValueType | None:
    if get_origin(annotation) in (list, Sequence):
        return ValueType.SERIES if get_args(annotation) == (float,) else None
    return _plain(_VALUE_TYPES, annotation)


def _plain(types: dict[type, Any], annotation: object) -> Any:
    return types.get(annotation) if isinstance(annotation, type) else None


def _present(annotation: object) -> object:
    """``X`` of ``X | None``: how an input is annotated that may be left unwired."""
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    present = [member for member in get_args(annotation) if member is not NoneType]
    return present[0] if len(present) == 1 else annotation


def _is_list(annotation: object) -> bool:
    return get_origin(annotation) is list


def _options(annotation: object) -> tuple[str, ...]:
    """The texts of a ``Literal``; empty for anything else."""
    options = get_args(annotation) if get_origin(annotation) is Literal else ()
    return cast("tuple[str, ...]", options) if all(isinstance(option, str) for option in options) else ()


def _word(annotation: object) -> str:
    if annotation is None:
        return "nothing"
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _unfit(heading: Heading, sentence: str) -> RuleError:
    fix = "Give every argument a name and a type: inputs first, then * and the parameters"
    error = broken(heading, "INTERNAL", "InvalidSignature", "$", sentence, fix)
    error.details = ()  # the variant is ours: rules of the original have names that its users know
    return error
