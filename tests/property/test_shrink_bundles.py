"""A shrunk bundle differs as the whole does, is of the program of the capture; no event or member of it can go."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from graph_shorthand import assets, value
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from random_graphs import graphs, plain_numbers, world

from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.bundle.schema import CapturedEffect, DecisionRecord, EventRecord, Header
from ergo_cli.core.documents import ProgramSource
from ergo_cli.core.json import canonical
from ergo_cli.events.external import EventKind, ExternalEvent
from ergo_cli.programs.graph.check.catalog import standard_inventory
from ergo_cli.programs.graph.kind import load_graph
from ergo_cli.programs.graph.model import ClusterDefinition, ImplNode, Literal
from ergo_cli.programs.program import AnyProgram
from ergo_cli.project.loading import load_program_from_sources
from ergo_cli.replay.engine import IN_MEMORY, Assignment, replay, replay_bundle
from ergo_cli.replay.results import Outcome, ReplayOptions, Target
from ergo_cli.supervisor.seam import Constraints
from ergo_cli.supervisor.supervisor import Decider
from ergo_cli.tools.shrink.bundles import Way, shrink_replayed

FIXTURE = Path(__file__).parents[2] / "fixtures" / "order_threshold"
TEXT = (FIXTURE / "graphs" / "order_threshold.yaml").read_text()
LAX = ReplayOptions(strict=False)
WORLD = world()


def captured(program: AnyProgram, constraints: Constraints, events: Sequence[ExternalEvent]) -> CaptureBundle:
    assert program.kind.computing is not None
    decider = Decider(program.graph_id, constraints, program.kind.computing.invoker(program.value))
    decisions: list[DecisionRecord] = []
    for event in events:
        entry, effects = decider.decide(event)
        decisions.append(DecisionRecord.of(entry, tuple(CapturedEffect.rendered(each.text) for each in effects)))
    # an adapter that is not given to the replay: effects are compared, and applied to nothing
    header = Header(program.graph_id, constraints, program.provenance, "adapter:other@1.0.0;sha256:" + "0" * 64)
    return CaptureBundle(header, tuple(map(EventRecord.of, events)), tuple(decisions))


def check(recorded: AnyProgram, today: AnyProgram, bundle: CaptureBundle) -> int | None:
    """Shrink, and hold the result against the three promises; returns how many events are left."""
    assignment = Assignment(Target(today), LAX, lambda: recorded)
    whole = replay(bundle, lambda _: assignment)
    assert whole.error is None
    shrunk = shrink_replayed(BundleReader(IN_MEMORY, BytesIO(bundle.encode())), assignment)
    if shrunk is None:
        assert whole.outcome is Outcome.MATCH
        return None
    way = Way.of(whole)
    assert Way.of(shrunk.result) == way
    assert shrunk.found.stop is None
    small = shrunk.bundle
    assert replay_bundle(small, Target(recorded), LAX).outcome is Outcome.MATCH
    originals = [event.event_id for event in bundle.events]
    left = [event.event_id for event in small.events]
    assert left == [each for each in originals if each in set(left)]
    for gone in range(len(left) if len(left) > 1 else 0):
        events = [*small.events[:gone], *small.events[gone + 1 :]]
        made = [ExternalEvent.with_payload(each.event_id, each.kind, each.event_time, each.payload) for each in events]
        fewer = captured(recorded, bundle.header.constraints, made)
        assert Way.of(replay(fewer, lambda _: assignment)) != way
    for poorer in without_a_member(small.events):
        assert Way.of(replay(captured(recorded, bundle.header.constraints, poorer), lambda _: assignment)) != way
    return len(left)


def without_a_member(events: Sequence[EventRecord]) -> Iterator[list[ExternalEvent]]:
    """The events with each member of a payload left out in turn."""
    payloads = [json.loads(event.payload) for event in events]
    for at, payload in enumerate(payloads):
        for gone in payload:
            left = {name: member for name, member in payload.items() if name != gone}
            changed = [*payloads[:at], left, *payloads[at + 1 :]]
            pairs = zip(events, changed, strict=True)
            yield [
                ExternalEvent.with_payload(each.event_id, each.kind, each.event_time, canonical(made))
                for each, made in pairs
            ]


def desk(enter: float, leave: float) -> AnyProgram:
    text = TEXT.replace("value: 105.0", f"value: {enter}").replace("value: 98.0", f"value: {leave}")
    return load_program_from_sources((ProgramSource.of("graph.yaml", text),), standard_inventory()).program


prices = st.sampled_from([97.0, 98.5, 104.5, 105.5, 106.5]) | st.floats(90, 110)
payloads = st.fixed_dictionaries({"price": prices}, optional={"holding": st.booleans()})
streams = st.lists(st.tuples(st.sampled_from(EventKind), payloads, st.integers(0, 30)), min_size=1, max_size=20)
limits = st.builds(
    Constraints,
    max_in_flight=st.none() | st.integers(0, 2),
    max_per_window=st.none() | st.integers(0, 2),
    rate_window=st.none() | st.integers(0, 10 * 10**9),
)


def stream(drawn: list[tuple[EventKind, dict[str, Any], int]]) -> list[ExternalEvent]:
    return [
        ExternalEvent.with_payload(f"e{number}", kind, seconds * 10**9, canonical(payload))
        for number, (kind, payload, seconds) in enumerate(drawn)
    ]


@settings(max_examples=40)
@given(drawn=streams, constraints=limits, levels=st.tuples(st.floats(100, 108), st.floats(92, 99)))
def test_a_strategy_with_other_levels_under_any_limits(
    drawn: list[tuple[EventKind, dict[str, Any], int]], constraints: Constraints, levels: tuple[float, float]
) -> None:
    recorded = desk(105.0, 98.0)
    check(recorded, desk(*levels), captured(recorded, constraints, stream(drawn)))


def edited(definition: ClusterDefinition, draw: st.DrawFn) -> ClusterDefinition:
    """The graph with one value changed, where a node has one."""
    places = [
        (name, key)
        for name, node in sorted(definition.nodes.items())
        if isinstance(node, ImplNode)
        for key, bound in sorted(node.bindings.items())
        if isinstance(bound, Literal) and isinstance(bound.value.value, bool | float) and key != "size"
    ]
    if not places:
        return definition
    name, key = draw(st.sampled_from(places))
    node = definition.nodes[name]
    assert isinstance(node, ImplNode)
    bound = node.bindings[key]
    assert isinstance(bound, Literal)
    old = bound.value.value
    new = value((not old) if isinstance(old, bool) else draw(st.sampled_from([0.0, 1.0, 3.0, 24.0])))
    changed = replace(node, bindings={**node.bindings, key: Literal(new)})
    return replace(definition, nodes={**definition.nodes, name: changed})


contexts = st.fixed_dictionaries(
    {"price": plain_numbers},
    optional={"x": plain_numbers | st.booleans(), "é\n": st.lists(plain_numbers, max_size=3), "k": st.booleans()},
)


@settings(max_examples=40)
@given(data=st.data())
def test_random_graphs_with_one_value_changed(data: st.DataObject) -> None:
    definition = data.draw(graphs(WORLD.inventory, 10))
    other = edited(definition, data.draw)
    recorded, today = (load_graph(assets(each), WORLD.inventory) for each in (definition, other))
    drawn = data.draw(st.lists(contexts, min_size=1, max_size=8))
    events = stream([(EventKind.COMMAND, payload, 0) for payload in drawn])
    try:
        bundle = captured(recorded, Constraints(), events)
    except ValueError:  # effects that no bundle can hold
        return
    check(recorded, today, bundle)


def test_an_event_that_limits_put_off_needs_what_serves_it_or_comes_first() -> None:
    recorded = desk(105.0, 98.0)
    constraints = Constraints(max_per_window=1, rate_window=5 * 10**9)
    kinds = [EventKind.COMMAND] * 6 + [EventKind.PUMP] * 6
    drawn = [
        (kind, {"price": 100.0 + number}, number * 5 if kind is EventKind.PUMP else 0)
        for number, kind in enumerate(kinds)
    ]
    assert check(recorded, desk(104.5, 98.0), captured(recorded, constraints, stream(drawn))) == 1


@pytest.mark.parametrize("levels", [(105.0, 98.0)])
def test_the_same_program_leaves_nothing_to_shrink(levels: tuple[float, float]) -> None:
    program = desk(*levels)
    assert (
        check(program, program, captured(program, Constraints(), stream([(EventKind.COMMAND, {"price": 106.0}, 0)])))
        is None
    )
