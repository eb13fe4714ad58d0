"""What spec 10 §19.4, §21 and §22 say of the supervisor beyond its traces."""

from __future__ import annotations

import inspect

from ergo_cli.core.time import NANOS
from ergo_cli.core.values import Effect
from ergo_cli.events.external import Context, EventKind, ExternalEvent
from ergo_cli.supervisor import supervisor as module
from ergo_cli.supervisor.seam import (
    Constraints,
    Decision,
    DecisionLog,
    ErrKind,
    Failed,
    LogEntry,
    Outcome,
    RunTermination,
)
from ergo_cli.supervisor.supervisor import Supervisor
from ergo_cli.testing.logs import RecordingLog
from ergo_cli.testing.scripted import ScriptedInvoker

ONE_IN_TEN = Constraints(max_per_window=1, rate_window=10 * NANOS)


def command(event_id: str, at: int = 0, payload: bytes = b"") -> ExternalEvent:
    return ExternalEvent.with_payload(event_id, EventKind.COMMAND, at, payload)


def pump(event_id: str, at: int = 0, payload: bytes = b"") -> ExternalEvent:
    return ExternalEvent.with_payload(event_id, EventKind.PUMP, at, payload)


class Listening:
    """An invoker that keeps what it was called with, and how far the log was at that moment."""

    def __init__(self, log: RecordingLog) -> None:
        self._log = log
        self.calls: list[tuple[str, str, Context, int | None, int]] = []

    def run(self, graph_id: str, event_id: str, context: Context, deadline: int | None) -> RunTermination:
        self.calls.append((graph_id, event_id, context, deadline, len(self._log.entries)))
        return Outcome.COMPLETED


def test_deferred_work_runs_with_the_context_and_id_of_its_origin():
    log = RecordingLog()
    runtime = Listening(log)
    supervisor = Supervisor("g", ONE_IN_TEN, log, runtime)
    deferred = command("e2", payload=b'{"x":2}')
    for event in (command("e1"), deferred, pump("p", 10 * NANOS, b'{"x":9}')):
        supervisor.on_event(event)
    graph_id, event_id, context, deadline, _ = runtime.calls[1]
    assert (graph_id, event_id, deadline) == ("g", "e2", None)
    assert context is deferred.context
    assert (log.entries[2].event.event_id, log.entries[2].episode_id) == ("p", 1)


def test_the_log_is_appended_after_the_run_and_before_on_event_returns():
    log = RecordingLog()
    runtime = Listening(log)
    supervisor = Supervisor("g", Constraints(), log, runtime)
    for number in range(3):
        supervisor.on_event(command(f"e{number}"))
        assert len(log.entries) == number + 1
    assert [logged for *_, logged in runtime.calls] == [0, 1, 2]


def test_a_command_never_serves_the_queue():
    log, runtime = RecordingLog(), ScriptedInvoker()
    supervisor = Supervisor("g", ONE_IN_TEN, log, runtime)
    for event in (command("e1"), command("e2"), command("e3", 10 * NANOS)):
        supervisor.on_event(event)
    assert runtime.calls == ["e1", "e3"]


def test_a_pump_serves_one_item_the_earliest_first_then_the_lowest_episode():
    log, runtime = RecordingLog(), ScriptedInvoker()
    supervisor = Supervisor("g", Constraints(max_per_window=1, rate_window=1), log, runtime)
    for event in (command("a", 5), command("b", 5), command("c", 5)):
        supervisor.on_event(event)
    for number in range(3):
        supervisor.on_event(pump(f"p{number}", 100 + number))
    assert runtime.calls == ["a", "b", "c"]


def test_the_deadline_is_logged_with_every_decision():
    log = RecordingLog()
    supervisor = Supervisor("g", Constraints(max_in_flight=0, deadline=7), log, ScriptedInvoker())
    supervisor.on_event(command("e"))
    supervisor.on_event(pump("p"))
    assert [entry.deadline for entry in log.entries] == [7, 7]


def test_failed_episodes_take_a_slot_and_are_not_queued_again():
    log, runtime = RecordingLog(), ScriptedInvoker()
    runtime.script("e1", [Failed(ErrKind.SEMANTIC_ERROR)])
    supervisor = Supervisor("g", ONE_IN_TEN, log, runtime)
    for event in (command("e1"), command("e2"), pump("p1", 10 * NANOS), pump("p2", 20 * NANOS)):
        supervisor.on_event(event)
    assert [entry.schedule_at for entry in log.entries] == [None, 10 * NANOS, None, None]
    assert runtime.calls == ["e1", "e2"]


def test_decisions_depend_on_terminations_only():
    """SUP-2: two graphs, the same events and terminations, the same decisions."""

    def decisions(graph_id: str, default: Effect | None) -> list[tuple[Decision, int | None, int]]:
        log, runtime = RecordingLog(), ScriptedInvoker()
        runtime.give_effects("e1", [default] if default else [])
        supervisor = Supervisor(graph_id, ONE_IN_TEN, log, runtime)
        for event in (command("e1"), command("e2"), pump("p", 10 * NANOS)):
            supervisor.on_event(event)
        return [(entry.decision, entry.schedule_at, entry.episode_id) for entry in log.entries]

    assert decisions("one", None) == decisions("two", Effect("set_context", []))


def test_the_log_gives_nothing_back():
    """SUP-7."""
    operations = [name for name in vars(DecisionLog) if not name.startswith("_")]
    assert operations == ["log"]
    assert inspect.signature(DecisionLog.log).return_annotation == "None"


def test_the_graph_id_has_no_setter():
    """SUP-1."""
    public = [name for name in vars(Supervisor) if not name.startswith("_")]
    assert public == ["on_event"]


def test_the_supervisor_stays_small():
    assert len(inspect.getsource(module).splitlines()) < 200


def test_entries_hold_the_event_itself():
    log = RecordingLog()
    event = command("e", payload=b'{"x":1}')
    Supervisor("g", Constraints(), log, ScriptedInvoker()).on_event(event)
    assert log.entries == [
        LogEntry("g", event, Decision.INVOKE, None, 0, None, Outcome.COMPLETED, 0),
    ]
