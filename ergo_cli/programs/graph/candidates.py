"""What there is where a cluster's version could not be selected (spec 30 §10, §25)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ergo_cli.errors import ErgoError, RuleError
from ergo_cli.programs.graph.definition import ClusterNode, GraphAssets


def version_candidates(
    error: ErgoError, assets: GraphAssets, heading: str = "available clusters:", locate: Callable[[str], str] = str
) -> Iterator[str]:
    """A line for every version there is of the clusters that an error of expansion could not select, under a heading.

    ``locate`` turns the label of a text into its place. No lines where the error is about something else.
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
