"""What is shown of a picture's parts in every drawn form: labels, and the colours of roles and outcomes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from msgspec import Struct

from ergo_cli.programs.pictures import Delivered, Edge, Node, NodeOutcome, NodeRun, Role, Standing


class Shown(Struct, frozen=True):
    """What a picture shows in addition to the names of nodes."""

    ports: bool = False
    impl: bool = False
    runtime_id: bool = False


class Paint(NamedTuple):
    """A class of nodes that look alike: its name, fill and outline."""

    name: str
    fill: str
    color: str


_OF_ROLES: Mapping[Role, Paint] = {
    Role.SOURCE: Paint("source", "#e8f4fd", "#4a90d9"),
    Role.COMPUTE: Paint("compute", "#f2f2f2", "#777777"),
    Role.TRIGGER: Paint("trigger", "#fff3e0", "#d58c2d"),
    Role.ACTION: Paint("action", "#e8f5e9", "#2f7d32"),
    Role.STATE: Paint("state", "#ede7f6", "#5e35b1"),
    Role.JOIN: Paint("join", "#fce4ec", "#ad1457"),
}
_OF_OUTCOMES: Mapping[NodeOutcome, Paint] = {
    NodeOutcome.NOT_STARTED: Paint("not_started", "#ffffff", "#9e9e9e"),
    NodeOutcome.RUNNING: Paint("running", "#e3f2fd", "#1565c0"),
    NodeOutcome.COMPLETED: Paint("completed", "#e8f5e9", "#2f7d32"),
    NodeOutcome.CANCELLED: Paint("cancelled", "#e0e0e0", "#616161"),
    NodeOutcome.FAILED: Paint("failed", "#ffcdd2", "#b71c1c"),
    NodeOutcome.CUT_OFF: Paint("cut_off", "#ffe0b2", "#bf360c"),
}
_WITH_ERRORS = Paint("with_errors", "#fff8e1", "#e65100")
_OF_STANDINGS: Mapping[Standing, Paint] = {
    Standing.SAME: Paint("same", "#f5f5f5", "#9e9e9e"),
    Standing.DIFFERS: Paint("differs", "#fff3e0", "#e65100"),
    Standing.CHANGE: Paint("change", "#ffcdd2", "#b71c1c"),
}
PAINTS = (*_OF_ROLES.values(), *_OF_OUTCOMES.values(), _WITH_ERRORS, *_OF_STANDINGS.values())
"""All paints, in the order in which pictures define them."""

INPUT_COLOR = "#6a6a6a"


def paint_of(node: Node) -> Paint:
    """The paint of a node's role; of a node in a run that of its outcome, of a comparison that of its standing."""
    if node.standing is not None:
        return _OF_STANDINGS[node.standing]
    if node.run is None:
        return _OF_ROLES[node.role]
    if node.run.has_errors and node.run.outcome is not NodeOutcome.FAILED:
        return _WITH_ERRORS
    return _OF_OUTCOMES[node.run.outcome]


def color_of(edge: Edge) -> str | None:
    """The colour of an edge that is not like the others."""
    return None if edge.standing in (None, Standing.SAME) else _OF_STANDINGS[edge.standing].color


def node_label(node: Node, shown: Shown) -> Iterator[str]:
    """The lines of a node's label: names, notes, details that are asked for, outcome and counts."""
    yield node.name
    yield from node.notes
    if shown.runtime_id:
        yield f"runtime: {node.runtime_id}"
    if shown.impl:
        yield f"impl: {node.impl}"
    if node.run is not None:
        yield outcome_text(node.run)
        counts = ", ".join(f"{name} {count:,}" for name, count in node.run.counts.items() if count)
        if counts:
            yield counts


def edge_label(edge: Edge, shown: Shown, arrow: str) -> str | None:
    """The label of an edge: its note, ports if they are asked for, how many events it delivered; None without any."""
    ports = f" {arrow} ".join(edge.ports) if shown.ports and edge.ports is not None else None
    delivered = None if edge.delivered is None else delivered_text(edge.delivered)
    return ": ".join(part for part in (edge.note, ports, delivered) if part) or None


def outcome_text(run: NodeRun) -> str:
    """The outcome of a node in words: ``completed, with errors``."""
    return f"{run.outcome.value}, with errors" if run.has_errors else run.outcome.value


def delivered_text(delivered: Delivered) -> str:
    """How many events an edge delivered: ``6``; ``2 of 3`` where its reader has not read all."""
    if delivered.read == delivered.written:
        return f"{delivered.read:,}"
    return f"{delivered.read:,} of {delivered.written:,}"


_UNDRAWABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
"""Characters that no XML document may hold, so that no SVG does, and those that end a line."""


def drawable(text: str) -> str:
    """``text`` with characters that a picture cannot hold as escapes."""
    return _UNDRAWABLE.sub(lambda found: repr(found[0])[1:-1], text)
