"""A bundle holds the path of a pipeline through its states without writing it down (spec 60 §26).

Every decision of the supervisor is a function of what it has read of the system journal, so that the path follows from
the records of that journal, the stages, the edges and the settings, which are those of the manifest. It is derived here
by nothing but ``LIFECYCLE`` and ``dispatch``, and compared with the transitions that the supervisor made.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pipeline_flows import Driven, pipeline

from ergo_cli.programs.pipeline import actions as do
from ergo_cli.programs.pipeline import system_events as said
from ergo_cli.programs.pipeline.authoring import EOF, Event, sink, source, stateful, transform
from ergo_cli.programs.pipeline.completion import Evidence
from ergo_cli.programs.pipeline.context import PipelineContext, Read
from ergo_cli.programs.pipeline.dispatch import Continue, Sight, Transit, dispatch, polls
from ergo_cli.programs.pipeline.flow_manifest import FlowManifest
from ergo_cli.programs.pipeline.ids import StageId
from ergo_cli.programs.pipeline.lifecycle import (
    LIFECYCLE,
    Created,
    Error,
    Materialize,
    State,
    StopRequested,
    is_terminal,
)
from ergo_cli.programs.pipeline.lifecycle import Event as Request
from ergo_cli.programs.pipeline.records import read_record
from ergo_cli.programs.pipeline.settings import PipelineSettings
from ergo_cli.programs.pipeline.signals import Eof
from ergo_cli.programs.pipeline.stages.edges import EdgeReports
from ergo_cli.programs.pipeline.state_machine import name_of
from ergo_cli.programs.pipeline.stop_intent import STOP_TIMEOUT, Cancel, Graceful
from ergo_cli.programs.pipeline.system_events import StopMode, SystemEvent, read_system_event
from ergo_cli.programs.pipeline.topology import Edge, Stage, Topology
from tests.property.random_pipelines import Plan, plans, program_of

Transitions = list[tuple[str, str, str, tuple[str, ...]]]
"""State, event, next state and actions, by their names."""

BUNDLE = Path(__file__).parents[3] / "fixtures/orders/captures/morning.json"


def system_events(records: Iterable[Any]) -> list[SystemEvent]:
    """The events of the system journal, of the records that a bundle holds."""
    texts = [json.dumps(record["record"]) for record in records if record.get("journal") == "system"]
    envelopes = [read_record(text, read_system_event) for text in texts]
    return [envelope.event for envelope in envelopes if envelope is not None]


def begun(manifest: FlowManifest) -> PipelineContext:
    ids = {name: StageId(stage.stage_id.removeprefix("stage_")) for name, stage in manifest.stages.items()}
    topology = Topology(
        tuple(Stage(ids[name], name, stage.stage_type) for name, stage in manifest.stages.items()),
        tuple(Edge(ids[edge.upstream], ids[edge.reader]) for edge in manifest.edges),
    )
    recorded = manifest.settings
    return PipelineContext(
        evidence=Evidence(topology, recorded.source_contract), drain_timeout_ms=recorded.drain_timeout_ms
    )


def path_of(manifest: FlowManifest, events: Sequence[SystemEvent]) -> Transitions:
    """The transitions that lead from ``Created`` to the end of a flow."""
    state: State = Created()
    context = begun(manifest)
    unread = deque(Read(position, event) for position, event in enumerate(events, 1))
    asked: list[Request] = [Materialize()]
    path: Transitions = []
    is_stopped = False
    while not is_terminal(state):
        stop = None if is_stopped or not unread else stop_of(unread[0].event)
        if stop is not None:  # it was asked for where its marker stands
            asked, is_stopped = [stop], True
        if not asked:
            polled = unread.popleft() if unread and polls(state, context, 0) else None
            decision = dispatch(state, context, Sight(polled=polled, supervised=len(manifest.stages)), 0)
            context = decision.context
            match decision.directive:
                case Transit(event):
                    asked = [event]
                case Continue() if polled is None and not unread:
                    asked = [stuck(events)]
                case _:
                    continue
        event = asked.pop()
        step = LIFECYCLE.step(state, event, context.stop)
        path.append((name_of(state), name_of(event), name_of(step.state), tuple(map(name_of, step.actions))))
        state, context = step.state, replace(context, stop=step.context)
        for action in step.actions:
            if isinstance(action, do.HandleStageCompleted):
                context, _ = context.with_completed(action.stage)
    return path


def stop_of(event: SystemEvent) -> StopRequested | None:
    match event.event:
        case said.PipelineLifecycle(fact=said.PipelineStopRequested(mode, timeout_ms)):
            return StopRequested(Cancel() if mode is StopMode.CANCEL else Graceful(timeout_ms or 0), None, 0)
        case _:
            return None


def stuck(events: Sequence[SystemEvent]) -> Request:
    """What ended a flow that nothing moved any more, as its terminal fact says."""
    reason = next((reason for event in events if (reason := reason_of(event)) is not None), None)
    if reason is None:
        raise LookupError("that the flow completed does not follow from its other facts")
    return StopRequested(Cancel(), STOP_TIMEOUT, 0) if reason == STOP_TIMEOUT else Error(reason)


def reason_of(event: SystemEvent) -> str | None:
    match event.event:
        case said.PipelineLifecycle(fact=said.PipelineFailed(reason=reason) | said.PipelineCancelled(reason=reason)):
            return reason
        case _:
            return None


def made(driven: Driven) -> Transitions:
    """The transitions that the supervisor noted."""
    history = driven.scheduler.supervisor.history
    assert not history.forgotten
    return [(each.start, each.event, each.end, each.actions) for each in history.last]


def derived(driven: Driven) -> Transitions:
    manifest = FlowManifest.of(driven.flow.program.manifest(driven.flow.id))
    return path_of(manifest, system_events(map(json.loads, driven.records)))


def deliver(event: Event) -> None:
    """Consume an event with an ordinary receipt."""


def forging(payload: Any) -> list[Any]:
    return [Event("d", payload), Eof(natural=True, writer_seq=5)]


def dies(*_: Any) -> Any:
    raise ValueError("no more")


WARN = PipelineSettings(source_contract="warn")
SRC, SNK = source("src"), sink("snk", deliver)
SUM = stateful("sum", list, lambda state, event: None, lambda state: [Event("sum", 1)])
TWO = (source("a"), source("b", lambda payload: [Event("b", payload), EOF()]), SNK)
PROGRAMS: dict[str, tuple[Any, list[Any], bool]] = {
    "completed": (pipeline(SRC, transform("tr", lambda event: [event]), SUM, SNK), [1, 2, 3], False),
    "of two sources": (pipeline(*TWO, edges="a>snk b>snk"), [{"source": "b"}, {"source": "a"}], False),
    "stopped": (pipeline(SRC, SUM, SNK), [1, 2], True),
    "a stage failed": (pipeline(SRC, transform("tr", dies), SNK), [1], False),
    "a stage failed while draining": (pipeline(SRC, sink("snk", deliver, drain=dies)), [1], False),
    "a contract failed": (pipeline(source("src", forging), SNK), [1], False),
    "a contract warned": (pipeline(source("src", forging), SNK, settings=WARN), [1], False),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_path_follows_from_the_system_journal(name: str) -> None:
    program, payloads, interrupted = PROGRAMS[name]
    driven = Driven(program).all(*payloads, interrupted=interrupted)
    assert driven.scheduler.has_ended
    assert derived(driven) == made(driven)


def test_so_does_that_of_a_flow_whose_time_was_over() -> None:
    driven = Driven(pipeline(SRC, SUM, SNK))
    driven.scheduler.begin()
    driven.scheduler.admit(1)
    driven.scheduler.time_out()
    driven.records += driven.store.take()
    assert made(driven)[-1][:3] == ("Draining", "StopRequested", "Failed")
    assert derived(driven) == made(driven)


def test_so_does_that_of_a_flow_that_lacked_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EdgeReports, "check", lambda self: None)
    driven = Driven(pipeline(SRC, SNK)).all(1)
    assert made(driven)[-1][:3] == ("Draining", "Error", "Failed")
    assert derived(driven) == made(driven)


def test_no_path_leads_to_the_end_without_every_completion_and_every_contract() -> None:
    driven = Driven(pipeline(SRC, SUM, SNK)).all(1)
    manifest = FlowManifest.of(driven.flow.program.manifest(driven.flow.id))
    events = system_events(map(json.loads, driven.records))
    needed = [event for event in events if event.type_name in ("system.stage.completed", "system.contract.pass")]
    assert len(needed) == 3 + 2
    for each in needed:
        with pytest.raises(LookupError):
            path_of(manifest, [event for event in events if event is not each])


def test_the_path_of_the_example() -> None:
    bundle = json.loads(BUNDLE.read_bytes())
    [artifact] = bundle["artifacts"].values()
    text = json.dumps(artifact["json"], separators=(",", ":"), ensure_ascii=False).encode()
    records = [record for entry in bundle["journals"] for record in entry["records"]]
    path = path_of(FlowManifest.of(text), system_events(records))
    states = [path[0][0], *(end for start, _, end, _ in path if end != start)]
    assert states == ["Created", "Materializing", "Materialized", "Running", "SourceCompleted", "Draining", "Drained"]
    assert [event for _, event, _, _ in path].count("StageCompleted") == len(artifact["json"]["stages"])


def payloads_of(plan: Plan, order: Sequence[str]) -> Iterator[Any]:
    """The payloads of all sources, as their turns come."""
    left = {name: list(payloads) for name, payloads in plan.feeds.items()}
    for name in order:
        if left.get(name):
            yield name, left[name].pop(0)


@settings(max_examples=60)
@given(plan=plans(), data=st.data(), interrupted=st.booleans())
def test_whatever_the_pipeline_the_path_follows(plan: Plan, data: st.DataObject, interrupted: bool) -> None:
    order = data.draw(st.lists(st.sampled_from(sorted(plan.feeds)), max_size=12))
    driven = Driven(program_of(plan))
    driven.scheduler.begin()
    stages: dict[str, Any] = {stage.stage.name: stage for stage in driven.scheduler.stages}
    for name, payload in payloads_of(plan, order):
        if not driven.scheduler.has_ended:
            stages[name].offer(payload)
            driven.scheduler.run_until_rest()
    if not driven.scheduler.has_ended:
        driven.scheduler.close(interrupted=interrupted)
    driven.records += driven.store.take()
    assert derived(driven) == made(driven)
