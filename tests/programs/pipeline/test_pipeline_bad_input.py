"""Bad input to pipelines: each ends its call with a code and a place, and its flow with the terminal fact of spec 60.

Stores that fail do so at one append and then go on, at every append of a flow in turn.
"""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import pytest
from pipeline_flows import Driven, pipeline
from test_pipeline_invoker import Episodes

from ergo_cli.core.time import StandingClock
from ergo_cli.errors import ErgoError, StoreError
from ergo_cli.programs.pipeline import Event, PipelineProgram, PipelineSettings, sink, source, stateful, transform
from ergo_cli.programs.pipeline import lifecycle as moves
from ergo_cli.programs.pipeline import stage_machines as machines
from ergo_cli.programs.pipeline.authoring import EOF
from ergo_cli.programs.pipeline.build import build_flow
from ergo_cli.programs.pipeline.causes import SeqDivergence
from ergo_cli.programs.pipeline.errors import JournalError
from ergo_cli.programs.pipeline.handlers import finished
from ergo_cli.programs.pipeline.ids import CountedIds, StageId, StageWriter
from ergo_cli.programs.pipeline.lifecycle import LIFECYCLE, is_terminal
from ergo_cli.programs.pipeline.signals import ConsumptionFinal, Eof
from ergo_cli.programs.pipeline.stages.edges import EdgeReports
from ergo_cli.programs.pipeline.state_machine import UnhandledEvent, name_of
from ergo_cli.programs.pipeline.stop_intent import Cancel, Graceful, StopIntent
from ergo_cli.programs.pipeline.stored_flows import FLOW_TABLES
from ergo_cli.stores.memory import MemoryJournal
from ergo_cli.stores.sqlite import SqliteDatabase, SqliteJournal
from ergo_cli.supervisor.seam import ErrKind, Failed, Outcome
from tests.stores.test_sqlite import without_privileges

DATA_FAULT, CODE_FAULT = Failed(ErrKind.VALIDATION_FAILED), Failed(ErrKind.SEMANTIC_ERROR)
STORE_FAULT = Failed(ErrKind.ADAPTER_UNAVAILABLE)
FLOW = "flow_1ZE1STVZH6JR1MTYKEYHVHPR1C"
TERMINAL = ("completed", "failed", "cancelled")


def deliver(event: Event) -> None:
    """Consume an event with an ordinary receipt."""


def facts(episodes: Episodes) -> list[Any]:
    """The lifecycle of the pipeline, fact by fact, over all entries."""
    said = [record["record"]["event"] for entry in episodes.entries for record in entry if "record" in record]
    return [event for event in said if "pipeline_event" in event]


def terminal(episodes: Episodes) -> Any:
    """The terminal fact; the only one, and the last fact but ``drained``."""
    said = facts(episodes)
    assert [fact["pipeline_event"] for fact in said if fact["pipeline_event"] in TERMINAL] == [
        said[-2]["pipeline_event"]
    ]
    assert said[-1]["pipeline_event"] == "drained"
    return said[-2]


def error_of(episodes: Episodes) -> ErgoError:
    error = episodes.invoker.last_error
    assert isinstance(error, ErgoError)
    assert error.fix
    return error


# --- EOF twice -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outputs", [[EOF(), EOF()], [EOF(), Event("d", 1)]])
def test_an_eof_is_the_last_output_of_a_source(outputs: list[Any]) -> None:
    episodes = Episodes(pipeline(source("src", lambda payload: outputs), sink("snk", deliver)))
    assert episodes.run(1) == CODE_FAULT
    error = error_of(episodes)
    assert (error.code, error.where) == ("pipeline.stage_failed", "stage 'src'")
    assert "admit of 'src' gave an output after EOF" in error.message
    assert terminal(episodes)["pipeline_event"] == "failed"


def test_an_event_after_the_eof_of_its_source() -> None:
    episodes = Episodes(pipeline(source("src", lambda payload: [EOF()]), sink("snk", deliver)))
    assert episodes.run(1) is Outcome.COMPLETED
    assert episodes.run(1) is Outcome.ABORTED
    assert error_of(episodes).code == "pipeline.not_running"
    assert terminal(episodes)["pipeline_event"] == "completed"


def test_a_reader_takes_the_first_of_two_eofs() -> None:
    """A handler gave an EOF in the name of its stage; the one at the end of the stage counts for nothing."""
    own = StageWriter(CountedIds("orders").mint(StageId))

    def admit(payload: Any) -> list[Any]:
        return [Event("d", payload), Eof(natural=True, writer_id=own, writer_seq=1)]

    episodes = Episodes(pipeline(source("src", admit), sink("snk", deliver)))
    assert episodes.run(1) is Outcome.COMPLETED
    assert episodes.close() == "Completed"
    assert terminal(episodes)["pipeline_event"] == "completed"


