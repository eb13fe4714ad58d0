"""Which value each parameter of a node gets (spec 20 §7.6–7.7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.catalog import Metadata
from ergo_cli.programs.graph.definition import (
    ClusterDefinition,
    ClusterNode,
    ClusterParameter,
    DeriveKey,
    Exposed,
    ImplNode,
    Literal,
)
from ergo_cli.programs.graph.derive_key import derive_key
from ergo_cli.programs.graph.manifest import ParameterSpec
from ergo_cli.programs.graph.parameters import ParameterType, ParameterValue
from ergo_cli.programs.graph.sites import Site

Values = Mapping[str, ParameterValue]
"""Parameters by name: those a cluster instance was given, or those a node ends up with."""

_ACCEPTED = {
    (ParameterType.NUMBER, ParameterType.INT),
    (ParameterType.ENUM, ParameterType.STRING),
}
"""(declared, given) pairs that a primitive takes beside equal types."""


def bind_unknown_primitive(node: ImplNode, resolved: Values) -> dict[str, ParameterValue]:
    """The bindings as they are, for a primitive of which nothing is known; V.8 will say so."""
    values: dict[str, ParameterValue] = {}
    for name, binding in node.bindings.items():
        value = binding.value if isinstance(binding, Literal) else resolved.get(binding.parameter)
        if value is not None:
            values[name] = value
    return values


def bind_primitive(
    site: Site, node: ImplNode, metadata: Metadata, resolved: Values, faults: list[RuleError]
) -> dict[str, ParameterValue]:
    """The parameters of a primitive, defaults materialized, in manifest order; violations go to ``faults``.

    I.7 a name not declared, I.3 a parameter or exposed value missing, I.4 a value of another type.
    """
    _refuse_undeclared(site, node, node.impl_id, [spec.name for spec in metadata.parameters], faults)
    values: dict[str, ParameterValue] = {}
    for spec in metadata.parameters:
        value = _primitive_value(site, node, spec, resolved, faults)
        if value is not None:
            values[spec.name] = value
    return values


def _primitive_value(
    site: Site, node: ImplNode, spec: ParameterSpec, resolved: Values, faults: list[RuleError]
) -> ParameterValue | None:
    match node.bindings.get(spec.name):
        case Literal(value=value):
            pass
        case Exposed(parameter=referenced):
            value = resolved.get(referenced)
            if value is None:
                faults.append(_unresolved(site, node, spec.name, referenced))
                return None
        case None:
            if spec.default is None and spec.required:
                faults.append(_missing(site, node, node.impl_id, spec.name))
            return spec.default
    if value.type is not spec.type and (spec.type, value.type) not in _ACCEPTED:
        faults.append(_mismatch(site, node, spec.name, spec.type, value.type))
    return value


def bind_cluster(
    site: Site, node: ClusterNode, nested: ClusterDefinition, resolved: Values, faults: list[RuleError]
) -> dict[str, ParameterValue]:
    """The parameters of a cluster instance, derived keys included; violations go to ``faults``.

    I.7 a name not declared, I.3 a parameter or exposed value missing, I.4 a value of another type, I.5 an exposed
    name that the enclosing definition does not have.
    """
    earlier = len(faults)
    _refuse_undeclared(site, node, node.cluster_id, [spec.name for spec in nested.parameters], faults)
    for spec in nested.parameters:
        _check_cluster_binding(site, node, spec, faults)
    if len(faults) > earlier:
        return {}
    values: dict[str, ParameterValue] = {}
    for spec in nested.parameters:
        value = _cluster_value(site, node, spec, resolved, faults)
        if value is not None:
            values[spec.name] = value
    return values


def _check_cluster_binding(site: Site, node: ClusterNode, spec: ClusterParameter, faults: list[RuleError]) -> None:
    match node.bindings.get(spec.name):
        case None:
            if spec.required and spec.default is None:
                faults.append(_missing(site, node, node.cluster_id, spec.name))
        case Literal(value=value):
            if value.type is not spec.type:
                faults.append(_mismatch(site, node, spec.name, spec.type, value.type))
        case Exposed(parameter=referenced):
            own = next((own for own in site.definition.parameters if own.name == referenced), None)
            if own is None:
                faults.append(_not_a_parameter(site, node, spec.name, referenced))
            elif own.type is not spec.type:
                faults.append(_mismatch(site, node, spec.name, spec.type, own.type))


def _cluster_value(
    site: Site, node: ClusterNode, spec: ClusterParameter, resolved: Values, faults: list[RuleError]
) -> ParameterValue | None:
    match node.bindings.get(spec.name):
        case Literal(value=value):
            return value
        case Exposed(parameter=referenced):
            if referenced not in resolved:
                faults.append(_unresolved(site, node, spec.name, referenced))
            return resolved.get(referenced)
        case None:
            if isinstance(spec.default, DeriveKey):
                key = derive_key(site.path_to(node.id), spec.default.slot)
                return ParameterValue(ParameterType.STRING, key)
            return spec.default


def _refuse_undeclared(
    site: Site, node: ImplNode | ClusterNode, thing: str, declared: Iterable[str], faults: list[RuleError]
) -> None:
    known = list(declared)
    for name in sorted(set(node.bindings) - set(known)):
        message = f"'{site.name_of(node.id)}' binds parameter '{name}', which {thing} does not have"
        fix = f"{thing} has these parameters: {', '.join(known)}" if known else f"{thing} has no parameters: remove it"
        faults.append(site.node_fault("I.7", message, node.id, fix=fix))


def _missing(site: Site, node: ImplNode | ClusterNode, thing: str, name: str) -> RuleError:
    message = f"'{site.name_of(node.id)}' does not bind parameter '{name}', which {thing} requires"
    return site.node_fault("I.3", message, node.id, fix=f"add '{name}' to the params of '{node.id}'")


def _unresolved(site: Site, node: ImplNode | ClusterNode, name: str, referenced: str) -> RuleError:
    owner = f"cluster {site.definition.id}" if site.prefix else f"graph {site.definition.id}"
    message = (
        f"'{site.name_of(node.id)}' takes parameter '{name}' from '{referenced}', for which {owner} has no value here"
    )
    fix = (
        f"give '{referenced}' a value or a default"
        if site.prefix
        else "write a literal: a root graph is given no values"
    )
    return site.node_fault("I.3", message, node.id, fix=fix)


def _not_a_parameter(site: Site, node: ClusterNode, name: str, referenced: str) -> RuleError:
    message = (
        f"'{site.name_of(node.id)}' takes parameter '{name}' from '{referenced}', "
        f"which is no parameter of {site.definition.id}"
    )
    return site.node_fault(
        "I.5", message, node.id, fix=f"declare '{referenced}' in the parameters of {site.definition.id}"
    )


def _mismatch(
    site: Site, node: ImplNode | ClusterNode, name: str, expected: ParameterType, got: ParameterType
) -> RuleError:
    message = f"parameter '{name}' of '{site.name_of(node.id)}' must be {expected.value}, got {got.value}"
    return site.node_fault("I.4", message, node.id, fix=_mismatch_fix(expected, got))


def _mismatch_fix(expected: ParameterType, got: ParameterType) -> str:
    if (expected, got) == (ParameterType.NUMBER, ParameterType.INT):
        return "write the number with a decimal point, for instance 3.0"
    return f"bind a value of type {expected.value}"
