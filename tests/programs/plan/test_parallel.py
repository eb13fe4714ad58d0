"""Parallel states (spec 50 §23 B-5): what they start from, what is refused, how a run ends, stops and goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from threading import Barrier, Event
from threading import enumerate as enumerate_threads
from typing import Any

import pytest
from msgspec.structs import replace

from ergo_cli.core.time import StandingClock
from ergo_cli.programs.plan.deadlines import DeadlineReached
from ergo_cli.programs.plan.engine import Engine, Phase, RunResult, StartRun
from ergo_cli.programs.plan.errors import RunError, StateError
from ergo_cli.programs.plan.events import Envelope, RunCompleted, RunStatus, StateCompleted, StateEntered, StateFailed
from ergo_cli.programs.plan.facts import IoCall
from ergo_cli.programs.plan.failpoints import Failpoint, Failpoints
from ergo_cli.programs.plan.ids import RunId
from ergo_cli.programs.plan.joins import Precedence
from ergo_cli.programs.plan.manifest import NO_BUILD, Delay, FanOutJoin, Fixed, RunManifest, Sequential, run_config
from ergo_cli.programs.plan.parallel import ParallelScheduler
from ergo_cli.programs.plan.states import Edge, ExecutionPlan, Handler, State, StateMeta, ordered
from ergo_cli.programs.plan.transports import TransportEnv
from ergo_cli.stores.backends import RunStore, shared_memory
from ergo_cli.stores.leases import Driver, Owner
from ergo_cli.stores.memory import MemoryArtifacts, MemoryJournal

RUN = RunId("11111111-2222-4333-8444-555555555555")
WAIT = 60
"""Seconds after which a test that would hang fails instead."""


class World:
    """Makes transports that count what they are asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def make(self, env: TransportEnv) -> Callable[[IoCall], Any]:
        def answer(call: IoCall) -> Any:
            self.asked.append(call.fact_key)
            return len(self.asked)

        return answer


class Project:
    """One plan, and the stores of its runs. States are named by one letter."""

    def __init__(self, handlers: dict[str, Handler], edges: Iterable[str] = (), **settings: Any) -> None:
        self.metas: dict[str, StateMeta] = {}
        self.handlers = handlers
        self.edges = [(named(edge[0]), named(edge[1])) for edge in edges]
        self.config = run_config(**{"execution_mode": FanOutJoin(4), **settings})
        self.journal, self.lanes, self.artifacts = MemoryJournal(), MemoryJournal(), MemoryArtifacts()
        self.world = World()
        self.engine = Engine(
            journal=self.journal,
            artifact_store=self.artifacts,
            resolver=self,
            entropy=os.urandom,
            transports=self.world,
            scheduler=ParallelScheduler(self.lanes),
        )

    @property
    def plan(self) -> ExecutionPlan:
        states = [
            State(named(letter), handle, self.metas.get(letter, StateMeta()))
            for letter, handle in self.handlers.items()
        ]
        return ExecutionPlan("m", tuple(states), tuple(self.edges))

    def resolve(self, manifest: RunManifest) -> ExecutionPlan:
        return self.plan

    def start(self, initial: dict[str, Any] | None = None, engine: Engine | None = None) -> RunResult:
        engine = engine or self.engine
        manifest = RunManifest("m", "1", {}, self.config, NO_BUILD)
        start = StartRun(
            manifest=manifest,
            manifest_id=engine.artifacts.put(manifest.canonical()),
            plan=self.plan,
            run_config=self.config,
            initial_context=initial or {},
            run_id=RUN,
        )
        return engine.start(start)

    @property
    def stream(self) -> Sequence[Envelope]:
        return self.engine.streams.read(RUN)

    @property
    def ends(self) -> list[str]:
        """The ends of attempts in the stream: a letter, or a letter and the code of its failure."""
        found: list[str] = []
        for envelope in self.stream:
            match envelope.kernel:
                case StateCompleted(state_id, _):
                    found.append(state_id[-1])
                case StateFailed(state_id, error, _):
                    found.append(f"{state_id[-1]} {error.info.code}")
                case _:
                    pass
        return found

    @property
    def failure(self) -> str:
        [message] = [each.kernel.error.info.message for each in self.stream if isinstance(each.kernel, StateFailed)]
        return message

    def base(self, letter: str) -> Any:
        """The context that a state started from."""
        entered = [each.kernel for each in self.stream if isinstance(each.kernel, StateEntered)]
        [base] = {each.base_snapshot_id for each in entered if each.state_id == named(letter)}
        return self.engine.snapshot(base)

    @property
    def final(self) -> Any:
        ended = self.stream[-1].kernel
        assert isinstance(ended, RunCompleted)
        assert ended.final_snapshot_id is not None
        return self.engine.snapshot(ended.final_snapshot_id)


