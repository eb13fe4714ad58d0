"""Spec 50 §16.2 and §16.3: every way to go on, of runs whose process was killed, on SQLite and PostgreSQL.

``tests/conformance/test_50_resume.py`` has the same through failpoints.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from dying_plans import ONE, PROGRAMS
from msgspec.structs import replace
from plan_lab import EMPTY, NONE, X1, facts_of

from ergo_cli.programs.plan.effects import queued_calls
from ergo_cli.programs.plan.events import Envelope, StateCompleted, StateEntered, StateFailed
from ergo_cli.programs.plan.manifest import FanOutJoin
from ergo_cli.programs.plan.stream import Streams
from ergo_cli.programs.plan.tables import PLAN_TABLES
from ergo_cli.stores.backends import open_store

DRIVER = Path(__file__).with_name("dying_plans.py")
NEVER = 0


class Lab:
    """A store, and processes that drive runs in it."""

    def __init__(self, named: str, folder: Path, driver: subprocess.Popen[str]) -> None:
        self.named, self.folder = named, folder
        self._driver = driver
        self._numbers = count(1)

    def new_run(self) -> str:
        (self.folder / "asked").write_text("")
        return f"11111111-2222-4333-8444-{next(self._numbers):012}"

    def drive(self, run: str, program: str, dies_at: int = NEVER) -> dict[str, Any]:
        """What became of a process that starts or resumes a run."""
        assert self._driver.stdin is not None
        assert self._driver.stdout is not None
        print(run, program, dies_at, file=self._driver.stdin, flush=True)
        return json.loads(self._driver.stdout.readline())

    def killed(self, program: str, *dies_at: int) -> str:
        """A run whose processes died at these appends, one after the other."""
        run = self.new_run()
        for place in dies_at:
            assert self.drive(run, program, place) == {"killed": True}
        return run

    def stream(self, run: str) -> list[Envelope]:
        with open_store(self.named, self.folder, lambda: 0, PLAN_TABLES) as store:
            return Streams(store.journal).read(run)

    def events(self, run: str) -> str:
        return " ".join(map(shown, self.stream(run)))

    def texts(self, run: str) -> list[str]:
        with open_store(self.named, self.folder, lambda: 0, PLAN_TABLES) as store:
            return [text for _, text in store.journal.scan(run)]

    def put(self, data: bytes) -> str:
        with open_store(self.named, self.folder, lambda: 0, PLAN_TABLES) as store:
            return store.artifacts.put(data)

    def artifact(self, name: str) -> Path:
        return self.folder / "artifacts" / name[:2] / name

    def rewrite(self, run: str, texts: list[str]) -> None:
        """Write other records of the same numbers, behind the store's back."""
        kind, _, place = self.named.partition(":")
        statement = "UPDATE plan_events SET event_json = {0} WHERE run_id = {0} AND seq = {0}"
        rows = [(text, run, seq) for seq, text in enumerate(texts, 1)]
        if kind == "sqlite":
            with closing(sqlite3.connect(place, isolation_level=None)) as connection:
                connection.executemany(statement.format("?"), rows)
        else:
            import psycopg

            with psycopg.connect(place, autocommit=True) as connection:
                connection.cursor().executemany(statement.format("%s"), rows)


def shown(envelope: Envelope) -> str:
    """An event with the last part of its state: ``SE:one#0``."""
    match envelope.kernel:
        case StateEntered(state, attempt, _):
            return f"SE:{state.rpartition('.')[2]}#{attempt}"
        case StateCompleted(state, _):
            return f"SC:{state.rpartition('.')[2]}"
        case StateFailed(state, _, _):
            return f"SF:{state.rpartition('.')[2]}"
        case None:
            return "FR" if envelope.domain is not None and envelope.domain.name == "fact_recorded" else "other"
        case event:
            return {"RunStarted": "RS", "RunCompleted": "RC"}[type(event).__name__]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    where = f"{folder}/runs.db" if request.param == "sqlite" else new_database(request)
    named = f"{request.param}:{where}"
    command, pipe = [sys.executable, str(DRIVER), named, str(folder)], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as driver:
        assert driver.stdin is not None
        assert driver.stdout is not None
        assert driver.stdout.readline() == "ready\n"
        yield Lab(named, folder, driver)
        driver.stdin.close()
        assert driver.wait(60) == 0


