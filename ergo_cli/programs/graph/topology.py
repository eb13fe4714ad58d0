"""The order in which nodes run, and the cycle that keeps them from having one (spec 20 §9.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush


def topological_order(nodes: Iterable[str], edges: Iterable[tuple[str, str]]) -> list[str]:
    """Kahn's algorithm, taking the smallest ready id as a string; nodes in a cycle or behind one are left out."""
    unmet = dict.fromkeys(nodes, 0)
    dependents: dict[str, list[str]] = {node: [] for node in unmet}
    for source, target in edges:
        dependents[source].append(target)
        unmet[target] += 1
    ready = [node for node, count in unmet.items() if count == 0]
    heapify(ready)
    order: list[str] = []
    while ready:
        node = heappop(ready)
        order.append(node)
        for dependent in dependents[node]:
            unmet[dependent] -= 1
            if unmet[dependent] == 0:
                heappush(ready, dependent)
    return order


def find_cycle(predecessors: Mapping[str, Iterable[str]], stuck: Iterable[str]) -> list[str]:
    """One cycle among the nodes that got no place in the order, along the edges, from its smallest id."""
    remaining = set(stuck)
    node, seen = min(remaining), dict[str, int]()
    trail: list[str] = []
    while node not in seen:
        seen[node] = len(trail)
        trail.append(node)
        node = min(predecessor for predecessor in predecessors[node] if predecessor in remaining)
    cycle = trail[seen[node] :][::-1]
    first = cycle.index(min(cycle))
    return cycle[first:] + cycle[:first]
