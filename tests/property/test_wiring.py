"""A node depends on another exactly where a way of wires leads from it, in random graphs and in one of 20,000 nodes."""

from __future__ import annotations

from collections.abc import Mapping

from graph_shorthand import assets
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import graphs, world

from ergo_cli.programs.graph.program import GraphProgram
from ergo_cli.programs.wiring import Wiring

WORLD = world()


def leads(feeds: Mapping[str, set[str]], start: str, end: str) -> bool:
    """Whether a way of wires leads from a node to another one, or they are the same."""
    met, waiting = {end}, [end]
    while waiting:
        more = feeds[waiting.pop()] - met
        met |= more
        waiting += more
    return start in met


@settings(max_examples=150)
@given(data=st.data())
def test_a_node_depends_on_those_from_which_wires_lead_to_it(data: st.DataObject) -> None:
    definition = data.draw(graphs(WORLD.inventory, 12))
    wiring = GraphProgram.load(assets(definition), WORLD.inventory).wiring()
    feeds: dict[str, set[str]] = {name: set() for name in definition.nodes}
    for edge in definition.edges:
        feeds[edge.target.node_id].add(edge.source.node_id)
    for node in feeds:
        assert node in wiring
        behind = {other for other in feeds if wiring.depends(node, (other,))}
        assert behind == {other for other in feeds if leads(feeds, other, node)}
        assert wiring.depends(node, ["gone", *sorted(behind)[-1:]])
        assert not wiring.depends(node, ["gone", *(feeds.keys() - behind)])
    assert "gone" not in wiring


def test_twenty_thousand_nodes_in_a_row() -> None:
    """As sets of names, 200 million of them, this would not fit into memory."""
    row = [f"n{place}" for place in range(20_000)]
    wiring = Wiring((name, row[max(place - 1, 0) : place]) for place, name in enumerate(row))
    assert wiring.depends("n19999", ["n0"])
    assert wiring.depends("n10000", ["n10001", "n9999"])
    assert not wiring.depends("n10000", ["n10001", "n19999"])
