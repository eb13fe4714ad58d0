"""How several broken rules become one error: the first is the headline, the rest are its causes (spec 00 §12.1)."""

from __future__ import annotations

from collections.abc import Iterable

from ergo_cli.errors import RuleError, headline
from ergo_cli.programs.graph.expanded import ExpandedNode

COMPOSITION = "composition"
EXECUTION = "execution"


def raise_headline(faults: Iterable[RuleError]) -> None:
    """Raise the first fault with all others as its causes, each told once; do nothing if there is none."""
    distinct: dict[tuple[str | None, str], RuleError] = {}
    for fault in faults:
        distinct.setdefault((fault.rule, fault.message), fault)
    if distinct:
        raise headline(distinct.values())


def authored(path: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """An authoring path as errors carry it: ``("plant/hot", "guarded_alarm/check")``."""
    return tuple(f"{cluster_id}/{node_id}" for cluster_id, node_id in path)


def node_fault(
    rule: str,
    message: str,
    node: ExpandedNode,
    *,
    path: str | None = None,
    place: str | None = None,
    fix: str | None = None,
) -> RuleError:
    """The composition error of a node of the flat graph; ``place`` where the fault is not at the node's own place."""
    return RuleError(
        rule,
        message,
        phase=COMPOSITION,
        path=path,
        fix=fix,
        where=place or node.place,
        node=node.runtime_id,
        authoring_path=authored(node.authoring_path),
    )


def execution_fault(
    rule: str,
    message: str,
    node: ExpandedNode | None = None,
    *,
    path: str | None = None,
    fix: str | None = None,
    details: Iterable[str] = (),
) -> RuleError:
    """The error that ends a pass, at ``node`` if one is to blame."""
    return RuleError(
        rule,
        message,
        phase=EXECUTION,
        path=path,
        fix=fix,
        where=node.place if node else None,
        node=node.runtime_id if node else None,
        authoring_path=authored(node.authoring_path) if node else (),
        details=details,
    )
