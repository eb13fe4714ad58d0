"""``ergo runs export -o`` and ``ergo runs import``: runs of every kind move between stores; by real processes."""

from __future__ import annotations

import gzip
import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ergo_cli.programs.plan.ids import run_of_event
from tests.cli.kept_runs import begin_run, log_of, make_project
from tests.cli.pipeline_projects import FLOW, orders
from tests.cli.plan_projects import Home as PlanHome
from tests.cli.refusals import refused
from tests.cli.started import held
from tests.conftest import Ergo, Ran

PLAN_RUN = run_of_event("own@1", "e1")
TABLES = (
    ("kernel_events", "event_json"),
    ("kernel_attempts", "event_json"),
    ("plan_events", "event_json"),
    ("plan_attempts", "event_json"),
    ("pipeline_records", "event_json"),
)


@pytest.fixture(params=["sqlite", "postgres"])
def source(request: pytest.FixtureRequest) -> str:
    return _store(request, "from.db")


@pytest.fixture(params=["sqlite", "postgres"])
def target(request: pytest.FixtureRequest) -> str:
    return _store(request, "to/runs.db")


def _store(request: pytest.FixtureRequest, file: str) -> str:
    return f"sqlite:{file}" if request.param == "sqlite" else f"postgres:{request.getfixturevalue('postgres')}"


def export(ergo: Ergo, *runs: str, store: str, to: str = "runs.jsonl", **surroundings: Any) -> Ran:
    return ergo("runs", "export", *runs, "-o", to, "--store", store, "--format", "json", **surroundings)


def take(ergo: Ergo, store: str, file: str = "runs.jsonl", **surroundings: Any) -> Ran:
    return ergo("runs", "import", file, "--store", store, "--format", "json", **surroundings)


def said(ran: Ran, member: str) -> Any:
    assert ran.exit_code == 0, ran
    return ran.report[member]


