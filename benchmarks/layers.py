"""What naming the changes behind a replay that differs adds to it: the layers of change, joined to the divergences."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from benchmarks.tables import figure, show
from benchmarks.whole import measure
from benchmarks.workloads import Workload
from ergo_cli.bundle.reader import open_bundle
from ergo_cli.project.finding import ProgramFlags
from ergo_cli.project.store import ProgramStore
from ergo_cli.replay.engine import replay_bundle
from ergo_cli.replay.results import ReplayOptions, Target
from ergo_cli.replay.session import ReplayRequest, ReplaySession

_EVENTS = 1_000
_RUNS = 21


def layers(folder: Path) -> None:
    """Print the milliseconds of the first bundle of a process, imports included, and the median of further ones."""
    place = folder / "layers"
    place.mkdir()
    program = ("-g", "graph.yaml", "-a", "adapter.yaml")
    stream = Workload(17, effects=True).write(place, _EVENTS)
    measure(("ergo", "capture", stream.name, "-o", "bundle.json", *program), place, runs=1)
    graph = place / "graph.yaml"
    graph.write_text(graph.read_text().replace("value: 105.0", "value: 110.0"))
    session = ReplaySession(
        ReplayRequest(ProgramFlags(graph=graph, adapter=place / "adapter.yaml"), strict=False),
        ProgramStore(place / "data" / "ergo" / "programs"),
    )
    times = [_once(session, place / "bundle.json") for _ in range(_RUNS)]
    row = (f"{_EVENTS:,} events, 17 nodes", figure(times[0] * 1e3, 1), figure(statistics.median(times[1:]) * 1e3, 1))
    show("Layers of change", ("a replay that differs", "first, ms", "further, ms"), [row])


def _once(session: ReplaySession, bundle: Path) -> float:
    with open_bundle(str(bundle)) as reader:
        found = session.assign(session.request.flags, reader)
        recorded = found.recall()
        target = Target(found.target.program, found.target.adapter, recorded)
        result = replay_bundle(str(bundle), target, ReplayOptions(strict=False))
        assert result.divergences, "it differs"
        start = time.perf_counter()
        from ergo_cli.replay.reaching import with_changes  # its import is measured as well

        told = with_changes(result, found.changes(reader, recorded, False), target.program)
        seconds = time.perf_counter() - start
    assert len(told.changes) == 1, told.changes
    return seconds
