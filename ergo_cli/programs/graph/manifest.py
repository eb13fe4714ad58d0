"""What a primitive says of itself: one manifest per family (spec 20 §4.1)."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from ergo_cli.core.declarations import ContextNeed, EffectSpecs
from ergo_cli.core.values import ValueType
from ergo_cli.programs.graph.parameters import ParameterType, ParameterValue


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
