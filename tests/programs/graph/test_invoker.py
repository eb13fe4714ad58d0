from __future__ import annotations

import pytest
from graph_shorthand import NodeShort, assets, cluster

from ergo_cli.errors import RuleError
from ergo_cli.events.external import EventKind, ExternalEvent
from ergo_cli.programs.graph.check.catalog import standard_inventory
from ergo_cli.programs.graph.program import SCHEDULE, GraphInvoker, GraphProgram
from ergo_cli.supervisor.seam import EffectfulInvoker, ErrKind, Failed, Outcome, RunTermination

NODES: dict[str, NodeShort] = {
    "price": ("context_number_source@0.1.0", {"key": "price"}),
    "one": ("number_source@0.1.0", {"value": 1.0}),
    "inverse": "divide@0.2.0",
    "yes": ("const_bool@0.1.0", {"value": True}),
    "fire": "emit_if_true@0.1.0",
    "keep": ("context_set_number@0.1.0", {"key": "inverse"}),
}
EDGES = [
    "one.value -> inverse.a",
    "price.value -> inverse.b",
    "inverse.result -> keep.value",
    "yes.value -> fire.input",
    "fire.event -> keep.event",
]


@pytest.fixture
def invoker() -> GraphInvoker:
    """Keeps 1 / price; fails where the price is 0."""
    return GraphInvoker(GraphProgram.load(assets(cluster("r", NODES, EDGES)), standard_inventory()))


def run(invoker: EffectfulInvoker, price: float, deadline: int | None = None) -> RunTermination:
    event = ExternalEvent.with_payload("e1", EventKind.COMMAND, 0, f'{{"price":{price}}}'.encode())
    return invoker.run("r", event.event_id, event.context, deadline)


def test_effects_are_drained_once(invoker: GraphInvoker) -> None:
    assert run(invoker, 2.0) is Outcome.COMPLETED
    assert invoker.pending == 1
    (effect,) = invoker.drain()
    assert effect.writes[0].value.native == 0.5
    assert invoker.drain() == []
    assert invoker.pending == 0


def test_each_attempt_replaces_the_effects_of_the_last(invoker: GraphInvoker) -> None:
    run(invoker, 2.0)
    run(invoker, 4.0)
    (effect,) = invoker.drain()
    assert effect.writes[0].value.native == 0.25
    assert invoker.run_calls == 2


def test_a_failed_attempt_leaves_no_effects(invoker: GraphInvoker) -> None:
    run(invoker, 2.0)
    assert run(invoker, 0.0) == Failed(ErrKind.SEMANTIC_ERROR)
    assert invoker.pending == 0
    assert invoker.last_error is not None
    assert invoker.last_error.rule == "CMP-12"
    assert run(invoker, 2.0) is Outcome.COMPLETED
    assert invoker.last_error is None


def test_an_aborted_attempt_leaves_no_effects(invoker: GraphInvoker) -> None:
    run(invoker, 2.0)
    assert run(invoker, 2.0, deadline=0) is Outcome.ABORTED
    assert invoker.drain() == []


def test_a_program_that_could_not_be_made_fails_every_run() -> None:
    with pytest.raises(RuleError) as caught:
        GraphProgram.load(assets(cluster("r", NODES, EDGES[1:])), standard_inventory())
    invoker = GraphInvoker(caught.value)
    assert run(invoker, 2.0) == run(invoker, 2.0) == Failed(ErrKind.VALIDATION_FAILED)
    assert invoker.last_error is caught.value
    assert run(invoker, 2.0, deadline=0) is Outcome.ABORTED


def test_the_schedule_completes_everything() -> None:
    invoker = GraphInvoker(SCHEDULE)
    assert run(invoker, 2.0) is Outcome.COMPLETED
    assert invoker.drain() == []
    assert run(invoker, 2.0, deadline=0) is Outcome.ABORTED
