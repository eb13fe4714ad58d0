"""Spec 10 §25, the supervisor: C-45 to C-51, C-53, C-54; the traces T1 to T13 of §20."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import ergo_cli
from ergo_cli.bundle.encoding import encode_decision
from ergo_cli.bundle.schema import DecisionRecord
from ergo_cli.core.time import MAX_NS, NANOS
from ergo_cli.events.external import Context, EventKind, ExternalEvent
from ergo_cli.supervisor.retries import retryable
from ergo_cli.supervisor.seam import Constraints, ErrKind, Failed, LogEntry, Outcome, RunTermination
from ergo_cli.supervisor.supervisor import Supervisor
from ergo_cli.testing.logs import RecordingLog
from ergo_cli.testing.scripted import ScriptedInvoker

NETWORK = Failed(ErrKind.NETWORK_TIMEOUT)
DONE = Outcome.COMPLETED
Script = dict[str, list[RunTermination]]


def seconds(amount: float) -> int:
    return round(amount * NANOS)


class Ran(NamedTuple):
    entries: list[LogEntry]
    calls: list[str]

    @property
    def rows(self) -> list[tuple[str, int | None, int]]:
        """Decision, schedule_at in ns, episode."""
        return [(entry.decision.value, entry.schedule_at, entry.episode_id) for entry in self.entries]

    @property
    def ends(self) -> list[tuple[RunTermination | None, int]]:
        return [(entry.termination, entry.retry_count) for entry in self.entries]


def drive(constraints: Constraints, events: str, script: Script | None = None) -> Ran:
    """Run events written as ``C e1 @0, P t1 @10``: C for Command, P for Pump, times in seconds."""
    invoker, log = ScriptedInvoker(), RecordingLog()
    for event_id, terminations in (script or {}).items():
        invoker.script(event_id, terminations)
    supervisor = Supervisor("g", constraints, log, invoker)
    for words in events.split(", "):
        letter, event_id, at = words.split()
        kind = EventKind.PUMP if letter == "P" else EventKind.COMMAND
        ns = MAX_NS if at == "@max" else seconds(float(at[1:]))
        supervisor.on_event(ExternalEvent.mechanical(event_id, kind, ns))
    return Ran(log.entries, invoker.calls)


def rows(*told: tuple[str, float | None, int]) -> list[tuple[str, int | None, int]]:
    """The rows of a trace with their times in seconds."""
    return [(decision, None if at is None else seconds(at), episode) for decision, at, episode in told]


ONE_IN_TEN = Constraints(max_per_window=1, rate_window=10 * NANOS)


def test_c10_45_deadline_zero_aborts_without_touching_the_script():
    invoker = ScriptedInvoker()
    invoker.script("e1", [NETWORK])
    context = ExternalEvent.mechanical("e1", EventKind.COMMAND, 0).context
    assert invoker.run("g", "e1", context, 0) is Outcome.ABORTED
    assert invoker.run("g", "e1", context, 1) == NETWORK


def test_c10_46_scripted_outcomes_come_once_then_the_default():
    invoker = ScriptedInvoker(default=Outcome.TIMED_OUT)
    invoker.script("e1", [NETWORK, DONE])
    context = ExternalEvent.mechanical("e1", EventKind.COMMAND, 0).context
    ends = [invoker.run("g", "e1", context, None) for _ in range(3)]
    assert ends == [NETWORK, DONE, Outcome.TIMED_OUT]
    assert invoker.run("g", "e2", context, None) is Outcome.TIMED_OUT


def test_c10_46_a_new_script_replaces_the_old_one():
    invoker = ScriptedInvoker()
    invoker.script("e1", [NETWORK, NETWORK])
    invoker.script("e1", [Outcome.ABORTED])
    context = ExternalEvent.mechanical("e1", EventKind.COMMAND, 0).context
    assert [invoker.run("g", "e1", context, None) for _ in range(2)] == [Outcome.ABORTED, DONE]


class Trace(NamedTuple):
    constraints: Constraints
    events: str
    rows: list[tuple[str, int | None, int]]
    calls: list[str]
    script: Script = {}


TRACES = {
    "T1": Trace(
        ONE_IN_TEN,
        "C e1 @0, C e2 @0, C e3 @0, P t1 @10, P t2 @20, P t3 @30",
        rows(
            ("Invoke", None, 0),
            ("Defer", 10, 1),
            ("Defer", 10, 2),
            ("Invoke", None, 1),
            ("Invoke", None, 2),
            ("Defer", None, 3),
        ),
        ["e1", "e2", "e3"],
    ),
    "T2": Trace(
        ONE_IN_TEN,
        "C e1 @0, C e2 @4, P t0 @9.999999999, C e3 @10, P t1 @10, P t2 @20",
        rows(
            ("Invoke", None, 0),
            ("Defer", 10, 1),
            ("Defer", None, 2),
            ("Invoke", None, 3),
            ("Defer", 20, 1),
            ("Invoke", None, 1),
        ),
        ["e1", "e3", "e2"],
    ),
    "T3": Trace(
        Constraints(max_per_window=2, rate_window=10 * NANOS),
        "C e1 @0, C e2 @4, C e3 @5.5, C e4 @10, P p1 @10, P p2 @14",
        rows(
            ("Invoke", None, 0),
            ("Invoke", None, 1),
            ("Defer", 10, 2),
            ("Invoke", None, 3),
            ("Defer", 14, 2),
            ("Invoke", None, 2),
        ),
        ["e1", "e2", "e4", "e3"],
    ),
    "T4": Trace(
        Constraints(max_in_flight=0),
        "C e1 @0, C e2 @1, P t1 @5, P t2 @5, P t3 @5",
        rows(("Defer", 0, 0), ("Defer", 1, 1), ("Defer", 5, 0), ("Defer", 5, 1), ("Defer", 5, 0)),
        [],
    ),
    "T5": Trace(
        Constraints(max_per_window=0, rate_window=10 * NANOS),
        "C e1 @0, C e2 @0, P t1 @10, C e3 @25, C e4 @25",
        rows(("Invoke", None, 0), ("Defer", 10, 1), ("Invoke", None, 1), ("Invoke", None, 2), ("Defer", 35, 3)),
        ["e1", "e2", "e3"],
    ),
    "T6": Trace(
        ONE_IN_TEN,
        "C e1 @100, C e2 @3, P t1 @50, P t2 @110",
        rows(("Invoke", None, 0), ("Defer", 110, 1), ("Defer", None, 2), ("Invoke", None, 1)),
        ["e1", "e2"],
    ),
    "T9": Trace(
        ONE_IN_TEN,
        "C e1 @max, C e2 @max, P p @0",
        [("Invoke", None, 0), ("Defer", MAX_NS, 1), ("Defer", MAX_NS, 1)],
        ["e1"],
    ),
    "T10": Trace(
        Constraints(max_per_window=1, rate_window=NANOS, max_retries=1),
        "C e1 @0, C e2 @0, P p1 @1",
        rows(("Invoke", None, 0), ("Defer", 1, 1), ("Invoke", None, 1)),
        ["e1", "e2", "e2"],
        {"e2": [NETWORK]},
    ),
    "T11": Trace(
        Constraints(max_per_window=1, rate_window=10 * NANOS, max_retries=1),
        "C e1 @0, C e2 @5",
        rows(("Invoke", None, 0), ("Defer", 10, 1)),
        ["e1", "e1"],
        {"e1": [NETWORK, NETWORK]},
    ),
    "T13": Trace(
        Constraints(max_in_flight=0, max_per_window=0, rate_window=NANOS),
        "C e1 @3, P p1 @9.000000005",
        [("Defer", 3 * NANOS, 0), ("Defer", 9 * NANOS + 5, 0)],
        [],
    ),
}


@pytest.mark.parametrize("name", TRACES)
def test_c10_47_traces(name: str):
    trace = TRACES[name]
    ran = drive(trace.constraints, trace.events, trace.script)
    assert ran.rows == trace.rows
    assert ran.calls == trace.calls


def test_c10_47_t1_terminations_and_ids():
    ran = drive(ONE_IN_TEN, TRACES["T1"].events)
    assert ran.ends == [(DONE, 0), (None, 0), (None, 0), (DONE, 0), (DONE, 0), (None, 0)]
    assert [entry.event.event_id for entry in ran.entries] == ["e1", "e2", "e3", "t1", "t2", "t3"]


def test_c10_47_t1_second_decision_as_a_bundle_stores_it():
    second = drive(ONE_IN_TEN, TRACES["T1"].events).entries[1]
    assert encode_decision(DecisionRecord.of(second)) == (
        b'{"event_id":"e2","decision":"Defer","schedule_at":{"secs":10,"nanos":0},"episode_id":1,'
        b'"deadline":null,"termination":null,"retry_count":0,"effects":[]}'
    )


def failures(kind: ErrKind, times: int = 1) -> list[RunTermination]:
    return [Failed(kind)] * times


@pytest.mark.parametrize(
    ("script", "termination", "retries"),
    [
        ([NETWORK, DONE], DONE, 1),
        (failures(ErrKind.ADAPTER_UNAVAILABLE, 3), Failed(ErrKind.ADAPTER_UNAVAILABLE), 2),
        (failures(ErrKind.RUNTIME_ERROR, 2), DONE, 2),
        ([Outcome.TIMED_OUT] * 3, Outcome.TIMED_OUT, 2),
        (failures(ErrKind.SEMANTIC_ERROR), Failed(ErrKind.SEMANTIC_ERROR), 0),
        (failures(ErrKind.VALIDATION_FAILED), Failed(ErrKind.VALIDATION_FAILED), 0),
        (failures(ErrKind.DEADLINE_EXCEEDED), Failed(ErrKind.DEADLINE_EXCEEDED), 0),
        (failures(ErrKind.CANCELLED), Failed(ErrKind.CANCELLED), 0),
        ([Outcome.ABORTED], Outcome.ABORTED, 0),
    ],
    ids=[f"e{n}" for n in range(1, 10)],
)
def test_c10_47_t7(script: list[RunTermination], termination: RunTermination, retries: int):
    ran = drive(Constraints(max_retries=2), "C e @0", {"e": script})
    assert ran.ends == [(termination, retries)]
    assert ran.calls == ["e"] * (retries + 1)


@pytest.mark.parametrize(
    ("deadline", "script", "end", "calls"),
    [(0, {"e1": [NETWORK]}, (Outcome.ABORTED, 0), ["e1"]), (1, {}, (DONE, 0), ["e1"])],
)
def test_c10_47_t8(deadline: int, script: Script, end: tuple[RunTermination, int], calls: list[str]):
    ran = drive(Constraints(deadline=deadline, max_retries=3), "C e1 @0", script)
    assert ran.ends == [end]
    assert ran.calls == calls
    assert ran.entries[0].deadline == deadline


def test_c10_47_t10_the_deferred_episode_is_retried():
    trace = TRACES["T10"]
    assert drive(trace.constraints, trace.events, trace.script).ends == [(DONE, 0), (None, 0), (DONE, 1)]


def test_c10_47_t11_two_attempts_took_one_slot():
    trace = TRACES["T11"]
    assert drive(trace.constraints, trace.events, trace.script).ends == [(NETWORK, 1), (None, 0)]


@pytest.mark.parametrize(
    "constraints",
    [
        Constraints(rate_window=5 * NANOS),
        Constraints(max_per_window=1),
        Constraints(max_per_window=1, rate_window=0),
        Constraints(max_in_flight=1),
    ],
)
def test_c10_47_t12_everything_is_invoked(constraints: Constraints):
    ran = drive(constraints, "C e1 @0, C e2 @0, C e3 @1")
    assert [decision for decision, _, _ in ran.rows] == ["Invoke"] * 3
    assert ran.calls == ["e1", "e2", "e3"]


def same_twice(constraints: Constraints, events: str) -> Ran:
    first, second = drive(constraints, events), drive(constraints, events)
    assert (first.rows, first.ends, first.calls) == (second.rows, second.ends, second.calls)
    return first


def test_c10_48_max_in_flight_zero_defers_everything():
    ran = same_twice(Constraints(max_in_flight=0), "C e1 @0, C e2 @0, C e3 @0")
    assert ran.rows == [("Defer", 0, 0), ("Defer", 0, 1), ("Defer", 0, 2)]
    assert ran.ends == [(None, 0)] * 3


def test_c10_49_the_third_in_a_window_of_two_waits():
    ran = same_twice(Constraints(max_per_window=2, rate_window=10 * NANOS), "C e1 @0, C e2 @0, C e3 @0")
    assert ran.rows[2] == ("Defer", 10 * NANOS, 2)
    assert ran.ends == [(DONE, 0), (DONE, 0), (None, 0)]


def test_c10_50_a_pump_with_nothing_to_serve():
    ran = drive(Constraints(), "P p @0")
    assert ran.rows == [("Defer", None, 0)]
    assert ran.ends == [(None, 0)]


RETRIED: Iterable[Any] = [
    NETWORK,
    Failed(ErrKind.ADAPTER_UNAVAILABLE),
    Failed(ErrKind.RUNTIME_ERROR),
    Outcome.TIMED_OUT,
]


@pytest.mark.parametrize("termination", [*Outcome, *map(Failed, ErrKind)], ids=str)
def test_c10_51_what_is_retried(termination: RunTermination):
    assert retryable(termination) == (termination in RETRIED)


CLOCKS = re.compile(
    r"time\.time|time\.monotonic|perf_counter|datetime\.now|utcnow|date\.today"
    r"|\b(?:import|from) (?:random|uuid|secrets)\b|\b(?:random|uuid|secrets)\.\w"
)


@pytest.mark.parametrize("room", ["core", "events", "supervisor", "programs", "bundle", "replay"])
def test_c10_53_c11_48_no_clock_and_no_randomness(room: str):
    folder = Path(ergo_cli.__file__).parent / room
    sources = sorted(folder.rglob("*.py"))
    assert sources
    assert [(str(source), found[0]) for source in sources if (found := CLOCKS.search(source.read_text()))] == []


def test_c10_54_a_context_cannot_be_built():
    with pytest.raises(TypeError):
        Context()


def test_c10_54_a_context_cannot_be_changed():
    context: Any = ExternalEvent.with_payload("e", EventKind.COMMAND, 0, b'{"x":1}').context
    with pytest.raises(TypeError):
        context.values["x"] = 2.0
    with pytest.raises(AttributeError):
        context.values = {}
    with pytest.raises(AttributeError):
        context.payload = b"{}"
    assert dict(context.values) == {"x": 1.0}


def test_c10_54_payload_and_context_of_an_event_cannot_disagree():
    event: Any = ExternalEvent.with_payload("e", EventKind.COMMAND, 0, b'{"x":1}')
    with pytest.raises(AttributeError):
        event.payload = b'{"x":2}'
    assert event.payload is event.context.payload
