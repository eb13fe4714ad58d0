"""Render expanded graphs as an outline, DOT, Mermaid, SVG, PNG or PDF (spec 30 §25, 00 §12.8)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, assert_never

from msgspec import Struct

from ergo_cli.programs.graph.check.catalog import Catalog
from ergo_cli.programs.graph.model import Endpoint, ExpandedEdge, ExpandedGraph, ExpandedNode, ExternalInput, NodePort
from ergo_cli.programs.graph.primitives.primitive import Family
from ergo_cli.report.command_result import CommandResult
from ergo_cli.report.document import GraphDocument, Report, unicode, warning_texts
from ergo_cli.report.error_text import near
from ergo_cli.report.layout import plain_lines
from ergo_cli.report.picture_forms import BINARY, Form
from ergo_cli.report.text import Block, Line, Table, Tone
from ergo_cli.tools.pictures import Picture, draw_with_graphviz


class Drawn(Struct, frozen=True):
    """A picture in one form: its bytes for a file, its text (None for PNG and PDF) and blocks for standard output."""

    picture: Picture
    form: Form
    data: bytes
    text: str | None
    blocks: tuple[Block, ...]


def draw(picture: Picture, form: Form, shown: Shown) -> Drawn:
    """Draw the picture in ``form``. Raises ErgoError ``cli.graphviz_*`` as ``draw_with_graphviz``."""
    graph, catalog = picture.graph, picture.catalog
    match form:
        case Form.TEXT:
            blocks = outline(graph, catalog, shown)
            text = "".join(f"{line}\n" for line in plain_lines(blocks))
            return Drawn(picture, form, text.encode(), text, blocks)
        case Form.DOT:
            text = graph_to_dot(graph, catalog, shown)
        case Form.MERMAID:
            text = graph_to_mermaid(graph, catalog, shown)
        case Form.SVG | Form.PNG | Form.PDF:
            data = draw_with_graphviz(graph_to_dot(graph, catalog, shown), form.value)
            if form in BINARY:
                return Drawn(picture, form, data, None, ())
            text = data.decode(errors="replace")
        case _:
            assert_never(form)
    return Drawn(picture, form, text.encode(), text, tuple(map(Line, text.removesuffix("\n").split("\n"))))


def render_picture(drawn: Drawn, output: Path | None) -> CommandResult:
    """Render a picture for standard output, or the message that it was written to ``output``."""
    notices = drawn.picture.notices
    place = None if output is None else unicode(str(output))
    text = drawn.text if output is None else None
    document = GraphDocument(drawn.picture.graph.graph_id, drawn.form.value, place, text)
    report = Report(command="graph", outcome="ok", exit_code=0, warnings=warning_texts(notices), graph=document)
    return CommandResult(
        report, drawn.blocks if output is None else (Line(f"wrote {near(str(output))}"),), notices=notices
    )


class Shown(Struct, frozen=True):
    """What a picture shows in addition to the names of nodes."""

    ports: bool = False
    impl: bool = False
    runtime_id: bool = False


class DrawnNode(Struct, frozen=True):
    """A node; ``family`` is None for a primitive that the catalog does not know, ``label`` holds one line per item."""

    id: str
    family: Family | None
    label: tuple[str, ...]


class DrawnInput(Struct, frozen=True):
    """An input that no node feeds; ``key`` includes the graph id, ``name`` is the authored name."""

    key: str
    name: str


class DrawnEdge(Struct, frozen=True):
    """A wire between nodes or from an input; ``ports`` are those at its ends, None if they are not shown."""

    source: str | DrawnInput
    target: str | DrawnInput
    ports: tuple[str, str] | None


class Drawing(Struct, frozen=True):
    """A graph to be drawn: nodes by runtime id as text, inputs by key."""

    graph_id: str
    nodes: tuple[DrawnNode, ...]
    inputs: tuple[DrawnInput, ...]
    edges: tuple[DrawnEdge, ...]

    def ids(self, *families: Family | None) -> tuple[str, ...]:
        """The nodes of these families."""
        return tuple(node.id for node in self.nodes if node.family in families)


def drawing_of(graph: ExpandedGraph, catalog: Catalog, shown: Shown) -> Drawing:
    """The nodes, inputs and edges of ``graph`` as all pictures show them."""
    edges = tuple(_drawn_edge(edge, shown) for edge in graph.edges)
    outside = {end.key: end for edge in edges for end in (edge.source, edge.target) if isinstance(end, DrawnInput)}
    nodes = tuple(_drawn_node(node, catalog, shown) for _, node in sorted(graph.nodes.items()))
    return Drawing(graph.graph_id, nodes, tuple(end for _, end in sorted(outside.items())), edges)


def _drawn_node(node: ExpandedNode, catalog: Catalog, shown: Shown) -> DrawnNode:
    metadata = catalog.get(node.impl_id, node.version)
    label = [node.path or node.runtime_id]
    if shown.runtime_id:
        label.append(f"runtime: {node.runtime_id}")
    if shown.impl:
        label.append(f"impl: {node.impl_id}@{node.version}")
    return DrawnNode(node.runtime_id, None if metadata is None else metadata.family, tuple(label))


def _drawn_edge(edge: ExpandedEdge, shown: Shown) -> DrawnEdge:
    ports = (_drawn_port(edge.source), _drawn_port(edge.target)) if shown.ports else None
    return DrawnEdge(_drawn_end(edge.source), _drawn_end(edge.target), ports)


def _drawn_end(end: Endpoint) -> str | DrawnInput:
    return end.node_id if isinstance(end, NodePort) else DrawnInput(end.name, end.name.rpartition("/")[2])


def _drawn_port(end: Endpoint) -> str:
    return end.port if isinstance(end, NodePort) else end.name.rpartition("/")[2]


_INDENT = "  "


def outline(graph: ExpandedGraph, catalog: Catalog, shown: Shown = Shown()) -> tuple[Block, ...]:
    """A headline and a row for each cluster and primitive, authored order by node id, with what feeds it."""
    edges = "1 edge" if len(graph.edges) == 1 else f"{len(graph.edges)} edges"
    nodes = "1 primitive" if len(graph.nodes) == 1 else f"{len(graph.nodes)} primitives"
    title = Line(f"graph {graph.graph_id}: {nodes}, {edges}", Tone.STRONG)
    rows = _Outline(graph, catalog, shown)
    more = [name for name, asked in (("runtime", shown.runtime_id), ("impl", shown.impl)) if asked]
    columns = ("node", "family", *more, "fed by")
    blocks: list[Block] = [title, Table(columns, tuple(rows.rows()))]
    if graph.boundary_outputs:
        blocks += [Line(), Table(("output", "taken from"), tuple(rows.outputs()))]
    return tuple(blocks)


class _Row(Struct, frozen=True):
    name: str
    family: str
    node: ExpandedNode | None


class _Outline:
    """The rows of one outline, indented by cluster."""

    def __init__(self, graph: ExpandedGraph, catalog: Catalog, shown: Shown) -> None:
        self._graph = graph
        self._catalog = catalog
        self._shown = shown
        self._wires: dict[str, list[ExpandedEdge]] = {}
        for edge in graph.edges:
            if isinstance(edge.target, NodePort):
                self._wires.setdefault(edge.target.node_id, []).append(edge)

    def rows(self) -> Iterator[tuple[str, ...]]:
        """The clusters, each followed by its content."""
        nodes = sorted(self._graph.nodes.values(), key=lambda node: (_path_names(node), node.runtime_id))
        above: Sequence[str] = ()
        for node in nodes:
            *folders, name = _path_names(node)
            for depth in range(_common_depth(above, folders), len(folders)):
                yield self._cells(_Row(_INDENT * depth + folders[depth], "cluster", None))
            yield self._cells(_Row(_INDENT * len(folders) + name, self._family(node), node))
            above = folders

    def outputs(self) -> Iterator[tuple[str, ...]]:
        """The graph's outputs and the ports that give them."""
        for output in self._graph.boundary_outputs:
            yield output.name, self._source(output.source, ports=True)

    def _cells(self, row: _Row) -> tuple[str, ...]:
        node = row.node
        runtime = [node.runtime_id if node else ""] if self._shown.runtime_id else []
        impl = [f"{node.impl_id}@{node.version}" if node else ""] if self._shown.impl else []
        return (row.name, row.family, *runtime, *impl, self._feeds(node) if node else "")

    def _family(self, node: ExpandedNode) -> str:
        metadata = self._catalog.get(node.impl_id, node.version)
        return "unknown" if metadata is None else metadata.family.value.lower()

    def _feeds(self, node: ExpandedNode) -> str:
        wires = self._wires.get(node.runtime_id, [])
        return ", ".join(sorted(self._feed(wire) for wire in wires))

    def _feed(self, wire: ExpandedEdge) -> str:
        source = self._source(wire.source, ports=self._shown.ports)
        port = wire.target.port if isinstance(wire.target, NodePort) else ""
        return f"{port} ← {source}" if self._shown.ports else source

    def _source(self, end: NodePort | ExternalInput, *, ports: bool) -> str:
        if isinstance(end, ExternalInput):
            return f"input {end.name.rpartition('/')[2]}"
        path = _authoring_path(self._graph.nodes, end.node_id)
        return f"{path}.{end.port}" if ports else path


