"""One definition in place: its place in the graph, its versions and its parameters (spec 20 §7.3–7.7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from msgspec import Struct

from ergo_cli.core.diagnostics import repeats
from ergo_cli.core.document_fields import is_number_out_of_range, shown
from ergo_cli.core.semver import Requirement, Version, parse_selector
from ergo_cli.errors import ErgoError, RuleError
from ergo_cli.programs.graph.check.catalog import Metadata
from ergo_cli.programs.graph.model import (
    COMPOSITION,
    ClusterDefinition,
    ClusterNode,
    ClusterParameter,
    DeriveKey,
    Exposed,
    GraphAssets,
    ImplNode,
    Literal,
    authored,
)
from ergo_cli.programs.graph.primitives.primitive import ParameterSpec, ParameterType, ParameterValue

AuthoringPath = tuple[tuple[str, str], ...]
"""(cluster id, node id) pairs from the root downwards."""


class Site(Struct, frozen=True):
    """One instance of a definition; ``prefix`` leads from the root to the node that instantiates it.

    ``label`` names the definition's file or text for people; ``places`` are those of its text.
    """

    definition: ClusterDefinition
    prefix: AuthoringPath
    places: Mapping[str, str]
    label: str | None = None

    def path_to(self, node_id: str) -> AuthoringPath:
        """The authoring path of one of this definition's nodes."""
        return (*self.prefix, (self.definition.id, node_id))

    def name_of(self, node_id: str) -> str:
        """A node as people know it: the authored ids from the root, joined."""
        return "/".join(name for _, name in self.path_to(node_id))

    def input_key(self, name: str) -> str:
        """The key of an input's placeholder, unique to this instance (spec 20 §7.4 step 2)."""
        return "/".join([*(f"{cluster}:{node}" for cluster, node in self.prefix), self.definition.id, name])

    def place(self, authored_path: str) -> str | None:
        """``file:line:column nodes.hot`` for ``nodes.hot``, or None where no place is known."""
        position = self.places.get(authored_path)
        return None if position is None else f"{position} {authored_path}"

    def fault(self, rule: str, message: str, path: str, *, at: str | None = None, fix: str | None = None) -> RuleError:
        """An error of this definition at the authored path ``at``; names the cluster unless it is the root."""
        where = (self.place(at) if at else None) or (f"{self.label} {path}" if self.label else None)
        within = f" (in cluster {self.definition.id}@{self.definition.version})" if self.prefix else ""
        return RuleError(
            rule,
            message + within,
            phase=COMPOSITION,
            path=path,
            fix=fix,
            where=where,
            authoring_path=authored(self.prefix),
        )

    def node_fault(
        self, rule: str, message: str, node_id: str, *, fix: str | None = None, at: str | None = None
    ) -> RuleError:
        """An error of one of this definition's nodes, at ``$.nodes``; ``at`` is a place in the node."""
        return RuleError(
            rule,
            message,
            phase=COMPOSITION,
            path="$.nodes",
            fix=fix,
            where=self.place(at or f"nodes.{node_id}"),
            node=node_id,
            authoring_path=authored(self.path_to(node_id)),
        )


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


class SelectorError(ValueError):
    """I.6: a selector that cannot be read or satisfied, or a registered version that is not a semantic version."""


def resolve_version(selector: str, available: Iterable[str], *, may_be_unknown: bool = False) -> str:
    """The version that ``selector`` means: itself if exact, else the highest available one that it matches.

    An exact selector is taken as it is when nothing is available: then the thing is missing, not its version. If
    ``may_be_unknown``, so is a requirement.
    Raises SelectorError (I.6).
    """
    try:
        wanted = parse_selector(selector)
    except ValueError as error:
        raise SelectorError(f"version selector '{selector}' is neither a version nor a requirement: {error}") from error
    versions = sorted(_parse_version(text) for text in available)
    match wanted:
        case Version():
            if not versions or wanted in versions:
                return str(wanted)
        case Requirement() if may_be_unknown and not versions:
            return selector
        case Requirement():
            matching = [version for version in versions if wanted.matches(version)]
            if matching:
                return str(matching[-1])
    raise SelectorError(f"no version satisfies '{selector}'; available: {_version_list(versions)}")


def _parse_version(text: str) -> Version:
    try:
        return Version.parse(text)
    except ValueError as error:
        raise SelectorError(f"available version '{text}' is not a semantic version: {error}") from error


def _version_list(versions: Iterable[Version]) -> str:
    return ", ".join(str(version) for version in versions) or "<none>"


