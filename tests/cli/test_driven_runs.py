"""Runs that a process drives: no other one does, until that process is done or gone."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from ergo_cli.programs.plan.ids import run_of_event
from ergo_cli.programs.plan.tables import PLAN_TABLES
from ergo_cli.stores.backends import open_store
from tests.cli.kept_runs import begin_run, log_of, make_project
from tests.cli.plan_projects import Home
from tests.cli.started import held
from tests.conftest import Ergo

HOLDING = (
    "import pathlib, time",
    "here = pathlib.Path(__file__).parents[1]",
    "if (here / 'hold').exists():",
    "    (here / 'held').touch()",
    "    while not (here / 'release').exists():",
    "        time.sleep(0.01)",
    "ctx.write('done', True)",
)
PLAN_RUN = run_of_event("own@1", "e1")


@pytest.fixture(params=["sqlite", "postgres"])
def named(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return (
        f"sqlite:{tmp_path}/runs.db" if request.param == "sqlite" else f"postgres:{request.getfixturevalue('postgres')}"
    )


@pytest.fixture(params=["kernel", "plan"])
def kind(request: pytest.FixtureRequest, named: str, tmp_path: Path, ergo: Ergo) -> str:
    """A project of this kind with an unfinished run in the store."""
    if request.param == "kernel":
        make_project(tmp_path, named)
        begin_run(named, tmp_path)
        return "kernel"
    Home(tmp_path).one(*HOLDING)
    with (tmp_path / "ergo.toml").open("a") as config:
        config.write(f'store = "{named}"\n')
    program = tmp_path / "own" / "program.py"
    whole = program.read_text()
    program.write_text(whole.replace("ctx.write('done', True)", "import os; os.kill(os.getpid(), 9)"))
    assert ergo("capture", "-o", "b.json").exit_code == -signal.SIGKILL
    program.write_text(whole)
    return "plan"


@pytest.fixture
def resume(kind: str) -> tuple[str, ...]:
    """The command that drives the run on."""
    return ("runs", "resume", "run", "--value", '"yes"') if kind == "kernel" else ("runs", "resume", PLAN_RUN)


def records(kind: str, named: str, folder: Path) -> list[str]:
    if kind == "kernel":
        return log_of(named, folder)
    with open_store(named, folder, lambda: 0, PLAN_TABLES) as store:
        return [text for _, text in store.journal.scan(PLAN_RUN)]


def error_of(ergo: Ergo, *command: str) -> tuple[int, dict[str, Any]]:
    ran = ergo(*command, "--format", "json")
    return ran.exit_code, ran.report["error"]


def test_of_two_resumptions_one_drives_and_the_other_is_told_who(
    ergo: Ergo, kind: str, named: str, resume: tuple[str, ...], tmp_path: Path, environment: dict[str, str]
) -> None:
    run = resume[2]
    with held(tmp_path, environment, *resume) as child:
        before = records(kind, named, tmp_path)
        code, error = error_of(ergo, *resume)
        assert (code, error["code"]) == (3, f"{kind}.run_busy")
        assert f"run '{run}' is driven by {child.pid}@" in error["message"]
        assert "(resume) for " in error["message"]
        assert f"run '{run}', driven by {child.pid}@" in error["where"]
        assert error["fix"]
        assert records(kind, named, tmp_path) == before
        [listed] = ergo("runs", "list", "--format", "json").report["runs"]
        shown = ergo("runs", "show", run, "--format", "json").report["run_summary"]
        for document in (listed, shown):
            assert (document["driver"]["pid"], document["driver"]["name"]) == (child.pid, "resume")
            assert set(document["driver"]) == {"host", "pid", "name", "held_ms", "heartbeat_ms"}
        assert f"run '{run}' is driven by {child.pid}@" in ergo("runs", "list").stdout
        assert f"driven by  {child.pid}@" in ergo("runs", "show", run).stdout
        assert ergo("runs", "timeline", run).exit_code == 0
    assert child.returncode == 0
    after = records(kind, named, tmp_path)
    assert after[: len(before)] == before
    assert len(after) > len(before)
    [listed] = ergo("runs", "list", "--format", "json").report["runs"]
    assert (listed["derived_status"], "driver" in listed) == ("Completed", False)


def test_a_run_whose_driver_was_killed_goes_on_at_once(
    ergo: Ergo, kind: str, named: str, resume: tuple[str, ...], tmp_path: Path, environment: dict[str, str]
) -> None:
    with held(tmp_path, environment, *resume) as child:
        child.kill()
    assert child.returncode == -signal.SIGKILL
    again = resume[:3]  # an answer was appended before
    assert ergo(*again).exit_code == 0
    [listed] = ergo("runs", "list", "--format", "json").report["runs"]
    assert listed["derived_status"] == "Completed"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_gives_the_run_back(
    ergo: Ergo,
    kind: str,
    named: str,
    resume: tuple[str, ...],
    tmp_path: Path,
    environment: dict[str, str],
    number: signal.Signals,
) -> None:
    with held(tmp_path, environment, *resume) as child:
        child.send_signal(number)
        assert child.wait(60) == 130
        [listed] = ergo("runs", "list", "--format", "json").report["runs"]
        assert "driver" not in listed
        (tmp_path / "release").touch()
        assert ergo(*resume[:3]).exit_code == 0


def test_a_capture_of_an_event_whose_run_is_driven_is_refused_whole(
    ergo: Ergo, named: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    home = Home(tmp_path)
    home.one(*HOLDING)
    capture = ("capture", "--store", named, "-o")
    with held(tmp_path, environment, *capture, "a.json") as child:
        code, error = error_of(ergo, *capture, "b.json")
        assert (code, error["code"]) == (3, "plan.run_busy")
        assert f"{child.pid}@" in error["message"]
        assert "(capture)" in error["message"]
        assert not (tmp_path / "b.json").exists()
    assert child.returncode == 0
    assert ergo("replay", "a.json", "--strict").exit_code == 0
    text = (tmp_path / "a.json").read_text()
    assert ergo("capture", "-o", "plain.json").exit_code == 0
    assert (tmp_path / "plain.json").read_text() == text
    assert not [word for word in ("holder", "lease", "heartbeat") if word in text]
