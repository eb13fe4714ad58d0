"""The seven standard sources: constants and context keys (spec 20 §5.1)."""

from __future__ import annotations

from ergo_cli.core.declarations import ContextNeed
from ergo_cli.core.values import NativeValue, ValueType
from ergo_cli.programs.graph.manifest import OutputSpec, ParameterSpec, SourceManifest
from ergo_cli.programs.graph.parameters import ParameterType, ParameterValue
from ergo_cli.programs.graph.primitives.primitive import Parameters, Produce, SourcePrimitive, Values
from ergo_cli.programs.graph.primitives.reading import boolean, number, text

_VERSION = "0.1.0"
_DEFAULT_KEY = "x"


def produce_number(params: Parameters, context: Values) -> dict[str, NativeValue]:
    """The parameter ``value``; an Int binding becomes the nearest float, beyond 2**53 too."""
    return {"value": number(params, "value") if "value" in params else 0.0}


def produce_bool(params: Parameters, context: Values) -> dict[str, NativeValue]:
    """The parameter ``value``."""
    return {"value": "value" in params and boolean(params, "value")}


def produce_string(params: Parameters, context: Values) -> dict[str, NativeValue]:
    """The parameter ``value``."""
    return {"value": text(params, "value") if "value" in params else ""}


def from_context(native: type[NativeValue], absent: NativeValue) -> Produce:
    """A source that gives the context key named by ``key``, or ``absent`` where it is missing or of another type."""

    def produce(params: Parameters, context: Values) -> dict[str, NativeValue]:
        value = context.get(text(params, "key") if "key" in params else _DEFAULT_KEY)
        return {"value": value if isinstance(value, native) else absent}

    return produce


def _constant(impl_id: str, output: ValueType, default: ParameterValue, produce: Produce) -> SourcePrimitive:
    manifest = SourceManifest(
        impl_id,
        _VERSION,
        outputs=(OutputSpec("value", output),),
        parameters=(ParameterSpec("value", default.type, default),),
    )
    return SourcePrimitive(manifest, produce)


def _context(impl_id: str, output: ValueType, produce: Produce) -> SourcePrimitive:
    key = ParameterSpec("key", ParameterType.STRING, ParameterValue(ParameterType.STRING, _DEFAULT_KEY))
    manifest = SourceManifest(
        impl_id,
        _VERSION,
        outputs=(OutputSpec("value", output),),
        parameters=(key,),
        requires=(ContextNeed("$key", output, required=False),),
    )
    return SourcePrimitive(manifest, produce)


SOURCES: tuple[SourcePrimitive, ...] = (
    _constant("number_source", ValueType.NUMBER, ParameterValue(ParameterType.NUMBER, 0.0), produce_number),
    _constant("boolean_source", ValueType.BOOL, ParameterValue(ParameterType.BOOL, False), produce_bool),
    _constant("string_source", ValueType.STRING, ParameterValue(ParameterType.STRING, ""), produce_string),
    _context("context_number_source", ValueType.NUMBER, from_context(float, 0.0)),
    _context("context_bool_source", ValueType.BOOL, from_context(bool, False)),
    _context("context_string_source", ValueType.STRING, from_context(str, "")),
    _context("context_series_source", ValueType.SERIES, from_context(list, [])),
)