def named(letter: str) -> str:
    return f"m.s.{letter}"


def writes(**values: Any) -> Handler:
    def handle(ctx: Any, io: Any, rec: Any) -> None:
        for key, value in values.items():
            ctx.write(key, value)

    return handle


def deletes(key: str) -> Handler:
    return lambda ctx, io, rec: ctx.delete(key)


def fails(ctx: Any, io: Any, rec: Any) -> None:
    raise StateError.of("broken", "it is")


def asks(key: str) -> Handler:
    def handle(ctx: Any, io: Any, rec: Any) -> None:
        io.call("api.get", {}, key)

    return handle


# --- what a state starts from


def test_a_state_starts_from_what_the_states_before_it_made_and_nothing_else() -> None:
    project = Project(
        {"a": writes(a=1, x=0), "b": writes(b=2), "c": writes(c=3), "d": writes(d=4), "e": writes(a=5)},
        ["ac", "bd", "cd", "ce"],
    )
    assert project.start({"x": 9}).phase is Phase.COMPLETED
    assert [project.base(letter) for letter in "abcde"] == [
        {"x": 9},
        {"x": 9},
        {"a": 1, "x": 0},
        {"a": 1, "b": 2, "c": 3, "x": 0},
        {"a": 1, "c": 3, "x": 0},
    ]
    assert project.final == {"a": 5, "b": 2, "c": 3, "d": 4, "x": 0}


def test_a_join_takes_over_what_was_deleted_and_what_was_changed_later() -> None:
    handlers = {"a": writes(x=1), "b": deletes("y"), "c": writes(x=2), "d": deletes("x"), "j": writes()}
    project = Project(handlers, ["ac", "cd", "bj", "dj"])
    assert project.start({"x": 0, "y": 0, "z": 0}).phase is Phase.COMPLETED
    assert project.base("j") == project.final == {"z": 0}


def test_a_chain_starts_each_state_from_the_snapshot_of_the_one_before() -> None:
    project = Project({"a": writes(x=1), "b": writes(x=2), "c": writes(y=3)}, ["ab", "bc"])
    result = project.start()
    kernels = [each.kernel for each in project.stream]
    snapshots = [each.context_snapshot_id for each in kernels if isinstance(each, StateCompleted)]
    bases = [each.base_snapshot_id for each in kernels if isinstance(each, StateEntered)]
    assert bases[1:] == snapshots[:-1]
    assert result.final_snapshot_id == snapshots[-1]


def test_facts_are_seen_by_the_states_behind_alone() -> None:
    seen: dict[str, bool] = {}
    first = Event()

    def record(ctx: Any, io: Any, rec: Any) -> None:
        io.record_value("k", 1)
        first.set()

    def look(letter: str) -> Handler:
        def handle(ctx: Any, io: Any, rec: Any) -> None:
            assert first.wait(WAIT)
            seen[letter] = io.get_recorded_fact("k") is not None

        return handle

    project = Project({"a": record, "b": look("b"), "c": look("c")}, ["ac"])
    assert project.start().phase is Phase.COMPLETED
    assert seen == {"b": False, "c": True}


@pytest.mark.parametrize("edges", [[], ["ab", "bc", "cd"], ["ab", "ac", "bd", "cd"], ["ac", "bc", "ac"]])
def test_precedence_is_reachability_over_edges(edges: list[Edge]) -> None:
    order = ordered("abcd", [(edge[0], edge[1]) for edge in edges])
    assert isinstance(order, tuple)
    precedence = Precedence(order, [(edge[0], edge[1]) for edge in edges])
    for one, first in enumerate(order):
        for other, last in enumerate(order):
            paths = reaches(first, last, edges) or reaches(last, first, edges)
            assert precedence.are_unordered(one, other) is (one != other and not paths)
        assert precedence.has_unordered(one) is any(precedence.are_unordered(one, other) for other in range(4))


