"""What every instantiated definition must keep by itself (spec 20 §7.3)."""

from __future__ import annotations

from collections.abc import Iterator

from ergo_cli.core.repeats import repeats
from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.definition import ClusterParameter, DeriveKey
from ergo_cli.programs.graph.parameters import ParameterType, ParameterValue
from ergo_cli.programs.graph.sites import Site


def check_definition(site: Site) -> Iterator[RuleError]:
    """All violations in the order of §7.3: D.5, D.6, then D.9 and D.8 parameter by parameter."""
    definition = site.definition
    for index in repeats(port.name for port in definition.inputs):
        message = f"input '{definition.inputs[index].name}' is declared twice"
        yield site.fault("D.5", message, "$.input_ports", at=f"inputs[{index}]", fix="give each input its own name")
    for index in repeats(port.name for port in definition.outputs):
        name = definition.outputs[index].name
        message = f"output '{name}' is declared twice"
        yield site.fault("D.6", message, "$.output_ports", at=f"outputs.{name}", fix="give each output its own name")
    seen: set[str] = set()
    for index, parameter in enumerate(definition.parameters):
        yield from _check_parameter(site, parameter, f"parameters[{index}]", seen)
        seen.add(parameter.name)


def _check_parameter(site: Site, parameter: ClusterParameter, at: str, seen: set[str]) -> Iterator[RuleError]:
    name, declared = parameter.name, parameter.type
    if name in seen:
        message = f"parameter '{name}' is declared twice"
        yield site.fault("D.9", message, "$.parameters", at=at, fix="give each parameter its own name")
    match parameter.default:
        case ParameterValue(type=got) if got is not declared:
            yield _default_fault(site, name, declared, got, at)
        case DeriveKey() if declared is not ParameterType.STRING:
            yield _default_fault(site, name, declared, ParameterType.STRING, at)
        case DeriveKey(slot=""):
            message = f"derive_key of parameter '{name}' has an empty slot name"
            yield site.fault("D.8", message, "$.parameters", at=at, fix="name the slot")
        case _:
            pass


def _default_fault(site: Site, name: str, declared: ParameterType, got: ParameterType, at: str) -> RuleError:
    message = f"default of parameter '{name}' is a {got.value}, but the parameter is declared {declared.value}"
    fix = f"write a default of type {declared.value}, or declare the parameter {got.value}"
    return site.fault("D.8", message, "$.parameters", at=at, fix=fix)
