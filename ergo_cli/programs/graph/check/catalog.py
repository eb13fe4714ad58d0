"""What primitives exist: the catalog of their metadata and the inventory of their code (spec 20 §6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.errors import ProgramError, RuleError, headline
from ergo_cli.programs.functions import unfit_function
from ergo_cli.programs.graph.check.registration import check, compute_shape, registration_failed
from ergo_cli.programs.graph.primitives.primitive import (
    ActionManifest,
    ActionPrimitive,
    AnyPrimitive,
    ComputeManifest,
    ComputePrimitive,
    Family,
    InputSpec,
    Manifest,
    OutputSpec,
    ParameterSpec,
    ParameterType,
    ParameterValue,
    Primitive,
    SourceManifest,
    SourcePrimitive,
    TriggerManifest,
    TriggerPrimitive,
)
from ergo_cli.programs.graph.primitives.standard import STANDARD


class Metadata(Struct, frozen=True):
    """The part of a manifest that expansion, validation and fingerprint use. Ports and parameters in manifest order."""

    id: str
    version: str
    family: Family
    inputs: tuple[InputSpec, ...] = ()
    outputs: tuple[OutputSpec, ...] = ()
    parameters: tuple[ParameterSpec, ...] = ()

    @classmethod
    def of(cls, manifest: Manifest) -> Metadata:
        """The metadata of a manifest.

        A source's parameter is required exactly when it has no default; a compute's Int parameter is a Number.
        """
        parameters = manifest.parameters
        match manifest.family:
            case Family.SOURCE:
                parameters = tuple(replace(spec, required=spec.default is None) for spec in parameters)
            case Family.COMPUTE:
                parameters = tuple(map(_as_number, parameters))
            case Family.TRIGGER | Family.ACTION:
                pass
        return cls(manifest.id, manifest.version, manifest.family, manifest.inputs, manifest.outputs, parameters)


class Catalog:
    """Metadata by (id, version); immutable.

    Raises RuleError (CMP-4, CMP-15) for a compute that registration refuses (X.7, X.10).
    """

    def __init__(self, entries: Iterable[Metadata]) -> None:
        self._entries = {(entry.id, entry.version): entry for entry in entries}
        computes = (entry for entry in self if entry.family is Family.COMPUTE)
        if errors := [error for compute in computes for error in compute_shape(compute)]:
            raise registration_failed(errors)
        self._versions: dict[str, tuple[str, ...]] = {}
        for impl_id, version in sorted(self._entries):
            self._versions[impl_id] = (*self._versions.get(impl_id, ()), version)

    def __iter__(self) -> Iterator[Metadata]:
        return iter(self._entries.values())

    def get(self, impl_id: str, version: str) -> Metadata | None:
        """The metadata of exactly this version, if it exists."""
        return self._entries.get((impl_id, version))

    def available_versions(self, impl_id: str) -> tuple[str, ...]:
        """Every version of a primitive, ascending as strings; empty if the id is unknown."""
        return self._versions.get(impl_id, ())


class Inventory(Struct, frozen=True):
    """Every primitive that a graph may use, by id, and their catalog. Ids are unique across the families."""

    catalog: Catalog
    sources: Mapping[str, SourcePrimitive]
    computes: Mapping[str, ComputePrimitive]
    triggers: Mapping[str, TriggerPrimitive]
    actions: Mapping[str, ActionPrimitive]

    def primitive(self, impl_id: str) -> AnyPrimitive | None:
        """The primitive with this id, of any family."""
        return (
            self.sources.get(impl_id)
            or self.computes.get(impl_id)
            or self.triggers.get(impl_id)
            or self.actions.get(impl_id)
        )


def build_inventory(extras: Sequence[AnyPrimitive] = ()) -> Inventory:
    """The standard primitives and then ``extras``, family by family, each in the order given.

    Raises RuleError for the first broken registration rule, its message naming the family; every other broken rule is
    among its ``causes``. Raises ProgramError ``program.unfit_function`` for a call that its family cannot make.
    """
    registered: set[str] = set()
    errors: list[RuleError] = []
    families = list(Family)
    primitives = [*STANDARD, *sorted(extras, key=lambda extra: families.index(extra.manifest.family))]
    for primitive in primitives:
        errors += (_placed(error, primitive.place) for error in check(primitive.manifest, registered))
        registered.add(primitive.manifest.id)
    if errors:
        raise registration_failed(errors)
    if unfit := list(_unfit_calls(extras)):
        raise headline(unfit)
    return _inventory(primitives)


_CALLS = {
    Family.SOURCE: ("produce", ("params", "context")),
    Family.COMPUTE: ("compute", ("inputs", "params")),
    Family.TRIGGER: ("evaluate", ("inputs", "params")),
    Family.ACTION: ("execute", ("inputs", "params")),
}


def _unfit_calls(primitives: Iterable[AnyPrimitive]) -> Iterator[ProgramError]:
    for primitive in primitives:
        manifest = primitive.manifest
        name, parameters = _CALLS[manifest.family]
        error = unfit_function(f"{name} of {manifest.family.value} '{manifest.id}'", primitive.call, parameters)
        if error is not None:
            error.where = error.where or primitive.place
            yield error


@cache
def standard_inventory() -> Inventory:
    """The inventory of the standard library alone."""
    return build_inventory()


def _inventory(primitives: Sequence[AnyPrimitive]) -> Inventory:
    sources: dict[str, SourcePrimitive] = {}
    computes: dict[str, ComputePrimitive] = {}
    triggers: dict[str, TriggerPrimitive] = {}
    actions: dict[str, ActionPrimitive] = {}
    for primitive in primitives:
        match primitive:
            case Primitive(manifest=SourceManifest()):
                sources[primitive.manifest.id] = primitive
            case Primitive(manifest=ComputeManifest()):
                computes[primitive.manifest.id] = primitive
            case Primitive(manifest=TriggerManifest()):
                triggers[primitive.manifest.id] = primitive
            case Primitive(manifest=ActionManifest()):
                actions[primitive.manifest.id] = primitive
    catalog = Catalog(Metadata.of(primitive.manifest) for primitive in primitives)
    return Inventory(
        catalog,
        MappingProxyType(sources),
        MappingProxyType(computes),
        MappingProxyType(triggers),
        MappingProxyType(actions),
    )


def _placed(error: RuleError, place: str | None) -> RuleError:
    if place is not None:
        error.where = f"{place} {error.path}"
    return error


def _as_number(parameter: ParameterSpec) -> ParameterSpec:
    if parameter.type is not ParameterType.INT:
        return parameter
    default = parameter.default
    number = ParameterValue(ParameterType.NUMBER, float(default.value)) if default else None
    return replace(parameter, type=ParameterType.NUMBER, default=number)