def reaches(first: str, last: str, edges: Sequence[Any]) -> bool:
    return any(edge[0] == first and (edge[1] == last or reaches(edge[1], last, edges)) for edge in edges)


# --- what is refused


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (writes(x=1), writes(x=2)),
        (writes(x=1), writes(x=1)),
        (deletes("x"), deletes("x")),
        (writes(x=1), deletes("x")),
    ],
)
def test_two_states_without_an_order_may_not_change_one_key(one: Handler, other: Handler) -> None:
    project = Project({"a": one, "b": other, "c": writes(y=1)})
    assert project.start({"x": 0}).phase is Phase.FAILED
    assert project.ends == ["a", "b overlapping_writes"]
    assert project.failure == (
        "the state 'm.s.b' writes 'x', and so does 'm.s.a': an edge must put one before the other"
    )
    assert project.final == project.engine.snapshot(snapshot_of(project, "a"))
    assert project.engine.resume(RUN).phase is Phase.FAILED


def test_states_in_an_order_may_change_one_key_and_so_may_one_that_keeps_its_value() -> None:
    handlers = {"a": writes(x=1), "b": writes(y=1), "c": writes(x=0), "d": writes(x=2)}
    project = Project(handlers, ["ab", "bd"])
    assert project.start({"x": 0}).phase is Phase.COMPLETED  # c leaves x as it is
    assert project.final == {"x": 2, "y": 1}


def test_the_first_key_and_the_first_state_are_named() -> None:
    project = Project({"a": writes(z=1), "b": writes(k=1), "c": writes(z=2, k=2)})
    assert project.start().phase is Phase.FAILED
    assert "writes 'k', and so does 'm.s.b'" in project.failure


def test_two_states_without_an_order_may_not_record_one_fact() -> None:
    project = Project({"a": asks("k"), "b": asks("k")})
    assert project.start().phase is Phase.FAILED
    assert project.ends == ["a", "b overlapping_facts"]
    assert project.failure == (
        "the state 'm.s.b' records the fact 'k', and so does 'm.s.a': an edge must put one before the other"
    )
    names = [each.domain.payload["key"] for each in project.stream if each.domain is not None]
    assert names == ["k"]  # that of the first state alone


def test_one_fact_of_states_in_an_order_is_asked_for_once() -> None:
    project = Project({"a": asks("k"), "b": asks("other"), "c": asks("k")}, ["ac"])
    assert project.start().phase is Phase.COMPLETED
    assert sorted(project.world.asked) == ["k", "other"]


def test_an_engine_honours_the_mode_of_its_scheduler_alone() -> None:
    at_once = Project({"a": writes(x=1)})
    with pytest.raises(RunError) as refused:
        at_once.start(engine=bare(at_once.engine))
    assert refused.value.code == "plan.unsupported_execution_mode"
    assert at_once.stream == []
    at_once.start(engine=replace(at_once.engine, failpoints=Failpoints(Failpoint.AFTER_HANDLER)))
    with pytest.raises(RunError) as refused:
        bare(at_once.engine).resume(RUN)
    assert refused.value.code == "plan.unsupported_execution_mode"
    in_turn = Project({"a": writes(x=1)}, execution_mode=Sequential())
    with pytest.raises(RunError) as refused:
        in_turn.start()
    assert refused.value.code == "plan.unsupported_execution_mode"


def bare(engine: Engine) -> Engine:
    return Engine(
        journal=engine.journal, artifact_store=engine.artifact_store, resolver=engine.resolver, entropy=os.urandom
    )


def snapshot_of(project: Project, letter: str) -> str:
    completed = [each.kernel for each in project.stream if isinstance(each.kernel, StateCompleted)]
    [snapshot] = [each.context_snapshot_id for each in completed if each.state_id == named(letter)]
    return snapshot


# --- at once


