"""Pipelines of five stages: what an event costs in memory and in SQLite, captured and replayed; peak memory."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from benchmarks import five_stages
from benchmarks.tables import figure, show
from benchmarks.whole import once
from ergo_cli.core.time import StandingClock
from ergo_cli.programs.pipeline.durability import Durability
from ergo_cli.programs.pipeline.flow_store import MemoryFlow
from ergo_cli.programs.pipeline.invoker import PipelineInvoker
from ergo_cli.programs.pipeline.modes import Fsync
from ergo_cli.programs.pipeline.stored_flows import FLOW_TABLES
from ergo_cli.programs.seat import Seat
from ergo_cli.stores.journals import EventJournal
from ergo_cli.stores.memory import MemoryJournal
from ergo_cli.stores.sqlite import SqliteDatabase, SqliteJournal
from ergo_cli.supervisor.seam import Outcome

_PROJECT = 'name = "bench"\nversion = "1"\n[profiles.default]\npipeline = "five_stages:program"\n'
_PROGRAM = ("-p", "default")
_STAGES = len(five_stages.program.stages)
_SQLITE_LIMITS = {Fsync.RECORD: 1_000, Fsync.EPISODE: 10_000}  # two dozen transactions an event; syncs take most time
_HEADING = (
    "five stages, µs an event",
    "memory",
    "a stage",
    "rounds",
    *(f"SQLite, fsync {mode.value}" for mode in _SQLITE_LIMITS),
    "capture",
    "replay --strict",
    "MiB",
)


def pipelines(folder: Path, sizes: tuple[int, ...], unit: float) -> None:
    """Print µs an event in one process, in memory and in SQLite, then of whole processes; each is measured once.

    SQLite is measured up to the length that each way to sync allows. ``a stage`` and ``rounds``, of the calibration
    loop, are those of the run in memory.
    """
    place = folder / "pipelines"
    place.mkdir()
    (place / "ergo.toml").write_text(_PROJECT)
    shutil.copy(five_stages.__file__, place)
    show("Pipelines", _HEADING, [_row(place, size, unit) for size in sizes])


def _row(folder: Path, size: int, unit: float) -> tuple[str, ...]:
    memory, stream = _in_memory(size), folder / "events.jsonl"
    stream.write_text('{"kind":"episode_start","id":"bench"}\n' + "".join(map(_line, range(size))))
    capture = once(("ergo", "capture", stream.name, "-o", "bundle.json", *_PROGRAM), folder)
    replay = once(("ergo", "replay", "bundle.json", "--strict", *_PROGRAM), folder)
    return (
        f"{size:,} events",
        figure(memory / size * 1e6),
        figure(memory / size * 1e6 / _STAGES),
        figure(memory / size * 1e6 / unit, 1),
        *(_in_sqlite(folder, size, mode) if size <= limit else "" for mode, limit in _SQLITE_LIMITS.items()),
        figure(capture.seconds / size * 1e6),
        figure(replay.seconds / size * 1e6),
        figure(max(capture.mebibytes, replay.mebibytes), 1),
    )


def _in_memory(size: int) -> float:
    journal = MemoryJournal()
    return _seconds(size, journal, journal.forget, lambda: None)


def _in_sqlite(folder: Path, size: int, mode: Fsync) -> str:
    database = SqliteDatabase(str(folder / f"{mode.value}-{size}.db"), lambda: 0, FLOW_TABLES)
    durability = Durability(SqliteJournal(database), mode)
    seconds = _seconds(size, durability.journal, lambda _run, _count: None, durability.episode_ended)
    database.close()
    return figure(seconds / size * 1e6)


class _Context(Struct, frozen=True):
    payload: bytes
    values: Mapping[str, Any] = {}


def _seconds(
    size: int, journal: EventJournal, forget: Callable[[str, int], object], episode_ended: Callable[[], object]
) -> float:
    """Seconds of a flow from its first event to its end."""
    program = five_stages.program
    flow = MemoryFlow(program.flow_id(), journal, forget=forget)
    invoker = PipelineInvoker(program, flow, Seat(StandingClock(), _without_limit))
    start = time.perf_counter()
    for number in range(size):
        ended = invoker.run("bench", f"e{number}", _Context(b'{"n":%d}' % number), None)
        assert ended is Outcome.COMPLETED, ended
        invoker.drain()
        invoker.drain_journals()
        episode_ended()
    invoker.close(interrupted=False)
    return time.perf_counter() - start


def _without_limit(limit: int, work: Callable[[], Any], name: str) -> Any:
    return work()


def _line(number: int) -> str:
    event = '{"type":"Command","id":"e%d","payload":{"n":%d}}' % (number, number)  # noqa: UP031 - braces all around
    return f'{{"kind":"event","event":{event}}}\n'
