"""Capture, strict replay and run of ever longer streams: whole processes, start-up included."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.tables import figure, show
from benchmarks.whole import Measured, measure
from benchmarks.workloads import Workload

_HEADING = ("whole process, µs an event", "events", "capture", "replay --strict", "run", "capture/s", "MiB", "rounds")


def growth(folder: Path, workloads: Sequence[Workload], sizes: Sequence[int], unit: float, *, runs: int) -> None:
    """Print a row for each workload and size; ``rounds`` is a capture's cost in rounds of the calibration loop."""
    rows = [_row(folder, workload, size, unit, runs) for workload in workloads for size in sizes]
    show("Growth", _HEADING, rows)


def _row(folder: Path, workload: Workload, size: int, unit: float, runs: int) -> Sequence[str]:
    place = folder / str(workload.nodes)
    place.mkdir(exist_ok=True)
    stream = str(workload.write(place, size))
    program = ("-g", "graph.yaml", "-a", "adapter.yaml")
    capture = measure(("ergo", "capture", stream, "-o", "bundle.json", *program), place, runs=runs)
    replay = measure(("ergo", "replay", "bundle.json", "--strict", *program), place, runs=runs)
    run = measure(("ergo", "run", stream, *program), place, runs=runs)
    memory = max(capture.mebibytes, replay.mebibytes)
    per_event = capture.seconds / size * 1e6
    return (
        workload.name,
        f"{size:,}",
        figure(per_event),
        _per_event(replay, size),
        _per_event(run, size),
        f"{size / capture.seconds:,.0f}",
        figure(memory, 1),
        figure(per_event / unit, 1),
    )


def _per_event(measured: Measured, size: int) -> str:
    return figure(measured.seconds / size * 1e6)
