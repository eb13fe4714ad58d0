"""Artifacts that no run names are removed; all that a run may need stays."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ergo_cli.programs.plan.ids import run_of_event
from ergo_cli.stores.artifacts import FileArtifacts
from tests.cli.kept_runs import begin_run
from tests.cli.plan_projects import Home
from tests.cli.started import held
from tests.conftest import Ergo

RUN = run_of_event("own@1", "e1")
HOLD = (
    "import pathlib, time",
    "here = pathlib.Path(__file__).parents[1]",
    "ctx.write('asked', io.call('world.ask', 1, 'fact').response)",
    "if (here / 'hold').exists():",
    "    (here / 'held').touch()",
    "    while not (here / 'release').exists():",
    "        time.sleep(0.01)",
)
WORLD = 'transports={"world": "own.world:ask"}'
LOST = b"named by no run"


@pytest.fixture(params=["sqlite", "postgres"])
def named(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    where = f"{tmp_path}/runs.db" if request.param == "sqlite" else request.getfixturevalue("postgres")
    return f"{request.param}:{where}"


@pytest.fixture
def folder(named: str, tmp_path: Path, environment: dict[str, str]) -> Path:
    """Where the artifacts lie of the store of a project of one plan."""
    Home(tmp_path).one(*HOLD, more=WORLD)
    with (tmp_path / "ergo.toml").open("a") as config:
        config.write(f'store = "{named}"\n')
    home = Path(environment["XDG_DATA_HOME"], "ergo")
    return tmp_path / "artifacts" if named.startswith("sqlite") else home / "artifacts"


def kept(folder: Path) -> set[str]:
    return {artifact.id for artifact in FileArtifacts(folder).every()}


def age(folder: Path, seconds: int = 7200) -> None:
    """Let all artifacts be this old."""
    for artifact in FileArtifacts(folder).every():
        path = folder / artifact.id[:2] / artifact.id
        moment = path.stat().st_mtime - seconds
        os.utime(path, (moment, moment))


def swept(ergo: Ergo, *more: str) -> dict[str, Any]:
    ran = ergo("runs", "gc", "--format", "json", *more)
    assert ran.exit_code == 0, ran
    return ran.report["swept"]


def refused(ergo: Ergo, *more: str) -> dict[str, Any]:
    ran = ergo("runs", "gc", "--grace", "0s", "--format", "json", *more)
    assert (ran.exit_code, ran.report["swept"]) == (3, None), ran
    return ran.report["error"]


def test_what_no_run_names_is_removed_and_the_run_still_replays(ergo: Ergo, folder: Path, tmp_path: Path) -> None:
    assert ergo("capture", "-o", "a.json").exit_code == 0
    named = kept(folder)
    lost = FileArtifacts(folder).put(LOST)
    assert swept(ergo)["removed"] == {"artifacts": 0, "bytes": 0}
    age(folder)
    told = swept(ergo, "--dry-run")
    assert (told["dry_run"], told["removed"]) == (True, {"artifacts": 1, "bytes": len(LOST)})
    assert kept(folder) == {*named, lost}
    text = ergo("runs", "gc", "--dry-run").stdout.splitlines()
    assert text[0] == f"would remove: 1 artifact, {len(LOST)} bytes"
    assert swept(ergo) == {**told, "dry_run": False}
    assert (kept(folder), told["named"]["artifacts"], told["young"]["artifacts"]) == (named, len(named), 0)
    assert ergo("capture", "--continue", "-o", "b.json").exit_code == 0
    assert ergo("replay", "b.json", "--strict").exit_code == 0


def test_runs_of_an_earlier_ergo_are_listed_and_name_their_artifacts(ergo: Ergo, tmp_path: Path) -> None:
    """A file of the time before lanes and leases."""
    Home(tmp_path).one(*HOLD, more=WORLD)
    store = ("--store", "sqlite:runs.db")
    assert ergo("capture", "-o", "a.json", *store).exit_code == 0
    named = kept(tmp_path / "artifacts")
    with closing(sqlite3.connect(tmp_path / "runs.db")) as database:
        database.executescript("DROP TABLE plan_attempts; DROP TABLE run_leases")
    age(tmp_path / "artifacts")
    assert swept(ergo, *store)["removed"]["artifacts"] == 0
    assert kept(tmp_path / "artifacts") == named
    [run] = ergo("runs", "list", "--format", "json", *store).report["runs"]
    assert (run["run_id"], run["derived_status"]) == (RUN, "Completed")


def test_what_is_put_again_is_young_again(ergo: Ergo, folder: Path) -> None:
    assert ergo("capture", "-o", "a.json").exit_code == 0
    FileArtifacts(folder).put(LOST)
    age(folder)
    FileArtifacts(folder).put(LOST)
    assert swept(ergo)["young"] == {"artifacts": 1, "bytes": len(LOST)}
    assert swept(ergo, "--grace", "3h")["removed"]["artifacts"] == 0
    assert swept(ergo, "--grace", "0s")["removed"]["artifacts"] == 1


def test_after_a_kill_the_run_goes_on_with_all_that_it_needs(
    ergo: Ergo, folder: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    """While it is driven nothing is removed."""
    with held(tmp_path, environment, "capture", "-o", "a.json") as child:
        before = kept(folder)
        error = refused(ergo)
        assert (error["code"], f"run '{RUN}'" in error["message"]) == ("store.run_busy", True)
        assert f"{child.pid}@" in error["where"]
        assert kept(folder) == before
        child.kill()
    assert child.returncode == -signal.SIGKILL
    lost = FileArtifacts(folder).put(LOST)
    assert swept(ergo, "--grace", "0s")["removed"]["artifacts"] == 1
    assert lost not in kept(folder)
    (tmp_path / "own" / "world.py").write_text("def ask(call):\n    raise AssertionError('asked again')\n")
    assert ergo("runs", "resume", RUN).stdout.startswith("completed: ")


def damage(named: str, statement: str) -> None:
    kind, _, place = named.partition(":")
    if kind == "sqlite":
        with closing(sqlite3.connect(place, isolation_level=None)) as connection:
            connection.execute(statement)
    else:
        import psycopg

        with psycopg.connect(place, autocommit=True) as connection:
            connection.execute(statement.encode())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE plan_events SET event_json = '[]' WHERE seq = 3",
        "DELETE FROM plan_events WHERE seq = 2",
        "UPDATE plan_events SET event_json = replace(event_json, 'payload_id', 'payload_ix') WHERE seq = 3",
    ],
)
def test_a_damaged_stream_is_named_and_nothing_is_removed(ergo: Ergo, folder: Path, named: str, statement: str) -> None:
    assert ergo("capture", "-o", "a.json").exit_code == 0
    FileArtifacts(folder).put(LOST)
    before = kept(folder)
    damage(named, statement)
    error = refused(ergo)
    assert error["code"].startswith("plan.")
    assert f"run '{RUN}'" in f"{error['where']} {error['message']}"
    assert kept(folder) == before


def test_stores_of_one_folder_share_their_artifacts(ergo: Ergo, tmp_path: Path) -> None:
    """Those of another file are found; files that are no stores are left as they are."""
    Home(tmp_path).one(*HOLD, more=WORLD)
    for name in ("one", "two"):
        assert ergo("capture", "-o", f"{name}.json", "--store", f"sqlite:{tmp_path}/{name}.db").exit_code == 0
        shutil.rmtree(tmp_path / "own" / "__pycache__", ignore_errors=True)
        (tmp_path / "own" / "world.py").write_text("def ask(call):\n    return [2]\n")
    begin_run(f"sqlite:{tmp_path}/kernels.db", tmp_path)
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as other:
        other.execute("CREATE TABLE t (a)")
    foreign, before = (tmp_path / "other.sqlite").read_bytes(), kept(tmp_path / "artifacts")
    FileArtifacts(tmp_path / "artifacts").put(LOST)
    assert swept(ergo, "--grace", "0s", "--store", f"sqlite:{tmp_path}/one.db")["removed"]["artifacts"] == 1
    assert kept(tmp_path / "artifacts") == before
    assert (tmp_path / "other.sqlite").read_bytes() == foreign


def test_a_database_that_shares_the_folder_must_be_named(
    ergo: Ergo, postgres: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    Home(tmp_path).one(*HOLD, more=WORLD)
    for number, store in enumerate((f"postgres:{postgres}", "default")):
        assert ergo("capture", "-o", f"{number}.json", "--store", store).exit_code == 0
    folder = Path(environment["XDG_DATA_HOME"], "ergo", "artifacts")
    FileArtifacts(folder).put(LOST)
    before = kept(folder)
    error = refused(ergo, "--store", "default")
    assert (error["code"], "--also" in error["fix"]) == ("store.artifacts_shared", True)
    assert "postgres:127.0.0.1" in error["message"]
    assert kept(folder) == before
    both = ("--store", "default", "--also", f"postgres:{postgres}")
    assert swept(ergo, "--grace", "0s", *both)["removed"]["artifacts"] == 1
    assert len(kept(folder)) == len(before) - 1


@pytest.mark.parametrize("store", ["sqlite:absent.db", "mongo:x"])
def test_a_store_that_is_not_there(ergo: Ergo, store: str) -> None:
    ran = ergo("runs", "gc", "--store", store, "--format", "json")
    assert (ran.exit_code, ran.report["error"]["code"]) in [(3, "store.not_found"), (2, "cli.invalid_option_value")]


def test_object_stores_are_not_swept(ergo: Ergo, tmp_path: Path) -> None:
    Home(tmp_path).one(*HOLD, more=WORLD)
    assert ergo("capture", "-o", "a.json", "--store", f"sqlite:{tmp_path}/runs.db").exit_code == 0
    with (tmp_path / "ergo.toml").open("a") as config:
        config.write('store = "sqlite:runs.db"\nartifacts = "s3://bucket/prefix"\n')
    before = kept(tmp_path / "artifacts")
    ran = ergo("runs", "gc", "--grace", "0s", "--format", "json")
    assert (ran.exit_code, ran.report["error"]["code"]) == (2, "cli.conflicting_options")
    assert "s3://bucket/prefix" in ran.report["error"]["message"]
    assert kept(tmp_path / "artifacts") == before
