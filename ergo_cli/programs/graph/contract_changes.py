"""What changed in the primitives of a graph: versions, ports and parameters, at the places of their manifests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from ergo_cli.programs.changes import Change, Verb
from ergo_cli.programs.graph.bindings import binds, value_text
from ergo_cli.programs.graph.check.catalog import Metadata
from ergo_cli.programs.graph.model import ExpandedNode
from ergo_cli.programs.graph.primitives.primitive import InputSpec, OutputSpec, ParameterSpec, ParameterValue
from ergo_cli.programs.graph.program import GraphProgram

_Spec = InputSpec | OutputSpec | ParameterSpec


def contract_changes(recorded: GraphProgram, today: GraphProgram) -> Iterator[Change]:
    """The primitives that both graphs use and that differ, in the order of today's first nodes with them.

    The default of a parameter is in the nodes that the graph gives no value for it.
    """
    before, after = (_used(each) for each in (recorded, today))
    takers: dict[str, list[ExpandedNode]] = defaultdict(list)
    for node in today.expanded.nodes.values():
        takers[node.impl_id].append(node)
    for impl_id, nodes in takers.items():
        old = before.get(impl_id)
        for found in () if old is None else _differences(old, after[impl_id]):
            default = found.default_of
            in_force = [each for each in nodes if default is None or not binds(today.assets, each, default)]
            yield _change(today, impl_id, found, in_force)


def _used(program: GraphProgram) -> dict[str, Metadata]:
    return {each.id: each for each in program.contracts()}


class _Difference(Struct, frozen=True):
    """A part of a contract that differs, its name behind that of the primitive; a side without it is None.

    ``default_of`` is the parameter of which the default alone differs.
    """

    part: str
    before: str | None
    after: str | None
    default_of: str | None = None


def _change(today: GraphProgram, impl_id: str, found: _Difference, nodes: Sequence[ExpandedNode]) -> Change:
    place = today.manifest_place(impl_id)
    return Change(
        subject=f"primitive {impl_id}{found.part}",
        verb=Verb.ADDED if found.before is None else Verb.REMOVED if found.after is None else Verb.CHANGED,
        before=found.before,
        after=found.after,
        file=place and place.file,
        line=place and (place.line or None),
        nodes=tuple(node.path for node in nodes),
        idle=not nodes,
    )


def _differences(old: Metadata, new: Metadata) -> Iterator[_Difference]:
    """The version, the family, then ports and parameters in today's order."""
    if old.version != new.version:
        yield _Difference("", old.version, new.version)
    if old.family is not new.family:
        yield _Difference(" family", old.family.value, new.family.value)
    before, after = _members(old), _members(new)
    for part in dict.fromkeys((*after, *before)):
        was, now = before.get(part), after.get(part)
        texts = was and _text(was), now and _text(now)
        if texts[0] != texts[1]:
            yield _default_difference(part, was, now) or _Difference(part, *texts)


def _members(contract: Metadata) -> Mapping[str, _Spec]:
    return {
        **{f" input {each.name}": each for each in contract.inputs},
        **{f" output {each.name}": each for each in contract.outputs},
        **{f".{each.name}": each for each in contract.parameters},
    }


def _default_difference(part: str, was: _Spec | None, now: _Spec | None) -> _Difference | None:
    """The defaults of a parameter, where it has one on both sides, of the same type."""
    if not isinstance(was, ParameterSpec) or not isinstance(now, ParameterSpec) or was.type is not now.type:
        return None
    if was.default is None or now.default is None:
        return None
    return _Difference(part, value_text(was.default), value_text(now.default), now.name)


def _text(spec: _Spec) -> str:
    match spec:
        case ParameterSpec(type=kind, default=ParameterValue() as default):
            return f"{kind.value} = {value_text(default)}"
        case InputSpec(type=kind, required=False) | ParameterSpec(type=kind, required=False):
            return f"{kind.value}, optional"
        case _:
            return spec.type.value
