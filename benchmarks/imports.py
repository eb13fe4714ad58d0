"""Imports of ever longer tables: whole processes, start-up included; of Parquet where pyarrow is installed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.tables import figure, show
from benchmarks.whole import measure

_HEADING = ("import, µs a row", "rows", "csv", "MiB", "parquet", "MiB")
_OPTIONS = ("--id", "id", "--at", "time", "--kind", "trade")
_AT_ONCE = 100_000


def imports(folder: Path, sizes: Sequence[int], *, runs: int) -> None:
    """Print a row for each size: a table of trades with five columns."""
    show("Import", _HEADING, [_row(folder, size, runs) for size in sizes])


def _row(folder: Path, size: int, runs: int) -> Sequence[str]:
    _write_csv(folder / "trades.csv", size)
    cells = _measured(folder, "trades.csv", size, runs)
    if find_spec("pyarrow") is None:
        return ("trades", f"{size:,}", *cells, "-", "-")
    _write_parquet(folder / "trades.parquet", size)
    return ("trades", f"{size:,}", *cells, *_measured(folder, "trades.parquet", size, runs))


def _measured(folder: Path, name: str, size: int, runs: int) -> tuple[str, str]:
    measured = measure(("ergo", "import", name, "-o", "events.jsonl", *_OPTIONS), folder, runs=runs)
    return figure(measured.seconds / size * 1e6), figure(measured.mebibytes, 1)


def _trade(number: int) -> tuple[int, int, float, int, str]:
    return number, 1731400000000 + number, 100 + number % 1000 / 8, number % 17, "XETR"


def _write_csv(file: Path, size: int) -> None:
    with file.open("w") as table:
        table.write("id,time,price,size,venue\n")
        for number in range(size):
            table.write(",".join(map(str, _trade(number))) + "\n")


def _write_parquet(file: Path, size: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def part(begin: int) -> Any:
        columns = zip(*(_trade(number) for number in range(begin, min(begin + _AT_ONCE, size))), strict=True)
        return pa.table(dict(zip(("id", "time", "price", "size", "venue"), map(list, columns), strict=True)))

    with pq.ParquetWriter(file, part(0).schema) as writer:
        for begin in range(0, size, _AT_ONCE):
            writer.write_table(part(begin))
