"""The registration rules of sources, in their order (SRC-1 … SRC-17)."""

from __future__ import annotations

from collections.abc import Iterator

from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.manifest import Cadence, SourceManifest
from ergo_cli.programs.graph.registration.common import defaults, identity, outputs
from ergo_cli.programs.graph.registration.rules import Check, key_reference, refuse_if


def _context_keys(manifest: SourceManifest) -> Iterator[RuleError]:
    for need in manifest.requires:
        yield from key_reference(
            manifest,
            need.name,
            manifest.parameters,
            path="$.requires.context[].name",
            unbound=("SRC-16", "UnboundContextKeyReference"),
            not_string=("SRC-17", "ContextKeyReferenceNotString"),
        )


SOURCE_RULES: tuple[Check[SourceManifest], ...] = (
    identity,
    refuse_if(
        "SRC-4",
        "InputsNotAllowed",
        "$.inputs",
        lambda source: bool(source.inputs),
        "declares inputs, but a source has none",
        "Remove the inputs, or make it a compute",
    ),
    refuse_if(
        "SRC-5",
        "OutputsRequired",
        "$.outputs",
        lambda source: not source.outputs,
        "declares no outputs",
        "Declare at least one output",
    ),
    outputs(duplicate="SRC-6", type_rule="SRC-7"),
    defaults("SRC-15"),
    _context_keys,
    refuse_if(
        "SRC-9",
        "SideEffectsNotAllowed",
        "$.side_effects",
        lambda source: source.side_effects,
        "declares side effects, which only actions have",
        "Set side_effects to false",
    ),
    refuse_if(
        "SRC-12",
        "NonDeterministicExecution",
        "$.execution.deterministic",
        lambda source: not source.deterministic,
        "is declared not deterministic",
        "Set execution.deterministic to true",
    ),
    refuse_if(
        "SRC-13",
        "InvalidCadence",
        "$.execution.cadence",
        lambda source: source.cadence is not Cadence.CONTINUOUS,
        "has a cadence other than continuous",
        "Set execution.cadence to continuous",
    ),
    refuse_if(
        "SRC-8",
        "StateNotAllowed",
        "$.state.allowed",
        lambda source: source.state_allowed,
        "declares state, which no source may have",
        "Set state.allowed to false",
    ),
)
