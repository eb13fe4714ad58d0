"""Runs of the step kernel: what an event costs in memory and in SQLite, and how that grows."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.tables import figure, show
from ergo_cli.programs.kernel.engine.actions import Complete, Emit, Next
from ergo_cli.programs.kernel.engine.events import StateUpdated
from ergo_cli.programs.kernel.engine.state import StateUpdatedOnly
from ergo_cli.programs.kernel.program import Kernel
from ergo_cli.programs.kernel.tables import KERNEL_TABLES
from ergo_cli.stores.journals import EventJournal
from ergo_cli.stores.memory import MemoryJournal
from ergo_cli.stores.sqlite import SqliteDatabase, SqliteJournal

_BATCH = 100


def kernels(folder: Path, sizes: tuple[int, ...]) -> None:
    """Print µs an event of runs that emit their events in batches of 100, and of folding them again."""
    rows = [_row(folder, size) for size in sizes]
    show("Step kernel", ("in process, µs an event", "memory", "memory, replay", "SQLite", "SQLite, replay"), rows)


def _row(folder: Path, size: int) -> tuple[str, ...]:
    database = SqliteDatabase(str(folder / f"kernel-{size}.db"), lambda: 0, KERNEL_TABLES)
    journals: tuple[EventJournal, ...] = (MemoryJournal(), SqliteJournal(database))
    costs = [figure(cost / size * 1e6) for journal in journals for cost in _costs(journal, size)]
    database.close()
    return (f"{size:,} events", *costs)


def _costs(journal: EventJournal, size: int) -> tuple[float, float]:
    kernel = Kernel(journal=journal, reducer=StateUpdatedOnly(), step=_counting_to(size - 1))
    return _timed(lambda: kernel.run_until_blocked("run", 0)), _timed(lambda: kernel.replay("run", 0))


def _counting_to(last: int) -> Callable[[int], Next]:
    def step(state: int) -> Next:
        if state >= last:
            return Complete()
        upto = min(state + _BATCH, last)
        return Emit([StateUpdated(None, number) for number in range(state + 1, upto + 1)])

    return step


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