# --- contracts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (5, "'src' says that it wrote 5 events, 'snk' read 1"),
        (0, "'src' says that it wrote 0 events, 'snk' read 1"),
    ],
    ids=["fails", "lies"],
)
def test_a_contract_that_does_not_hold_aborts(written: int, message: str) -> None:
    def admit(payload: Any) -> list[Any]:
        return [Event("d", payload), Eof(natural=True, writer_seq=written)]

    episodes = Episodes(pipeline(source("src", admit), sink("snk", deliver)))
    assert episodes.run(1) == DATA_FAULT
    error = error_of(episodes)
    assert (error.code, error.message) == ("pipeline.contract_failed", message)
    assert error.where == "edge 'src' -> 'snk'"
    ended = terminal(episodes)
    assert ended["pipeline_event"] == "failed"
    assert ended["failure_cause"] == {
        "violation_type": "seq_divergence",
        "details": {"advertised": written, "reader": 1},
    }


def test_a_verdict_that_a_handler_gives_is_none() -> None:
    """A stage that passes its own contract by word fails it by count all the same."""
    passed = ConsumptionFinal(passed=True, consumed_count=5, eof_seen=True, reader_seq=5, advertised_writer_seq=5)

    def admit(payload: Any) -> list[Any]:
        return [Event("d", payload), passed, Eof(natural=True, writer_seq=5)]

    episodes = Episodes(pipeline(source("src", admit), sink("snk", deliver)))
    assert episodes.run(1) == DATA_FAULT
    assert terminal(episodes)["failure_cause"]["violation_type"] == "seq_divergence"


