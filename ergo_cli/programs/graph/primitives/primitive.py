"""What a primitive is: its manifest, its function and its inline expression (spec 20 §4.1, §6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Generic, TypeAlias, TypeVar, cast

from msgspec import Struct

from ergo_cli.core.values import ContextNeed, EffectSpecs, NativeValue, ValueType


class ParameterType(Enum):
    """The type of a parameter. ``Int`` and ``Enum`` exist nowhere else; ``Series`` only to be refused (CMP-15)."""

    INT = "Int"
    NUMBER = "Number"
    BOOL = "Bool"
    STRING = "String"
    ENUM = "Enum"
    SERIES = "Series"


FIELD_TYPES: Mapping[ParameterType, ValueType] = {
    ParameterType.NUMBER: ValueType.NUMBER,
    ParameterType.BOOL: ValueType.BOOL,
    ParameterType.STRING: ValueType.STRING,
}
"""Which field of an intent a parameter can fill; Int, Enum and Series fill none."""


class ParameterValue(Struct, frozen=True):
    """A value with its type: ``Int`` holds int, ``Number`` float, ``Bool`` bool, ``String`` and ``Enum`` str."""

    type: ParameterType
    value: int | float | bool | str

    @classmethod
    def declared(cls, value: bool | int | float | str, declared: ParameterType) -> ParameterValue:
        """A default in its declared type where it fits; else in the type of ``value``, which registration refuses."""
        match value:
            case bool():
                return cls(ParameterType.BOOL, value)
            case int() if declared is ParameterType.NUMBER:
                return cls(ParameterType.NUMBER, float(value))
            case int():
                return cls(ParameterType.INT, value)
            case float() if declared is ParameterType.INT and value.is_integer() and abs(value) < 2.0**63:
                return cls(ParameterType.INT, int(value))
            case float():
                return cls(ParameterType.NUMBER, value)
            case str() if declared is ParameterType.ENUM:
                return cls(ParameterType.ENUM, value)
            case str():
                return cls(ParameterType.STRING, value)


class Family(Enum):
    """The four families of primitives; the value is the spelling of fingerprints."""

    SOURCE = "Source"
    COMPUTE = "Compute"
    TRIGGER = "Trigger"
    ACTION = "Action"


class Cadence(Enum):
    """When a primitive is evaluated, as it declares it; changes nothing at run time."""

    CONTINUOUS = "continuous"
    EVENT = "event"


class Cardinality(Enum):
    """How many edges a port takes."""

    SINGLE = "Single"
    MULTIPLE = "Multiple"


class ComputeErrorType(Enum):
    """What a compute may fail with."""

    DIVISION_BY_ZERO = "DivisionByZero"
    NON_FINITE_RESULT = "NonFiniteResult"
    INVALID_PARAMETER = "InvalidParameter"


class InputSpec(Struct, frozen=True):
    """An input port."""

    name: str
    type: ValueType
    required: bool = True
    cardinality: Cardinality = Cardinality.SINGLE


class OutputSpec(Struct, frozen=True):
    """An output port."""

    name: str
    type: ValueType


class ParameterSpec(Struct, frozen=True):
    """A parameter; ``bounds`` is a text for people."""

    name: str
    type: ParameterType
    default: ParameterValue | None = None
    required: bool = False
    bounds: str | None = None


class SourceManifest(Struct, frozen=True):
    """A primitive that introduces data. A parameter of a source is required exactly when it has no default."""

    id: str
    version: str
    outputs: tuple[OutputSpec, ...]
    parameters: tuple[ParameterSpec, ...] = ()
    requires: tuple[ContextNeed, ...] = ()
    inputs: tuple[InputSpec, ...] = ()
    deterministic: bool = True
    cadence: Cadence = Cadence.CONTINUOUS
    state_allowed: bool = False
    side_effects: bool = False
    kind: str = "source"

    @property
    def family(self) -> Family:
        """``SOURCE``."""
        return Family.SOURCE


class ComputeManifest(Struct, frozen=True):
    """A pure transform."""

    id: str
    version: str
    inputs: tuple[InputSpec, ...]
    outputs: tuple[OutputSpec, ...]
    parameters: tuple[ParameterSpec, ...] = ()
    deterministic: bool = True
    cadence: Cadence = Cadence.CONTINUOUS
    may_error: bool = False
    errors_allowed: bool = False
    error_types: tuple[ComputeErrorType, ...] = ()
    errors_deterministic: bool = True
    state_allowed: bool = False
    state_resettable: bool = False
    state_description: str | None = None
    side_effects: bool = False
    kind: str = "compute"

    @property
    def family(self) -> Family:
        """``COMPUTE``."""
        return Family.COMPUTE


class TriggerManifest(Struct, frozen=True):
    """A decision whether an event happens."""

    id: str
    version: str
    inputs: tuple[InputSpec, ...]
    outputs: tuple[OutputSpec, ...]
    parameters: tuple[ParameterSpec, ...] = ()
    deterministic: bool = True
    cadence: Cadence = Cadence.CONTINUOUS
    state_allowed: bool = False
    state_description: str | None = None
    side_effects: bool = False
    kind: str = "trigger"

    @property
    def family(self) -> Family:
        """``TRIGGER``."""
        return Family.TRIGGER


class ActionManifest(Struct, frozen=True):
    """An attempt: what it does is declared in ``effects``, never returned."""

    id: str
    version: str
    inputs: tuple[InputSpec, ...]
    outputs: tuple[OutputSpec, ...]
    parameters: tuple[ParameterSpec, ...] = ()
    effects: EffectSpecs = EffectSpecs()
    deterministic: bool = True
    retryable: bool = False
    state_allowed: bool = False
    side_effects: bool = True
    kind: str = "action"

    @property
    def family(self) -> Family:
        """``ACTION``."""
        return Family.ACTION


Manifest = SourceManifest | ComputeManifest | TriggerManifest | ActionManifest


class TriggerEvent(Enum):
    """Whether a trigger decided that its event happens."""

    EMITTED = "Emitted"
    NOT_EMITTED = "NotEmitted"


class ActionOutcome(Enum):
    """What became of an action's attempt. ``SKIPPED`` comes from the engine alone: the action was not called."""

    ATTEMPTED = "Attempted"
    COMPLETED = "Completed"
    REJECTED = "Rejected"
    CANCELLED = "Cancelled"
    FAILED = "Failed"
    SKIPPED = "Skipped"


