"""The compiled graph is the interpreted one: same effects to the byte, same errors to the word, same calls."""

from __future__ import annotations

import pytest
from graph_shorthand import validated
from hypothesis import given, settings
from hypothesis import strategies as st
from passes import outcome
from random_graphs import contexts, graphs, world

from ergo_cli.programs.graph.run.compiler import compile_graph, interpret_graph

WORLD = world()


def check(data: st.DataObject, max_nodes: int) -> None:
    graph = validated(data.draw(graphs(WORLD.inventory, max_nodes)), inventory=WORLD.inventory)
    ways = compile_graph(graph, WORLD.inventory), interpret_graph(graph, WORLD.inventory)
    for event_id in ("e1", "é2", "e3"):
        values = data.draw(contexts)
        told: list[object] = []
        for run in ways:
            WORLD.calls.clear()
            told.append((outcome(run, values, event_id), WORLD.calls.copy()))
        assert told[0] == told[1]


@settings(max_examples=300)
@given(data=st.data())
def test_compiled_equals_interpreted(data: st.DataObject) -> None:
    check(data, max_nodes=18)


@pytest.mark.slow
@settings(max_examples=6000)
@given(data=st.data())
def test_compiled_equals_interpreted_at_length(data: st.DataObject) -> None:
    check(data, max_nodes=40)
