"""Whole processes: wall time and peak memory as the operating system accounts for them."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_TO_MEBIBYTES = 1 / 1024  # Linux accounts in KiB


@dataclass(frozen=True)
class Measured:
    """One process, or the median of several: seconds of wall time, and peak resident memory in MiB."""

    seconds: float
    mebibytes: float


def measure(command: Sequence[str], folder: Path, *, runs: int) -> Measured:
    """``command`` run in ``folder``: once unmeasured, then ``runs`` times. Raises RuntimeError if it fails."""
    once(command, folder)
    results = [once(command, folder) for _ in range(runs)]
    return Measured(
        statistics.median(result.seconds for result in results), max(result.mebibytes for result in results)
    )


def once(command: Sequence[str], folder: Path) -> Measured:
    """``command`` run in ``folder``. Raises RuntimeError if it fails."""
    environment = environment_of(folder)
    nowhere = subprocess.DEVNULL
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=environment, stdin=nowhere, stdout=nowhere, stderr=nowhere)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return Measured(seconds, usage.ru_maxrss * _TO_MEBIBYTES)


def environment_of(folder: Path) -> dict[str, str]:
    """The environment of a measured process, whose data are below ``folder``."""
    environment = {**os.environ, "XDG_DATA_HOME": str(folder / "data"), "CI": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # or each process would compile what it imports
    return environment
