"""A capture that is killed leaves no bundle, the old one, or the complete new one."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

GRAPH = Path(__file__).parents[2] / "fixtures" / "rate_limited" / "graphs" / "deliver.yaml"
ERGO = str(Path(sys.executable).with_name("ergo"))


def write_events(path: Path, count: int) -> None:
    lines = ({"kind": "event", "event": {"type": "Command", "payload": {"size": n}}} for n in range(count))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def kill_one(folder: Path, environment: dict[str, str], old: bytes | None, delay: float) -> str:
    destination = folder / "b.json"
    if old is None:
        destination.unlink(missing_ok=True)
    else:
        destination.write_bytes(old)
    command = [ERGO, "capture", "events.jsonl", "-o", "b.json", "-g", str(GRAPH)]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as child:
        time.sleep(delay)
        child.kill()
    if not destination.exists():
        return "none"
    return "old" if destination.read_bytes() == old else "new"


def kill_many(times: int, folder: Path, environment: dict[str, str]) -> dict[str, int]:
    """Kill captures at random moments of their life; every bundle left is the old one or replays completely."""
    write_events(folder / "events.jsonl", 2000)
    started = time.monotonic()
    command = [ERGO, "capture", "events.jsonl", "-o", "whole.json", "-g", str(GRAPH)]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    life = time.monotonic() - started
    whole = (folder / "whole.json").read_bytes()
    left = {"none": 0, "old": 0, "new": 0}
    rng = random.Random(7)
    for turn in range(times):
        old = b"the bundle of yesterday" if turn % 2 else None
        state = kill_one(folder, environment, old, rng.uniform(0, life * 1.3))
        assert state != "none" or old is None, "the old bundle is gone"
        assert state != "new" or (folder / "b.json").read_bytes() == whole, "the bundle is torn"
        left[state] += 1
    return left


def test_kill_leaves_no_torn_bundle(tmp_path: Path, environment: dict[str, str]) -> None:
    assert sum(kill_many(12, tmp_path, environment).values()) == 12


@pytest.mark.slow
def test_kill_at_two_hundred_random_moments(tmp_path: Path, environment: dict[str, str]) -> None:
    left = kill_many(200, tmp_path, environment)
    assert sum(left.values()) == 200
    assert left["new"] > 0, "the moments must reach beyond the rename"
