"""What the standard primitives are in Python: an expression each, and the guard that its result must pass.

``{names}`` stand for inputs and for the constants made of the parameters; ``{result}`` is the local that holds the
result. Where a guard holds, ``run_node`` decides: it may trip too often, never too seldom.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from math import inf, isfinite
from operator import add

from msgspec import Struct

from ergo_cli.core.values import NativeValue
from ergo_cli.events.external import ContextValues
from ergo_cli.programs.graph.primitives.primitive import Parameters

Constants = Mapping[str, object]


def _none(parameters: Parameters) -> Constants:
    return {}


def reading(values: Mapping[str, NativeValue]) -> tuple[Callable[[str, NativeValue], object], type | None]:
    """How context keys are read, and the type that a Number may have beside float, if any.

    Read is the payload itself, if it is at hand: every value is held to its type, and integers are Numbers there.
    """
    return (values.members.get, int) if isinstance(values, ContextValues) else (values.get, None)


class Inline(Struct, frozen=True):
    """A primitive as an expression; ``constants`` makes its constants of its parameters, None where it cannot.

    Where the ``guard`` strikes, ``otherwise`` gives the result; ``{reference}`` is what ``run_node`` says.
    """

    expression: str
    guard: str | None = None
    constants: Callable[[Parameters], Constants | None] = _none
    otherwise: str = "{reference}"


def is_sound(series: list[float]) -> bool:
    """Whether every item is a finite float, and no int or bool that passes for one."""
    return _FLOAT.issuperset(map(type, series)) and all(map(isfinite, series))


_FLOAT = frozenset({float})


NAMES: Mapping[str, object] = {
    "abs": abs,
    "add": add,
    "bool": bool,
    "float": float,
    "inf": inf,
    "is_sound": is_sound,
    "len": len,
    "list": list,
    "reading": reading,
    "reduce": reduce,
    "str": str,
    "type": type,
}
"""What the expressions and guards refer to."""

_NOT_FINITE = "{result} - {result} != 0.0"  # which is said faster than `not isfinite({result})`
_SUM = "reduce(add, {series}, -0.0)"


def _window(parameters: Parameters) -> Constants | None:
    size = parameters.get("size", 5.0)
    return {"start": -int(size)} if isinstance(size, float) and size.is_integer() and size > 0.0 else None


def _fallback(parameters: Parameters) -> Constants | None:
    return {"fallback": parameters["fallback"]} if "fallback" in parameters else None


def _read(absent: NativeValue, guard: str, otherwise: str = "{reference}") -> Inline:
    """A context key, read once; whatever is not of the type goes to the reference, which knows the default."""

    def constants(parameters: Parameters) -> Constants | None:
        key = parameters.get("key", "x")
        return {"key": key, "absent": absent} if isinstance(key, str) else None

    return Inline("get({key}, {absent})", guard, constants, otherwise)


_INTEGER = "float({result}) if type({result}) is whole else {reference}"

READS: Mapping[str, Inline] = {
    "context_number_source": _read(0.0, f"type({{result}}) is not float or {_NOT_FINITE}", _INTEGER),
    "context_bool_source": _read(False, "type({result}) is not bool"),
    "context_string_source": _read("", "type({result}) is not str or not {result}.isascii()"),
    "context_series_source": _read([], "type({result}) is not list or not is_sound({result})"),
}
"""The sources that read the context; equal reads are done once."""

INLINED: Mapping[str, Inline] = {
    **READS,
    "abs": Inline("abs({value})"),
    "negate": Inline("-{value}"),
    "add": Inline("{a} + {b}", _NOT_FINITE),
    "subtract": Inline("{a} - {b}", _NOT_FINITE),
    "multiply": Inline("{a} * {b}", _NOT_FINITE),
    "divide": Inline("{a} / {b} if {b} != 0.0 else inf", _NOT_FINITE),
    "safe_divide": Inline("{a} / {b} if {b} != 0.0 else {fallback}", _NOT_FINITE, _fallback),
    "gt": Inline("{a} > {b}"),
    "gte": Inline("{a} >= {b}"),
    "lt": Inline("{a} < {b}"),
    "lte": Inline("{a} <= {b}"),
    "eq": Inline("{a} == {b}"),
    "neq": Inline("{a} != {b}"),
    "min": Inline("{b} if {b} < {a} else {a}"),
    "max": Inline("{b} if {b} > {a} else {a}"),
    "and": Inline("{a} and {b}"),
    "or": Inline("{a} or {b}"),
    "not": Inline("not {value}"),
    "select": Inline("{when_true} if {cond} else {when_false}"),
    "select_bool": Inline("{when_true} if {cond} else {when_false}"),
    "append": Inline("[*{series}, {value}]"),
    "window": Inline("{series}[{start}:]", constants=_window),
    "mean": Inline(f"{_SUM} / len({{series}}) if {{series}} else 0.0", _NOT_FINITE),
    "sum": Inline(_SUM, _NOT_FINITE),
    "len": Inline("float(len({series}))"),
    "emit_if_true": Inline("{input}"),
    "emit_if_event_and_true": Inline("{event} and {condition}"),
}
"""The standard primitives that may depend on the context, by id; the others are constants or actions."""
