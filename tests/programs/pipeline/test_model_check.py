"""Every way that a small pipeline can go, with its real decisions and stages that are reduced to what they report.

A world holds the supervisor, the system journal and the stages; every step of any of them leads to another one. All
worlds are visited: each has a way on or has ended, none is met again, and the promises of spec 60 hold in it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.programs.pipeline import actions as do
from ergo_cli.programs.pipeline import system_events as said
from ergo_cli.programs.pipeline.causes import SeqDivergence
from ergo_cli.programs.pipeline.completion import Evidence
from ergo_cli.programs.pipeline.context import PipelineContext, Read, Throttle
from ergo_cli.programs.pipeline.control import ExternalMode, external_mode
from ergo_cli.programs.pipeline.dispatch import Continue, Sight, Terminate, Transit, dispatch, polls
from ergo_cli.programs.pipeline.ids import EventId, StageId, SystemId, SystemWriter
from ergo_cli.programs.pipeline.lifecycle import (
    LIFECYCLE,
    Abort,
    AllStagesCompleted,
    BeginDrain,
    Created,
    Drained,
    Error,
    Event,
    MaterializationComplete,
    Materialize,
    Run,
    Shutdown,
    StageCompleted,
    StageReadinessComplete,
    State,
    StopRequested,
    is_terminal,
)
from ergo_cli.programs.pipeline.modes import SourceContract, StartupMode
from ergo_cli.programs.pipeline.state_machine import UnhandledEvent
from ergo_cli.programs.pipeline.stop_intent import Cancel, Graceful, StopIntent
from ergo_cli.programs.pipeline.system_events import TERMINAL_FACTS, ContractStatus
from ergo_cli.programs.pipeline.topology import Edge, Stage, StageType, Topology

MS = 1_000_000
LATER = 60_000 * MS
"""When every deadline has passed."""

SUPERVISOR = SystemWriter(SystemId("01940000000000000000000SYS"))
CAUSE = SeqDivergence(3, 1)


def stage_id(number: int) -> StageId:
    return StageId(f"01JG{number:022}")


EVENTS: list[Event] = [
    Materialize(),
    MaterializationComplete(),
    StageReadinessComplete(),
    Run(),
    StopRequested(Cancel(), None, 0),
    StopRequested(Cancel(), "stop_timeout", 0),
    StopRequested(Graceful(10), "maintenance", 0),
    Shutdown(),
    BeginDrain(),
    Abort(CAUSE, stage_id(1)),
    StageCompleted(stage_id(1)),
    AllStagesCompleted(),
    Error("boom"),
    Error("stop_timeout"),
]


def test_every_state_of_the_lifecycle_has_a_way_to_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    """The graph of states and stop intents that any events lead to, in any order."""
    begun: tuple[State, StopIntent] = (Created(), StopIntent())
    waiting: deque[tuple[State, StopIntent]] = deque([begun])
    arrows: dict[Any, set[Any]] = {}
    pairs = 0
    while waiting:
        node = waiting.popleft()
        if node in arrows:
            continue
        arrows[node] = set()
        for event in EVENTS:
            pairs += 1
            try:
                step = LIFECYCLE.step(node[0], event, node[1])
            except UnhandledEvent:
                assert not (isinstance(event, Error) and not is_terminal(node[0])), "every living state can fail"
                continue
            assert not is_terminal(node[0]) or step.state == node[0]
            arrows[node].add((step.state, step.context))
            waiting.append((step.state, step.context))
    ends = {node for node in arrows if is_terminal(node[0])}
    assert ends < _reaching(arrows, ends) == arrows.keys()
    with capsys.disabled():
        print(f"\nlifecycle: {len(arrows)} states and intents, {pairs} events")


def _reaching(arrows: dict[Any, set[Any]], ends: set[Any]) -> set[Any]:
    reaching = set(ends)
    while True:
        more = {node for node, following in arrows.items() if node not in reaching and following & reaching}
        if not more:
            return reaching
        reaching |= more


class World(Struct, frozen=True):
    """A moment of a run. ``phases`` are those of the stages: what they did last."""

    state: State
    context: PipelineContext
    journal: tuple[said.SystemFact, ...]
    phases: tuple[str, ...]
    requests: tuple[Event, ...]
    asks_left: tuple[Event, ...]
    faults_left: int
    now_ns: int = 0
    has_ended: bool = False

    def key(self) -> tuple[Any, ...]:
        """What makes the world another one; how often an idle loop went round does not."""
        context, evidence = self.context, self.context.evidence
        decided = (context.stop, context.running, context.settled, context.is_marked, context.position)
        noted = (evidence.completed, tuple(evidence.edges.items()), context.evidence_awaited_ns, context.started_ns)
        around = (self.journal, self.phases, self.requests, self.asks_left, self.faults_left, self.now_ns)
        return (self.state, *decided, *noted, *around, self.has_ended)

    def writing(self, *facts: said.SystemFact) -> World:
        return replace(self, journal=self.journal + facts)

    def moving(self, number: int, phase: str) -> World:
        phases = (*self.phases[:number], phase, *self.phases[number + 1 :])
        return replace(self, phases=phases)

    def facts(self, *kinds: type) -> list[Any]:
        return [
            each.fact
            for each in self.journal
            if isinstance(each, said.PipelineLifecycle | said.StageLifecycle) and isinstance(each.fact, kinds)
        ]


class ActionFailed(Exception):
    """An append of an action fails."""


class Model(Struct, frozen=True, kw_only=True):
    """A pipeline and what may happen to it."""

    topology: Topology
    source_contract: SourceContract = SourceContract.ABORT
    startup: StartupMode = StartupMode.AUTO
    drain_timeout_ms: int | None = None
    asks: tuple[Event, ...] = ()
    """What is asked for at some time, in this order."""
    faults: int = 0
    """How many appends, stages and contracts may fail."""
    is_late: bool = False
    """Whether stages may complete before they report their edges."""

    def beginning(self) -> World:
        context = PipelineContext(
            evidence=Evidence(self.topology, self.source_contract),
            startup=self.startup,
            drain_timeout_ms=self.drain_timeout_ms,
            barrier_log=Throttle(10**18, 0),
            manual_wait_log=Throttle(10**18, 0),
        )
        phases = ("new",) * len(self.topology.stages)
        return World(Created(), context, (), phases, (Materialize(),), self.asks, self.faults)

    def following(self, world: World) -> Iterator[World]:
        if world.has_ended:
            return
        yield from self.supervised(world)
        for number in range(len(world.phases)):
            yield from self.working(world, number)
        if world.asks_left:
            yield replace(world, requests=world.requests + world.asks_left[:1], asks_left=world.asks_left[1:])
        if world.now_ns == 0 and (world.context.stop.deadline_ns or world.context.evidence_awaited_ns == 0):
            yield replace(world, now_ns=LATER)

    def supervised(self, world: World) -> Iterator[World]:
        """One round of the supervision loop (§8.1), with every append of an action that may fail."""
        mode = external_mode(world.state)
        if world.requests and mode is not ExternalMode.IGNORE:
            asked = replace(world, requests=world.requests[1:])
            yield from self.transit(asked, world.requests[0])
            return
        if mode is ExternalMode.BLOCK:
            return
        read = None
        if polls(world.state, world.context, world.now_ns) and world.context.position < len(world.journal):
            read = self.reading(world, world.context.position)
        tail = tuple(self.reading(world, place) for place in range(world.context.position, len(world.journal)))
        supervised = sum(phase != "new" for phase in world.phases)
        sight = Sight(polled=read, supervised=supervised, tail=tail if is_terminal(world.state) else ())
        decision = dispatch(world.state, world.context, sight, world.now_ns)
        world = replace(world, context=replace(decision.context, idle_drains=0))
        world = world.writing(*map(said.PipelineLifecycle, decision.facts))
        match decision.directive:
            case Continue():
                yield world
            case Transit(event):
                yield from self.transit(world, event)
            case Terminate():
                yield replace(world.writing(said.PipelineLifecycle(said.PipelineDrained())), has_ended=True)

    def reading(self, world: World, place: int) -> Read:
        event = said.SystemEvent(EventId(f"01940000{place:018}"), SUPERVISOR, world.journal[place], 0)
        return Read(place + 1, event)

    def transit(self, world: World, event: Event) -> Iterator[World]:
        """Apply an event; any one of its appends may fail, which is an error in the state that was reached."""
        step = LIFECYCLE.step(world.state, event, world.context.stop)
        world = replace(world, state=step.state, context=replace(world.context, stop=step.context))
        yield self.acted(world, step.actions)
        if world.faults_left:
            for place, action in enumerate(step.actions):
                if isinstance(action, CAN_FAIL):
                    before = self.acted(world, step.actions[:place])
                    yield self.failed(replace(before, faults_left=world.faults_left - 1))

    def failed(self, world: World) -> World:
        try:
            step = LIFECYCLE.step(world.state, Error("append failed"), world.context.stop)
        except UnhandledEvent:  # H-6
            fact = said.PipelineFailed("FSM error after action failure", 0)
            ended = self.acted(world.writing(said.PipelineLifecycle(fact)), (do.Cleanup(),))
            return replace(ended, has_ended=True)
        world = replace(world, state=step.state, context=replace(world.context, stop=step.context))
        return self.acted(world, step.actions)

    def acted(self, world: World, actions: tuple[do.Action, ...]) -> World:
        sources = [self.topology.order[stage] for stage in self.topology.expected_sources]
        for action in actions:
            match action:
                case do.CreateStages():
                    world = replace(world, phases=("created",) * len(world.phases))
                case do.NotifyStagesStart():
                    for number in range(len(world.phases)):
                        world = world if number in sources else world.moving(number, "started")
                case do.WritePipelineReadyForRun():
                    world = world.writing(said.PipelineLifecycle(said.PipelineReadyForRun()))
                case do.NotifySourceStart():
                    world = replace(world, context=replace(world.context, started_ns=world.now_ns))
                    for number in sources:
                        world = world.moving(number, "started")
                case do.BeginDrain():
                    world = world.writing(said.PipelineLifecycle(said.PipelineDraining()))
                case do.HandleStageCompleted(stage):
                    context, mark = world.context.with_completed(stage)
                    world = replace(world, context=context)
                    world = world if mark is None else world.writing(said.PipelineLifecycle(mark))
                case do.Cleanup():
                    for number, phase in enumerate(world.phases):
                        if phase in ("created", "started", "running", "reported"):
                            stage = self.topology.stages[number].id
                            stopped = said.StageLifecycle(stage, said.StageCancelled("user_stop"))
                            world = world.writing(stopped).moving(number, "stopped")
                case _:
                    pass
        return world

    def working(self, world: World, number: int) -> Iterator[World]:
        """One step of a stage: it runs; once its upstreams are done it reports its edges and completes."""
        stage, phase = self.topology.stages[number].id, world.phases[number]
        upstreams = self.topology.upstream_stages(stage)
        ended = all(world.phases[self.topology.order[each]] in ("done", "late") for each in upstreams)
        completed = world.writing(said.StageLifecycle(stage, said.StageCompleted()))
        if phase == "started":
            yield world.writing(said.StageLifecycle(stage, said.StageRunning())).moving(number, "running")
        if phase == "reported" or (phase == "running" and not upstreams):
            yield completed.moving(number, "done")
        if phase == "running" and upstreams and ended:
            yield from self.reporting(world, number, "reported")
            if self.is_late:
                yield completed.moving(number, "late")
        if phase == "late":
            yield from self.reporting(world, number, "done")
        if phase in ("started", "running", "reported") and world.faults_left:
            broken = replace(world, faults_left=world.faults_left - 1)
            yield broken.writing(said.StageLifecycle(stage, said.StageFailed("boom"))).moving(number, "failed")

    def reporting(self, world: World, number: int, then: str) -> Iterator[World]:
        """The statuses of all edges of a reader, all passed or the first one failed."""
        stage = self.topology.stages[number].id
        reports = [
            ContractStatus(upstream=each, reader=stage, passed=True, advertised_writer_seq=3)
            for each in self.topology.upstream_stages(stage)
        ]
        yield world.writing(*reports).moving(number, then)
        if world.faults_left:
            broken = replace(world, faults_left=world.faults_left - 1)
            failing = replace(reports[0], passed=False, reason=CAUSE)
            yield broken.writing(failing, *reports[1:]).moving(number, then)


CAN_FAIL = (
    do.CreateStages,
    do.NotifyStagesStart,
    do.WritePipelineReadyForRun,
    do.NotifySourceStart,
    do.WritePipelineStopRequested,
    do.BeginDrain,
    do.HandleStageCompleted,
    do.WritePipelineAbort,
)


def check(world: World, model: Model) -> None:
    """What holds in every world."""
    terminal = world.facts(*TERMINAL_FACTS)
    assert len(terminal) == int(world.has_ended)
    assert len(world.facts(said.AllStagesCompleted)) <= 1
    if isinstance(world.state, Drained):
        completed = {
            each.stage_id
            for each in world.journal
            if isinstance(each, said.StageLifecycle) and isinstance(each.fact, said.StageCompleted)
        }
        assert completed == set(model.topology.by_id)
        last = {(each.upstream, each.reader): each.passed for each in world.journal if isinstance(each, ContractStatus)}
        assert all(last.get(pair) for pair in world.context.evidence.gating_pairs)
    if terminal and isinstance(terminal[0], said.PipelineCompleted):
        assert isinstance(world.state, Drained)
        assert not world.context.stop.requested


def explore(model: Model) -> tuple[int, set[str]]:
    """Visit all worlds; returns how many there are and which terminal facts end them."""
    begun = model.beginning()
    arrows: dict[Any, set[Any]] = {}
    ends: set[str] = set()
    waiting = [begun]
    while waiting:
        world = waiting.pop()
        key = world.key()
        if key in arrows:
            continue
        check(world, model)
        following = {next_world.key(): next_world for next_world in model.following(world)}
        following.pop(key, None)  # an idle round
        arrows[key] = set(following)
        assert following or world.has_ended, f"no way on from {world}"
        if world.has_ended:
            ends |= {type(fact).__name__ for fact in world.facts(*TERMINAL_FACTS)}
        waiting += following.values()
    assert _is_acyclic(arrows)
    return len(arrows), ends


def _is_acyclic(arrows: dict[Any, set[Any]]) -> bool:
    """Whether every walk ends: with a way on from each world that has not ended, it ends in a terminal fact."""
    into = dict.fromkeys(arrows, 0)
    for following in arrows.values():
        for key in following:
            into[key] += 1
    free = [key for key, count in into.items() if not count]
    walked = 0
    while free:
        walked += 1
        for key in arrows[free.pop()]:
            into[key] -= 1
            if not into[key]:
                free.append(key)
    return walked == len(arrows)


def topology(stages: str, *edges: tuple[int, int]) -> Topology:
    types = {"F": StageType.FINITE_SOURCE, "T": StageType.TRANSFORM, "S": StageType.SINK}
    return Topology(
        tuple(Stage(stage_id(number), f"s{number}", types[kind]) for number, kind in enumerate(stages)),
        tuple(Edge(stage_id(start), stage_id(end)) for start, end in edges),
    )


LINE = topology("FS", (0, 1))
CHAIN = topology("FTS", (0, 1), (1, 2))
FAN_IN = topology("FFS", (0, 2), (1, 2))
CANCEL = StopRequested(Cancel(), None, 0)
GRACEFUL = StopRequested(Graceful(10), None, 0)
COMPLETED, FAILED, CANCELLED = "PipelineCompleted", "PipelineFailed", "PipelineCancelled"

MODELS = {
    "line": (Model(topology=LINE), {COMPLETED}),
    "chain": (Model(topology=CHAIN), {COMPLETED}),
    "fan-in": (Model(topology=FAN_IN), {COMPLETED}),
    "line with a fault": (Model(topology=LINE, faults=1), {COMPLETED, FAILED}),
    "line with two faults": (Model(topology=LINE, faults=2), {COMPLETED, FAILED}),
    "line that warns, with a fault": (
        Model(topology=LINE, source_contract=SourceContract.WARN, faults=1),
        {COMPLETED, FAILED},
    ),
    "line started by hand": (
        Model(topology=LINE, startup=StartupMode.MANUAL, asks=(Run(), Run(), CANCEL)),
        {COMPLETED, CANCELLED},
    ),
    "line stopped, then cancelled, with a fault": (
        Model(topology=LINE, asks=(GRACEFUL, CANCEL), faults=1),
        {COMPLETED, FAILED, CANCELLED},
    ),
    "line that reports late": (Model(topology=LINE, is_late=True, drain_timeout_ms=10), {COMPLETED, FAILED}),
    "chain stopped": (Model(topology=CHAIN, asks=(GRACEFUL,)), {COMPLETED, CANCELLED}),
}
LARGE = {
    "chain with a fault, stopped twice": (
        Model(topology=CHAIN, asks=(GRACEFUL, CANCEL), faults=1),
        {COMPLETED, FAILED, CANCELLED},
    ),
    "fan-in with a fault, stopped": (
        Model(topology=FAN_IN, asks=(GRACEFUL,), faults=1),
        {COMPLETED, FAILED, CANCELLED},
    ),
    "chain with two faults, stopped twice": (
        Model(topology=CHAIN, asks=(GRACEFUL, CANCEL), faults=2),
        {COMPLETED, FAILED, CANCELLED},
    ),
    "chain that reports late, with a fault": (
        Model(topology=CHAIN, is_late=True, drain_timeout_ms=10, faults=1),
        {COMPLETED, FAILED},
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_way_of_a_small_pipeline_ends_in_one_terminal_fact(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    model, expected = MODELS[name]
    worlds, ends = explore(model)
    assert ends == expected
    with capsys.disabled():
        print(f"\n{name}: {worlds} states")


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_every_way_of_a_larger_pipeline_ends_in_one_terminal_fact(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model, expected = LARGE[name]
    worlds, ends = explore(model)
    assert ends == expected
    with capsys.disabled():
        print(f"\n{name}: {worlds} states")
