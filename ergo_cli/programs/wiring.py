"""Which nodes of a program depend on which."""

from __future__ import annotations

from collections.abc import Iterable


class Wiring:
    """The nodes behind each node, itself among them.

    ``fed_by`` has every node with those that feed it, which come before it. One pass over the wires; each node keeps
    one number, with a bit for every node behind it: sets of names would grow with the square of nodes in a row.
    """

    def __init__(self, fed_by: Iterable[tuple[str, Iterable[str]]]) -> None:
        self._places: dict[str, int] = {}
        self._behind: dict[str, int] = {}
        for place, (node, sources) in enumerate(fed_by):
            behind = 1 << place
            for source in sources:
                behind |= self._behind[source]
            self._places[node], self._behind[node] = place, behind

    def __contains__(self, node: str) -> bool:
        """Whether the program has this node."""
        return node in self._places

    def depends(self, node: str, others: Iterable[str]) -> bool:
        """Whether one of ``others`` is ``node`` or stands behind it; what is not a node of the program does not."""
        behind, places = self._behind[node], self._places
        return any(behind >> places[other] & 1 for other in others if other in places)