def test_a_contract_that_is_missing_blocks_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing moves a flow at rest any more: it fails, and says what it waited for (§26)."""
    monkeypatch.setattr(EdgeReports, "check", lambda self: None)
    episodes = Episodes(pipeline(source("src"), sink("snk", deliver)))
    assert episodes.run(1) is Outcome.COMPLETED
    assert episodes.close() == {"Failed": "SemanticError"}
    error = error_of(episodes)
    assert (error.code, error.where) == ("pipeline.failed", "pipeline 'orders'")
    assert "drain_evidence_missing" in error.message
    assert "missing src → snk" in error.message
    ended = terminal(episodes)
    assert (ended["pipeline_event"], ended["reason"]) == ("failed", "drain_evidence_missing")


def test_in_warn_mode_a_source_may_say_what_it_wants() -> None:
    def admit(payload: Any) -> list[Any]:
        return [Event("d", payload), Eof(natural=True, writer_seq=5)]

    lenient = PipelineSettings(source_contract="warn")
    episodes = Episodes(pipeline(source("src", admit), sink("snk", deliver), settings=lenient))
    assert episodes.run(1) is Outcome.COMPLETED
    assert episodes.close() == "Completed"
    assert terminal(episodes)["pipeline_event"] == "completed"


# --- stages that die while they drain ------------------------------------------------------------------------------


def dies(*_: Any) -> Any:
    raise ValueError("no more")


@pytest.mark.parametrize(
    "stages",
    [
        (transform("st", lambda event: [event], drain=dies), sink("snk", deliver)),
        (stateful("st", list, lambda state, event: None, lambda state: [], drain=dies), sink("snk", deliver)),
        (sink("st", deliver, flush=dies),),
        (sink("st", deliver, drain=dies),),
    ],
    ids=["transform", "stateful", "flush", "sink"],
)
def test_a_stage_that_dies_while_it_drains_fails_the_flow(stages: Any) -> None:
    episodes = Episodes(pipeline(source("src"), *stages))
    assert episodes.run(1) is Outcome.COMPLETED
    assert episodes.close() == {"Failed": "SemanticError"}
    error = error_of(episodes)
    assert (error.code, error.where) == ("pipeline.stage_failed", "stage 'st'")
    assert isinstance(error.__cause__, ValueError)
    ended = terminal(episodes)
    assert ended["pipeline_event"] == "failed"
    assert ended["reason"].startswith("Stage 'st' failed: ")


# --- requests in states that do not take them ----------------------------------------------------------------------

EVENTS: list[Any] = [
    moves.Materialize(),
    moves.MaterializationComplete(),
    moves.StageReadinessComplete(),
    moves.Run(),
    moves.StopRequested(Cancel(), None, 0),
    moves.StopRequested(Graceful(5), None, 0),
    moves.Shutdown(),
    moves.BeginDrain(),
    moves.Abort(SeqDivergence(3, 1), None),
    moves.StageCompleted(StageId.digest_of("src")),
    moves.AllStagesCompleted(),
    moves.Error("x"),
]
STATES: list[Any] = [
    moves.Created(),
    moves.Materializing(),
    moves.Materialized(ready=False),
    moves.Materialized(ready=True),
    moves.Running(),
    moves.SourceCompleted(),
    moves.Draining(),
    moves.AbortRequested(SeqDivergence(3, 1), None),
    moves.Drained(),
    moves.Failed("old", None),
]


def is_refused(state: Any, event: Any) -> bool:
    try:
        LIFECYCLE.step(state, event, StopIntent())
    except UnhandledEvent:
        return True
    return False


REFUSED = [(state, event) for state in STATES for event in EVENTS if is_refused(state, event)]


def test_every_state_refuses_something() -> None:
    assert {type(state) for state, _ in REFUSED} == set(get_args(moves.State))
    assert {type(event) for event in EVENTS} == set(get_args(moves.Event))


@pytest.mark.parametrize(("state", "event"), REFUSED, ids=name_of)
def test_a_request_that_a_state_does_not_take_ends_the_flow_once(state: Any, event: Any) -> None:
    """§8.1 rule 3, H-6: the supervisor ends with a terminal fact; after the end it hears nothing."""
    driven = Driven(pipeline(source("src"), sink("snk", deliver)))
    driven.scheduler.begin()
    supervisor = driven.scheduler.supervisor
    supervisor._state = supervisor.state = state
    before = len(driven.names())
    supervisor.request(event)
    finished(supervisor.visit())
    if isinstance(state, moves.Materializing):
        assert supervisor.is_asked  # the request waits for the next state
        return
    for _ in range(10):
        finished(supervisor.visit())
    said = driven.system()[before:]
    if is_terminal(state):
        assert name_of(supervisor.current) == name_of(state)
        assert supervisor.is_asked
        return
    ends = [each.event.fact for each in said if each.type_name.rpartition(".")[2] in TERMINAL]
    failed = [fact for fact in ends if name_of(fact) == "PipelineFailed"]
    assert [fact.reason for fact in failed] == [
        f"FSM error: Unhandled event '{name_of(event)}' in state '{name_of(state)}'"
    ]
    assert driven.last_facts() == ["system.pipeline.failed", "system.pipeline.drained"]
    assert driven.facts("snk")[-1] == "cancelled: user_stop"


@pytest.mark.parametrize("event", [machines.Ready(), machines.BeginDrain()], ids=name_of)
@pytest.mark.parametrize("when", ["early", "twice"])
def test_h60_19_what_a_source_may_hear_twice_or_early(event: Any, when: str) -> None:
    """A source that drains before it runs writes an EOF that says how much there is: nothing."""
    driven = Driven(pipeline(source("src"), sink("snk", deliver)))
    src: Any = driven.scheduler.stages[0]
    for each in [machines.Initialize(), machines.Ready(), *([event] * (2 if when == "twice" else 1))]:
        finished(src.handle(each))
    finished(src.visit(at_rest=False))
    if isinstance(event, machines.Ready):
        assert name_of(src.state) == "WaitingForGun"
    else:
        assert driven.facts("src") == ["completed"]
        (eof,) = [each.content.signal for each in driven.events("src") if each.event_type == "control.eof"]
        assert eof.writer_seq == 0


# --- stores --------------------------------------------------------------------------------------------------------


class FailingOnce(MemoryJournal):
    """A store whose append of this number fails, with a code; it says to which run and behind which record."""

    def __init__(self, number: int, code: str = "store.full") -> None:
        super().__init__()
        self.left = number
        self.code = code
        self.place: str | None = None

    def append(self, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        self.left -= 1
        if not self.left:
            self.place = f"run '{run}' seq {self.head(run) + 1}"
            raise StoreError(self.code, "it cannot be", where="runs.db", fix="mend it")
        return super().append(run, texts, expected_head)


def program() -> PipelineProgram:
    return pipeline(source("src"), transform("tr", lambda event: [event]), sink("snk", deliver))


def appends() -> int:
    """How many appends a flow of two events makes."""
    store = FailingOnce(0)
    episodes = Episodes(program(), store)
    episodes.run(1), episodes.run(2), episodes.close()
    assert terminal(episodes)["pipeline_event"] == "completed"
    return -store.left


@pytest.mark.parametrize("number", range(1, appends() + 1))
def test_h60_6_an_append_that_fails_leaves_the_terminal_fact(number: int) -> None:
    """Whichever append it is: the call, or closing, ends with the store's code and the place of the record."""
    store = FailingOnce(number)
    episodes = Episodes(program(), store)
    ends = [episodes.run(1), episodes.run(2)]
    closed = episodes.close()
    faults = [entry[-1]["end"]["error"] for entry in episodes.entries if entry[-1]["end"]["error"]]
    assert [fault["code"] for fault in faults] == ["store.full"]
    assert STORE_FAULT in ends or closed == {"Failed": "AdapterUnavailable"}
    said = [fact["pipeline_event"] for fact in facts(episodes)]
    ended = [name for name in said if name in TERMINAL]
    is_about_the_end = store.place is not None and store.place.startswith(f"run '{FLOW}/system'") and number > 1
    assert len(ended) == 1 or (is_about_the_end and not ended and said[-1] == "drained")
    assert ended != ["completed"] or said[-1] != "drained"


