"""A primitive: its manifest and the plain function that does its work (spec 20 §6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeAlias, TypeVar

from msgspec import Struct

from ergo_cli.core.values import NativeValue
from ergo_cli.programs.graph.manifest import ActionManifest, ComputeManifest, SourceManifest, TriggerManifest
from ergo_cli.programs.graph.signals import ActionOutcome, TriggerEvent

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

ManifestT = TypeVar("ManifestT", SourceManifest, ComputeManifest, TriggerManifest, ActionManifest)
CallT = TypeVar("CallT", Produce, Compute, Evaluate, Execute)


class Primitive(Struct, Generic[ManifestT, CallT], frozen=True):
    """An executable unit. ``call`` has the shape of its family: Produce, Compute, Evaluate or Execute.

    ``place`` is where an own primitive is written, ``file:line``.
    """

    manifest: ManifestT
    call: CallT
    place: str | None = None


SourcePrimitive: TypeAlias = Primitive[SourceManifest, Produce]
ComputePrimitive: TypeAlias = Primitive[ComputeManifest, Compute]
TriggerPrimitive: TypeAlias = Primitive[TriggerManifest, Evaluate]
ActionPrimitive: TypeAlias = Primitive[ActionManifest, Execute]
AnyPrimitive: TypeAlias = SourcePrimitive | ComputePrimitive | TriggerPrimitive | ActionPrimitive
