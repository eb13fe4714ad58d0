"""Pictures as Mermaid flowcharts (spec 00 §12.8)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ergo_cli.programs.pictures import Edge, Input, Node, Picture, Role
from ergo_cli.report.picture_dot import inputs_of
from ergo_cli.report.picture_looks import (
    INPUT_COLOR,
    PAINTS,
    Shown,
    color_of,
    drawable,
    edge_label,
    node_label,
    paint_of,
)

_BRACKETS: Mapping[Role, tuple[str, str]] = {
    Role.SOURCE: ("[", "]"),
    Role.COMPUTE: ("([", "])"),
    Role.TRIGGER: ("{", "}"),
    Role.ACTION: ("[[", "]]"),
    Role.STATE: ("[(", ")]"),
    Role.JOIN: ("{{", "}}"),
}
_ACTIVE = re.compile(r"[^\w ./:@→-]")
_NO_WORD = re.compile(r"[^A-Za-z0-9]")


def picture_to_mermaid(picture: Picture, shown: Shown = Shown()) -> str:
    """A Mermaid flowchart of a picture. Names are quoted; special characters in them are entity codes."""
    return "\n".join(_lines(picture, shown)) + "\n"


def _lines(picture: Picture, shown: Shown) -> Iterator[str]:
    nodes = sorted(picture.nodes, key=lambda node: node.id)
    inputs = inputs_of(picture)
    names = {end.key: f"input{index}" for index, end in enumerate(inputs)}
    yield "flowchart TB"
    yield f"  subgraph {'expanded' if picture.is_expanded else 'program'} [{_quoted([picture.title])}]"
    yield from (f"    {_node(node, shown)}" for node in nodes)
    yield from (f"    {names[end.key]}[/{_quoted([f'input: {end.name}'])}/]" for end in inputs)
    yield "  end"
    edges = sorted((f"  {_edge(edge, names, shown)}", color_of(edge) or "") for edge in picture.edges)
    yield from (line for line, _ in edges)
    yield from _styles(nodes, list(names.values()))
    yield from _strokes([color for _, color in edges])


def _node(node: Node, shown: Shown) -> str:
    left, right = _BRACKETS[node.role]
    return f"{_name(node.id)}{left}{_quoted(node_label(node, shown))}{right}"


def _edge(edge: Edge, names: Mapping[str, str], shown: Shown) -> str:
    label = edge_label(edge, shown, "→")
    arrow = "-->" if label is None else f"-->|{_quoted([label])}|"
    return f"{_end(edge.source, names)} {arrow} {_end(edge.target, names)}"


def _styles(nodes: Sequence[Node], inputs: Sequence[str]) -> Iterator[str]:
    for paint in PAINTS:
        painted = [_name(node.id) for node in nodes if paint_of(node) is paint]
        if painted:
            yield f"  classDef {paint.name} fill:{paint.fill},stroke:{paint.color}"
            yield f"  class {','.join(painted)} {paint.name}"
    if inputs:
        yield f"  classDef input stroke:{INPUT_COLOR},stroke-dasharray:4"
        yield f"  class {','.join(inputs)} input"


def _strokes(colors: Sequence[str]) -> Iterator[str]:
    """The colours of edges, which Mermaid knows by their places."""
    for color in sorted(set(colors) - {""}):
        places = ",".join(str(index) for index, each in enumerate(colors) if each == color)
        yield f"  linkStyle {places} stroke:{color},stroke-width:2px"


def _end(end: str | Input, names: Mapping[str, str]) -> str:
    return _name(end) if isinstance(end, str) else names[end.key]


def _name(node_id: str) -> str:
    """A node's id as a word, because Mermaid ids cannot be quoted; most ids are words already."""
    return _NO_WORD.sub(lambda found: f"_{ord(found[0]):x}_", node_id)


def _quoted(lines: Iterable[str]) -> str:
    texts = (_ACTIVE.sub(lambda found: f"#{ord(found[0])};", drawable(line)) for line in lines)
    return '"' + "<br/>".join(texts) + '"'