@pytest.mark.parametrize("code", ["store.full", "store.locked", "store.read_only", "store.unreachable"])
def test_a_store_that_fails_is_named_with_journal_and_record(code: str) -> None:
    store = FailingOnce(appends() // 2, code)
    episodes = Episodes(program(), store)
    while episodes.run(1) is not STORE_FAULT and store.place is None:
        pass
    error = error_of(episodes)
    assert (error.code, error.where) == (code, f"{store.place}, runs.db")


DAMAGES: dict[str, tuple[Callable[[str], str], str]] = {
    "corrupt": (lambda text: text.replace('"vector_clock"', '"vector_cock"'), "pipeline.journal_corrupt"),
    "torn": (lambda text: text[:-5], "pipeline.journal_corrupt"),
    "of another journal": (
        lambda text: re.sub('"journal_id":"[^"]*"', '"journal_id":"7ZZZZZZZZZZZZZZZZZZZZZZZZZ"', text),
        "pipeline.journal_foreign",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_is_named_when_its_journal_is_opened(damage: str, tmp_path: Path) -> None:
    """§5.4: damage is never passed over; ``where`` is the journal and the record."""
    change, code = DAMAGES[damage]
    with closing(database(tmp_path)) as opened:
        Episodes(program(), SqliteJournal(opened)).run(1)
    run = f"{FLOW}/data:src"
    with closing(sqlite3.connect(tmp_path / "runs.db")) as connection, connection:
        query = "SELECT event_json FROM pipeline_records WHERE run_id = ? AND seq = 2"
        [(text,)] = connection.execute(query, (run,)).fetchall()
        changed = change(text)
        assert changed != text
        connection.execute("UPDATE pipeline_records SET event_json = ? WHERE run_id = ? AND seq = 2", (changed, run))
    with closing(database(tmp_path)) as opened, pytest.raises(JournalError) as caught:
        build_flow(program(), SqliteJournal(opened), CountedIds("orders"), StandingClock())
    assert (caught.value.code, caught.value.where) == (code, f"run '{run}' seq 2")
    assert caught.value.fix


def database(folder: Path) -> SqliteDatabase:
    return SqliteDatabase(str(folder / "runs.db"), lambda: 0, FLOW_TABLES)


READ_ONLY = """
import sys
from contextlib import closing
from ergo_cli.core.time import StandingClock
from ergo_cli.programs.pipeline import PipelineProgram, sink, source
from ergo_cli.programs.pipeline.build import build_flow
from ergo_cli.programs.pipeline.errors import JournalError
from ergo_cli.programs.pipeline.ids import CountedIds
from ergo_cli.programs.pipeline.stored_flows import FLOW_TABLES
from ergo_cli.stores.sqlite import SqliteDatabase, SqliteJournal

program = PipelineProgram("orders", (source("src"), sink("snk", print)), (("src", "snk"),))
with closing(SqliteDatabase(sys.argv[1], lambda: 0, FLOW_TABLES)) as database:
    try:
        build_flow(program, SqliteJournal(database), CountedIds("orders"), StandingClock())
    except JournalError as error:
        print(error.code, error.where)
"""


def test_a_database_that_may_only_be_read(tmp_path: Path) -> None:
    """The flow is refused before anything of it is done."""
    with closing(database(tmp_path)) as opened:
        SqliteJournal(opened).append("other", ["1"])
    file = tmp_path / "runs.db"
    file.chmod(0o444)
    tmp_path.chmod(0o555)
    command = [*without_privileges(), sys.executable, "-B", "-c", READ_ONLY, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    tmp_path.chmod(0o755)
    assert done.stderr == ""
    assert done.stdout.strip() == f"store.read_only {FLOW}/system, {file}"