def test_ready_states_run_at_once() -> None:
    meeting = Barrier(3)

    def meet(ctx: Any, io: Any, rec: Any) -> None:
        meeting.wait(WAIT)

    async def meet_too(ctx: Any, io: Any, rec: Any) -> None:
        meeting.wait(WAIT)

    project = Project({"a": meet, "b": meet_too, "c": meet})
    assert project.start().phase is Phase.COMPLETED
    assert project.ends == ["a", "b", "c"]


@pytest.mark.parametrize("width", [0, 1, 2])
def test_no_more_run_at_once_than_the_mode_says(width: int) -> None:
    running: list[str] = []
    most: list[int] = []

    def busy(letter: str) -> Handler:
        def handle(ctx: Any, io: Any, rec: Any) -> None:
            running.append(letter)
            most.append(len(running))
            running.remove(letter)

        return handle

    project = Project({letter: busy(letter) for letter in "abcdef"}, execution_mode=FanOutJoin(width))
    assert project.start().phase is Phase.COMPLETED
    assert max(most) <= max(width, 1)
    assert project.ends == list("abcdef")


def test_a_retry_keeps_its_place_and_its_facts() -> None:
    tried: list[int] = []

    def flaky(ctx: Any, io: Any, rec: Any) -> None:
        tried.append(io.call("api.get", {}, "flaky").response)
        if len(tried) < 3:
            raise StateError.of("not_yet", "later", retryable=True)

    project = Project({"a": flaky, "b": writes(x=1)}, max_attempts=3)
    assert project.start().phase is Phase.COMPLETED
    assert project.ends == ["a not_yet", "a not_yet", "a", "b"]
    assert project.world.asked == ["flaky"]


# --- ends


def test_states_before_a_failed_one_go_on_and_those_behind_are_left_out() -> None:
    failed, beside = Event(), Event()

    def late(ctx: Any, io: Any, rec: Any) -> None:
        assert failed.wait(WAIT)
        assert beside.wait(WAIT)
        ctx.write("a", 1)

    def broken(ctx: Any, io: Any, rec: Any) -> None:
        failed.set()
        fails(ctx, io, rec)

    def behind(ctx: Any, io: Any, rec: Any) -> None:
        assert failed.wait(WAIT)
        ctx.write("c", 1)
        beside.set()

    project = Project({"a": late, "b": broken, "c": behind, "d": writes(d=1)}, execution_mode=FanOutJoin(3))
    assert project.start().phase is Phase.FAILED
    assert project.ends == ["a", "b broken"]
    assert project.final == {"a": 1}
    assert project.lanes.head(f"{RUN}/{named('c')}")
    assert not project.lanes.head(f"{RUN}/{named('d')}")  # never begun


def test_the_first_of_two_failures_ends_the_run() -> None:
    second = Event()

    def first(ctx: Any, io: Any, rec: Any) -> None:
        assert second.wait(WAIT)
        fails(ctx, io, rec)

    def later(ctx: Any, io: Any, rec: Any) -> None:
        second.set()
        fails(ctx, io, rec)

    project = Project({"a": first, "b": later})
    assert project.start().phase is Phase.FAILED
    assert project.ends == ["a broken"]


def test_skipped_states_complete_in_their_place() -> None:
    project = Project({"a": writes(x=1), "b": fails, "c": writes(y=2)}, ["bc"], skip_tags=("off",))
    project.metas["b"] = StateMeta(tags=("off",))
    assert project.start().phase is Phase.COMPLETED
    assert project.ends == ["a", "b", "c"]
    assert project.final == {"x": 1, "y": 2}


class Hurried(StandingClock):
    """A clock whose time is up once ``is_late``."""

    def __init__(self) -> None:
        self.is_late = False

    def monotonic_ns(self) -> int:
        return 10 if self.is_late else 0


