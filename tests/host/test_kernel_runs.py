"""Kernel programs under the host: the bundles they leave, and what ends a run (spec 00 §13.1, §13.4)."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from kernel_agents import ASKER, SCORER
from msgspec.structs import replace

from ergo_cli.bundle.memory import CaptureBundle, InMemoryBundle
from ergo_cli.bundle.schema import Header, ProgramRecord
from ergo_cli.channels.egress_config import EgressConfig
from ergo_cli.channels.interruption import HOST_STEP_FAILED
from ergo_cli.errors import EgressError, ErgoError, ProjectError, StepError, StoreError
from ergo_cli.events.adapter import Adapter, load_adapter
from ergo_cli.events.stream import EventStream, SemanticKinds
from ergo_cli.host.event_input import StreamArrivals, open_checked_stream
from ergo_cli.host.loop import RunEnd, RunResources, run_arrivals
from ergo_cli.host.run_plan import PreparedRun, check_fit
from ergo_cli.host.timing import RunControl
from ergo_cli.programs.kernel import KernelProgram
from ergo_cli.programs.kernel.kind import KIND
from ergo_cli.programs.program import AnyProgram
from ergo_cli.project.python_programs import PythonSource, python_program
from ergo_cli.stores.backends import RunStore, memory_store
from ergo_cli.stores.memory import MemoryJournal
from ergo_cli.supervisor.seam import Constraints
from ergo_cli.testing.kernel import ScriptedExecutor
from tests.support.events import event_line

EXAMPLE = Path(__file__).parent / "data" / "approve.json"
FILES = (
    PythonSource("agent.program", "agent/program.py", b"", Path("agent/program.py")),
    PythonSource("agent.rules", "agent/rules.py", b"x", Path("agent/rules.py")),
)

WORDS = (
    b'{"kind":"episode_start","id":"d"}\n',
    b'{"kind":"event","event":{"type":"Command","id":"e1","semantic_kind":"word","payload":{"word":"x"}}}\n',
    b'{"kind":"event","event":{"type":"Command","id":"e2","semantic_kind":"word","payload":{"word":5}}}\n',
)


def words() -> Adapter:
    """An adapter that says what the events WORDS may be; the second of them may not."""
    return load_adapter((Path(__file__).parent / "data" / "words.yaml").read_text(), "words.yaml")


def loaded(program: KernelProgram[Any], results: list[Any], ref: str = "agent.program:program") -> AnyProgram:
    live: KernelProgram[Any] = replace(program, execute=ScriptedExecutor(results))
    return python_program(KIND, ref, live, FILES)


def line(event_id: str, payload: object) -> bytes:
    event = {"type": "Command", "id": event_id, "payload": payload}
    return event_line(event)


class Hosted:
    """A run of some events; ``end`` is how it ended, ``bundle`` what was kept of it."""

    def __init__(
        self,
        program: AnyProgram,
        *lines: bytes,
        store: RunStore | None = None,
        run_id: str | None = None,
        **limits: int,
    ) -> None:
        run = PreparedRun(program, None, Constraints(**limits), run_id=run_id)
        self._program = program
        self.sink = InMemoryBundle(Header(program.graph_id, run.constraints, program.provenance))
        stream = EventStream(
            [b'{"kind":"episode_start","id":"d"}\n', *lines], "events", semantic_kinds=SemanticKinds.REFUSED
        )
        resources = RunResources(lasting=True, store=store, episodes=self.sink)
        self.end: RunEnd = run_arrivals(run, StreamArrivals(stream), self.sink, RunControl(), resources)

    @property
    def bundle(self) -> CaptureBundle:
        return self.sink.commit(None, ProgramRecord("kernel", self._program.ref))

    @property
    def entries(self) -> list[Any]:
        return [json.loads(text) for text in self.bundle.journals]


def test_the_example_of_the_specification_is_written_byte_for_byte():
    hosted = Hosted(loaded(SCORER, [0.5]), line("e1", {"amount": 5}))
    text = hosted.bundle.encode()
    assert text == EXAMPLE.read_bytes()
    assert len(text) == 2169
    assert sha256(text).hexdigest() == "53f1e04c46a12f311991dc8ae4578d393eab4034a347e1a1c52ce89f5f662edf"


def test_every_attempt_stands_in_the_entry_and_the_last_ones_effects_in_the_decision():
    hosted = Hosted(loaded(SCORER, [TimeoutError("x"), 0.5]), line("e1", {"amount": 5}), max_retries=3)
    [entry] = hosted.entries
    assert [list(record) for record in entry["records"]] == [["begin"], *[["seq", "event"]] * 2, ["end"]]
    [decision] = hosted.bundle.decisions
    assert (decision.retry_count, len(decision.effects)) == (0, 1), "a permanent failure is not retried"


def test_deferred_work_is_recorded_with_the_decision_that_ran_it():
    pump = b'{"kind":"event","event":{"type":"Pump","id":"p1","at":"3s"}}\n'
    hosted = Hosted(
        loaded(SCORER, [0.5, 0.25]),
        line("e1", {"amount": 5}),
        line("e2", {"amount": 7}),
        pump,
        max_per_window=1,
        rate_window=2_000_000_000,
    )
    assert [(entry["episode_id"], entry["run_id"]) for entry in hosted.entries] == [
        (0, "approve/e1"),
        (1, "approve/e2"),
    ]
    assert [decision.decision.value for decision in hosted.bundle.decisions] == ["Invoke", "Defer", "Invoke"]


def test_an_adapter_checks_events_and_that_is_all():
    program, adapter = loaded(ASKER, []), words()
    assert check_fit(program, adapter, None) == ()
    stream = StreamArrivals(EventStream(WORDS, "events", semantic_kinds=SemanticKinds.REQUIRED))
    sink = InMemoryBundle(Header("talk", Constraints(), program.provenance))
    end = run_arrivals(
        PreparedRun(program, adapter), stream, sink, RunControl(), RunResources(lasting=True, episodes=sink)
    )
    assert end.interruption is not None
    assert (end.summary.events, end.interruption.code) == (1, HOST_STEP_FAILED)
    assert isinstance(end.error, StepError)
    assert end.error.name == "Binding"


def test_routes_are_refused():
    config = EgressConfig.builder(1_000_000_000).channel("c", ["true"]).route("tool_call", "c").build()
    with pytest.raises(EgressError) as caught:
        check_fit(loaded(SCORER, []), None, config)
    assert caught.value.code == "egress.route_unsupported"


def test_a_rule_that_names_no_run_is_refused_before_anything_runs():
    with pytest.raises(ProjectError, match="control characters") as caught:
        check_fit(loaded(SCORER, []), None, None, "a\nb")
    assert caught.value.code == "PRJ-INVALID"


# --- stores that fail


class FullJournal(MemoryJournal):
    """A journal that takes so many appends and no more."""

    def __init__(self, appends: int) -> None:
        super().__init__()
        self.left = appends

    def append(self, run: str, texts: Any, expected_head: int | None = None) -> int:
        if not self.left:
            raise StoreError("store.full", "the disk is full", where="store", fix="make room")
        self.left -= 1
        return super().append(run, texts, expected_head)


def stored(journal: MemoryJournal) -> RunStore:
    return replace(memory_store(), journal=journal)


def test_a_store_that_fails_ends_the_run_and_what_was_committed_is_kept():
    store = stored(FullJournal(5))
    lines = [line(f"e{number}", {"amount": number}) for number in (1, 2, 3)]
    hosted = Hosted(loaded(SCORER, [0.5] * 3), *lines, store=store)
    assert (hosted.end.summary.events, hosted.end.summary.failed) == (1, 0)
    assert hosted.end.interruption is not None
    assert hosted.end.interruption.code == HOST_STEP_FAILED
    error = hosted.end.error
    assert isinstance(error, ErgoError)
    assert (error.code, [cause.code for cause in error.causes]) == ("host.step_failed", ["store.full"])
    assert str(error.where).startswith("events:3:1 ")
    assert [event.event_id for event in hosted.bundle.events] == ["e1"]
    assert len(hosted.bundle.decisions) == len(hosted.bundle.journals) == 1
    assert list(hosted.bundle.artifacts) == [sha256(b'{"amount":1}').hexdigest()]


def test_a_store_that_fails_at_once_is_the_error_of_the_run():
    with pytest.raises(ErgoError) as caught:
        Hosted(loaded(SCORER, [0.5]), line("e1", {"amount": 1}), store=stored(FullJournal(0)))
    assert caught.value.code == "store.full"


def test_another_attempt_may_find_the_store_again():
    class Locked(MemoryJournal):
        refused = False

        def head(self, run: str) -> int:
            if not self.refused:
                self.refused = True
                raise StoreError("store.locked", "the database is locked", where="store", fix="wait")
            return super().head(run)

    hosted = Hosted(loaded(SCORER, [0.5]), line("e1", {"amount": 1}), store=stored(Locked()), max_retries=1)
    assert (hosted.end.interruption, hosted.end.summary.failed) == (None, 0)
    [entry] = hosted.entries
    frames = [record for record in entry["records"] if "seq" not in record]
    assert frames[0] == {"begin": {"attempt": 0, "head": 0, "prior": None, "initial": None}}
    assert frames[1]["end"]["error"]["code"] == "store.locked"
    assert frames[1]["end"]["termination"] == {"Failed": "AdapterUnavailable"}
    assert frames[3]["end"]["termination"] == "Completed"


# --- reading ahead


def test_a_payload_that_breaks_its_schema_is_found_before_the_first_event(tmp_path: Path):
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"".join(WORDS))
    run = PreparedRun(loaded(ASKER, []), words())
    with pytest.raises(StepError) as caught, open_checked_stream(str(file), run, RunControl()):
        raise AssertionError("nothing may run")
    assert caught.value.name == "Binding"
    assert str(caught.value.where).startswith(f"{file}:3:1")
