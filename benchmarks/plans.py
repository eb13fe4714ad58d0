"""Runs of plans: what a state costs in memory and in SQLite, resuming and replaying; what a growing context takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import cast

from benchmarks.tables import figure, show
from ergo_cli.programs.plan.engine import Engine, OneByOne, Phase, StartRun
from ergo_cli.programs.plan.events import Envelope
from ergo_cli.programs.plan.ids import RunId
from ergo_cli.programs.plan.program import PlanProgram
from ergo_cli.programs.plan.served import RecordedJournal, ServedTransports, served_engine
from ergo_cli.programs.plan.states import Handler, State
from ergo_cli.programs.plan.tables import PLAN_TABLES
from ergo_cli.stores.artifacts import ArtifactStore, FileArtifacts
from ergo_cli.stores.journals import EventJournal
from ergo_cli.stores.memory import MemoryArtifacts, MemoryJournal
from ergo_cli.stores.sqlite import SqliteDatabase, SqliteJournal

_RUN = RunId("11111111-2222-4333-8444-555555555555")
_ROUNDS = 3
_GROWING = (250, 500, 1_000)


def plans(folder: Path, sizes: tuple[int, ...], unit: float) -> None:
    """Print µs a state of plans whose states write one number, best of three; then bytes a state of growing contexts.

    ``rounds`` is a state's cost in memory in rounds of the calibration loop.
    """
    heading = ("in process, µs a state", "memory", "rounds", "SQLite, files", "memory, replay", "memory, resume")
    show("Plans", heading, [_row(folder, size, unit) for size in sizes])
    heading = ("contexts that grow by 200 bytes a state", "bytes a state", "if whole", "µs a state", "resume, s")
    show("Growing contexts", heading, [_growing(folder, size) for size in _GROWING])


def _row(folder: Path, size: int, unit: float) -> tuple[str, ...]:
    program = _counting(size)
    memory = min(_started(program, MemoryJournal(), MemoryArtifacts()) for _ in range(_ROUNDS))
    database = SqliteDatabase(str(folder / f"plan-{size}.db"), lambda: 0, PLAN_TABLES)
    files = _started(program, SqliteJournal(database), FileArtifacts(folder / f"plan-{size}"))
    database.close()
    journal, artifacts = MemoryJournal(), MemoryArtifacts()
    _started(program, journal, artifacts)
    replay = min(_replayed(program, journal, artifacts) for _ in range(_ROUNDS))
    resume = min(_resumed(program, journal, artifacts) for _ in range(_ROUNDS))
    each = [figure(cost / size * 1e6) for cost in (memory, files, replay)]
    rounds = figure(memory / size * 1e6 / unit, 1)
    return f"{size:,} states", each[0], rounds, each[1], each[2], f"{figure(resume)} s"


def _growing(folder: Path, size: int) -> tuple[str, ...]:
    program, place, journal = _plan(size, _grow), folder / f"grown-{size}", MemoryJournal()
    cost = _started(program, journal, FileArtifacts(place))
    taken = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    resume = min(_resumed(program, journal, FileArtifacts(place)) for _ in range(_ROUNDS))
    whole = 200 * (size + 1) / 2
    each = (f"{taken / size:,.0f}", f"{whole:,.0f}", f"{cost / size * 1e6:,.0f}", figure(resume))
    return f"{size:,} states", *each


def _started(program: PlanProgram, journal: EventJournal, artifacts: ArtifactStore) -> float:
    """Seconds of a whole run."""
    engine = Engine(journal=journal, artifact_store=artifacts, resolver=program, entropy=bytes)
    return _timed(lambda: engine.start(_start(program, engine)).phase)


def _resumed(program: PlanProgram, journal: EventJournal, artifacts: ArtifactStore) -> float:
    """Seconds of going on with the run of ``journal``, whose last state was cut off."""
    texts = [text for _, text in journal.scan(_RUN)]
    cut = MemoryJournal.starting_at({_RUN: texts[:-2]})
    engine = Engine(journal=cut, artifact_store=artifacts, resolver=program, entropy=bytes)
    return _timed(lambda: engine.resume(_RUN).phase)


def _replayed(program: PlanProgram, journal: EventJournal, artifacts: MemoryArtifacts) -> float:
    """Seconds of judging every attempt of a recorded run."""
    recorded = RecordedJournal({_RUN: _events(program, journal, artifacts)}, {})
    engine = served_engine(program, recorded, artifacts, ServedTransports(recorded), OneByOne())
    return _timed(lambda: engine.start(_start(program, engine)).phase)


def _events(program: PlanProgram, journal: EventJournal, artifacts: MemoryArtifacts) -> list[Envelope]:
    return Engine(journal=journal, artifact_store=artifacts, resolver=program, entropy=bytes).streams.read(_RUN)


def _start(program: PlanProgram, engine: Engine) -> StartRun:
    manifest = program.manifest
    return StartRun(
        manifest=manifest,
        manifest_id=engine.artifacts.put(manifest.canonical()),
        plan=program.plan,
        run_config=manifest.run_config,
        initial_context={},
        run_id=_RUN,
    )


def _timed(drive: Callable[[], Phase]) -> float:
    start = time.perf_counter()
    phase = drive()
    taken = time.perf_counter() - start
    assert phase is Phase.COMPLETED, phase
    return taken


def _counting(size: int) -> PlanProgram:
    def count(number: int) -> Handler:
        return lambda ctx, io, rec: ctx.write("count", cast(int, ctx.read("count", 0)) + 1)

    return _plan(size, count)


def _plan(size: int, handler: Callable[[int], Handler]) -> PlanProgram:
    states = tuple(State(f"bench.main.s{number}", handler(number)) for number in range(size))
    edges = tuple((states[number - 1].id, states[number].id) for number in range(1, size))
    return PlanProgram("bench", "1", states, edges)


def _grow(number: int) -> Handler:
    text = sha256(str(number).encode()).hexdigest() * 3
    return lambda ctx, io, rec: ctx.write(f"k{number:05d}", text[:186])
