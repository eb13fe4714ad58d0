"""A picture of a program as plain SVG: layers from the sources down, the way to what differs in strong lines.

The layout is that of layered drawings: a node stands below all that feed it, and within its layer near the middle of
them. What is drawn is marked by class names, so that a style sheet colours it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ergo_cli.programs.pictures import Edge, Input, Node, Picture, Standing
from ergo_cli.report.formats.html.texts import shown

MOST_NODES = 60
"""Of one drawing: of a larger program only what differs is drawn, and what is next to it."""

_CHARACTER = 7.3
_LINE = 17
_PADDING = 12
_LEAST_WIDTH = 84
_BESIDE = 26
_BELOW = 46
_MOST_CHARACTERS = 34
_MOST_WIDTH = 1100
_SWEEPS = 4


class Box(NamedTuple):
    """A node with its place and size in pixels; ``lines`` are its label, the name first."""

    node: Node
    lines: tuple[str, ...]
    x: float
    y: float
    width: float
    height: float


class Way(NamedTuple):
    """An edge as the ``d`` of a path."""

    path: str
    standing: Standing


class Drawing(NamedTuple):
    """What is drawn, with the size of the whole; ``left_out`` counts the nodes that are not."""

    boxes: Sequence[Box]
    ways: Sequence[Way]
    width: float
    height: float
    left_out: int


def drawing_of(picture: Picture) -> Drawing:
    """Lay out a picture: the same for the same picture."""
    nodes = _drawn(picture)
    wires = [(edge.source, edge.target, edge) for edge in picture.edges if _inside(edge, nodes)]
    feeds: dict[str, list[str]] = {each: [] for each in nodes}
    for source, target, _ in wires:
        feeds[str(target)].append(str(source))
    layers = _ordered(_layers(feeds), feeds)
    boxes = {box.node.id: box for box in _placed(layers, nodes)}
    width = max((box.x + box.width for box in boxes.values()), default=0)
    height = max((box.y + box.height for box in boxes.values()), default=0)
    ways = [Way(_curve(boxes[str(one)], boxes[str(other)]), _standing(edge)) for one, other, edge in wires]
    ways.sort(key=lambda way: way.standing is not Standing.SAME)
    return Drawing(list(boxes.values()), ways, width, height, len(picture.nodes) - len(nodes))


def _standing(edge: Edge) -> Standing:
    return edge.standing or Standing.SAME


def _inside(edge: Edge, nodes: Mapping[str, Node]) -> bool:
    return edge.source in nodes and edge.target in nodes and edge.source != edge.target


def _drawn(picture: Picture) -> dict[str, Node]:
    """The nodes that are drawn, by their ids."""
    nodes = {node.id: node for node in picture.nodes}
    if len(nodes) <= MOST_NODES:
        return nodes
    lit = [node.id for node in picture.nodes if node.standing not in (None, Standing.SAME)]
    near = dict.fromkeys(lit)
    for edge in picture.edges:
        ends = [end for end in (edge.source, edge.target) if not isinstance(end, Input)]
        if any(end in lit for end in ends):
            near.update(dict.fromkeys(ends))
    kept = list(near)[:MOST_NODES] or list(nodes)[:MOST_NODES]
    return {each: nodes[each] for each in kept if each in nodes}


def _layers(feeds: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """The nodes by the longest way that leads to each; what feeds itself stands where it is met first."""
    depth: dict[str, int] = {}
    for start in feeds:
        open_: dict[str, Iterator[str]] = {start: iter(feeds[start])} if start not in depth else {}
        while open_:
            node, sources = next(reversed(open_.items()))
            further = next((each for each in sources if each not in depth and each not in open_), None)
            if further is not None:
                open_[further] = iter(feeds[further])
                continue
            depth[node] = 1 + max((depth[each] for each in feeds[node] if each in depth), default=-1)
            del open_[node]
    layers: list[list[str]] = [[] for _ in range(1 + max(depth.values(), default=-1))]
    for node in feeds:
        layers[depth[node]].append(node)
    return layers


def _ordered(layers: list[list[str]], feeds: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """The layers in an order in which nodes stand near those that they are joined with."""
    joined: dict[str, list[str]] = {each: list(sources) for each, sources in feeds.items()}
    for node, sources in feeds.items():
        for source in sources:
            joined[source].append(node)
    place = {node: index / max(1, len(layer) - 1) for layer in layers for index, node in enumerate(layer)}
    for _ in range(_SWEEPS):
        for layer in layers:
            wanted = {node: _middle([place[each] for each in joined[node]], place[node]) for node in layer}
            layer.sort(key=wanted.__getitem__)
            place |= {node: index / max(1, len(layer) - 1) for index, node in enumerate(layer)}
    return layers


def _middle(places: Sequence[float], otherwise: float) -> float:
    return sum(places) / len(places) if places else otherwise


def _placed(layers: Iterable[Sequence[str]], nodes: Mapping[str, Node]) -> list[Box]:
    """The boxes, each layer in the middle of the whole."""
    rows = [row for layer in layers for row in _rows([_box(nodes[each]) for each in layer])]
    widths = [sum(box.width for box in row) + _BESIDE * (len(row) - 1) for row in rows]
    widest = max(widths, default=0)
    placed: list[Box] = []
    top = 2.0
    for row, width in zip(rows, widths, strict=True):
        left = 2 + (widest - width) / 2
        for box in row:
            placed.append(box._replace(x=round(left, 1), y=top))
            left += box.width + _BESIDE
        top += max(box.height for box in row) + _BELOW
    return placed


def _rows(boxes: Sequence[Box]) -> Iterator[list[Box]]:
    """The boxes of a layer in rows that are not too wide."""
    row: list[Box] = []
    width = 0.0
    for box in boxes:
        if row and width + box.width > _MOST_WIDTH:
            yield row
            row, width = [], 0.0
        row.append(box)
        width += box.width + _BESIDE
    if row:
        yield row


def _box(node: Node) -> Box:
    lines = tuple(_short(line) for line in (node.name, *node.notes) if line)
    width = max(_LEAST_WIDTH, _CHARACTER * max(map(len, lines)) + 2 * _PADDING)
    return Box(node, lines, 0, 0, round(width, 1), _LINE * len(lines) + _PADDING + 4)


def _short(line: str) -> str:
    text = shown(line)
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"


def _curve(one: Box, other: Box) -> str:
    """From the bottom of a box to the top of another."""
    x, y = one.x + one.width / 2, one.y + one.height
    to_x, to_y = other.x + other.width / 2, other.y
    middle = (y + to_y) / 2
    return f"M{x:.1f} {y:.1f}C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"