def records(file: Path) -> list[tuple[str, list[tuple[Any, ...]]]]:
    """All records of a SQLite store, table by table."""
    with closing(sqlite3.connect(file)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [
            (table, database.execute(f"SELECT run_id, seq, {text} FROM {table} ORDER BY run_id, seq").fetchall())
            for table, text in TABLES
            if table in tables
        ]


def lines(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def sealed(members: list[Any]) -> str:
    """The text of an archive of these lines, with a last line that fits."""
    text = "".join(json.dumps(each) + "\n" for each in members)
    runs = sum(each["line"] == "run" for each in members)
    end = {"line": "end", "runs": runs, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    return text + json.dumps(end) + "\n"


def test_a_kernel_run_goes_on_in_the_other_store(ergo: Ergo, tmp_path: Path, source: str, target: str) -> None:
    make_project(tmp_path)
    begin_run(_absolute(source, tmp_path), tmp_path, "a/1")
    begin_run(_absolute(source, tmp_path), tmp_path, "a/2")
    begun = log_of(_absolute(source, tmp_path), tmp_path, "a/2")
    moved = said(export(ergo, store=source), "runs_archived")
    assert moved == {"path": "runs.jsonl", "runs": 2, "records": 4, "artifacts": 0}
    taken = said(take(ergo, target), "runs_imported")
    new = {**moved, "present": 0}
    assert taken == ({**new, "runs": 0, "records": 0, "present": 2} if source == target else new)
    resumed = ergo("runs", "resume", "a/2", "--value", "true", "--store", target, "-P", "waiting_agent:program")
    assert resumed.exit_code == 0, resumed
    assert log_of(_absolute(target, tmp_path), tmp_path, "a/2")[:2] == begun
    assert log_of(_absolute(target, tmp_path), tmp_path, "a/1") == begun


def _absolute(store: str, folder: Path) -> str:
    return f"sqlite:{folder / store.removeprefix('sqlite:')}" if store.startswith("sqlite:") else store


def test_a_plan_moves_with_its_artifacts_and_its_plan(ergo: Ergo, tmp_path: Path) -> None:
    PlanHome(tmp_path).one("ctx.write('asked', io.call('world.ask', 1, 'fact').response)", more=_WORLD)
    assert ergo("capture", "-o", "a.json", "--store", "sqlite:from.db").exit_code == 0
    moved = said(export(ergo, PLAN_RUN, store="sqlite:from.db"), "runs_archived")
    assert moved["artifacts"] > 0
    said(take(ergo, "sqlite:to/runs.db"), "runs_imported")
    assert records(tmp_path / "to" / "runs.db") == records(tmp_path / "from.db")
    again = ergo("capture", "--continue", "-o", "b.json", "--store", "sqlite:to/runs.db")
    assert again.exit_code == 0, again
    assert ergo("replay", "b.json", "--strict").exit_code == 0


_WORLD = 'transports={"world": "own.world:ask"}'


def test_a_flow_moves_with_all_its_journals(ergo: Ergo, tmp_path: Path) -> None:
    project = orders(tmp_path)
    assert ergo("capture", "-o", "b.json", "--store", "sqlite:../from.db", cwd=project).exit_code == 0
    said(export(ergo, FLOW, store="sqlite:from.db"), "runs_archived")
    said(take(ergo, "sqlite:to.db"), "runs_imported")
    assert records(tmp_path / "to.db") == records(tmp_path / "from.db")
    shown = [
        ergo("runs", "show", FLOW, "--store", f"sqlite:{file}", "--format", "json").report["run_summary"]
        for file in ("from.db", "to.db")
    ]
    assert shown[0] == shown[1]


def test_an_import_that_is_repeated_or_was_cut_off_takes_only_the_rest(ergo: Ergo, tmp_path: Path) -> None:
    make_project(tmp_path)
    for run in ("a", "b"):
        begin_run(f"sqlite:{tmp_path}/from.db", tmp_path, run)
    said(export(ergo, store="sqlite:from.db", to="runs.jsonl.gz"), "runs_archived")
    assert said(take(ergo, "sqlite:to.db", "runs.jsonl.gz"), "runs_imported")["runs"] == 2
    whole = records(tmp_path / "to.db")
    with closing(sqlite3.connect(tmp_path / "to.db")) as database:
        database.execute("DELETE FROM kernel_events WHERE run_id = 'b' AND seq = 2")
        database.commit()
    taken = said(take(ergo, "sqlite:to.db", "runs.jsonl.gz"), "runs_imported")
    assert (taken["runs"], taken["records"], taken["present"]) == (1, 1, 1)
    assert records(tmp_path / "to.db") == whole
    text = ergo("runs", "import", "runs.jsonl.gz", "--store", "sqlite:to.db").stdout.splitlines()
    assert text[0] == "imported: 0 runs, 2 were there already"


def test_a_run_that_is_another_one_in_the_store_is_not_replaced(ergo: Ergo, tmp_path: Path) -> None:
    make_project(tmp_path)
    for run in ("a", "b"):
        begin_run(f"sqlite:{tmp_path}/from.db", tmp_path, run)
    said(export(ergo, store="sqlite:from.db"), "runs_archived")
    begin_run(f"sqlite:{tmp_path}/to.db", tmp_path, "b")
    with closing(sqlite3.connect(tmp_path / "to.db")) as database:
        database.execute("UPDATE kernel_events SET event_json = '{}' WHERE run_id = 'b' AND seq = 2")
        database.commit()
    before = records(tmp_path / "to.db")
    error = _error(take(ergo, "sqlite:to.db"), 3, "store.run_differs")
    assert error["where"] == "run 'b' seq 2"
    assert records(tmp_path / "to.db") == before


def test_a_run_that_went_on_in_the_store_is_not_put_back(ergo: Ergo, tmp_path: Path) -> None:
    make_project(tmp_path, "sqlite:from.db")
    begin_run(f"sqlite:{tmp_path}/from.db", tmp_path)
    said(export(ergo, store="sqlite:from.db"), "runs_archived")
    assert ergo("runs", "resume", "run", "--value", "true").exit_code == 0
    assert "has gone on" in _error(take(ergo, "sqlite:from.db"), 3, "store.run_differs")["message"]


def _error(ran: Ran, exit_code: int, code: str) -> Any:
    refused(ran, exit_code, code)
    return ran.report["error"]


def test_a_run_that_is_driven_is_not_exported(ergo: Ergo, environment: dict[str, str], tmp_path: Path) -> None:
    make_project(tmp_path)
    begin_run(f"sqlite:{tmp_path}/runs.db", tmp_path)
    begin_run(f"sqlite:{tmp_path}/runs.db", tmp_path, "other")
    with held(tmp_path, environment, "runs", "resume", "run", "--value", "true") as driver:
        _error(export(ergo, store="sqlite:runs.db"), 3, "store.run_busy")
        assert said(export(ergo, "other", store="sqlite:runs.db"), "runs_archived")["runs"] == 1
        driver.kill()


def test_an_export_names_a_run_that_is_not_there_and_leaves_the_file(ergo: Ergo, tmp_path: Path) -> None:
    make_project(tmp_path)
    begin_run(f"sqlite:{tmp_path}/runs.db", tmp_path)
    (tmp_path / "runs.jsonl").write_text("mine")
    _error(export(ergo, "run", "ran", store="sqlite:runs.db"), 3, "store.not_found")
    assert (tmp_path / "runs.jsonl").read_text() == "mine"
    _error(export(ergo, store="sqlite:runs.db", to="runs.db"), 2, "cli.conflicting_options")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), "cli.missing_required_option"),
        (("run",), "cli.missing_required_option"),
        (("run", "--as", "obzenflow"), "cli.missing_required_option"),
        (("run", "dir", "--as", "obzenflow", "-o", "x"), "cli.conflicting_options"),
    ],
)
def test_an_export_without_what_it_needs(ergo: Ergo, tmp_path: Path, arguments: tuple[str, ...], code: str) -> None:
    make_project(tmp_path)
    begin_run(f"sqlite:{tmp_path}/runs.db", tmp_path)
    before = set(tmp_path.iterdir())
    _error(ergo("runs", "export", *arguments, "--store", "sqlite:runs.db", "--format", "json"), 2, code)
    assert set(tmp_path.iterdir()) == before


