"""The parts of a plan: its states with the edges to them, what they say about themselves, how its runs are driven."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set

from ergo_cli.core import wire
from ergo_cli.core.json import Member, decode
from ergo_cli.programs.changed_code import code_of
from ergo_cli.programs.parts import Part, texts_of
from ergo_cli.programs.plan.checks import check_plan
from ergo_cli.programs.plan.program import PlanProgram
from ergo_cli.programs.plan.states import State, order_of
from ergo_cli.programs.recorded import JournalDifference


def structure_of(program: PlanProgram) -> Sequence[Part]:
    """The plan as a whole, its states, and those of its children. Raises as ``check_plan``."""
    check_plan(program)
    parts: dict[str, Part] = {}
    for prefix, each in _with_children(program):
        names = {state.id: state.id if state.id not in parts else f"{prefix}{state.id}" for state in each.states}
        after = _after(each, names)
        for part in (_whole(each, prefix), *(_state(state, names[state.id], after) for state in each.states)):
            parts.setdefault(part.name, part)
    return list(parts.values())


class StatesBehind:
    """The states that a record of an attempt, ``state#number``, can depend on: that one and those that run before it.

    Where another state is entered, also the recorded one; of no attempt all states. A child run depends on its own
    states: what it was given is a record of its parent.
    """

    def __init__(self, program: PlanProgram) -> None:
        self._orders = [order_of(each.plan) for _, each in _with_children(program)]

    def __call__(self, node: str | None, difference: JournalDifference | None) -> Set[str]:
        """The states behind a record of the attempt ``node``."""
        if node is None:
            return {state for order in self._orders for state in order}
        state = node.rpartition("#")[0] or node
        behind = {state}
        if difference is not None and difference.location[-1:] == (Member("state_id"),):
            behind.add(str(difference.expected))
        for order in self._orders:
            if state in order:
                behind.update(order[: order.index(state)])
        return behind


def _with_children(program: PlanProgram, prefix: str = "") -> Iterator[tuple[str, PlanProgram]]:
    yield prefix, program
    for child in program.children:
        yield from _with_children(child, f"{prefix}{child.op_id}/")


def _whole(program: PlanProgram, prefix: str) -> Part:
    settings = {
        "op_version": program.op_version,
        "parallel": program.parallel,
        "effectful": list(program.effectful),
        "run_config": decode(wire.encode(program.run_config)),
        "input_params": decode(wire.encode(program.manifest.input_params)),
    }
    return Part(
        "program",
        f"{prefix}program",
        fields=texts_of(settings),
        nodes=tuple(state.id for state in program.states),
        functions=() if program.initial_context is None else (program.initial_context,),
    )


def _after(program: PlanProgram, names: Mapping[str, str]) -> Mapping[str, Sequence[str]]:
    """The names of the states that edges put before each state, in the order of the edges, each once."""
    found: dict[str, dict[str, None]] = {}
    for before, after in program.edges:
        found.setdefault(after, {})[names[before]] = None
    return {state: tuple(states) for state, states in found.items()}


def _state(state: State, name: str, after: Mapping[str, Sequence[str]]) -> Part:
    return Part(
        "state",
        name,
        tuple(after.get(state.id, ())),
        _fields(state),
        nodes=(state.id,),
        functions=(state.handle,),
        idle=frozenset({"depends_on", "depends_on_strategy"}),
    )


def _fields(state: State) -> dict[str, str]:
    code, meta = code_of(state.handle), state.meta
    fields = texts_of(
        {
            "tags": list(meta.tags),
            "depends_on": list(meta.depends_on),
            "idempotency": meta.idempotency,
        }
    )
    fields["depends_on_strategy"] = meta.depends_on_strategy.value
    fields["side_effects"] = meta.side_effects.value
    if code is not None:
        fields["handle"] = code.name
    if meta.timeout is not None:
        fields["timeout"] = f"{meta.timeout.ns} ns"
    return fields
