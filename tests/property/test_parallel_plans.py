"""Parallel states: whatever the timing the stream is the same, and the one of states that run one at a time.

The plans are random. Which state goes on is decided by a seed at every append, call and read of a context, so that no
test waits and every failure can be repeated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ergo_cli.core.time import StandingClock
from ergo_cli.programs.plan import Context as PlanContext
from ergo_cli.programs.plan import (
    FactIo,
    FanOutJoin,
    IoCall,
    PlanProgram,
    Recorder,
    State,
    StateError,
    StateMeta,
    await_child,
    run_config,
    spawn_child,
    transport_failed,
)
from ergo_cli.programs.plan.events import (
    Envelope,
    RunCompleted,
    StateCompleted,
    StateEntered,
    StateFailed,
    fact_of,
    read_line,
)
from ergo_cli.programs.plan.ids import run_of_event
from ergo_cli.programs.plan.invoker import PlanInvoker
from ergo_cli.programs.plan.manifest import Sequential
from ergo_cli.programs.plan.recorded import PlanReader
from ergo_cli.programs.plan.referee import PlanReferee
from ergo_cli.programs.recorded import RecordedCall, RecordedEntry
from ergo_cli.programs.seat import Seat
from ergo_cli.stores.memory import MemoryJournal
from ergo_cli.supervisor.journals import BeginFrame, EndFrame, EpisodeJournal
from ergo_cli.supervisor.seam import RunTermination
from tests.property.taking_turns import Killed, Life, MortalJournal, PausingArtifacts, TakingTurns, pause

Op = tuple[str, int]
OPS = st.sampled_from(
    [
        "write",
        "copy",
        "delete",
        "call",
        "emit",
        "fail",
        "pay",
        "child",
        "again",
        "again",
        "dump",
        "time",
        "busy",
        "broken",
    ]
)
RETRIES = 60
"""More than crashes and failures together: a crash uses up an attempt."""
RUN = run_of_event("m@1", "e1")


class Drawn(NamedTuple):
    """A plan: the scripts of its states, its edges as pairs of their numbers, the order in which they are listed."""

    scripts: list[list[Op]]
    edges: list[tuple[int, int]]
    listed: list[int]
    width: int


@st.composite
def drawn_plans(draw: st.DrawFn) -> Drawn:
    scripts = draw(st.lists(st.lists(st.tuples(OPS, st.integers(0, 4)), max_size=3), min_size=2, max_size=6))
    pairs = [(low, high) for high in range(len(scripts)) for low in range(high)]
    edges = [pair for pair in pairs if draw(st.integers(0, 2)) == 0]
    return Drawn(scripts, edges, draw(st.permutations(range(len(scripts)))), draw(st.integers(0, 4)))


class World:
    """The transport: answers by what is asked alone; asked for what is recorded, it complains."""

    def __init__(self, is_recorded: Callable[[str], bool]) -> None:
        self.asked: Counter[str] = Counter()
        self._is_recorded = is_recorded

    def __call__(self, call: IoCall) -> Any:
        assert call.fact_key is not None
        pause()
        if "." in call.fact_key:  # the key of one place alone
            assert not self._is_recorded(call.fact_key)
        self.asked[call.fact_key] += 1
        pause()
        if call.namespace == "world.busy":
            raise transport_failed("busy", call.fact_key)
        return {"answer": call.request}


def handler(name: str, script: Sequence[Op]) -> Any:
    def handle(context: PlanContext, io: FactIo, recorder: Recorder) -> None:
        for place, (op, number) in enumerate(script):
            pause()
            play(op, f"k{number}", f"{name}.{place}", context, io, recorder)

    return handle


def play(op: str, key: str, place: str, context: PlanContext, io: FactIo, recorder: Recorder) -> None:
    match op:
        case "write":
            context.write(key, [place, context.read("at")])
        case "copy":
            context.write(key, [place, context.read("k0")])
        case "delete":
            context.delete(key)
        case "call":
            context.write(key, io.call("world.ask", [place, context.read(key)], place).response)
        case "again":
            context.write(key, io.call("world.ask", place, key).response)
        case "emit":
            recorder.emit("seen", {"place": place, "value": context.read(key)})
        case "fail":
            if io.get_recorded_fact(place) is None:
                io.record_value(place, key)
                raise StateError.of("not_yet", place, retryable=True)
        case "pay":
            io.call("bank.pay", {"for": place}, place)
        case "child":
            spawned = spawn_child(
                io, recorder, place, op_id="kid", op_version="1", run_config=run_config(), initial_context={"k": key}
            )
            context.write(key, await_child(io, recorder, f"{place}.end", spawned).response["final_snapshot"])
        case "dump":
            context.write(key, sorted(context.dump()))
        case "time":
            recorder.emit("seen", {"at": io.now_millis(), "chance": io.random_bytes(2).hex()})
        case "busy":
            io.call("world.busy", place, place)
        case "broken":
            raise ValueError(place)
        case other:
            raise AssertionError(other)


def program_of(plan: Drawn, world: World | None, *, parallel: bool = True) -> PlanProgram:
    states = [
        State(f"m.s.s{number}", handler(f"s{number}", script), StateMeta(idempotency=f"s{number}"))
        for number, script in enumerate(plan.scripts)
    ]
    kid = PlanProgram("kid", "1", (State("kid.s.one", handler("kid", [("write", 0), ("again", 1)])),))
    return PlanProgram(
        "m",
        "1",
        tuple(states[number] for number in plan.listed),
        tuple((states[low].id, states[high].id) for low, high in plan.edges),
        run_config=run_config(
            max_attempts=RETRIES, execution_mode=FanOutJoin(plan.width) if parallel else Sequential()
        ),
        transports={} if world is None else {"world": world},
        effectful=("bank.pay",),
        children=(kid,),
        parallel=parallel,
    )


class Given(msgspec.Struct):
    """A context with a payload."""

    payload: bytes
    values: dict[str, Any] = {}


CONTEXT: Any = Given(b'{"at":1.5,"k0":[1],"k1":null}')


class Ran(NamedTuple):
    """What was left of a run."""

    termination: RunTermination
    journal: MemoryJournal
    lanes: MemoryJournal
    journals: Sequence[EpisodeJournal]
    asked: Counter[str]
    appends: int

    @property
    def stream(self) -> list[Envelope]:
        return [read_line(text.encode()) for _, text in self.journal.scan(RUN)]

    @property
    def facts(self) -> dict[str, str]:
        return dict(facts_of(self.stream))

    @property
    def end(self) -> RunCompleted:
        ended = self.stream[-1].kernel
        assert isinstance(ended, RunCompleted)
        return ended

    @property
    def outcomes(self) -> list[tuple[str, list[str]]]:
        """How the attempts of each state ended that did end, in order of the states."""
        found: dict[str, list[str]] = {}
        for envelope in self.stream:
            match envelope.kernel:
                case StateCompleted(state_id, _):
                    found.setdefault(state_id, []).append("completed")
                case StateFailed(state_id, error, _):
                    found.setdefault(state_id, []).append(error.info.code)
                case _:
                    pass
        return list(found.items())

    @property
    def comes_to(self) -> tuple[RunCompleted, dict[str, str], list[tuple[str, str]]]:
        """How it ended, its facts, and how its states ended: a crash may take the place of an attempt that fails."""
        return self.end, self.facts, [(state, ends[-1]) for state, ends in self.outcomes]


def facts_of(stream: Sequence[Envelope]) -> Iterator[tuple[str, str]]:
    for envelope in stream:
        fact = None if envelope.domain is None else fact_of(envelope.domain)
        if fact is not None and not fact.key.startswith("mfm:"):
            yield fact.key, fact.payload_id


def driven(plan: Drawn, seed: int = 0, deadly: Sequence[tuple[int, bool]] = (), *, parallel: bool = True) -> Ran:
    """Invoke one event as often as it takes, each time in a process of its own; what the last one recorded."""
    life = Life(deadly)
    journal, lanes, artifacts = MortalJournal(life), MortalJournal(life), PausingArtifacts()

    def is_recorded(key: str) -> bool:
        names = [(kept, run) for kept in (journal, lanes) for run in kept.runs()]
        streams = [[read_line(text.encode()) for _, text in kept.scan(run)] for kept, run in names]
        return any(key == bound for stream in streams for bound, _ in facts_of(stream))

    world = World(is_recorded)
    seat = Seat(StandingClock(), lambda limit, work, name: work())
    for process in range(len(deadly) + 1):
        crew = TakingTurns(seed + process)
        life.is_over = False
        program = program_of(plan, world, parallel=parallel)
        invoker = PlanInvoker(program, journal, artifacts, seat, lanes, lambda crew=crew: crew)
        try:
            termination = invoker.run("m@1", "e1", CONTEXT, None)
        except Killed:
            continue
        finally:
            life.is_over = True
            crew.die()
        assert crew.most_at_once <= max(plan.width, 1)
        return Ran(termination, journal, lanes, invoker.drain_journals(), world.asked, life.appends)
    raise AssertionError("it was killed more often than planned")


SEEDS = st.integers(0, 2**32)
KILLS = st.lists(st.tuples(st.integers(1, 60), st.booleans()), max_size=4, unique_by=lambda kill: kill[0])


TIMINGS = st.lists(SEEDS, min_size=4, max_size=4)


@settings(max_examples=60)
@given(drawn_plans(), TIMINGS)
def test_whatever_the_timing_all_that_is_recorded_is_the_same(plan: Drawn, seeds: list[int]) -> None:
    check_timings(plan, seeds)


@pytest.mark.slow
@settings(max_examples=250)
@given(drawn_plans(), TIMINGS)
def test_at_1000_timings_all_that_is_recorded_is_the_same(plan: Drawn, seeds: list[int]) -> None:
    check_timings(plan, seeds)


def check_timings(plan: Drawn, seeds: list[int]) -> None:
    first, *others = (driven(plan, seed) for seed in seeds)
    for other in others:
        assert list(other.journal.scan(RUN)) == list(first.journal.scan(RUN))
        assert other.journals == first.journals  # what a bundle holds of the run and its children, artifacts too
        assert other.termination == first.termination


@settings(max_examples=60)
@given(drawn_plans(), SEEDS)
def test_parallel_is_sequential_where_nothing_overlaps(plan: Drawn, seed: int) -> None:
    plan = without_overlaps(plan)
    at_once, in_turn = driven(plan, seed), driven(plan, parallel=False)
    assert at_once.end == in_turn.end  # the same status and final context
    assert at_once.facts == in_turn.facts
    assert at_once.outcomes == in_turn.outcomes
    assert at_once.termination == in_turn.termination
    assert at_once.journal.runs() == in_turn.journal.runs() or at_once.end.status.value == "Failed"
    assert [each.run_id for each in at_once.journals] == [each.run_id for each in in_turn.journals]


@settings(max_examples=60)
@given(drawn_plans(), SEEDS, KILLS)
def test_a_run_that_is_killed_comes_to_the_same(plan: Drawn, seed: int, kills: list[tuple[int, bool]]) -> None:
    assert driven(plan, seed, kills).comes_to == driven(plan).comes_to


@settings(max_examples=60)
@given(drawn_plans(), SEEDS, KILLS)
def test_what_was_recorded_replays_without_the_world(plan: Drawn, seed: int, kills: list[tuple[int, bool]]) -> None:
    ran = driven(plan, seed, kills)
    own, *children = ran.journals
    named = {name: data for journal in ran.journals for name, data in journal.artifacts.items()}
    reader = PlanReader(named)
    entries = [
        framed(own),
        *(RecordedEntry(place, 0, each.run_id, (), each.records) for place, each in enumerate(children, 1)),
    ]
    episode = reader.episode(entries)
    assert reader.named == named.keys()
    referee = PlanReferee(program_of(plan, None))
    referee.serve(episode)
    assert referee.run("m@1", "e1", CONTEXT, None) == ran.termination
    assert referee.finding(ran.termination, strict=True).differences == ()


PLAN = Drawn(
    [
        [("call", 1), ("time", 0), ("write", 1)],
        [("fail", 0), ("call", 2), ("child", 2)],
        [("emit", 0), ("busy", 3)],
        [("pay", 0), ("dump", 4)],
        [("copy", 1), ("delete", 2), ("again", 3)],
    ],
    [(0, 3), (1, 3), (3, 4)],
    [0, 1, 3, 4, 2],
    3,
)


@pytest.mark.parametrize(
    ("seed", "busy"),
    [(0, False), *(pytest.param(seed, busy, marks=pytest.mark.slow) for seed in (1, 2) for busy in (False, True))],
)
def test_killed_at_every_append(seed: int, busy: bool) -> None:
    scripts = [[op for op in script if busy or op[0] != "busy"] for script in PLAN.scripts]
    plan = PLAN._replace(scripts=scripts)
    calm = driven(plan, seed)
    assert calm.end.status.value == ("Failed" if busy else "Completed")
    for place in range(1, calm.appends + 1):
        for after in (False, True):
            killed = driven(plan, seed, [(place, after)])
            assert killed.comes_to == calm.comes_to, place


def test_what_stands_in_the_stream_is_of_one_state_after_the_other() -> None:
    entered = [each.kernel.state_id for each in driven(PLAN, 7).stream if isinstance(each.kernel, StateEntered)]
    assert entered == ["m.s.s0", "m.s.s1", "m.s.s1", "m.s.s2"]


def framed(journal: EpisodeJournal) -> RecordedEntry:
    first, *records, last = journal.records
    begin = msgspec.json.decode(first, type=BeginFrame).begin
    end = msgspec.json.decode(last, type=EndFrame).end
    return RecordedEntry(0, 0, journal.run_id, (RecordedCall(begin, tuple(records), end, 0),))


def without_overlaps(plan: Drawn) -> Drawn:
    """The plan with other keys where two states that are in no order use one, and without looking at all keys."""
    count = len(plan.scripts)
    before = [{number} for number in range(count)]
    for low, high in sorted(plan.edges, key=lambda edge: edge[1]):
        before[high] |= before[low]
    users: dict[int, set[int]] = {}
    scripts: list[list[Op]] = []
    for number, script in enumerate(plan.scripts):
        beside = {other for other in range(count) if other not in before[number] and number not in before[other]}
        changed: list[Op] = []
        for op, key in script:
            if op == "dump":
                op = "write"
            if op == "copy":
                op = "call"
            while users.setdefault(key, set()) & beside:
                key += 5
            users[key].add(number)
            changed.append((op, key))
        scripts.append(changed)
    return plan._replace(scripts=scripts)