@pytest.fixture
def archive(ergo: Ergo, tmp_path: Path) -> Path:
    make_project(tmp_path)
    begin_run(f"sqlite:{tmp_path}/from.db", tmp_path, "a")
    said(export(ergo, store="sqlite:from.db"), "runs_archived")
    return tmp_path / "runs.jsonl"


def test_a_file_that_was_cut_off_or_changed_is_refused_and_makes_no_store(ergo: Ergo, archive: Path) -> None:
    whole = archive.read_bytes()
    ends = [place for place, byte in enumerate(whole) if byte == 10]
    cut = (whole[: end + 1] for end in ends[:-1])
    for damaged in (b"", whole[:50], *cut, whole.replace(b'"a"', b'"b"'), whole * 2):
        archive.write_bytes(damaged)
        error = _error(take(ergo, "sqlite:to.db"), 3, "store.archive_invalid")
        assert error["where"].startswith("runs.jsonl")
        assert not (archive.parent / "to.db").exists()
    archive.with_suffix(".gz").write_bytes(gzip.compress(whole)[:-9])
    _error(take(ergo, "sqlite:to.db", "runs.gz"), 3, "store.archive_invalid")
    archive.write_bytes(whole)
    said(take(ergo, "sqlite:to.db"), "runs_imported")


@pytest.mark.parametrize(
    ("line", "changes", "why"),
    [
        ("run", {"kind": "magic"}, "is not the run of a kind that is installed"),
        ("run", {"run": "a\nb"}, "is not the run of a kind that is installed"),
        ("record", {"of": "other", "seq": 1}, "a snapshot of 'a' is of a record that it does not have"),
        ("record", {"seq": 7}, "record 7 stands where"),
        ("record", {"journal": "other"}, "Invalid enum value"),
        ("record", {"seq": "1"}, "Expected `int`"),
        ("snapshot", {"of": "other"}, "'other' is no part of the run 'a'"),
        ("record", {"text": "{"}, "its text is not JSON"),
        ("record", {"text": "[" * 200_000}, "its text is not JSON"),
        ("snapshot", {"version": 10**20}, "out of range"),
        ("snapshot", {"version": 2**63}, "out of range"),
        ("snapshot", {"at_seq": -1}, "out of range"),
        ("snapshot", {"at_seq": 99}, "of a record that it does not have"),
        ("form", {"form": "ergo-runs/v9"}, "its form is 'ergo-runs/v9'"),
    ],
)
def test_lines_that_no_export_writes(ergo: Ergo, archive: Path, line: str, changes: dict[str, Any], why: str) -> None:
    members = lines(archive)[:-1]
    next(each for each in reversed(members) if each["line"] == line).update(changes)
    archive.write_text(sealed(members))
    error = _error(take(ergo, "sqlite:to.db"), 3, "store.archive_invalid")
    assert why in error["message"]


def test_a_run_without_records_and_one_that_is_there_twice_are_refused(ergo: Ergo, archive: Path) -> None:
    form, run, *rest = lines(archive)[:-1]
    for members in ([form, run], [form, run, *rest, run, *rest]):
        archive.write_text(sealed(members))
        _error(take(ergo, "sqlite:to.db"), 3, "store.archive_invalid")
        assert not (archive.parent / "to.db").exists()


def test_an_artifact_with_other_bytes_is_refused(ergo: Ergo, archive: Path) -> None:
    members = lines(archive)[:-1]
    members.insert(2, {"line": "artifact", "id": "0" * 64, "data": "eA=="})
    archive.write_text(sealed(members))
    _error(take(ergo, "sqlite:to.db"), 3, "store.corrupt")
    members[2]["data"] = "%"
    archive.write_text(sealed(members))
    assert "is not in base64" in _error(take(ergo, "sqlite:to.db"), 3, "store.archive_invalid")["message"]


def test_an_archive_goes_to_standard_output_alone(ergo: Ergo, archive: Path) -> None:
    ran = ergo("runs", "export", "-o", "-", "--store", "sqlite:from.db")
    assert ran.exit_code == 0, ran
    assert ran.stdout.encode() == archive.read_bytes()


def test_two_exports_are_alike_to_the_byte(ergo: Ergo, archive: Path) -> None:
    said(export(ergo, store="sqlite:from.db", to="again.jsonl"), "runs_archived")
    assert (archive.parent / "again.jsonl").read_bytes() == archive.read_bytes()
