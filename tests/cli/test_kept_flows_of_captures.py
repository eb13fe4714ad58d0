"""Captures whose flow is kept in a store: which flow, going on, what is refused, two at once (docs/pipelines.md)."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.pipeline_projects import FLOW, Home, edit, frames, orders
from tests.cli.started import held
from tests.cli.test_runs_bad_stores import without_privileges
from tests.conftest import Ergo

NEXT = "flow_3SYA57B36ZB8YC5K3FWWBR7HTV"
DYING = """
def step(event):
    if event.payload["n"] == 3 and not Path("alive").exists():
        os.kill(os.getpid(), 9)
    return [Event("stepped", event.payload)]
"""
HOLDING = """
def step(event):
    if event.payload["n"] == 2 and Path("hold").exists():
        Path("held").touch()
        while not Path("release").exists():
            time.sleep(0.01)
    return [Event("stepped", event.payload)]
"""


@pytest.fixture(params=["sqlite", "postgres"])
def named(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return (
        f"sqlite:{tmp_path}/runs.db" if request.param == "sqlite" else f"postgres:{request.getfixturevalue('postgres')}"
    )


def home(tmp_path: Path, handlers: str, store: str) -> Home:
    """A project whose pipeline has one transform."""
    made = Home(tmp_path / "home")
    made.program(
        'source("src")',
        'transform("step", step)',
        'sink("snk", lambda event: None)',
        handlers=f"import os, time\nfrom pathlib import Path\n{handlers}",
    )
    with (made.root / "ergo.toml").open("a") as config:
        config.write(f'store = "{store}"\n')
    return made


def listed(ergo: Ergo, store: str) -> list[tuple[str, str]]:
    runs = ergo("runs", "list", "--store", store, "--format", "json").report["runs"]
    return sorted((run["run_id"], run["derived_status"]) for run in runs)


def error_of(ergo: Ergo, *command: str, cwd: Path, through: Sequence[str] = ()) -> tuple[int, dict[str, Any]]:
    ran = ergo(*command, "--format", "json", cwd=cwd, through=through)
    return ran.exit_code, ran.report["error"]


def killed(ergo: Ergo, tmp_path: Path, store: str) -> Home:
    """A project whose capture was killed in the third event."""
    made = home(tmp_path, DYING, store)
    assert ergo("capture", "-o", "b.json", cwd=made.root).exit_code == -signal.SIGKILL
    (made.root / "alive").touch()
    return made


def test_a_second_capture_is_the_next_flow_and_both_replay(ergo: Ergo, named: str, tmp_path: Path) -> None:
    folder = orders(tmp_path)
    bundles = ["first.json", "second.json"]
    for bundle in bundles:
        assert ergo("capture", "--store", named, "-o", bundle, cwd=folder).exit_code == 0
    assert (folder / "first.json").read_bytes() == (folder / "captures" / "morning.json").read_bytes()
    assert ergo("replay", *bundles, "--strict", cwd=folder).exit_code == 0
    assert ergo("diff", *bundles, cwd=folder).exit_code == 0
    ids = [{entry["run_id"] for entry in json.loads((folder / each).read_bytes())["journals"]} for each in bundles]
    assert ids == [{FLOW}, {NEXT}]
    assert listed(ergo, named) == [(FLOW, "Completed"), (NEXT, "Completed")]


def test_run_keeps_a_flow_too_and_continue_changes_nothing(ergo: Ergo, tmp_path: Path) -> None:
    folder, store = orders(tmp_path), f"sqlite:{tmp_path}/runs.db"
    assert ergo("run", "--store", store, cwd=folder).exit_code == 0
    assert ergo("capture", "--continue", "--store", store, "-o", "b.json", cwd=folder).exit_code == 0
    assert [flow for flow, _ in listed(ergo, store)] == [FLOW, NEXT]


def test_a_capture_goes_on_after_a_kill(ergo: Ergo, named: str, tmp_path: Path) -> None:
    folder = killed(ergo, tmp_path, named).root
    assert listed(ergo, named) == [(FLOW, "Active")]
    assert ergo("capture", "-o", "b.json", cwd=folder).exit_code == 0
    assert listed(ergo, named) == [(FLOW, "Completed")]
    edit(folder / "ergo.toml", f'store = "{named}"\n', "")
    assert ergo("capture", "-o", "whole.json", cwd=folder).exit_code == 0
    assert (folder / "b.json").read_bytes() == (folder / "whole.json").read_bytes()


@pytest.mark.parametrize("mode", ["record", "group", "episode"])
def test_what_is_recorded_depends_on_no_fsync_mode(ergo: Ergo, tmp_path: Path, mode: str) -> None:
    folder = orders(tmp_path)
    edit(folder / "orders" / "pipeline.py", 'version="1",', f'version="1", settings=PipelineSettings(fsync="{mode}"),')
    edit(folder / "orders" / "pipeline.py", "    PipelineProgram,\n", "    PipelineProgram,\n    PipelineSettings,\n")
    assert ergo("capture", "--store", f"sqlite:{tmp_path}/runs.db", "-o", "b.json", cwd=folder).exit_code == 0
    bundle, kept = (json.loads((folder / each).read_bytes()) for each in ("b.json", "captures/morning.json"))
    assert bundle["journals"] == kept["journals"]
    assert bundle["artifacts"] == kept["artifacts"]


def test_an_fsync_mode_that_is_none(ergo: Ergo, tmp_path: Path) -> None:
    folder = orders(tmp_path)
    edit(folder / "orders" / "pipeline.py", 'version="1",', 'version="1", settings=PipelineSettings(fsync="groups"),')
    edit(folder / "orders" / "pipeline.py", "    PipelineProgram,\n", "    PipelineProgram,\n    PipelineSettings,\n")
    code, error = error_of(ergo, "capture", "-o", "b.json", cwd=folder)
    assert (code, error["code"], error["where"]) == (3, "pipeline.invalid_setting", "setting 'fsync'")
    assert "group" in error["fix"]


# --- refusals


def test_other_events_a_shorter_stream_another_program(ergo: Ergo, named: str, tmp_path: Path) -> None:
    made = killed(ergo, tmp_path, named)
    before = ergo("runs", "timeline", FLOW, "--store", named).stdout
    own = (made.root / "own.py").read_text()
    whole = [{"n": 1}, {"n": 2}, {"n": 3}]
    for events, handlers, expected, place in (
        ([{"n": 1}, {"n": 7}, {"n": 3}], own, 7, "data:src record"),
        (whole[:1], own, 3, "data:src record"),
        (whole, own.replace('"stepped"', '"other"'), 3, "data:step record 2"),
        (whole, own.replace("snk", "other"), 3, "manifest"),
    ):
        made.events(*events)
        (made.root / "own.py").write_text(handlers)
        code, error = error_of(ergo, "capture", "-o", "b.json", cwd=made.root)
        assert (code, error["code"]) == (expected, "pipeline.flow_differs")
        assert f"flow '{FLOW}' {place}" in error["where"]
        assert error["fix"].endswith(f"ergo runs cancel {FLOW}")
        assert ergo("runs", "timeline", FLOW, "--store", named).stdout == before
    made.events(*whole)
    assert ergo("runs", "cancel", FLOW, "--store", named).exit_code == 0
    assert ergo("capture", "-o", "b.json", cwd=made.root).exit_code == 0
    assert listed(ergo, named) == [(FLOW, "Cancelled"), (NEXT, "Completed")]


def test_a_store_that_cannot_be_written(ergo: Ergo, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    made = killed(ergo, tmp_path, f"sqlite:{folder}/runs.db")
    for file in folder.iterdir():
        file.chmod(0o400)
    folder.chmod(0o500)
    try:
        ran = ergo("capture", "-o", "b.json", "--format", "json", cwd=made.root, through=without_privileges())
    finally:
        folder.chmod(0o700)
        for file in folder.iterdir():
            file.chmod(0o600)
    assert (ran.exit_code, ran.report["error"]["code"]) == (6, "store.read_only")
    assert ergo("capture", "-o", "b.json", cwd=made.root).exit_code == 0


def test_a_store_that_another_program_writes_to(ergo: Ergo, tmp_path: Path) -> None:
    place = tmp_path / "runs.db"
    made = killed(ergo, tmp_path, f"sqlite:{place}")
    with closing(sqlite3.connect(place, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        code, error = error_of(ergo, "capture", "-o", "b.json", cwd=made.root)
        other.execute("ROLLBACK")
    assert (code, error["code"]) == (6, "store.locked")
    assert ergo("capture", "-o", "b.json", cwd=made.root).exit_code == 0


def test_a_store_that_is_full_in_the_middle(ergo: Ergo, tmp_path: Path) -> None:
    """What fits is kept, and is a beginning: with more room the flow goes on."""
    folder, store = orders(tmp_path), f"sqlite:{tmp_path}/runs.db"
    limited = ("bash", "-c", 'ulimit -f 1500; exec "$@"', "bash")
    code, error = error_of(ergo, "capture", "--store", store, "-o", "b.json", cwd=folder, through=limited)
    assert (code, error["code"]) == (7, "host.step_failed")
    assert [cause["code"] for cause in error["causes"]] == ["store.unreachable"]
    assert ergo("capture", "--store", store, "-o", "b.json", cwd=folder).exit_code == 0
    assert (folder / "b.json").read_bytes() == (folder / "captures" / "morning.json").read_bytes()


def test_a_record_that_is_damaged(ergo: Ergo, tmp_path: Path) -> None:
    place = tmp_path / "runs.db"
    made = killed(ergo, tmp_path, f"sqlite:{place}")
    with closing(sqlite3.connect(place, isolation_level=None)) as store:
        statement = "UPDATE pipeline_records SET event_json = '{' WHERE run_id = ? AND seq = 2"
        assert store.execute(statement, (f"{FLOW}/data:src",)).rowcount == 1
    code, error = error_of(ergo, "capture", "-o", "b.json", cwd=made.root)
    assert (code in (3, 7), error["code"]) == (True, "pipeline.journal_corrupt")
    assert error["where"].endswith(f"run '{FLOW}/data:src' seq 2")


# --- two at once, stops


def test_two_captures_at_once(ergo: Ergo, named: str, tmp_path: Path, environment: dict[str, str]) -> None:
    made = home(tmp_path, HOLDING, named)
    with held(made.root, environment, "capture", "-o", "b.json") as child:
        code, error = error_of(ergo, "capture", "-o", "other.json", cwd=made.root)
        assert (code, error["code"]) == (3, "pipeline.run_busy")
        assert f"run '{FLOW}' is driven by {child.pid}@" in error["message"]
        assert error["fix"]
        assert not (made.root / "other.json").exists()
    assert child.returncode == 0
    assert listed(ergo, named) == [(FLOW, "Completed")]


def test_a_flow_that_is_cancelled_while_it_is_driven(
    ergo: Ergo, named: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    made = home(tmp_path, HOLDING, named)
    with held(made.root, environment, "capture", "-o", "b.json"):
        asked = ergo("runs", "cancel", FLOW, "--store", named, "--wait", "0s", "--format", "json")
        assert asked.report["error"]["code"] == "pipeline.run_busy"
    assert listed(ergo, named) == [(FLOW, "Cancelled")]
    bundle = json.loads((made.root / "b.json").read_bytes())
    ends = [(end["termination"], end["status"]) for end in frames(bundle, "end")]
    assert ends == [("Completed", "Running")] * 2 + [("Aborted", "Running"), ("Aborted", "Drained")]
    assert ergo("replay", "b.json", "--strict", cwd=made.root).exit_code == 0
    assert ergo("capture", "-o", "b.json", cwd=made.root).exit_code == 0
    assert listed(ergo, named) == [(FLOW, "Cancelled"), (NEXT, "Completed")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_flow(
    ergo: Ergo, tmp_path: Path, environment: dict[str, str], number: signal.Signals
) -> None:
    store = f"sqlite:{tmp_path}/runs.db"
    made = home(tmp_path, HOLDING, store)
    with held(made.root, environment, "capture", "-o", "b.json") as child:
        child.send_signal(number)
    assert listed(ergo, store) == [(FLOW, "Cancelled")]
