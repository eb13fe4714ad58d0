"""Single figures: start-up, a small replay, and a diff of two long bundles that differ by one event at the front."""

from __future__ import annotations

from pathlib import Path

from benchmarks.tables import figure, show
from benchmarks.whole import measure
from benchmarks.workloads import Workload

_DECISIONS = 50_000
_BAND = Workload(17, effects=True)
_PROGRAM = ("-g", "graph.yaml", "-a", "adapter.yaml")


def start_up(folder: Path, *, runs: int) -> None:
    """Print what a command costs that does next to nothing."""
    place = folder / "small"
    place.mkdir()
    stream = str(_BAND.write(place, 10))
    measure(("ergo", "capture", stream, "-o", "bundle.json", *_PROGRAM), place, runs=1)
    commands = {
        "ergo --version": ("ergo", "--version"),
        "python -c 'import typer'": ("python", "-c", "import typer"),
        "ergo replay, ten events": ("ergo", "replay", "bundle.json", "--strict", *_PROGRAM),
        "ergo capture, ten events": ("ergo", "capture", stream, "-o", "again.json", *_PROGRAM),
    }
    results = {name: measure(command, place, runs=2 * runs + 1) for name, command in commands.items()}
    rows = [(name, figure(result.seconds * 1e3, 0), figure(result.mebibytes, 1)) for name, result in results.items()]
    show("Start-up", ("whole process", "ms", "MiB"), rows)


def comparisons(folder: Path, *, runs: int) -> None:
    """Print what ``ergo diff`` takes where one bundle has an event more, at the front."""
    place = folder / "diff"
    place.mkdir()
    stream = _BAND.write(place, _DECISIONS)
    longer = place / "longer.jsonl"
    start, rest = stream.read_bytes().split(b"\n", 1)
    extra = rest.split(b"\n", 1)[0].replace(b"q-0000000", b"inserted")
    longer.write_bytes(b"\n".join((start, extra, rest)))
    for events, bundle in ((stream, "a.json"), (longer, "b.json")):
        measure(("ergo", "capture", str(events), "-o", bundle, *_PROGRAM), place, runs=1)
    told = measure(("sh", "-c", "ergo diff a.json b.json; test $? -eq 1"), place, runs=runs)
    row = (f"{_DECISIONS:,} decisions, one inserted at the front", figure(told.seconds), figure(told.mebibytes, 1))
    show("ergo diff", ("whole process", "s", "MiB"), [row])
