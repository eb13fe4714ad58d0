"""From the steps of a graph to the code of one pass: in execution order, each node once (spec 20 §10)."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ergo_cli.errors import RuleError
from ergo_cli.programs.graph.catalog import Inventory
from ergo_cli.programs.graph.compiler import effects, inlining
from ergo_cli.programs.graph.compiler.code import CodeBuilder, block
from ergo_cli.programs.graph.compiler.effects import effect_lines
from ergo_cli.programs.graph.compiler.inlining import INLINED, READS, Constants, Inline
from ergo_cli.programs.graph.compiler.operands import Operand, Operands, constant_operand, inputs_of
from ergo_cli.programs.graph.execution import run_node
from ergo_cli.programs.graph.expanded import ExpandedNode
from ergo_cli.programs.graph.families import missing_output
from ergo_cli.programs.graph.primitives import STANDARD
from ergo_cli.programs.graph.signals import ActionOutcome, TriggerEvent
from ergo_cli.programs.graph.steps import ActionStep, ComputeStep, PortValue, Step, prepare
from ergo_cli.programs.graph.validation import ValidatedGraph

_STANDARD = {primitive.manifest.id: primitive for primitive in STANDARD}
_NAMES: Mapping[str, object] = {
    **inlining.NAMES,
    **effects.NAMES,
    "EMITTED": TriggerEvent.EMITTED,
    "NOT_EMITTED": TriggerEvent.NOT_EMITTED,
    "missing_output": missing_output,
    "run_node": run_node,
}


class Generated(Struct, frozen=True):
    """The source of the function ``pass_`` and everything that it names: the same for the same graph."""

    source: str
    names: Mapping[str, object]


def generate(graph: ValidatedGraph, inventory: Inventory) -> Generated:
    """The code of one pass. Raises RuleError INTERNAL if the graph names what is not in the inventory."""
    lowering = _Lowering(inventory)
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

    def __init__(self, inventory: Inventory) -> None:
        self.code = CodeBuilder()
        self._inventory = inventory
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
        """An output that someone wants; where it may be missing, that ends the pass with CMP-11 here."""
        operand = self._operands[producer.runtime_id, port]
        if operand.given is not None and operand.given not in self._checked:
            self._checked.add(operand.given)
            node, name = self.code.constant(producer), self.code.constant(port)
            self.code.add(f"if {operand.given} is None: raise missing_output({node}, {name})")
        return operand

    def boundary(self, producer: ExpandedNode, port: str) -> None:
        """An output of the graph: nothing but its absence, which only own primitives can bring about, matters here."""
        if (producer.runtime_id, port) in self._operands:
            self.required(producer, port)

    def _values(self, step: Step, inputs: Operands) -> Operands:
        if self._is_standard(step):
            if step.node.impl_id not in READS and (folded := self._folded(step, inputs)):
                return folded
            inline = INLINED.get(step.node.impl_id)
            if inline is not None and step.parameters is not None:
                constants = inline.constants(step.parameters)
                if constants is not None:
                    return self._inlined(step, inline, inputs, constants)
        return self._called(step, inputs)

    def _is_standard(self, step: Step) -> bool:
        impl_id = step.node.impl_id
        return impl_id in _STANDARD and self._inventory.primitive(impl_id) is _STANDARD[impl_id]

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
        operand = self._reads.get(read) if step.node.impl_id in READS else None
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
        """An action under the events that gate it; a standard one has nothing to say but its effects."""
        gates = [operand for operand in inputs.values() if operand.is_event]
        lines = effect_lines(self.code, step, inputs) if step.effects.writes or step.effects.intents else []
        outputs = None
        if not self._is_standard(step):
            outputs = self.code.define(self.code.constant(step.skipped))
            lines.insert(0, f"{outputs} = {self._run(step, inputs)}")
        if lines and all(gate.constant is not False for gate in gates):
            condition = " and ".join(gate.name for gate in gates if gate.constant is None)
            self.code.add(*block(condition, lines))
        return {} if outputs is None else self._held(step, outputs)
