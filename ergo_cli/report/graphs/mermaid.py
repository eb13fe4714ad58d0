"""The Mermaid text of a graph, for pages that draw it themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from ergo_cli.programs.graph.catalog import Catalog
from ergo_cli.programs.graph.expanded import ExpandedGraph
from ergo_cli.programs.graph.manifest import Family
from ergo_cli.report.graphs.dot import INPUT_COLOR, LOOKS
from ergo_cli.report.graphs.drawing import Drawing, DrawnEdge, DrawnInput, DrawnNode, Shown, drawing_of

_BRACKETS: Mapping[Family | None, tuple[str, str]] = {
    Family.SOURCE: ("[", "]"),
    Family.COMPUTE: ("([", "])"),
    Family.TRIGGER: ("{", "}"),
    Family.ACTION: ("[[", "]]"),
    None: ("([", "])"),
}
_CLASSES: Mapping[str, tuple[Family | None, ...]] = {
    "source": (Family.SOURCE,),
    "compute": (Family.COMPUTE, None),
    "trigger": (Family.TRIGGER,),
    "action": (Family.ACTION,),
}
_ACTIVE = re.compile(r"[^\w ./:@→-]")
_NO_WORD = re.compile(r"[^A-Za-z0-9]")


def graph_to_mermaid(graph: ExpandedGraph, catalog: Catalog, shown: Shown = Shown()) -> str:
    """A Mermaid flowchart of ``graph``. Names are put in quotes, everything in them that could act is a code."""
    return "\n".join(_lines(drawing_of(graph, catalog, shown))) + "\n"


def _lines(drawing: Drawing) -> Iterator[str]:
    names = {end.key: f"input{index}" for index, end in enumerate(drawing.inputs)}
    yield "flowchart TB"
    yield f"  subgraph expanded [{_quoted([drawing.graph_id])}]"
    yield from (f"    {_node(node)}" for node in drawing.nodes)
    yield from (f"    {names[end.key]}[/{_quoted([f'input: {end.name}'])}/]" for end in drawing.inputs)
    yield "  end"
    yield from sorted(f"  {_edge(edge, names)}" for edge in drawing.edges)
    yield from _styles(drawing, list(names.values()))


def _node(node: DrawnNode) -> str:
    left, right = _BRACKETS[node.family]
    return f"{_name(node.id)}{left}{_quoted(node.label)}{right}"


def _edge(edge: DrawnEdge, names: Mapping[str, str]) -> str:
    arrow = "-->" if edge.ports is None else f"-->|{_quoted([' → '.join(edge.ports)])}|"
    return f"{_end(edge.source, names)} {arrow} {_end(edge.target, names)}"


def _styles(drawing: Drawing, inputs: Sequence[str]) -> Iterator[str]:
    for name, families in _CLASSES.items():
        ids = drawing.ids(*families)
        if ids:
            look = LOOKS[families[0]]
            yield f"  classDef {name} fill:{look.fill},stroke:{look.color}"
            yield f"  class {','.join(map(_name, ids))} {name}"
    if inputs:
        yield f"  classDef input stroke:{INPUT_COLOR},stroke-dasharray:4"
        yield f"  class {','.join(inputs)} input"


def _end(end: str | DrawnInput, names: Mapping[str, str]) -> str:
    return _name(end) if isinstance(end, str) else names[end.key]


def _name(runtime_id: str) -> str:
    """A node's id, which Mermaid wants bare: a runtime id is a word already."""
    return _NO_WORD.sub(lambda found: f"_{ord(found[0]):x}_", runtime_id)


def _quoted(lines: Sequence[str]) -> str:
    return '"' + "<br/>".join(_ACTIVE.sub(lambda found: f"#{ord(found[0])};", line) for line in lines) + '"'