def _authoring_path(nodes: Mapping[str, ExpandedNode], runtime_id: str) -> str:
    return nodes[runtime_id].path or runtime_id


def _path_names(node: ExpandedNode) -> tuple[str, ...]:
    return tuple(node_id for _, node_id in node.authoring_path) or (node.runtime_id,)


def _common_depth(one: Sequence[str], other: Sequence[str]) -> int:
    """The number of leading names that two paths share."""
    differing = (index for index, names in enumerate(zip(one, other, strict=False)) if names[0] != names[1])
    return next(differing, min(len(one), len(other)))


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
"""The look of each family; a primitive that the catalog does not know looks like a compute."""

INPUT_COLOR = "#6a6a6a"


def graph_to_dot(graph: ExpandedGraph, catalog: Catalog, shown: Shown = Shown()) -> str:
    """The DOT text of ``graph``: the same for the same graph, byte for byte."""
    return "\n".join(_dot_lines(drawing_of(graph, catalog, shown))) + "\n"


def _dot_lines(drawing: Drawing) -> Iterator[str]:
    yield f"digraph {_dot_id(drawing.graph_id)} {{"
    yield f"  label={_dot_label([f'{drawing.graph_id} (expanded)'])}"
    yield from ("  labelloc=t", "  rankdir=TB", "  nodesep=0.5", "  ranksep=0.7", "")
    yield from map(_dot_node, drawing.nodes)
    yield ""
    yield from map(_dot_input, drawing.inputs)
    yield from _dot_rank("min", drawing.ids(Family.SOURCE))
    yield from _dot_rank("max", drawing.ids(Family.ACTION))
    yield ""
    yield from sorted(map(_dot_edge, drawing.edges))
    yield "}"


