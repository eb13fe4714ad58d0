"""Runs whose process is killed: resumed, they end as if nothing had happened, and no action has a second key."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Iterable
from itertools import count
from pathlib import Path
from typing import Any

import mortal_agent
import pytest

from ergo_cli.programs.kernel.engine.state import InitialStates
from ergo_cli.programs.kernel.tables import KERNEL_TABLES
from ergo_cli.stores.backends import open_store
from tests.conftest import Ergo

KILL_RUNS = Path(__file__).with_name("kill_runs.py")
SEED = 40
EVENTS = 16

Kill = Callable[..., dict[str, Any]]


@pytest.fixture(params=["sqlite", "postgres"])
def named(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store that several processes can open."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/runs.db"
    return f"postgres:{request.getfixturevalue('postgres')}"


@pytest.fixture
def kill(named: str, tmp_path: Path) -> Generator[Kill]:
    """Drives a run of its own, killing a process at each of ``cuts``; what became of the run."""
    command = [sys.executable, str(KILL_RUNS), named, str(tmp_path)]
    numbers = count(1)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killer:
        assert killer.stdin is not None
        assert killer.stdout is not None
        requests, answers = killer.stdin, killer.stdout

        def ask(*cuts: float) -> dict[str, Any]:
            print(f"run{next(numbers)}", *cuts, file=requests, flush=True)
            return json.loads(answers.readline())

        yield ask
        killer.stdin.close()
        assert killer.wait(60) == 0


def check(kill: Kill, jobs: Iterable[tuple[float, ...]]) -> list[int]:
    """Kill as the jobs say; the deaths of each."""
    undisturbed = kill()
    assert undisturbed["log"][-1] == '"Completed"'
    assert undisturbed["executed"] == ["RUN-2", "RUN-4", "RUN-10", "RUN-14"]
    deaths: list[int] = []
    for cuts in jobs:
        killed = kill(*cuts)
        assert killed["log"] == undisturbed["log"], cuts
        assert killed["state"] == undisturbed["state"], cuts
        executed = killed["executed"]
        assert list(dict.fromkeys(executed)) == undisturbed["executed"], cuts
        assert len(executed) - len(undisturbed["executed"]) <= killed["deaths"], cuts
        deaths.append(killed["deaths"])
        if not killed["deaths"] and isinstance(cuts[0], int):
            break
    return deaths


def moments(number: int, deaths: int) -> Iterable[tuple[float, ...]]:
    generator = random.Random(SEED)
    return [tuple(generator.random() for _ in range(deaths)) for _ in range(number)]


def test_killed_at_every_call_of_its_functions_once(kill: Kill) -> None:
    *deaths, last = check(kill, ((cut,) for cut in count(1)))
    folds, steps, executions = 2 * EVENTS, len(mortal_agent.PLAN) + 1, 4
    assert deaths == [1] * (folds + steps + 2 * executions)
    assert last == 0


def test_killed_at_random_moments(kill: Kill) -> None:
    assert any(check(kill, moments(12, 1)))


@pytest.mark.slow
def test_killed_at_very_many_random_moments(kill: Kill) -> None:
    assert {1, 2, 3} <= set(check(kill, moments(400, 3)))


@pytest.mark.slow
def test_killed_at_every_call_twice(kill: Kill) -> None:
    assert 2 in check(kill, ((first, second) for first in range(1, 50) for second in range(1, 50, 3)))


PROJECT = """\
name = "mortal"
version = "0.1.0"
[profiles.default]
kernel = "mortal_agent:program"
store = "{store}"
"""
BEGINNING = '{"StateUpdated":{"step_id":"begin","payload":1}}'


def records(named: str, folder: Path) -> list[tuple[int, str]]:
    with open_store(named, folder, lambda: 0, KERNEL_TABLES) as store:
        return list(store.journal.scan("run"))


def resume_to_the_end(ergo: Ergo, named: str, folder: Path, cuts: list[int]) -> tuple[int, list[str]]:
    """Begin the run, resume it until it is completed; how many resumptions were killed, and the keys of executions."""
    shutil.copy(mortal_agent.__file__, folder)
    (folder / "ergo.toml").write_text(PROJECT.format(store=named))
    with open_store(named, folder, lambda: 0, KERNEL_TABLES) as store:
        InitialStates(store.snapshots, mortal_agent.program.codec).keep("run", mortal_agent.initial_state("p"))
        store.journal.append("run", [BEGINNING])
    deaths = 0
    while records(named, folder)[-1][1] != '"Completed"':
        if cuts:
            (folder / "cut").write_text(str(cuts.pop(0)))
        value = json.dumps(f"answer {records(named, folder)[-1][0]}")
        asked = records(named, folder)[-1][1].startswith('{"Interrupted"')
        ran = ergo("runs", "resume", "run", *(["--value", value] if asked else []), cwd=folder)
        assert ran.exit_code in (0, -9), ran.stderr
        deaths += ran.exit_code == -9
    return deaths, (folder / "executed").read_text().split()


def test_resumptions_of_the_command_line_are_killed(ergo: Ergo, named: str, tmp_path: Path) -> None:
    folder, aside = tmp_path / "killed", tmp_path / "undisturbed"
    folder.mkdir()
    aside.mkdir()
    undisturbed = f"sqlite:{aside}/runs.db"
    assert resume_to_the_end(ergo, undisturbed, aside, [])[0] == 0
    deaths, executed = resume_to_the_end(ergo, named, folder, [4, 9, 3, 7])
    assert deaths == 4
    assert records(named, folder) == records(undisturbed, aside)
    assert sorted(set(executed)) == sorted((aside / "executed").read_text().split())
