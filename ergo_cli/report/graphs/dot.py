"""The DOT text of a graph, for Graphviz (spec 30 §25)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ergo_cli.programs.graph.catalog import Catalog
from ergo_cli.programs.graph.expanded import ExpandedGraph
from ergo_cli.programs.graph.manifest import Family
from ergo_cli.report.graphs.drawing import Drawing, DrawnEdge, DrawnInput, DrawnNode, Shown, drawing_of


class _Look(NamedTuple):
    shape: str
    fill: str
    color: str


LOOKS: Mapping[Family | None, _Look] = {
    Family.SOURCE: _Look("box", "#e8f4fd", "#4a90d9"),
    Family.COMPUTE: _Look("ellipse", "#f2f2f2", "#777777"),
    Family.TRIGGER: _Look("diamond", "#fff3e0", "#d58c2d"),
    Family.ACTION: _Look("doubleoctagon", "#e8f5e9", "#2f7d32"),
    None: _Look("ellipse", "#f2f2f2", "#777777"),
}
"""How the families look; a primitive that the catalog does not know looks like a compute."""

INPUT_COLOR = "#6a6a6a"


def graph_to_dot(graph: ExpandedGraph, catalog: Catalog, shown: Shown = Shown()) -> str:
    """The DOT text of ``graph``: the same for the same graph, byte for byte."""
    return "\n".join(_lines(drawing_of(graph, catalog, shown))) + "\n"


def _lines(drawing: Drawing) -> Iterator[str]:
    yield f"digraph {_id(drawing.graph_id)} {{"
    yield f"  label={_label([f'{drawing.graph_id} (expanded)'])}"
    yield from ("  labelloc=t", "  rankdir=TB", "  nodesep=0.5", "  ranksep=0.7", "")
    yield from map(_node, drawing.nodes)
    yield ""
    yield from map(_input, drawing.inputs)
    yield from _rank("min", drawing.ids(Family.SOURCE))
    yield from _rank("max", drawing.ids(Family.ACTION))
    yield ""
    yield from sorted(map(_edge, drawing.edges))
    yield "}"


def _node(node: DrawnNode) -> str:
    look = LOOKS[node.family]
    style = f'shape={look.shape}, style=filled, fillcolor="{look.fill}", color="{look.color}"'
    return f"  {_id(node.id)} [label={_label(node.label)}, {style}]"


def _input(end: DrawnInput) -> str:
    label = _label([f"input: {end.name}"])
    return f'  {_end(end)} [label={label}, shape=note, style=dashed, color="{INPUT_COLOR}"]'


def _rank(rank: str, ids: Sequence[str]) -> Iterator[str]:
    if ids:
        yield f"  {{ rank={rank}; {' '.join(f'{_id(node_id)};' for node_id in ids)} }}"


def _edge(edge: DrawnEdge) -> str:
    label = "" if edge.ports is None else f" [label={_label([' -> '.join(edge.ports)])}]"
    return f"  {_end(edge.source)} -> {_end(edge.target)}{label}"


def _end(end: str | DrawnInput) -> str:
    return _id(end if isinstance(end, str) else f"external_input_{end.key}")


def _id(text: str) -> str:
    return f'"{_escaped(text)}"'


def _label(lines: Sequence[str]) -> str:
    r"""The lines with ``\n`` between them, which is how DOT breaks a label; so is a newline inside one."""
    return '"' + r"\n".join(_escaped(line).replace("\n", r"\n") for line in lines) + '"'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