def new_database(request: pytest.FixtureRequest) -> str:
    import psycopg

    dsn, numbers = request.getfixturevalue("postgres_server")
    name = f"recoveries_{next(numbers)}"
    with psycopg.connect(f"{dsn}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{dsn}/{name}"


WHOLE = [
    *("RS", "SE:quote#0", "FR", "SC:quote"),
    *("SE:flaky#0", "FR", "SF:flaky", "SE:flaky#1", "SC:flaky"),
    *("SE:skipped#0", "SC:skipped"),
    *("SE:pay#0", "FR", "SC:pay", "RC"),
]
RESUMED = [
    ("R1", ""),
    ("R16", "SE:quote#0"),
    ("R11", "SE:quote#1 FR SC:quote"),
    ("R11", "SE:quote#1 SC:quote"),
    ("R16", "SE:flaky#0"),
    ("R11", "SE:flaky#1 FR SF:flaky SE:flaky#2 SC:flaky SE:skipped#0"),
    ("R11", "SE:flaky#1 SC:flaky SE:skipped#0"),
    ("R15", "SE:flaky#1 SC:flaky"),
    ("R11", "SE:flaky#2 SC:flaky"),
    ("R16", "SE:skipped#0"),
    ("R11", "SE:skipped#1 SC:skipped"),
    ("R16", "SE:pay#0"),
    ("R11", "SE:pay#1 FR SC:pay"),
    ("R11", "SE:pay#1 SC:pay"),
    ("R13", "RC"),
]
"""For each number of records: the row of the table that decides, and what the run goes on with."""


def test_a_run_that_is_killed_at_each_append_comes_to_the_same_end(lab: Lab) -> None:
    calm = lab.killed("whole")
    ended = lab.drive(calm, "whole")
    assert lab.events(calm).split() == WHOLE
    assert lab.drive(calm, "whole") == ended, "R5"
    for records, (row, going_on) in enumerate(RESUMED):
        run = lab.killed("whole", records + 1)
        assert lab.events(run).split() == WHOLE[:records]
        assert lab.drive(run, "whole") == ended, row
        rest = lab.events(run).split()[records:]
        assert " ".join(rest).startswith(going_on), row
        assert rest[-1] == "RC"
        facts = [{bound.key: bound.payload_id for bound in facts_of(lab.stream(each))} for each in (run, calm)]
        assert facts[0] == facts[1], row
        assert [asked["idempotency_key"] for _, asked in queued_calls(lab.stream(run))] == ["pay-1"], row
        answered_in_vain = records == WHOLE.index("FR")  # the answer died with the process
        assert (lab.folder / "asked").read_text().split() == ["quote"] * (1 + answered_in_vain), row


@pytest.mark.parametrize(
    ("program", "dies_at", "events", "phase"),
    [
        pytest.param("one", [3], "RS SE:one#0 SE:one#1 SC:one RC", "Completed", id="R11"),
        pytest.param(
            "one", [3, 4, 5], "RS SE:one#0 SE:one#1 SE:one#2 SE:one#3 SC:one RC", "Completed", id="R11 thrice"
        ),
        pytest.param("once", [3], "RS SE:one#0 SE:one#1 SF:one RC", "Failed", id="R11 beyond the attempts"),
        pytest.param("hard", [4], "RS SE:one#0 SF:one RC", "Failed", id="R14"),
        pytest.param("hard", [3], "RS SE:one#0 SE:one#1 SF:one RC", "Failed", id="R11 fails"),
        pytest.param(
            "always", [6], "RS SE:one#0 SF:one SE:one#1 SF:one SE:one#2 SF:one RC", "Failed", id="R15 used up"
        ),
        pytest.param(
            "always", [8], "RS SE:one#0 SF:one SE:one#1 SF:one SE:one#2 SF:one RC", "Failed", id="R14 used up"
        ),
    ],
)
def test_a_run_that_was_killed_goes_on(lab: Lab, program: str, dies_at: list[int], events: str, phase: str) -> None:
    run = lab.killed(program, *dies_at)
    ended = {"phase": phase, "snapshot": X1 if phase == "Completed" else EMPTY}
    for _ in range(2):
        assert lab.drive(run, program) == ended
        assert lab.events(run) == events


def test_a_run_that_is_killed_again_and_again_is_given_up(lab: Lab) -> None:
    run = lab.killed("one", *range(3, 14))
    assert lab.drive(run, "one") == {"phase": "Failed", "snapshot": EMPTY}
    assert lab.events(run).endswith("SE:one#10 SF:one RC")


# --- what cannot be resumed stays as it is, and goes on once it is mended


def changed(seq: int, old: str, new: str) -> Callable[[Lab, list[str]], list[str]]:
    def change(lab: Lab, texts: list[str]) -> list[str]:
        assert old in texts[seq - 1]
        return [text.replace(old, new) if place == seq else text for place, text in enumerate(texts, 1)]

    return change


def of_another_run(lab: Lab, texts: list[str]) -> list[str]:
    return [text.replace('"run_id":"11111111', '"run_id":"22222222') for text in texts]


def without_beginning(lab: Lab, texts: list[str]) -> list[str]:
    note = json.loads(texts[0]) | {"event": {"Domain": {"name": "note", "payload": 1, "payload_ref": None}}}
    return [json.dumps(note), *texts[1:]]


def completed_twice(lab: Lab, texts: list[str]) -> list[str]:
    ended = {"Kernel": {"StateCompleted": {"state_id": "dying.main.one", "context_snapshot_id": EMPTY}}}
    return [texts[0], json.dumps(json.loads(texts[1]) | {"event": ended})]


def another_manifest(content: Callable[[], bytes]) -> Callable[[Lab, list[str]], list[str]]:
    def change(lab: Lab, texts: list[str]) -> list[str]:
        manifest = json.loads(texts[0])["event"]["Kernel"]["RunStarted"]["manifest_id"]
        return [texts[0].replace(manifest, lab.put(content())), *texts[1:]]

    return change


def fan_out() -> bytes:
    config = replace(ONE.run_config, execution_mode=FanOutJoin(2))
    return replace(ONE.manifest, run_config=config).canonical()


CHANGED = [
    pytest.param("R2", completed_twice, "invalid_attempt_envelopes", "seq 2"),
    pytest.param("R2", changed(2, '"run_id":"11111111', '"run_id":"22222222'), "invalid_attempt_envelopes", "seq 2"),
    pytest.param("R3", of_another_run, "run_id_mismatch", "seq 1"),
    pytest.param("R4", without_beginning, "missing_run_started", ""),
    pytest.param("R6", another_manifest(lambda: b"\xff"), "manifest_decode_failed", "artifact "),
    pytest.param("R6", another_manifest(lambda: b"{}"), "manifest_deserialize_failed", "artifact "),
    pytest.param("R6", changed(1, ONE.manifest.op_id, "other"), "run_started_op_id_mismatch", "seq 1"),
    pytest.param("R7", another_manifest(fan_out), "unsupported_execution_mode", ""),
    pytest.param("gap", changed(2, '"seq":2', '"seq":3'), "event_stream_corrupt", "seq 2"),
    pytest.param("code", changed(2, '"StateEntered"', '"StateLeft"'), "event_stream_corrupt", "seq 2"),
    pytest.param("R11", changed(2, EMPTY, NONE), "artifact_not_found", "dying.main.one#1, "),
]


@pytest.mark.parametrize(("row", "change", "code", "place"), CHANGED)
def test_a_stream_that_was_changed_is_refused_until_it_is_restored(
    lab: Lab, row: str, change: Callable[[Lab, list[str]], list[str]], code: str, place: str
) -> None:
    run = lab.killed("one", 3)
    texts = lab.texts(run)
    broken = change(lab, texts)
    lab.rewrite(run, broken)
    told = lab.drive(run, "one")
    assert told["code"] == f"plan.{code}", row
    assert told["where"].startswith(f"run '{run}'")
    assert place in told["where"]
    assert lab.texts(run) == broken
    lab.rewrite(run, texts)
    assert lab.drive(run, "one") == {"phase": "Completed", "snapshot": X1}


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("refusing", "op_not_found"),
        ("foreign", "plan_op_id_mismatch"),
        ("empty", "invalid_plan"),
        ("renamed", "recovery_state_not_in_plan"),
    ],
)
def test_a_program_that_changed_is_refused_until_it_is_the_old_one(lab: Lab, program: str, code: str) -> None:
    """R9, R10, R12 and the recovery checks."""
    assert PROGRAMS[program].manifest == ONE.manifest
    run = lab.killed("one", 3)
    told = lab.drive(run, program)
    assert told["code"] == f"plan.{code}"
    assert told["where"].startswith(f"run '{run}'")
    assert lab.events(run) == "RS SE:one#0"
    assert lab.drive(run, "one") == {"phase": "Completed", "snapshot": X1}


