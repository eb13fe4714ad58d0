"""Shrinking a stream of 100,000 events of which few matter: how many runs of a command, and how long it takes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.tables import figure, show
from benchmarks.whole import environment_of, once
from benchmarks.workloads import Workload, lines

_EVENTS = 100_000
_MATTER = (1, 5, 10, 50)
_SPREAD = 7_919
"""A prime: the places of the events that matter are its multiples, so that they lie neither close nor evenly."""

_HIGH = b'"price":999.5'
_CHECK = """\
import sys
sys.exit(1 if open(sys.argv[2], "rb").read().count(b'"price":999.5') >= int(sys.argv[1]) else 0)
"""


def shrinking(folder: Path) -> None:
    """Print the runs and seconds of ``ergo shrink`` for 1, 5, 10 and 50 events that matter; each is measured once.

    They have prices of their own, but no episode, kind or key. ``events`` are the runs until no event can go, ``all``
    those with simpler payloads. The last row is of a bundle, whose last decision alone differs: its runs are replays.
    """
    place = folder / "shrinking"
    place.mkdir()
    (place / "check.py").write_text(_CHECK)
    show(
        "Shrinking",
        ("of 100,000 events matter", "runs: events", "all", "seconds"),
        [*(_row(place, k) for k in _MATTER), _of_bundle(place)],
    )


def _row(folder: Path, matter: int) -> tuple[str, ...]:
    places = {(number + 1) * _SPREAD * (_EVENTS // 50 + 1) % _EVENTS for number in range(matter)}
    with (folder / "events.jsonl").open("wb") as file:
        for number, line in enumerate(lines(_EVENTS, effects=True)):
            file.write(_high(line) if number - 1 in places else line)
    command = f"{sys.executable} check.py {matter}"
    return _shrunk(folder, matter, str(matter), "events.jsonl", "--run", command)


def _of_bundle(folder: Path) -> tuple[str, ...]:
    stream, program = Workload(17, effects=False).write(folder, _EVENTS), ("-g", "graph.yaml", "-a", "adapter.yaml")
    *_, last = lines(_EVENTS, effects=False)
    with stream.open("ab") as file:
        file.write(_high(last.replace(b'"id":"q-', b'"id":"last-')))
    once(("ergo", "capture", stream.name, "-o", "bundle.json", *program), folder)
    graph = folder / "graph.yaml"
    graph.write_text(graph.read_text().replace("value: 105.0", "value: 1005.0"))
    return _shrunk(folder, 1, "1, in a bundle", "bundle.json", *program)


def _shrunk(folder: Path, matter: int, name: str, *arguments: str) -> tuple[str, ...]:
    words = ("ergo", "shrink", *arguments, "-o", "small.json", "--format", "json")
    start = time.perf_counter()
    done = subprocess.run(words, cwd=folder, env=environment_of(folder), check=True, stdout=subprocess.PIPE)
    seconds = time.perf_counter() - start
    found = json.loads(done.stdout)["shrink"]
    assert found["events"] == matter, found
    return name, str(found["event_tries"]), str(found["tries"]), figure(seconds, 1)


def _high(line: bytes) -> bytes:
    start = line.index(b'"price":')
    end = min(at for at in (line.find(b",", start), line.find(b"}", start)) if at > 0)
    return line[:start] + _HIGH + line[end:]