class ComputeFault(Exception):
    """A compute has no result for these inputs; ends the pass with CMP-12.

    ``parameter`` and ``reason`` are given with ``INVALID_PARAMETER`` only.
    """

    def __init__(self, kind: ComputeErrorType, parameter: str | None = None, reason: str | None = None) -> None:
        super().__init__(kind.value if reason is None else f"{kind.value}: {reason}")
        self.kind = kind
        self.parameter = parameter
        self.reason = reason


NativeParam: TypeAlias = int | float | bool | str
"""A parameter inside a primitive: Int → int, Number → float, Bool → bool, String and Enum → str."""

Parameters: TypeAlias = Mapping[str, NativeParam]
Values: TypeAlias = Mapping[str, NativeValue]

Produce: TypeAlias = Callable[[Parameters, Values], Mapping[str, NativeValue]]
"""What a source does: outputs from parameters and context."""

Compute: TypeAlias = Callable[[Values, Parameters], Mapping[str, NativeValue]]
"""What a compute does: outputs from inputs and parameters, or ``ComputeFault``. Parameters are float or bool here."""

Evaluate: TypeAlias = Callable[[Mapping[str, NativeValue | TriggerEvent], Parameters], Mapping[str, TriggerEvent]]
"""What a trigger does: one decision from inputs and parameters."""

Execute: TypeAlias = Callable[[Mapping[str, NativeValue | ActionOutcome], Parameters], Mapping[str, ActionOutcome]]
"""What an action does: its outcome. Effects come from the manifest, never from here."""

Constants: TypeAlias = Mapping[str, object]
"""The constants of an inline expression, by name."""


def _no_constants(parameters: Parameters) -> Constants:
    return {}


class Inline(Struct, frozen=True):
    """A primitive as a Python expression, which the compiler puts in place of the call.

    ``{names}`` stand for inputs and for the constants that ``constants`` makes of the parameters; where it gives None,
    the node is not inlined. ``{result}`` is the local that holds the result. Where the ``guard`` is true,
    ``otherwise`` gives the result instead; ``{reference}`` in it is what the interpreter's ``run_node`` gives. A guard
    may be true too often, never too seldom. ``names`` holds what the texts refer to beside plain builtins.
    """

    expression: str
    guard: str | None = None
    constants: Callable[[Parameters], Constants | None] = _no_constants
    otherwise: str = "{reference}"
    names: Mapping[str, object] = {}
    reads_context: bool = False
    """Whether it reads a context key: it is never folded, and equal reads are done once."""


ManifestT = TypeVar("ManifestT", SourceManifest, ComputeManifest, TriggerManifest, ActionManifest)
CallT = TypeVar("CallT", Produce, Compute, Evaluate, Execute)


class Primitive(Struct, Generic[ManifestT, CallT], frozen=True):
    """An executable unit. ``call`` has the shape of its family: Produce, Compute, Evaluate or Execute.

    ``place`` is where an own primitive is written, ``file:line``. ``inline`` counts in standard primitives only.
    """

    manifest: ManifestT
    call: CallT
    place: str | None = None
    inline: Inline | None = None


SourcePrimitive: TypeAlias = Primitive[SourceManifest, Produce]
ComputePrimitive: TypeAlias = Primitive[ComputeManifest, Compute]
TriggerPrimitive: TypeAlias = Primitive[TriggerManifest, Evaluate]
ActionPrimitive: TypeAlias = Primitive[ActionManifest, Execute]
AnyPrimitive: TypeAlias = SourcePrimitive | ComputePrimitive | TriggerPrimitive | ActionPrimitive


# Typed access to inputs and parameters. What expansion and validation let through always fits; a TypeError or KeyError
# here is a defect of the caller and ends the pass with INTERNAL (spec 20 §5.5).


def number(values: Mapping[str, object], name: str) -> float:
    """The Number called ``name``; an int becomes the nearest float."""
    value = values[name]
    if isinstance(value, float):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    raise _unfit(name, "Number", value)


def boolean(values: Mapping[str, object], name: str) -> bool:
    """The Bool called ``name``."""
    value = values[name]
    if isinstance(value, bool):
        return value
    raise _unfit(name, "Bool", value)


def text(values: Mapping[str, object], name: str) -> str:
    """The String called ``name``."""
    value = values[name]
    if isinstance(value, str):
        return value
    raise _unfit(name, "String", value)


def series(values: Mapping[str, object], name: str) -> list[float]:
    """The Series called ``name``; never to be changed."""
    value = values[name]
    if isinstance(value, list):
        return cast("list[float]", value)
    raise _unfit(name, "Series", value)


def _unfit(name: str, wanted: str, value: object) -> TypeError:
    return TypeError(f"'{name}' must be a {wanted}, got {value!r}")