def version_candidates(
    error: ErgoError, assets: GraphAssets, heading: str = "available clusters:", locate: Callable[[str], str] = str
) -> Iterator[str]:
    """A line for every version of the clusters that expansion could not select, under a heading.

    ``locate`` turns the label of a text into its place. No lines for other errors.
    """
    faults = [each for each in (error, *error.causes) if isinstance(each, RuleError) and each.rule == "I.6"]
    wanted = {cluster_id for fault in faults for cluster_id in _selected(fault, assets)}
    keys = sorted(key for key in assets.clusters if key[0] in wanted and key in assets.labels)
    if keys:
        yield heading
    for key in keys:
        yield f"- {key[0]}@{key[1]} at {locate(assets.labels[key])}"


def _selected(fault: RuleError, assets: GraphAssets) -> Iterable[str]:
    """The cluster that the faulty node refers to: nothing for a primitive."""
    definition_id, _, node_id = (fault.authoring_path or ("",))[-1].rpartition("/")
    for definition in (assets.root, *assets.clusters.values()):
        node = definition.nodes.get(node_id)
        if definition.id == definition_id and isinstance(node, ClusterNode):
            yield node.cluster_id


BoundValues = Mapping[str, ParameterValue]
"""Parameters by name: those a cluster instance was given, or those a node ends up with."""

_ACCEPTED = {
    (ParameterType.NUMBER, ParameterType.INT),
    (ParameterType.ENUM, ParameterType.STRING),
}
"""(declared, given) pairs that a primitive takes beside equal types."""


def bind_unknown_primitive(node: ImplNode, resolved: BoundValues) -> dict[str, ParameterValue]:
    """The bindings as they are, for a primitive without metadata, which validation reports (V.8)."""
    values: dict[str, ParameterValue] = {}
    for name, binding in node.bindings.items():
        value = binding.value if isinstance(binding, Literal) else resolved.get(binding.parameter)
        if value is not None:
            values[name] = value
    return values


def bind_primitive(
    site: Site, node: ImplNode, metadata: Metadata, resolved: BoundValues, faults: list[RuleError]
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
    site: Site, node: ImplNode, spec: ParameterSpec, resolved: BoundValues, faults: list[RuleError]
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
                faults.append(_unbound(site, node, node.impl_id, spec.name))
            return spec.default
    if value.type is not spec.type and (spec.type, value.type) not in _ACCEPTED:
        faults.append(_mismatch(site, node, spec.name, spec.type, value.type, value))
    return value


def bind_cluster(
    site: Site, node: ClusterNode, nested: ClusterDefinition, resolved: BoundValues, faults: list[RuleError]
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
                faults.append(_unbound(site, node, node.cluster_id, spec.name))
        case Literal(value=value):
            if value.type is not spec.type:
                faults.append(_mismatch(site, node, spec.name, spec.type, value.type, value))
        case Exposed(parameter=referenced):
            exposed = next((each for each in site.definition.parameters if each.name == referenced), None)
            if exposed is None:
                faults.append(_not_a_parameter(site, node, spec.name, referenced))
            elif exposed.type is not spec.type:
                faults.append(_mismatch(site, node, spec.name, spec.type, exposed.type))


def _cluster_value(
    site: Site, node: ClusterNode, spec: ClusterParameter, resolved: BoundValues, faults: list[RuleError]
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


def _unbound(site: Site, node: ImplNode | ClusterNode, thing: str, name: str) -> RuleError:
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
        f"which is not a parameter of {site.definition.id}"
    )
    return site.node_fault(
        "I.5", message, node.id, fix=f"declare '{referenced}' in the parameters of {site.definition.id}"
    )


def _mismatch(
    site: Site,
    node: ImplNode | ClusterNode,
    name: str,
    expected: ParameterType,
    got: ParameterType,
    value: ParameterValue | None = None,
) -> RuleError:
    message = f"parameter '{name}' of '{site.name_of(node.id)}' must be {expected.value}, got {got.value}"
    if value is not None and isinstance(value.value, str) and is_number_out_of_range(value.value):
        message += f" '{shown(value.value)}', a number out of range"
        fix, at = "write a number within the range of a double", f"nodes.{node.id}.params.{name}"
        return site.node_fault("I.4", message, node.id, fix=fix, at=at)
    return site.node_fault("I.4", message, node.id, fix=_mismatch_fix(expected, got))


def _mismatch_fix(expected: ParameterType, got: ParameterType) -> str:
    if (expected, got) == (ParameterType.NUMBER, ParameterType.INT):
        return "write the number with a decimal point, for instance 3.0"
    return f"bind a value of type {expected.value}"


def derive_key(path: Iterable[tuple[str, str]], slot: str) -> str:
    """The key of ``slot`` at the authoring path ``path``; injective, since every part carries its UTF-8 length."""
    parts = [part for pair in path for part in pair]
    return "/".join(["__ergo", *(f"{len(part.encode())}:{part}" for part in (*parts, slot))])