def test_a_deadline_stops_the_run_and_it_goes_on() -> None:
    clock, both = Hurried(), Barrier(2)

    def hurry(letter: str) -> Handler:
        def handle(ctx: Any, io: Any, rec: Any) -> None:
            both.wait(WAIT)
            clock.is_late = True
            io.call("api.get", {}, letter)

        return handle

    project = Project({"a": hurry("a"), "b": hurry("b"), "c": writes(c=1)}, ["ac"])
    with pytest.raises(DeadlineReached):
        project.start(engine=replace(project.engine, clock=clock, deadline=5))
    assert not isinstance(project.stream[-1].kernel, RunCompleted)
    assert sorted(project.world.asked) == ["a", "b"]  # what ran was let finish
    assert project.engine.resume(RUN).phase is Phase.COMPLETED
    assert project.ends == ["a", "b", "c"]
    assert sorted(project.world.asked) == ["a", "b"]


@pytest.mark.parametrize("point", list(Failpoint))
def test_a_run_that_a_failpoint_stops_goes_on(point: Failpoint) -> None:
    project = Project({"a": asks("a"), "b": asks("b"), "c": writes(c=1)}, ["ac"])
    stopping = replace(project.engine, failpoints=Failpoints(point))
    assert project.start(engine=stopping).phase is Phase.RUNNING
    assert project.engine.resume(RUN).phase is Phase.COMPLETED
    assert project.engine.resume(RUN).phase is Phase.COMPLETED
    assert project.ends == ["a", "b", "c"]
    assert sorted(project.world.asked) == ["a", "b"]


def test_a_state_that_never_ends_is_given_up() -> None:
    project = Project({"a": asks("a")})
    project.start(engine=stopping(project))
    for _ in range(2):
        assert stopping(project).resume(RUN).phase is Phase.RUNNING
    assert stopping(project).resume(RUN).phase is Phase.FAILED
    assert project.ends == ["a orphan_recoveries_exhausted"]
    assert project.world.asked == ["a"]


def stopping(project: Project) -> Engine:
    points = Failpoints(Failpoint.AFTER_HANDLER)
    return replace(project.engine, failpoints=points, max_orphan_recoveries=2)


def test_what_ends_the_command_is_not_kept_waiting_and_lanes_stop_at_their_next_append() -> None:
    class Died(BaseException):
        pass

    release, going = Event(), Event()

    def slow(ctx: Any, io: Any, rec: Any) -> None:
        going.set()
        assert release.wait(WAIT)
        io.record_value("late", 1)

    def die(ctx: Any, io: Any, rec: Any) -> None:
        assert going.wait(WAIT)
        raise Died

    project = Project({"a": die, "b": slow})
    with pytest.raises(Died):
        project.start()
    lane = f"{RUN}/{named('b')}"
    before = project.lanes.head(lane)
    release.set()
    for thread in [each for each in enumerate_threads() if each.name == named("b")]:
        thread.join(WAIT)
    assert project.lanes.head(lane) == before
    project.handlers["a"] = writes(x=1)
    assert project.engine.resume(RUN).phase is Phase.COMPLETED


# --- going on


def test_lanes_that_had_ended_are_taken_over_and_not_run_again() -> None:
    calls: list[str] = []
    first = Event()

    def slow(ctx: Any, io: Any, rec: Any) -> None:
        calls.append("a")
        assert first.wait(WAIT)
        if len(calls) < 3:
            raise KeyboardInterrupt

    def quick(ctx: Any, io: Any, rec: Any) -> None:
        calls.append("b")
        io.record_value("b", 1)

    def behind(ctx: Any, io: Any, rec: Any) -> None:
        first.set()
        ctx.write("seen", io.get_recorded_fact("b") is not None)

    project = Project({"a": slow, "b": quick, "c": behind}, ["bc"])
    with pytest.raises(KeyboardInterrupt):
        project.start()
    first.set()
    assert calls.count("b") == 1
    calls.append("-")
    assert project.engine.resume(RUN).phase is Phase.COMPLETED
    assert calls.count("b") == 1
    assert project.ends == ["a", "b", "c"]
    assert project.final == {"seen": True}