def _dot_node(node: DrawnNode) -> str:
    look = LOOKS[node.family]
    style = f'shape={look.shape}, style=filled, fillcolor="{look.fill}", color="{look.color}"'
    return f"  {_dot_id(node.id)} [label={_dot_label(node.label)}, {style}]"


def _dot_input(end: DrawnInput) -> str:
    label = _dot_label([f"input: {end.name}"])
    return f'  {_dot_end(end)} [label={label}, shape=note, style=dashed, color="{INPUT_COLOR}"]'


def _dot_rank(rank: str, ids: Sequence[str]) -> Iterator[str]:
    if ids:
        yield f"  {{ rank={rank}; {'; '.join(map(_dot_id, ids))} }}"


def _dot_edge(edge: DrawnEdge) -> str:
    label = "" if edge.ports is None else f" [label={_dot_label([' -> '.join(edge.ports)])}]"
    return f"  {_dot_end(edge.source)} -> {_dot_end(edge.target)}{label}"


def _dot_end(end: str | DrawnInput) -> str:
    return _dot_id(end if isinstance(end, str) else f"external_input_{end.key}")


def _dot_id(text: str) -> str:
    return f'"{_dot_escaped(text)}"'


def _dot_label(lines: Sequence[str]) -> str:
    r"""The lines with ``\n`` between them, which is how DOT breaks a label; so is a newline inside one."""
    return '"' + r"\n".join(_dot_escaped(line).replace("\n", r"\n") for line in lines) + '"'


def _dot_escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


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
    """A Mermaid flowchart of ``graph``. Names are quoted; special characters in them are entity codes."""
    return "\n".join(_mermaid_lines(drawing_of(graph, catalog, shown))) + "\n"


def _mermaid_lines(drawing: Drawing) -> Iterator[str]:
    names = {end.key: f"input{index}" for index, end in enumerate(drawing.inputs)}
    yield "flowchart TB"
    yield f"  subgraph expanded [{_mermaid_quoted([drawing.graph_id])}]"
    yield from (f"    {_mermaid_node(node)}" for node in drawing.nodes)
    yield from (f"    {names[end.key]}[/{_mermaid_quoted([f'input: {end.name}'])}/]" for end in drawing.inputs)
    yield "  end"
    yield from sorted(f"  {_mermaid_edge(edge, names)}" for edge in drawing.edges)
    yield from _mermaid_styles(drawing, list(names.values()))


def _mermaid_node(node: DrawnNode) -> str:
    left, right = _BRACKETS[node.family]
    return f"{_mermaid_name(node.id)}{left}{_mermaid_quoted(node.label)}{right}"


def _mermaid_edge(edge: DrawnEdge, names: Mapping[str, str]) -> str:
    arrow = "-->" if edge.ports is None else f"-->|{_mermaid_quoted([' → '.join(edge.ports)])}|"
    return f"{_mermaid_end(edge.source, names)} {arrow} {_mermaid_end(edge.target, names)}"


def _mermaid_styles(drawing: Drawing, inputs: Sequence[str]) -> Iterator[str]:
    for name, families in _CLASSES.items():
        ids = drawing.ids(*families)
        if ids:
            look = LOOKS[families[0]]
            yield f"  classDef {name} fill:{look.fill},stroke:{look.color}"
            yield f"  class {','.join(map(_mermaid_name, ids))} {name}"
    if inputs:
        yield f"  classDef input stroke:{INPUT_COLOR},stroke-dasharray:4"
        yield f"  class {','.join(inputs)} input"


def _mermaid_end(end: str | DrawnInput, names: Mapping[str, str]) -> str:
    return _mermaid_name(end) if isinstance(end, str) else names[end.key]


def _mermaid_name(runtime_id: str) -> str:
    """A node's id as a word, because Mermaid ids cannot be quoted; a runtime id is a word already."""
    return _NO_WORD.sub(lambda found: f"_{ord(found[0]):x}_", runtime_id)


def _mermaid_quoted(lines: Sequence[str]) -> str:
    return '"' + "<br/>".join(_ACTIVE.sub(lambda found: f"#{ord(found[0])};", line) for line in lines) + '"'
