"""Compile a validated graph into one Python function (spec 00 §9), held equal to the interpreter by property tests.

Three things keep the function's meaning that of the interpreter. Standard primitives are inlined only where their
operation is plain Python on values of known types (``Inline``). Wherever such a value could be other than the
interpreter's — not finite, of another type, a division by zero — a guard calls ``run_node``, which runs this
one node as the interpreter does and gives the value or raises the error, naming node and port. Every other node is run
by ``run_node``. So no pass is begun twice: a user's primitive is called once, in its turn, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias, cast

from msgspec import Struct

from ergo_cli.core.values import NativeValue, ProducedEffect
from ergo_cli.errors import RuleError
from ergo_cli.events.external import ContextValues
from ergo_cli.programs.graph.check.catalog import Inventory
from ergo_cli.programs.graph.check.validation import ValidatedGraph
from ergo_cli.programs.graph.model import ExpandedNode
from ergo_cli.programs.graph.primitives.primitive import (
    ActionOutcome,
    AnyPrimitive,
    Constants,
    Inline,
    TriggerEvent,
)
from ergo_cli.programs.graph.primitives.standard import STANDARD
from ergo_cli.programs.graph.run.codegen import (
    EFFECT_NAMES,
    CodeBuilder,
    Operand,
    Operands,
    block,
    constant_operand,
    effect_lines,
    inputs_of,
    load,
)
from ergo_cli.programs.graph.run.interpreter import Interpreter, missing_output, run_node
from ergo_cli.programs.graph.run.steps import ActionStep, ComputeStep, PortValue, Step, prepare

GraphPass: TypeAlias = Callable[[Mapping[str, NativeValue], str, str], list[ProducedEffect]]
"""The effects of one pass over a context, for a graph id and an event id; raises as ``Interpreter.execute``."""

MAX_COMPILED_NODES = 20_000
"""Larger graphs are interpreted. Compiling takes as long as some 20 interpreted passes: here, about a second."""


def graph_pass(graph: ValidatedGraph, inventory: Inventory) -> GraphPass:
    """The graph as a function: compiled, unless it is very large. Raises RuleError as ``compile_graph``."""
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


def reading(values: Mapping[str, NativeValue]) -> tuple[Callable[[str, NativeValue], object], type | None]:
    """How context keys are read, and the type that a Number may have beside float, if any.

    A payload is read directly: its integers are Numbers, and each value is checked where it is read.
    """
    return (values.members.get, int) if isinstance(values, ContextValues) else (values.get, None)


_STANDARD = {primitive.manifest.id: primitive for primitive in STANDARD}
_BUILTINS: Mapping[str, object] = {
    "abs": abs,
    "bool": bool,
    "float": float,
    "len": len,
    "list": list,
    "str": str,
    "type": type,
}
"""The builtins that inline expressions may name; generated code sees no others."""

_NAMES: Mapping[str, object] = {
    **_BUILTINS,
    **{name: value for each in STANDARD if each.inline for name, value in each.inline.names.items()},
    **EFFECT_NAMES,
    "EMITTED": TriggerEvent.EMITTED,
    "NOT_EMITTED": TriggerEvent.NOT_EMITTED,
    "missing_output": missing_output,
    "reading": reading,
    "run_node": run_node,
}


class Generated(Struct, frozen=True):
    """The source of the function ``pass_`` and everything that it names: the same for the same graph."""

    source: str
    names: Mapping[str, object]


def generate(graph: ValidatedGraph, inventory: Inventory) -> Generated:
    """The code of one pass. Raises RuleError INTERNAL if the graph names what is not in the inventory."""
    lowering = _Lowering()
    for step in prepare(graph, inventory):
        lowering.node(step)
    for output in graph.outputs:
        lowering.boundary(graph.nodes[output.source.node_id].node, output.source.port)
    source = lowering.code.source(
        "pass_",
        "values, graph_id, event_id",
        opening="get, whole = reading(values)\neffects = []",
        closing="return effects",
    )
    return Generated(source, {**_NAMES, **lowering.code.constants})


class _Lowering:
    """What is known of a pass while its code is being written."""

    def __init__(self) -> None:
        self.code = CodeBuilder()
        self._operands: dict[tuple[str, str], Operand] = {}
        self._reads: dict[tuple[str, object], Operand] = {}
        self._checked: set[str] = set()

    def node(self, step: Step) -> None:
        """Write the code of a node whose inputs' nodes are written."""
        inputs = {wire.input: self.required(wire.producer, wire.output) for wire in step.wires}
        outputs = self._action(step, inputs) if isinstance(step, ActionStep) else self._values(step, inputs)
        for port, operand in outputs.items():
            self._operands[step.id, port] = operand

    def required(self, producer: ExpandedNode, port: str) -> Operand:
        """An output that a node or the graph takes; where it may be missing, the pass ends here with CMP-11."""
        operand = self._operands[producer.runtime_id, port]
        if operand.given is not None and operand.given not in self._checked:
            self._checked.add(operand.given)
            node, name = self.code.constant(producer), self.code.constant(port)
            self.code.add(f"if {operand.given} is None: raise missing_output({node}, {name})")
        return operand

    def boundary(self, producer: ExpandedNode, port: str) -> None:
        """An output of the graph: only its absence matters here, which only a user's primitives can bring about."""
        if (producer.runtime_id, port) in self._operands:
            self.required(producer, port)

    def _values(self, step: Step, inputs: Operands) -> Operands:
        standard = self._standard(step)
        if standard is not None:
            inline = standard.inline
            if (inline is None or not inline.reads_context) and (folded := self._folded(step, inputs)):
                return folded
            if inline is not None and step.parameters is not None:
                constants = inline.constants(step.parameters)
                if constants is not None:
                    return self._inlined(step, inline, inputs, constants)
        return self._called(step, inputs)

    def _standard(self, step: Step) -> AnyPrimitive | None:
        """The standard primitive that a node runs; None for a primitive of the user's."""
        standard = _STANDARD.get(step.node.impl_id)
        return standard if standard is not None and step.call is standard.call else None

    def _folded(self, step: Step, inputs: Operands) -> Operands | None:
        """The outputs where every input is known beforehand; None where not, and where the node fails in every pass."""
        known = {port: operand.known for port, operand in inputs.items()}
        given = {port: value for port, value in known.items() if value is not None}
        if len(given) < len(inputs):
            return None
        try:
            outputs = run_node(step, given, {})
        except RuleError:
            return None
        return {port: self._constant(outputs[port], native) for port, native in step.outputs}

    def _constant(self, value: PortValue, native: type) -> Operand:
        assert not isinstance(value, ActionOutcome), "actions are never folded"
        return constant_operand(self.code, value, native)

    def _inlined(self, step: Step, inline: Inline, inputs: Operands, constants: Constants) -> Operands:
        read = (step.node.impl_id, constants.get("key"))
        ((port, native),) = step.outputs
        operand = self._reads.get(read) if inline.reads_context else None
        if operand is None:
            names = {name: self.code.constant(value) for name, value in constants.items()}
            names |= {name: operand.name for name, operand in inputs.items()}
            operand = Operand(self._computed(step, inline, inputs, names), native)
            self._reads[read] = operand
        return {port: operand}

    def _computed(self, step: Step, inline: Inline, inputs: Operands, names: Mapping[str, str]) -> str:
        """The local that holds the one output of an inlined node."""
        if inline.guard is None:
            return self.code.define(inline.expression.format_map(names))
        result, port = self.code.local(), self.code.constant(step.outputs[0][0])
        expression = inline.expression.format_map({**names, "result": result})
        guard = inline.guard.format(result=result)
        otherwise = inline.otherwise.format(result=result, reference=f"{self._run(step, inputs)}[{port}]")
        self.code.add(f"{result} = {expression}", f"if {guard}: {result} = {otherwise}")
        return result

    def _called(self, step: Step, inputs: Operands) -> Operands:
        outputs = self.code.local()
        self.code.add(f"{outputs} = {self._run(step, inputs)}")
        return self._held(step, outputs)

    def _held(self, step: Step, outputs: str) -> Operands:
        """The outputs in the local ``outputs``; all are there if the node is a compute."""
        operands: dict[str, Operand] = {}
        for port, native in step.outputs:
            found = self.code.define(f"{outputs}.get({self.code.constant(port)})")
            name = self.code.define(f"{found} is EMITTED") if native is TriggerEvent else found
            operands[port] = Operand(name, native, given=None if isinstance(step, ComputeStep) else found)
        return operands

    def _run(self, step: Step, inputs: Operands) -> str:
        return f"run_node({self.code.constant(step)}, {inputs_of(self.code, inputs)}, values)"

    def _action(self, step: ActionStep, inputs: Operands) -> Operands:
        """An action under the events that gate it; a standard one does nothing beside its effects."""
        gates = [operand for operand in inputs.values() if operand.is_event]
        lines = effect_lines(self.code, step, inputs) if step.effects.writes or step.effects.intents else []
        outputs = None
        if self._standard(step) is None:
            outputs = self.code.define(self.code.constant(step.skipped))
            lines.insert(0, f"{outputs} = {self._run(step, inputs)}")
        if lines and all(gate.constant is not False for gate in gates):
            condition = " and ".join(gate.name for gate in gates if gate.constant is None)
            self.code.add(*block(condition, lines))
        return {} if outputs is None else self._held(step, outputs)
