"""Every call to the operating system on a command's files fails once: nothing is lost, nothing half-written.

A first run in which nothing fails says which calls there are; then each point is a run of its own, in which one of them
fails in one way.
"""

from __future__ import annotations

import platform
import random
import shutil
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from ergo_cli.errors import ErgoError
from tests.faults.runs import Ran, ergo
from tests.faults.scenarios import SCENARIOS, Scenario, Whole, check_told, files_of

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="the tracer knows the registers of x86-64 Linux"
)

FAULTS = ["ENOSPC", "EIO", "EINTR", "short"]
SOME, SEED = 5, 20261129
MAY_STAY = {"j", "runs.db-journal", "runs.db-wal", "runs.db-shm"}
Point = tuple[int, str]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
@pytest.mark.parametrize("how_many", [SOME, pytest.param(None, marks=pytest.mark.slow, id="all")])
def test_a_call_that_fails_costs_nothing(
    how_many: int | None, scenario: Scenario, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    before = tmp_path / "before"
    before.mkdir()
    scenario.prepare(before)
    folder = tmp_path / "work"
    shutil.copytree(before, folder)
    undisturbed = ergo(folder, scenario.words)
    assert undisturbed.exit_code == 0, undisturbed
    whole = files_of(folder)
    scenario.check(folder, undisturbed, whole)
    every = points(undisturbed.calls)
    tried = every if how_many is None else random.Random(SEED).sample(every, how_many)
    failures = [failure for point in tried if (failure := disturbed(scenario, tmp_path, undisturbed, whole, point))]
    assert not failures, "\n\n".join(failures)
    record_property("fault points", (len(tried), len(every)))


def disturbed(scenario: Scenario, home: Path, undisturbed: Ran, whole: Whole, point: Point) -> str | None:
    """What is wrong after a run in which this one call failed."""
    (at, fault), folder = point, home / "work"
    known = {
        str(each) for name in files_of(home / "before").keys() | whole.keys() for each in (name, *Path(name).parents)
    }
    shutil.rmtree(folder)
    shutil.copytree(home / "before", folder)
    ran = ergo(folder, scenario.words, at, fault)
    try:
        assert [call[0] for call in ran.calls[: at + 1]] == [call[0] for call in undisturbed.calls[: at + 1]]
        check_told(ran)
        assert {str(path.relative_to(folder)) for path in folder.rglob("*")} - known - MAY_STAY == set()
        scenario.check(folder, ran, whole)
    except (AssertionError, ErgoError, OSError, ValueError) as error:
        return f"call {at}, {undisturbed.calls[at][:2]}, fails with {fault}: {error!r}\n{ran.stdout}{ran.stderr}"
    return None


def points(calls: list[tuple[str, str, int]]) -> list[Point]:
    """All that can fail: each call in three ways, a write of several bytes also by taking half of them."""
    return [
        (at, fault)
        for (at, (name, _, result)), fault in product(enumerate(calls), FAULTS)
        if fault != "short" or (name == "write" and result > 1)
    ]