@pytest.mark.parametrize("which", ["manifest_id", "initial_snapshot_id"])
@pytest.mark.parametrize("content", [None, b"hello"])
def test_an_artifact_that_is_lost_or_damaged_is_missed_until_it_is_restored(
    lab: Lab, which: str, content: bytes | None
) -> None:
    run = lab.killed("one", 3)
    name = json.loads(lab.texts(run)[0])["event"]["Kernel"]["RunStarted"][which]
    file = lab.artifact(name)
    kept = file.read_bytes()
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    told = lab.drive(run, "one")
    assert told["code"] == ("plan.artifact_not_found" if content is None else "plan.artifact_corruption")
    attempt = "" if which == "manifest_id" else " dying.main.one#1"
    assert told["where"].startswith(f"run '{run}'{attempt}, ")
    assert name in told["where"]
    assert lab.events(run) == "RS SE:one#0"
    file.write_bytes(kept)
    assert lab.drive(run, "one") == {"phase": "Completed", "snapshot": X1}


def test_a_fact_whose_answer_is_lost_stops_the_run_until_it_is_restored(lab: Lab) -> None:
    run = lab.killed("whole", WHOLE.index("SC:quote") + 1)
    [bound] = facts_of(lab.stream(run))
    file = lab.artifact(bound.payload_id)
    kept = file.read_bytes()
    file.unlink()
    told = lab.drive(run, "whole")
    assert told["code"] == "plan.artifact_not_found"
    assert told["where"].startswith(f"run '{run}' dying.main.quote#1, ")
    file.write_bytes(kept)
    assert lab.drive(run, "whole")["phase"] == "Completed"
    assert (lab.folder / "asked").read_text().split() == ["quote"]
