"""The cost of each stage of the hot path, in one process, best of several rounds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

from benchmarks.tables import figure, show
from benchmarks.workloads import Workload
from ergo_cli.bundle.encoding import decision_block, event_block
from ergo_cli.bundle.reader import skim_bundle
from ergo_cli.bundle.schema import Header, Version
from ergo_cli.bundle.writer import BundleWriter
from ergo_cli.core.digest_set import DigestSet
from ergo_cli.events.adapter import bind_together
from ergo_cli.events.external import Context, ExternalEvent
from ergo_cli.events.stream import EventStream, SemanticKinds
from ergo_cli.host.effects import ApplyEffects
from ergo_cli.host.loop import run_stream
from ergo_cli.host.run_plan import PreparedRun
from ergo_cli.programs.graph.program import GraphInvoker
from ergo_cli.project.loading import load_program_from_files
from ergo_cli.replay.byte_match import match_bytes
from ergo_cli.replay.results import ReplayOptions, Target
from ergo_cli.supervisor.seam import DecidedEffects, LogEntry, Outcome
from ergo_cli.supervisor.supervisor import Supervisor

_EVENTS = 20_000
_ROUNDS = 5
_CHUNK = 1 << 15
_TOGETHER = 200  # events of a piece of such a size, more or less


def stages(folder: Path, workloads: Sequence[Workload], unit: float) -> None:
    """Print what each stage costs, in µs an event and, behind it, in rounds of the calibration loop."""
    columns = [
        _costs(_Bench(folder / f"stages-{workload.nodes}-{workload.effects}", workload)) for workload in workloads
    ]
    heading = ("in process, µs an event (rounds)", *(workload.name for workload in workloads))
    rows = [
        (name, *(f"{figure(column[name])} ({figure(column[name] / unit, 1)})" for column in columns))
        for name in columns[0]
    ]
    show("Stages", heading, rows)


def captured_in_process(folder: Path, workload: Workload, events: int) -> None:
    """One capture without a process of its own, to be profiled."""
    _Bench(folder / "profiled", workload, events).capture()


class _Bench:
    """One workload, loaded, and what its stages hand to each other."""

    def __init__(self, folder: Path, workload: Workload, events: int = _EVENTS) -> None:
        folder.mkdir()
        data = workload.write(folder, events).read_bytes()
        self.events = events
        self.chunks = [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)]
        self.bundle = str(folder / "bundle.json")
        loaded = load_program_from_files(folder / "graph.yaml", (), folder / "adapter.yaml")
        assert loaded.adapter is not None
        self.program, self.adapter = loaded.program, loaded.adapter
        self.run = PreparedRun(self.program, self.adapter)

    def stream(self) -> EventStream:
        return EventStream(self.chunks, "events", semantic_kinds=SemanticKinds.REQUIRED)

    def capture(self) -> None:
        header = Header(
            self.program.graph_id, self.run.constraints, self.program.provenance, self.run.adapter_provenance
        )
        with BundleWriter(self.bundle, header) as writer:
            run_stream(self.run, self.stream(), writer)
            writer.commit()

    def replay(self) -> None:
        with skim_bundle(self.bundle) as reader:
            assert match_bytes(reader, Target(self.program, self.adapter), ReplayOptions(strict=True)) is not None


def _costs(bench: _Bench) -> dict[str, float]:
    batches = list(bench.stream().batches())
    built = [events for batch in batches if (events := bind_together(bench.adapter.kinds, batch))]
    invoker, graph_id = GraphInvoker(bench.program.value), bench.program.graph_id
    log = _Entries()
    supervisor = Supervisor(graph_id, bench.run.constraints, log, _Completes())
    decided = []
    for event in chain.from_iterable(built):
        supervisor.on_event(event)
        invoker.run(graph_id, event.event_id, event.context, None)
        decided.append((log.entries[-1], invoker.drain_rendered()))
    effects = ApplyEffects(bench.adapter)
    steps = [decided[at : at + _TOGETHER] for at in range(0, len(decided), _TOGETHER)]
    bench.capture()
    work: dict[str, Callable[[], object]] = {
        "read lines": lambda: sum(map(len, bench.stream().batches())),
        "  ids that do not count on": lambda: _ids(built, lambda text: text[::-1]),
        "bind": lambda: [bind_together(bench.adapter.kinds, batch) and None for batch in batches],
        "supervise": lambda: [supervisor.on_event(event) for batch in built for event in batch],
        "run the graph": lambda: [
            invoker.run(graph_id, event.event_id, event.context, None) for batch in built for event in batch
        ],
        "realise effects": lambda: [effects.realise(each, None) and None for _, each in decided],  # type: ignore[arg-type]
        "event records": lambda: [_event_block(step) and None for step in steps],
        "decision records": lambda: [decision_block(step, b",") and None for step in steps],
        "whole capture": bench.capture,
        "replay: open": lambda: skim_bundle(bench.bundle).close(),
        "replay: events": lambda: _consumed(bench, "event_batches"),
        "replay: decisions": lambda: _consumed(bench, "decision_blocks"),
        "whole strict replay": bench.replay,
    }
    return {name: min(_timed(each) for _ in range(_ROUNDS)) / bench.events * 1e6 for name, each in work.items()}


def _ids(batches: Sequence[Sequence[ExternalEvent]], spelled: Callable[[str], str]) -> None:
    seen = DigestSet()
    for batch in batches:
        seen.add_all([spelled(event.event_id) for event in batch])


def _event_block(step: Sequence[DecidedEffects]) -> bytes:
    return event_block([entry.event for entry, _ in step], Version.V3, b",")


def _consumed(bench: _Bench, records: str) -> None:
    with skim_bundle(bench.bundle) as reader:
        for _ in getattr(reader, records)():
            pass


def _timed(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


class _Entries:
    def __init__(self) -> None:
        self.entries: list[LogEntry] = []

    def log(self, entry: LogEntry) -> None:
        self.entries.append(entry)


class _Completes:
    def run(self, graph_id: str, event_id: str, context: Context, deadline: int | None) -> Outcome:
        return Outcome.COMPLETED
