"""Captures of plans whose process is killed: continued, they end as if nothing had happened, and ask nothing twice."""

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

import pytest

KILL_PLANS = Path(__file__).with_name("kill_plans.py")
SEED = 50
ASKED = ["quote", "second", "rate"]
HANDLERS = {"fetch": 2, "flaky": 2, "parent": 3, "pay": 2, "kid.begin": 1, "kid.end": 1}
"""How often each handler says that it is alive; the transport says so twice for each question."""
CALLS = sum(HANDLERS.values()) + 2 * len(ASKED)

Kill = Callable[..., dict[str, Any]]


@pytest.fixture(
    params=[
        ("sqlite", "mortal_plan"),
        ("postgres", "mortal_plan"),
        ("sqlite", "mortal_parallel"),
        pytest.param(("postgres", "mortal_parallel"), marks=pytest.mark.slow),
    ],
    ids="-".join,
)
def kill(request: pytest.FixtureRequest, tmp_path: Path, environment: dict[str, str]) -> Generator[Kill]:
    """Captures an event of its own, killing a process at each of ``cuts``; what became of the run."""
    store, module = request.param
    named = f"sqlite:{tmp_path}/runs.db" if store == "sqlite" else f"postgres:{request.getfixturevalue('postgres')}"
    for copied in {module, "mortal_plan"}:
        shutil.copy(KILL_PLANS.with_name(f"{copied}.py"), tmp_path)
    command = [sys.executable, str(KILL_PLANS), named, str(tmp_path), module]
    numbers = count(1)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as killer:
        assert killer.stdin is not None
        assert killer.stdout is not None
        requests, answers = killer.stdin, killer.stdout

        def ask(*cuts: float) -> dict[str, Any]:
            print(f"e{next(numbers)}", *cuts, file=requests, flush=True)
            return json.loads(answers.readline())

        yield ask
        killer.stdin.close()
        assert killer.wait(60) == 0


def check(kill: Kill, jobs: Iterable[tuple[float, ...]]) -> list[int]:
    """Kill as the jobs say; the deaths of each."""
    undisturbed = kill()
    assert sorted(undisturbed["asked"]) == sorted(ASKED)
    assert {key for key, _ in undisturbed["facts"]} == {"kid", "kid_end", "pay", "quote", "rate", "second", "tried"}
    deaths: list[int] = []
    for cuts in jobs:
        killed = kill(*cuts)
        assert killed["snapshot"] == undisturbed["snapshot"], cuts
        assert killed["facts"] == undisturbed["facts"], cuts
        assert killed["repeated"] == [], cuts
        assert sorted(set(killed["asked"])) == sorted(ASKED), cuts
        assert killed["exits"] == [0, 0], cuts
        deaths.append(killed["deaths"])
        if not killed["deaths"] and isinstance(cuts[0], int):
            break
    return deaths


def moments(number: int, deaths: int) -> Iterable[tuple[float, ...]]:
    generator = random.Random(SEED)
    return [tuple(generator.uniform(0.2, 1.0) for _ in range(deaths)) for _ in range(number)]


def test_killed_at_every_call_of_its_functions_once(kill: Kill) -> None:
    *deaths, last = check(kill, ((cut,) for cut in count(1)))
    assert deaths == [1] * CALLS
    assert last == 0


def test_killed_at_random_moments(kill: Kill) -> None:
    assert any(check(kill, moments(8, 1)))


@pytest.mark.slow
def test_killed_at_every_call_twice(kill: Kill) -> None:
    assert 2 in check(kill, ((first, second) for first in range(1, CALLS + 1) for second in range(1, CALLS, 3)))


@pytest.mark.slow
def test_killed_at_many_random_moments(kill: Kill) -> None:
    assert {1, 2} <= set(check(kill, moments(100, 3)))
