"""Today's program with what differs marked in it: the changes, the nodes whose values they reach, the way between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from ergo_cli.programs.causes import Cause
from ergo_cli.programs.pictures import Edge, Node, Picture, Standing
from ergo_cli.replay.results import BundleResult, Divergence
from ergo_cli.report.chain_texts import sides_text
from ergo_cli.report.first_decision import FirstPlace


def lit_picture(result: BundleResult, at: FirstPlace) -> Picture | None:
    """The picture of the program in which the first decision that differs is followed back; None without a picture."""
    if result.picture is None:
        return None
    chains = [step for each in at.shown if each.chain is not None for step in _steps(each.chain)]
    values = {step.part: sides_text(step) for step in chains if step.differs and not step.rewired}
    rewired = {step.part for step in chains if step.rewired}
    differing = {*values, *(name for each in at.shown for name in (each.node, each.origin) if name is not None)}
    changed = {*_changed(result, at.shown), *(step.part for step in chains if any(map(_is_own_change, step.sources)))}
    if not values:  # nothing is known of the values between them
        differing |= _between(result.picture, changed, differing)
    nodes = [_node(node, differing, changed, values) for node in result.picture.nodes]
    standings = {node.id: node.standing for node in nodes}
    new = {node.id for node in nodes if node.name in rewired}
    edges = [_edge(edge, standings, new) for edge in result.picture.edges]
    return replace(result.picture, nodes=tuple(nodes), edges=tuple(edges))


def _steps(cause: Cause) -> Iterator[Cause]:
    yield cause
    for source in cause.sources:
        yield from _steps(source)


def _is_own_change(source: Cause) -> bool:
    """Whether a step is a part of the program that differs, such as a parameter, and no node before it."""
    return source.is_change and not source.sources


def _changed(result: BundleResult, shown: tuple[Divergence, ...]) -> set[str]:
    """The nodes of the changes that reach what differs; of all that may decide something where none is known to."""
    reached = [result.changes[number] for each in shown for number in each.changes if number < len(result.changes)]
    open_ = [change for change in result.changes if not change.idle and not change.effectless]
    return {node for change in reached or open_ for node in change.nodes}


def _between(picture: Picture, changed: set[str], differing: set[str]) -> set[str]:
    """The names of the nodes on the ways from those that changed to those that differ."""
    names = {node.id: node.name for node in picture.nodes}
    wires = [(names[str(edge.source)], names[str(edge.target)]) for edge in picture.edges if _is_inside(edge)]
    behind = _reached(changed, wires)
    before = _reached(differing, [(target, source) for source, target in wires])
    return behind & before


def _reached(start: set[str], wires: Iterable[tuple[str, str]]) -> set[str]:
    """What the wires lead to from some nodes, themselves included."""
    onward: dict[str, list[str]] = {}
    for source, target in wires:
        onward.setdefault(source, []).append(target)
    found, open_ = set(start), list(start)
    while open_:
        for target in onward.get(open_.pop(), ()):
            if target not in found:
                found.add(target)
                open_.append(target)
    return found


def _is_inside(edge: Edge) -> bool:
    return isinstance(edge.source, str) and isinstance(edge.target, str)


def _node(node: Node, differing: set[str], changed: set[str], values: dict[str, str]) -> Node:
    standing = Standing.SAME
    if node.name in changed:
        standing = Standing.CHANGE
    elif node.name in differing:
        standing = Standing.DIFFERS
    notes = (node.type, *filter(None, (values.get(node.name),)))
    return replace(node, standing=standing, notes=notes)


def _edge(edge: Edge, standings: dict[str, Standing | None], new: set[str]) -> Edge:
    """An edge between nodes that differ, or a new one: from one of ``new`` to a node that changed."""
    if not isinstance(edge.source, str) or not isinstance(edge.target, str):
        return edge
    ends = standings.get(edge.source), standings.get(edge.target)
    if edge.source in new and ends[1] is Standing.CHANGE:
        return replace(edge, standing=Standing.CHANGE)
    return replace(edge, standing=Standing.SAME if Standing.SAME in ends else Standing.DIFFERS)