def test_a_fork_goes_on_in_the_middle_of_a_state() -> None:
    project = Project({"a": asks("a"), "b": asks("b"), "c": asks("c")}, ["ac", "bc"])
    project.start()
    branch = RunId("22222222-2222-4333-8444-555555555555")
    cut = next(each.seq for each in project.stream if each.domain is not None and each.domain.payload["key"] == "b")
    events = [Envelope(branch, each.seq, None, each.event) for each in project.stream[:cut]]
    project.engine.streams.append(branch, events, 0)
    asked = len(project.world.asked)
    assert project.engine.resume(branch).phase is Phase.COMPLETED
    assert project.world.asked[asked:] == ["c"]
    entered = [each.kernel for each in project.engine.streams.read(branch) if isinstance(each.kernel, StateEntered)]
    assert [(each.state_id[-1], each.attempt) for each in entered] == [("a", 0), ("b", 0), ("b", 1), ("c", 0)]
    assert project.engine.resume(branch).phase is Phase.COMPLETED


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        (["ba"], "comes before"),
        (["bc"], "has begun on another context"),
    ],
)
def test_a_plan_with_other_edges_does_not_go_on(edges: list[str], message: str) -> None:
    project = Project({"a": writes(x=1), "b": writes(y=1), "c": asks("c")})
    going = Event()

    def cut_off(ctx: Any, io: Any, rec: Any) -> None:
        assert going.wait(WAIT)
        raise KeyboardInterrupt

    def go(ctx: Any, io: Any, rec: Any) -> None:
        io.record_value("c", 1)
        going.set()

    project.handlers |= {"b": cut_off, "c": go}
    with pytest.raises(KeyboardInterrupt):
        project.start()
    assert project.ends == ["a"]
    project.handlers["b"] = writes(y=1)
    project.edges = [(named(edge[0]), named(edge[1])) for edge in edges]
    with pytest.raises(RunError, match=message) as refused:
        project.engine.resume(RUN)
    assert refused.value.code == "plan.recovery_plan_order_changed"
    assert "c" not in project.ends


# --- leases


class Slow(StandingClock):
    """A clock whose sleep is long, and in which a request to cancel comes."""

    def __init__(self, request: Callable[[], None]) -> None:
        self.request = request
        self.slept = 0

    def sleep_ns(self, duration: int) -> None:
        self.slept += duration
        self.request()


def under_leases(project: Project) -> tuple[Engine, RunStore]:
    store = shared_memory(Driver.of(Owner("here", 1, "one"), lambda: 0, lambda owner: False))
    return replace(project.engine, journal=store.journal, leases=store.leases), store


def test_a_cancelled_run_ends_between_attempts_and_waits_for_none_of_its_lanes() -> None:
    both = Barrier(2)

    def flaky(ctx: Any, io: Any, rec: Any) -> None:
        both.wait(WAIT)
        raise StateError.of("not_yet", "later", retryable=True)

    def beside(ctx: Any, io: Any, rec: Any) -> None:
        both.wait(WAIT)
        ctx.write("b", 1)

    hour = Delay(3_600_000_000_000)
    project = Project({"a": flaky, "b": beside, "c": writes(c=1)}, ["bc"], max_attempts=9, backoff=Fixed(hour))
    engine, store = under_leases(project)
    assert store.leases is not None
    leases = store.leases
    clock = Slow(lambda: leases.request_cancel(RUN))
    project.engine = replace(engine, clock=clock)
    try:
        assert project.start().phase is Phase.CANCELLED
    finally:
        store.close()
    assert clock.slept < hour.ns
    assert project.ends == []  # the attempt of a failed and is in its lane
    ended = project.stream[-1].kernel
    assert isinstance(ended, RunCompleted)
    assert ended.status is RunStatus.CANCELLED
    assert leases.owner_of(RUN) is None


def test_a_lane_is_not_appended_to_by_one_who_lost_the_lease() -> None:
    project = Project({"a": asks("a"), "b": asks("b")})
    engine, store = under_leases(project)
    assert store.leases is not None
    rows = store.leases.rows

    def lose(ctx: Any, io: Any, rec: Any) -> None:
        row = rows.find(RUN)
        assert row is not None
        assert rows.replace(row, replace(row, holder="another"))
        io.record_value("late", 1)

    project.handlers["a"] = lose
    project.engine = engine
    try:
        with pytest.raises(RunError) as refused:
            project.start()
    finally:
        store.close()
    assert refused.value.code == "plan.run_busy"
    lane = [text for _, text in project.lanes.scan(f"{RUN}/{named('a')}")]
    assert not any("late" in text for text in lane)
