"""Where the parameters of a graph's nodes get their values."""

from __future__ import annotations

from msgspec import Struct

from ergo_cli.core.json import free_text
from ergo_cli.programs.graph.expand.instances import resolve_version
from ergo_cli.programs.graph.model import ClusterDefinition, ClusterNode, ExpandedNode, Exposed, GraphAssets
from ergo_cli.programs.graph.primitives.primitive import ParameterType, ParameterValue


class Binding(Struct, frozen=True):
    """Where the value of a parameter is written, and its name there.

    ``overheated.limit`` at a node of the root, ``over_limit/full.value`` in a cluster. ``at`` is its name in the one
    instance whose value it is: ``overheated/over/full.value``, of a default ``overheated/over.limit``.
    """

    name: str
    at: str
    place: str | None


def binding_of(assets: GraphAssets, node: ExpandedNode, parameter: str) -> Binding:
    """At the node itself, at an instance around it, or as the default of a cluster; without place if it is none."""
    path = node.authoring_path
    found = Binding(f"{node.path}.{parameter}", f"{node.path}.{parameter}", None)
    for depth, definition in reversed(list(enumerate(_definitions(assets, path)))):
        node_id, inside = path[depth][1], "/".join(name for _, name in path[: depth + 1])
        places = assets.places.get(definition.key, {})
        match definition.nodes[node_id].bindings.get(parameter):
            case Exposed(outer):
                names = [each.name for each in definition.parameters]
                place = places.get(f"parameters[{names.index(outer)}]") if outer in names else None
                name = f"{definition.id}.{outer}"
                at = f"{inside.rpartition('/')[0]}.{outer}" if depth else name
                found, parameter = Binding(name, at, place), outer
            case None:
                return found
            case _:
                name = f"{definition.id}/{node_id}" if depth else node_id
                place = places.get(f"nodes.{node_id}.params.{parameter}")
                return Binding(f"{name}.{parameter}", f"{inside}.{parameter}", place)
    return found


def _definitions(assets: GraphAssets, path: tuple[tuple[str, str], ...]) -> list[ClusterDefinition]:
    """The definitions that a path leads through, the root first."""
    found = [assets.root]
    for _, node_id in path[:-1]:
        node = found[-1].nodes[node_id]
        assert isinstance(node, ClusterNode)
        versions = [version for cluster_id, version in assets.clusters if cluster_id == node.cluster_id]
        version = resolve_version(node.selector, versions)
        assert version is not None, "an expanded graph has all its clusters"
        found.append(assets.clusters[node.cluster_id, version])
    return found


def binds(assets: GraphAssets, node: ExpandedNode, parameter: str) -> bool:
    """Whether the graph gives a parameter of a node its value, and not the primitive its default."""
    definition, node_id = _definitions(assets, node.authoring_path)[-1], node.authoring_path[-1][1]
    return parameter in definition.nodes[node_id].bindings


def value_text(value: ParameterValue | None) -> str | None:
    """A parameter as its author writes it; None where it has no value."""
    if value is None:
        return None
    return str(value.value) if value.type is ParameterType.ENUM else free_text(value.value).decode()
