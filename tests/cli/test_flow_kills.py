"""``kill -9`` of a capture whose flow is kept, at every append, in effects and from outside (spec 60 §20, §21, §26)."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from random import Random
from typing import Any

import pytest

DRIVER = Path(__file__).with_name("kill_flows.py")
ORDERS = Path(__file__).parents[2] / "fixtures" / "orders"
CHARGED = ["morning-anna", "morning-carl"]
APPENDS = 218
"""The manifest, and 217 records. Behind the last one the flow has ended, so that the next capture is another flow."""
WORLD = """
import os
import signal
from pathlib import Path

from ergo_cli.programs.pipeline import EffectFailed

calls = 0


def charge(basket, call):
    global calls
    calls += 1
    with (Path(__file__).parents[1] / "deeds").open("a") as deeds:
        deeds.write(f"{call.key}\\n")
    if os.environ.get("DEATH") == str(calls):
        os.kill(os.getpid(), signal.SIGKILL)
    if basket["customer"] == "carl":
        raise EffectFailed("card_declined", "the bank declines the card")
    return {"charge": f"ch-{call.key}", "cents": basket["cents"]}
"""


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Lab]:
    folder = tmp_path_factory.mktemp("orders")
    shutil.copytree(ORDERS, folder, dirs_exist_ok=True)
    (folder / "orders" / "world.py").write_text(WORLD)
    (folder / "deeds").write_text("")
    where = f"{folder}/runs.db" if request.param == "sqlite" else new_database(request)
    command, pipe = [sys.executable, str(DRIVER), f"{request.param}:{where}", str(folder)], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as driver:
        yield Lab(driver)
        assert driver.stdin is not None
        driver.stdin.close()
        assert driver.wait(60) == 0


def new_database(request: pytest.FixtureRequest) -> str:
    import psycopg

    dsn, numbers = request.getfixturevalue("postgres_server")
    name = f"flows_{next(numbers)}"
    with psycopg.connect(f"{dsn}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"{dsn}/{name}"


class Lab:
    """Processes that capture the orders, and die."""

    def __init__(self, driver: subprocess.Popen[str]) -> None:
        self._driver = driver
        self.whole = self.after()

    def after(self, *deaths: str) -> dict[str, Any]:
        """What becomes of a flow whose processes died these deaths, one after the other."""
        assert self._driver.stdin is not None
        assert self._driver.stdout is not None
        print(*deaths, file=self._driver.stdin, flush=True)
        return json.loads(self._driver.stdout.readline())

    def check(self, *deaths: str) -> dict[str, Any]:
        """The bundle is the one without a death, and each effect was asked for once, but for those in flight."""
        told = self.after(*deaths)
        assert told["exits"] == [0, 0]
        assert told["bundle"] == self.whole["bundle"]
        asked = told["before"] + told["last"]
        assert sorted(set(asked)) == CHARGED
        assert len(asked) <= len(CHARGED) + told["deaths"]
        return told


def places(when: str) -> range:
    """Appends to die at, before them or behind."""
    return range(1, APPENDS + 1) if when == "a" else range(1, APPENDS)


def test_a_flow_without_deaths(lab: Lab) -> None:
    assert lab.whole["deaths"] == 0
    assert lab.whole["last"] == CHARGED


@pytest.mark.parametrize("when", ["a", "b"])
def test_a_process_killed_at_an_append(lab: Lab, when: str) -> None:
    for place in sorted(Random(7).sample(places(when), 6)):
        told = lab.check(f"{when}{place}")
        assert told["deaths"] == 1, place
        assert len(told["before"]) + len(told["last"]) in (2, 3)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["a", "b"])
def test_a_process_killed_at_every_append(lab: Lab, when: str) -> None:
    for place in places(when):
        assert lab.check(f"{when}{place}")["deaths"] == 1, place


@pytest.mark.parametrize("call", [1, 2])
def test_a_process_killed_in_an_effect_asks_for_it_again_under_its_key(lab: Lab, call: int) -> None:
    told = lab.check(f"e{call}")
    assert told["before"] == CHARGED[:call]
    assert told["last"] == CHARGED[call - 1 :]


def test_one_flow_whose_processes_are_killed_again_and_again(lab: Lab) -> None:
    told = lab.check("a40", "e1", "b3", "e1", "b3", "b1", "a1", "a2", "b5")
    assert told["deaths"] == 9
    assert told["before"].count("morning-anna") == 2
    assert told["before"].count("morning-carl") == 2


def test_a_process_killed_from_outside(lab: Lab) -> None:
    """At random moments, also before and behind the flow: a flow that had ended is followed by the next."""
    moments = Random(3)
    for _ in range(4):
        told = lab.after(f"{moments.uniform(0.1, 0.9):.3f}")
        assert told["exits"] == [0, 0]
        if told["bundle"] == lab.whole["bundle"]:
            assert sorted(set(told["before"] + told["last"])) == CHARGED
        else:
            assert told["last"] == told["before"] == CHARGED
