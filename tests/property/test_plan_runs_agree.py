"""Plan runs that are killed at any append and driven on come to what they come to undisturbed; all of it replays.

The plans are random: a graph of states, each a script of writes, recorded calls, events, failures that a retry heals,
effectful calls and child runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from ergo_cli.core.time import StandingClock
from ergo_cli.programs.plan import Context as PlanContext
from ergo_cli.programs.plan import (
    FactIo,
    IoCall,
    PlanProgram,
    Recorder,
    State,
    StateError,
    StateMeta,
    await_child,
    run_config,
    spawn_child,
)
from ergo_cli.programs.plan.events import Envelope, fact_of, read_line
from ergo_cli.programs.plan.ids import run_of_event
from ergo_cli.programs.plan.invoker import PlanInvoker
from ergo_cli.programs.plan.recorded import PlanReader
from ergo_cli.programs.plan.referee import PlanReferee
from ergo_cli.programs.recorded import RecordedCall, RecordedEntry
from ergo_cli.programs.seat import Seat
from ergo_cli.stores.memory import MemoryArtifacts, MemoryJournal
from ergo_cli.supervisor.journals import BeginFrame, EndFrame, EpisodeJournal
from ergo_cli.supervisor.seam import Outcome

Op = tuple[str, int]
OPS = st.sampled_from(["write", "copy", "delete", "call", "emit", "fail", "pay", "child", "again"])
SCRIPTS = st.lists(st.tuples(OPS, st.integers(0, 2)), max_size=4)
RETRIES = 30
"""More than crashes and failures together: a crash uses up an attempt."""


class Drawn(NamedTuple):
    """A plan: the scripts of its states, and its edges as pairs of their numbers."""

    scripts: list[list[Op]]
    edges: list[tuple[int, int]]


@st.composite
def drawn_plans(draw: st.DrawFn) -> Drawn:
    scripts = draw(st.lists(SCRIPTS, min_size=1, max_size=4))
    pairs = [(low, high) for high in range(len(scripts)) for low in range(high)]
    return Drawn(scripts, [pair for pair in pairs if draw(st.booleans())])


class World:
    """The transport: answers by what is asked alone, and counts."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def __call__(self, call: IoCall) -> Any:
        assert call.fact_key is not None
        self.asked[call.fact_key] += 1
        return {"answer": call.request}


def handler(name: str, script: Sequence[Op]) -> Any:
    def handle(context: PlanContext, io: FactIo, recorder: Recorder) -> None:
        for place, (op, number) in enumerate(script):
            play(op, f"k{number}", f"{name}.{place}", context, io, recorder)

    return handle


def play(op: str, key: str, place: str, context: PlanContext, io: FactIo, recorder: Recorder) -> None:
    match op:
        case "write":
            context.write(key, [place, context.read("at")])
        case "copy":
            context.write(key, context.read("k0"))
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
        case other:
            raise AssertionError(other)


def program_of(plan: Drawn, world: World) -> PlanProgram:
    states = [
        State(f"m.s.s{number}", handler(f"s{number}", script), StateMeta(idempotency=f"s{number}"))
        for number, script in enumerate(plan.scripts)
    ]
    edges = tuple((states[low].id, states[high].id) for low, high in plan.edges)
    kid = PlanProgram("kid", "1", (State("kid.s.one", handler("kid", [("write", 0), ("call", 1)])),))
    return PlanProgram(
        "m",
        "1",
        tuple(states),
        edges,
        run_config=run_config(max_attempts=RETRIES),
        transports={"world": world},
        effectful=("bank.pay",),
        children=(kid,),
    )


class Killed(BaseException):
    """The process dies here."""


class MortalJournal(MemoryJournal):
    """A journal at whose ``deadly`` appends the process dies, before or after the append."""

    def __init__(self) -> None:
        super().__init__()
        self.deadly: list[tuple[int, bool]] = []
        self.appends = 0

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        self.appends += 1
        dies = [after for place, after in self.deadly if place == self.appends]
        if dies == [False]:
            raise Killed
        head = super().append(run, texts, expected_head)
        if dies:
            raise Killed
        return head


PAYLOAD = b'{"at":1.5,"k0":[1]}'


class Given(msgspec.Struct):
    """A context with a payload."""

    payload: bytes
    values: dict[str, Any] = {}


def invoke(invoker: PlanInvoker) -> Any:
    context: Any = Given(PAYLOAD)
    return invoker.run("m@1", "e1", context, None)


def driven(
    plan: Drawn, deadly: list[tuple[int, bool]]
) -> tuple[World, MortalJournal, MemoryArtifacts, list[EpisodeJournal]]:
    """Invoke one event as often as it takes; what the last process recorded."""
    world, journal, artifacts = World(), MortalJournal(), MemoryArtifacts()
    journal.deadly = deadly
    seat = Seat(StandingClock(), lambda limit, work, name: work())
    for _ in range(len(deadly) + 1):
        invoker = PlanInvoker(program_of(plan, world), journal, artifacts, seat, MemoryJournal())
        try:
            assert invoke(invoker) is Outcome.COMPLETED
        except Killed:
            continue
        return world, journal, list(invoker.drain_journals())
    raise AssertionError("it was killed more often than planned")


def stream(journal: MemoryJournal, run: str) -> list[Envelope]:
    return [read_line(text.encode()) for _, text in journal.scan(run)]


def facts(events: Sequence[Envelope]) -> dict[str, str]:
    found = (fact_of(event.domain) for event in events if event.domain is not None)
    return {fact.key: fact.payload_id for fact in found if fact is not None}


KILLS = st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=4, unique_by=lambda kill: kill[0])


@settings(max_examples=150)
@given(drawn_plans(), KILLS)
def test_a_run_that_is_killed_comes_to_the_same(plan: Drawn, kills: list[tuple[int, bool]]) -> None:
    calm_world, calm, _ = driven(plan, [])
    world, journal, _ = driven(plan, kills)
    run = run_of_event("m@1", "e1")
    undisturbed, disturbed = stream(calm, run), stream(journal, run)
    assert disturbed[-1].event == undisturbed[-1].event  # the same status and final snapshot
    assert facts(disturbed) == facts(undisturbed)
    assert journal.runs() == calm.runs()
    repeated = world.asked - calm_world.asked
    assert repeated.total() <= len(kills)  # a call whose answer died with the process


@settings(max_examples=150)
@given(drawn_plans(), KILLS)
def test_what_was_recorded_replays_without_the_world(plan: Drawn, kills: list[tuple[int, bool]]) -> None:
    world, _, journals = driven(plan, kills)
    asked = world.asked.total()
    own, *children = journals
    named = {name: data for journal in journals for name, data in journal.artifacts.items()}
    reader = PlanReader(named)
    entries = [
        framed(own),
        *(RecordedEntry(place, 0, each.run_id, (), each.records) for place, each in enumerate(children, 1)),
    ]
    episode = reader.episode(entries)
    assert reader.named == named.keys()
    referee = PlanReferee(program_of(plan, world))
    referee.serve(episode)
    context: Any = Given(PAYLOAD)
    assert referee.run("m@1", "e1", context, None) is Outcome.COMPLETED
    assert referee.finding(Outcome.COMPLETED, strict=True).differences == ()
    assert world.asked.total() == asked


def framed(journal: EpisodeJournal) -> RecordedEntry:
    first, *records, last = journal.records
    begin = msgspec.json.decode(first, type=BeginFrame).begin
    end = msgspec.json.decode(last, type=EndFrame).end
    return RecordedEntry(0, 0, journal.run_id, (RecordedCall(begin, tuple(records), end, 0),))
