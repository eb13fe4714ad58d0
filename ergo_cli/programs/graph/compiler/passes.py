"""One pass of a graph as a function: compiled, or for very large graphs interpreted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias, cast

from ergo_cli.core.effects import ProducedEffect
from ergo_cli.core.values import NativeValue
from ergo_cli.programs.graph.catalog import Inventory
from ergo_cli.programs.graph.compiler.code import load
from ergo_cli.programs.graph.compiler.lowering import generate
from ergo_cli.programs.graph.execution import Interpreter
from ergo_cli.programs.graph.validation import ValidatedGraph

GraphPass: TypeAlias = Callable[[Mapping[str, NativeValue], str, str], list[ProducedEffect]]
"""The effects of one pass over a context, for a graph id and an event id; raises as ``Interpreter.execute``."""

MAX_COMPILED_NODES = 20_000
"""Larger graphs are interpreted. Compiling takes as long as some 20 interpreted passes: here, about a second."""


def graph_pass(graph: ValidatedGraph, inventory: Inventory) -> GraphPass:
    """The faster way to run the graph again and again. Raises RuleError as ``compile_graph``."""
    make = compile_graph if len(graph.order) <= MAX_COMPILED_NODES else interpret_graph
    return make(graph, inventory)


def compile_graph(graph: ValidatedGraph, inventory: Inventory) -> GraphPass:
    """The graph as one Python function. Raises RuleError INTERNAL if it names what is not in the inventory."""
    code = generate(graph, inventory)
    return cast(GraphPass, load(code.source, "pass_", code.names))


def interpret_graph(graph: ValidatedGraph, inventory: Inventory) -> GraphPass:
    """The interpreter, its effects rendered. Raises RuleError as ``compile_graph``."""
    interpreter = Interpreter(graph, inventory)

    def run(values: Mapping[str, NativeValue], graph_id: str, event_id: str) -> list[ProducedEffect]:
        return list(map(ProducedEffect.of, interpreter.execute(values, graph_id, event_id).effects))

    return run
