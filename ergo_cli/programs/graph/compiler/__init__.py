"""Turns a validated graph into one Python function (spec 00 §9), held equal to the interpreter by property tests.

Three things keep the function's meaning that of the interpreter. Standard nodes are inlined only where their operation
is plain Python on values of known types (``inlining``). Wherever such a value could be other than the interpreter's —
not finite, of another type, a division by zero — a guard asks ``run_node``, the interpreter's own way to run this one
node, which then gives the value or raises the error, naming node and port. Every other node is run by ``run_node``
anyhow. So no pass is ever begun again: a primitive of the user's is called once, in its turn, or not at all.
"""

from __future__ import annotations

from ergo_cli.programs.graph.compiler.passes import (
    MAX_COMPILED_NODES,
    GraphPass,
    compile_graph,
    graph_pass,
    interpret_graph,
)

__all__ = ["MAX_COMPILED_NODES", "GraphPass", "compile_graph", "graph_pass", "interpret_graph"]
