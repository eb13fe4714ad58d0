"""Pictures in DOT, the language of Graphviz (spec 30 §25)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ergo_cli.programs.pictures import Edge, Input, Node, Picture, Role
from ergo_cli.report.picture_looks import INPUT_COLOR, Shown, color_of, drawable, edge_label, node_label, paint_of

_SHAPES: Mapping[Role, str] = {
    Role.SOURCE: "box",
    Role.COMPUTE: "ellipse",
    Role.TRIGGER: "diamond",
    Role.ACTION: "doubleoctagon",
    Role.STATE: "cylinder",
    Role.JOIN: "hexagon",
}
_ENTITY = re.compile(r"&(?=#?\w+;)")


def picture_to_dot(picture: Picture, shown: Shown = Shown()) -> str:
    """The DOT text of a picture: the same for the same picture, byte for byte."""
    return "\n".join(_lines(picture, shown)) + "\n"


def _lines(picture: Picture, shown: Shown) -> Iterator[str]:
    nodes = sorted(picture.nodes, key=lambda node: node.id)
    title = f"{picture.title} (expanded)" if picture.is_expanded else picture.title
    yield f"digraph {_id(picture.graph_id)} {{"
    yield f"  label={_label([title])}"
    yield from ("  labelloc=t", "  rankdir=TB", "  nodesep=0.5", "  ranksep=0.7", "")
    yield from (_node(node, shown) for node in nodes)
    yield ""
    yield from map(_input, inputs_of(picture))
    yield from _rank("min", [node.id for node in nodes if node.role is Role.SOURCE])
    yield from _rank("max", [node.id for node in nodes if node.role is Role.ACTION])
    yield ""
    yield from sorted(_edge(edge, shown) for edge in picture.edges)
    yield "}"


def inputs_of(picture: Picture) -> list[Input]:
    """The ends of edges outside the program, ascending by key."""
    ends = (end for edge in picture.edges for end in (edge.source, edge.target))
    return sorted({end for end in ends if isinstance(end, Input)}, key=lambda end: end.key)


def _node(node: Node, shown: Shown) -> str:
    paint = paint_of(node)
    style = f'shape={_SHAPES[node.role]}, style=filled, fillcolor="{paint.fill}", color="{paint.color}"'
    return f"  {_id(node.id)} [label={_label(node_label(node, shown))}, {style}]"


def _input(end: Input) -> str:
    label = _label([f"input: {end.name}"])
    return f'  {_end(end)} [label={label}, shape=note, style=dashed, color="{INPUT_COLOR}"]'


def _rank(rank: str, ids: Sequence[str]) -> Iterator[str]:
    if ids:
        yield f"  {{ rank={rank}; {'; '.join(map(_id, ids))} }}"


def _edge(edge: Edge, shown: Shown) -> str:
    label, color = edge_label(edge, shown, "->"), color_of(edge)
    attributes = [] if label is None else [f"label={_label([label])}"]
    attributes += [] if color is None else [f'color="{color}"', "penwidth=2"]
    ending = f" [{', '.join(attributes)}]" if attributes else ""
    return f"  {_end(edge.source)} -> {_end(edge.target)}{ending}"


def _end(end: str | Input) -> str:
    return _id(end if isinstance(end, str) else f"external_input_{end.key}")


def _id(text: str) -> str:
    return f'"{_escaped(text)}"'


def _label(lines: Iterable[str]) -> str:
    r"""The lines with ``\n`` between them, which is how DOT breaks a label; so is a newline inside one.

    What Graphviz would read as an entity of HTML is kept from it.
    """
    texts = (_escaped(_ENTITY.sub("&amp;", line)).replace("\n", r"\n") for line in lines)
    return '"' + r"\n".join(texts) + '"'


def _escaped(text: str) -> str:
    return drawable(text).replace("\\", "\\\\").replace('"', '\\"')
