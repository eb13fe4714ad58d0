"""``ergo runs export``: flows as run directories, and what cannot be exported; by real processes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pipeline_archives import FLOW, keep, replayed, texts
from pipeline_flows import data, pipeline
from pipeline_loops import events

from ergo_cli import Ergo as Handle
from ergo_cli import KeptRunError
from ergo_cli.programs.pipeline import Event, open_archive, sink, source, transform
from ergo_cli.programs.pipeline.stored_flows import FLOW_TABLES, journal_run
from ergo_cli.stores.backends import open_store
from tests.cli.kept_runs import begin_run, make_project
from tests.cli.refusals import as_a_user, files, refused, shell
from tests.conftest import Ergo, Ran

STORE = ("--store", "sqlite:runs.db")
AS = ("--as", "obzenflow")
PROGRAM = pipeline(
    source("orders/in"),
    transform("price", lambda event: [Event("priced", event.payload)]),
    sink("ledger", lambda event: None),
)


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    """A folder whose store has a flow."""
    with open_store(f"sqlite:{tmp_path}/runs.db", tmp_path, lambda: 0, FLOW_TABLES) as store:
        keep(PROGRAM, {"orders/in": [{"n": 1}, {"n": 2}]}, store.journal)
    return tmp_path


def refusal(ran: Ran, exit_code: int, code: str) -> Any:
    refused(ran, exit_code, code)
    assert ran.report["run_exported"] is None
    return ran.report["error"]


def export(ergo: Ergo, *arguments: str, **surroundings: Any) -> Ran:
    return ergo("runs", "export", *arguments, *STORE, "--format", "json", **surroundings)


def test_a_flow_is_exported_and_read_again(ergo: Ergo, flow: Path) -> None:
    ran = export(ergo, FLOW, "archives", *AS, cwd=flow)
    assert ran.exit_code == 0, ran
    with open_store(f"sqlite:{flow}/runs.db", flow, lambda: 0, FLOW_TABLES, create=False) as store:
        stored = texts(store.journal)
    assert ran.report["run_exported"] == {
        "run_id": FLOW,
        "form": "obzenflow",
        "path": f"archives/flows/{FLOW}",
        "files": 8,
        "records": sum(map(len, stored.values())),
    }
    archive = open_archive(flow / "archives" / "flows" / FLOW)
    assert texts(archive.journals) == stored
    assert data(events(replayed(PROGRAM, archive), "data:price")) == [{"n": 1}, {"n": 2}]
    assert sorted(each.name for each in flow.iterdir() if not each.name.startswith("runs.db")) == ["archives"]


def test_what_people_see(ergo: Ergo, flow: Path) -> None:
    ran = ergo("runs", "export", FLOW, "archives", *AS, *STORE, cwd=flow)
    headline, *fields = ran.stdout.splitlines()
    assert headline == f"exported: {FLOW}"
    assert [line.split() for line in fields][:3] == [
        ["folder", f"archives/flows/{FLOW}"],
        ["form", "obzenflow"],
        ["files", "8"],
    ]


def test_an_export_replaces_nothing(ergo: Ergo, flow: Path) -> None:
    assert export(ergo, FLOW, "archives", *AS, cwd=flow).exit_code == 0
    before = files(flow / "archives" / "flows" / FLOW)
    refusal(export(ergo, FLOW, "archives", *AS, cwd=flow), 2, "cli.export_target_exists")
    assert files(flow / "archives" / "flows" / FLOW) == before


def test_a_form_that_there_is_not(ergo: Ergo, flow: Path) -> None:
    error = refusal(export(ergo, FLOW, "archives", "--as", "parquet", cwd=flow), 2, "cli.export_form_unknown")
    assert "obzenflow" in error["fix"]
    ran = export(ergo, FLOW, "archives", cwd=flow)
    assert (ran.exit_code, "--as" in ran.report["error"]["message"]) == (2, True)


def test_a_flow_that_there_is_not(ergo: Ergo, flow: Path) -> None:
    error = refusal(export(ergo, FLOW[:-1] + "D", "archives", *AS, cwd=flow), 3, "store.not_found")
    assert FLOW in error["fix"]
    assert not (flow / "archives").exists()


def test_runs_of_other_kinds_are_not_exported(ergo: Ergo, tmp_path: Path) -> None:
    make_project(tmp_path)
    begin_run(f"sqlite:{tmp_path}/runs.db", tmp_path)
    error = refusal(export(ergo, "run", "archives", *AS, cwd=tmp_path), 2, "cli.export_form_unknown")
    assert "timeline" in error["fix"]
    assert not (tmp_path / "archives").exists()


def test_a_full_disk_leaves_nothing(ergo: Ergo, tmp_path: Path) -> None:
    with open_store(f"sqlite:{tmp_path}/runs.db", tmp_path, lambda: 0, FLOW_TABLES) as store:
        keep(PROGRAM, {"orders/in": [{"n": n, "text": "x" * 100} for n in range(200)]}, store.journal)
    ran = export(ergo, FLOW, "archives", *AS, cwd=tmp_path, through=shell("ulimit -f 64; exec"))
    refusal(ran, 6, "cli.export_write_failed")
    assert not (tmp_path / "archives").exists()


def test_a_folder_that_may_not_be_written_to(ergo: Ergo, flow: Path) -> None:
    (flow / "archives").mkdir(mode=0o555)
    ran = export(ergo, FLOW, "archives", *AS, cwd=flow, through=as_a_user())
    error = refusal(ran, 6, "cli.export_write_failed")
    assert "make the folder writable" in error["fix"]
    assert list((flow / "archives").iterdir()) == []


@pytest.mark.parametrize("damage", ["{}", "no JSON", '{"event_id":1,"journal_group_id":7}'])
def test_a_damaged_store(ergo: Ergo, flow: Path, damage: str) -> None:
    with closing(sqlite3.connect(flow / "runs.db")) as database:
        place = (damage, journal_run(FLOW, "data:price"))
        database.execute("UPDATE pipeline_records SET event_json = ? WHERE run_id = ? AND seq = 2", place)
        database.commit()
    ran = export(ergo, FLOW, "archives", *AS, cwd=flow)
    assert "data:price" in refusal(ran, 3, "pipeline.journal_corrupt")["where"]
    assert not (flow / "archives").exists()


def test_from_python(flow: Path) -> None:
    runs = Handle.builder().build().runs(store=f"sqlite:{flow}/runs.db")
    exported = runs.export(FLOW, "obzenflow", flow / "archives")
    assert Path(exported.path) == flow / "archives" / "flows" / FLOW
    with pytest.raises(KeptRunError) as caught:
        runs.export(FLOW, "obzenflow", flow / "archives")
    assert (caught.value.code, caught.value.category) == ("cli.export_target_exists", "config")
