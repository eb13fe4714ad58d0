"""Pictures as text: a row for each group and node, with what it reads and, of a run, what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ergo_cli.programs.pictures import Edge, Input, Node, NodeOutcome, Picture
from ergo_cli.report.picture_looks import Shown, delivered_text, outcome_text
from ergo_cli.report.text import Block, Line, Table, Tone

_INDENT = "  "
_TONES = {
    NodeOutcome.NOT_STARTED: Tone.FAINT,
    NodeOutcome.RUNNING: Tone.PLAIN,
    NodeOutcome.COMPLETED: Tone.GOOD,
    NodeOutcome.CANCELLED: Tone.FAINT,
    NodeOutcome.FAILED: Tone.BAD,
    NodeOutcome.CUT_OFF: Tone.BAD,
}


def outline(picture: Picture, shown: Shown = Shown()) -> tuple[Block, ...]:
    """The headline and a row for each group and node, in the order of the picture, with what it reads."""
    rows = _Outline(picture, shown)
    title = Line(picture.headline, Tone.STRONG)
    blocks: list[Block] = [title, rows.table()]
    if picture.outputs:
        blocks += [Line(), Table(("output", "taken from"), tuple(rows.outputs()))]
    return tuple(blocks)


class _Outline:
    """The rows of one outline, indented by group."""

    def __init__(self, picture: Picture, shown: Shown) -> None:
        self._picture = picture
        self._shown = shown
        self._nodes: Mapping[str, Node] = {node.id: node for node in picture.nodes}
        self._is_run = any(node.run is not None for node in picture.nodes)
        self._counts = _counts_shown(picture)
        self._edges: dict[str, list[Edge]] = {}
        for edge in picture.edges:
            if isinstance(edge.target, str):
                self._edges.setdefault(edge.target, []).append(edge)

    def table(self) -> Table:
        """The nodes, and the groups that they are in."""
        node, type_, reads = self._picture.headings
        asked = (("runtime", self._shown.runtime_id), ("impl", self._shown.impl), ("outcome", self._is_run))
        more = [name for name, is_shown in asked if is_shown]
        rows = tuple(self._rows())
        cells, tones = tuple(cells for cells, _ in rows), tuple(tone for _, tone in rows)
        return Table((node, type_, *more, *self._counts, reads), cells, frozenset(self._counts), tones)

    def outputs(self) -> Iterator[tuple[str, ...]]:
        """The picture's outputs and the ports that give them."""
        for output in self._picture.outputs:
            yield output.name, f"{self._nodes[output.node].name}.{output.port}"

    def _rows(self) -> Iterator[tuple[tuple[str, ...], Tone]]:
        above: Sequence[str] = ()
        for node in self._picture.nodes:
            *groups, name = node.path
            for depth in range(_common_depth(above, groups), len(groups)):
                yield self._cells(_INDENT * depth + groups[depth], "cluster", None), Tone.PLAIN
            tone = Tone.PLAIN if node.run is None else Tone.BAD if node.run.has_errors else _TONES[node.run.outcome]
            yield self._cells(_INDENT * len(groups) + name, node.type, node), tone
            above = groups

    def _cells(self, name: str, type_: str, node: Node | None) -> tuple[str, ...]:
        runtime = [node.runtime_id if node else ""] if self._shown.runtime_id else []
        impl = [node.impl if node else ""] if self._shown.impl else []
        return (name, type_, *runtime, *impl, *self._became(node), self._reads(node) if node else "")

    def _became(self, node: Node | None) -> Sequence[str]:
        if not self._is_run:
            return ()
        if node is None or node.run is None:
            return ("",) * (1 + len(self._counts))
        counts = node.run.counts
        return outcome_text(node.run), *(f"{counts[name]:,}" for name in self._counts)

    def _reads(self, node: Node) -> str:
        return ", ".join(sorted(self._read(edge) for edge in self._edges.get(node.id, [])))

    def _read(self, edge: Edge) -> str:
        source = self._source(edge)
        if self._shown.ports and edge.ports is not None:
            return f"{edge.ports[1]} ← {source}"
        return source if edge.delivered is None else f"{source} {delivered_text(edge.delivered)}"

    def _source(self, edge: Edge) -> str:
        if isinstance(edge.source, Input):
            return f"input {edge.source.name}"
        name = self._nodes[edge.source].name
        return f"{name}.{edge.ports[0]}" if self._shown.ports and edge.ports is not None else name


def _counts_shown(picture: Picture) -> tuple[str, ...]:
    """The names of the counts that any node has."""
    counts = [node.run.counts for node in picture.nodes if node.run is not None]
    names = dict.fromkeys(name for each in counts for name in each)
    return tuple(name for name in names if any(each[name] for each in counts))


def _common_depth(one: Sequence[str], other: Sequence[str]) -> int:
    """The number of leading names that two paths share."""
    differing = (index for index, names in enumerate(zip(one, other, strict=False)) if names[0] != names[1])
    return next(differing, min(len(one), len(other)))
