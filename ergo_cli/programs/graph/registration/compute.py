"""The registration rules of computes, in their order (CMP-1 … CMP-20)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from ergo_cli.core.values import ValueType
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.manifest import Cadence, ComputeManifest, InputSpec, ParameterSpec
from ergo_cli.programs.graph.parameters import ParameterType
from ergo_cli.programs.graph.registration.common import default_mismatch, identity, inputs, outputs
from ergo_cli.programs.graph.registration.rules import Check, Subject, broken, refuse_if

COMPUTE_INPUTS = (ValueType.NUMBER, ValueType.BOOL, ValueType.SERIES)
_PARAMETER_TYPES = (ParameterType.INT, ParameterType.NUMBER, ParameterType.BOOL)


class ComputeShape(Subject, Protocol):
    """What CMP-4 and CMP-15 look at: a manifest, or the metadata that a catalog is given directly."""

    @property
    def inputs(self) -> Sequence[InputSpec]: ...  # noqa: D102
    @property
    def parameters(self) -> Sequence[ParameterSpec]: ...  # noqa: D102


def compute_shape(compute: ComputeShape) -> Iterator[RuleError]:
    """CMP-4 and CMP-15, which also guard the catalog (X.7, X.10)."""
    yield from _some_input(compute)
    for parameter in compute.parameters:
        if parameter.type not in _PARAMETER_TYPES:
            yield unsupported_parameter(compute, parameter.name, parameter.type.value)


def unsupported_parameter(subject: Subject, name: str, got: str) -> RuleError:
    """The error of a compute's parameter that is no number and no bool (CMP-15)."""
    sentence = f"declares parameter '{name}' of type {got}, which no compute takes"
    fix = f"Change parameter '{name}' type to int, number, or bool"
    return broken(subject, "CMP-15", "UnsupportedParameterType", "$.parameters[].type", sentence, fix)


def _parameters(compute: ComputeManifest) -> Iterator[RuleError]:
    for parameter in compute.parameters:
        if parameter.type not in _PARAMETER_TYPES:
            yield unsupported_parameter(compute, parameter.name, parameter.type.value)
        if parameter.default is not None and parameter.default.type is not parameter.type:
            yield default_mismatch(
                compute, "CMP-19", parameter.name, parameter.type.value, parameter.default.type.value
            )


def _some_input(compute: ComputeShape) -> Iterator[RuleError]:
    if not compute.inputs:
        yield broken(
            compute,
            "CMP-4",
            "NoInputsDeclared",
            "$.inputs",
            "declares no inputs",
            "Declare at least one input; it may be optional",
        )


COMPUTE_RULES: tuple[Check[ComputeManifest], ...] = (
    identity,
    refuse_if(
        "CMP-16",
        "InvalidCadence",
        "$.execution.cadence",
        lambda compute: compute.cadence is not Cadence.CONTINUOUS,
        "has a cadence other than continuous",
        "Set execution.cadence to continuous",
    ),
    refuse_if(
        "CMP-8",
        "SideEffectsNotAllowed",
        "$.side_effects",
        lambda compute: compute.side_effects,
        "declares side effects, which only actions have",
        "Set side_effects to false",
    ),
    refuse_if(
        "CMP-17",
        "NonDeterministicExecution",
        "$.execution.deterministic",
        lambda compute: not compute.deterministic,
        "is declared not deterministic",
        "Set execution.deterministic to true",
    ),
    refuse_if(
        "CMP-10",
        "NonDeterministicErrors",
        "$.errors.deterministic",
        lambda compute: compute.errors_allowed and not compute.errors_deterministic,
        "may fail, but not deterministically",
        "Set errors.deterministic to true",
    ),
    _some_input,
    refuse_if(
        "CMP-6",
        "NoOutputsDeclared",
        "$.outputs",
        lambda compute: not compute.outputs,
        "declares no outputs",
        "Declare at least one output",
    ),
    inputs(duplicate="CMP-5", type_rule="CMP-13", allowed=COMPUTE_INPUTS, cardinality="CMP-14"),
    outputs(duplicate="CMP-7", type_rule="CMP-20"),
    _parameters,
    refuse_if(
        "CMP-9",
        "StateNotResettable",
        "$.state.resettable",
        lambda compute: compute.state_allowed and not compute.state_resettable,
        "declares state that cannot be reset",
        "Set state.resettable to true, or state.allowed to false",
    ),
)
