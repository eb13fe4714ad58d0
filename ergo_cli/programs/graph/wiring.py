"""The growing list of edges, with those that wait for a cluster input to be fed (spec 20 §7.4 step 4)."""

from __future__ import annotations

from ergo_cli.programs.graph.expanded import Endpoint, ExpandedEdge, ExternalInput


class Wiring:
    """Edges in the order of §7.4, indexed by the unfed input that they come from."""

    def __init__(self) -> None:
        self.edges: list[ExpandedEdge] = []
        self.fed: set[str] = set()
        self._waiting: dict[str, list[int]] = {}

    def append(self, edge: ExpandedEdge) -> None:
        """Add an edge at the end."""
        if isinstance(edge.source, ExternalInput):
            self._waiting.setdefault(edge.source.name, []).append(len(self.edges))
        self.edges.append(edge)

    def extend(self, nested: Wiring) -> None:
        """Add all edges of a nested cluster at the end."""
        for edge in nested.edges:
            self.append(edge)

    def feed(self, key: str, source: Endpoint, place: str | None) -> bool:
        """Let every edge that comes from the input ``key`` come from ``source``; False if there is none."""
        indexes = self._waiting.pop(key, [])
        for index in indexes:
            self.edges[index] = ExpandedEdge(source, self.edges[index].target, place)
        if indexes:
            self.fed.add(key)
        if indexes and isinstance(source, ExternalInput):
            self._waiting.setdefault(source.name, []).extend(indexes)
        return bool(indexes)
