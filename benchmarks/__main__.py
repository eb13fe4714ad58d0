"""The command line of `scripts/bench`."""

from __future__ import annotations

import argparse
import cProfile
import platform
import pstats
import sys
import tempfile
from pathlib import Path

from benchmarks.calibration import calibration_us
from benchmarks.growth import growth
from benchmarks.imports import imports
from benchmarks.shrinking import shrinking
from benchmarks.single import comparisons, start_up
from benchmarks.tables import figure
from benchmarks.workloads import Workload

_WORKLOADS = tuple(Workload(nodes, effects) for nodes in (4, 17, 100) for effects in (True, False))
_SIZES = (1_000, 10_000, 100_000, 1_000_000)


def main() -> None:
    """Measure and print."""
    options = _options()
    workloads = [workload for workload in _WORKLOADS if options.nodes in (None, workload.nodes)]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        if options.profile:
            _profile(Path(folder), workloads[0])
            return
        unit = calibration_us()
        print(f"Python {platform.python_version()}, {platform.machine()}; calibration round {figure(unit, 3)} µs")
        sizes = [size for size in _SIZES if size <= options.events]
        start_up(Path(folder), runs=options.runs)
        growth(Path(folder), workloads, sizes, unit, runs=options.runs)
        comparisons(Path(folder), runs=options.runs)
        imports(Path(folder), sizes, runs=options.runs)
        shrinking(Path(folder))
        from benchmarks.kernels import kernels
        from benchmarks.layers import layers
        from benchmarks.pipelines import pipelines
        from benchmarks.plans import plans
        from benchmarks.stages import stages  # last: a process is charged with the memory of the one that started it

        layers(Path(folder))
        stages(Path(folder), workloads, unit)
        kernels(Path(folder), tuple(size for size in sizes if size <= 100_000))
        plans(Path(folder), tuple(size for size in sizes if size <= 10_000), unit)
        pipelines(Path(folder), tuple(size for size in sizes if size <= 100_000), unit)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description="µs an event, memory and start-up of ergo.")
    parser.add_argument("--events", type=int, default=100_000, help="the longest stream: 1000, 10000, 100000, 1000000")
    parser.add_argument("--nodes", type=int, choices=(4, 17, 100), help="only the graph of this size")
    parser.add_argument("--runs", type=int, default=3, help="runs that a median is taken of")
    parser.add_argument("--profile", action="store_true", help="profile one capture instead, function by function")
    return parser.parse_args()


def _profile(folder: Path, workload: Workload) -> None:
    from benchmarks.stages import captured_in_process

    profiler = cProfile.Profile()
    profiler.runcall(captured_in_process, folder, workload, 20_000)
    pstats.Stats(profiler, stream=sys.stdout).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    main()
