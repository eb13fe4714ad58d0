"""Several processes at one store, and processes that are killed while they write."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ergo_cli.programs.kernel.tables import KERNEL_TABLES
from ergo_cli.stores.backends import open_store

USE_STORE = Path(__file__).with_name("use_store.py")
KINDS = ["sqlite", "postgres"]


@pytest.fixture(params=KINDS)
def named(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store that several processes can open."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/runs.db"
    return f"postgres:{request.getfixturevalue('postgres')}"


def appending(named: str, run: str, name: str, batches: int, size: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(USE_STORE), named, run, name, str(batches), str(size)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def records(named: str, folder: Path, run: str) -> list[tuple[int, str]]:
    with open_store(named, folder, lambda: 0, KERNEL_TABLES) as store:
        return list(store.journal.scan(run))


def test_two_processes_make_a_new_store_and_queue(named: str, tmp_path: Path) -> None:
    writers = [appending(named, "r", name, 100, 1) for name in "ab"]
    told = [writer.communicate(timeout=120)[0].split() for writer in writers]
    assert sorted(int(head) for heads in told for head in heads) == list(range(1, 201))
    kept = records(named, tmp_path, "r")
    assert [seq for seq, _ in kept] == list(range(1, 201))
    for name, heads in zip("ab", told, strict=True):
        assert [(seq, text) for seq, text in kept if f'"{name} ' in text] == [
            (int(head), f'"{name} {number} 0"') for number, head in enumerate(heads)
        ]


@pytest.mark.parametrize("batches", [0, 1, 7, 20])
def test_a_killed_writer_leaves_whole_batches(named: str, tmp_path: Path, batches: int) -> None:
    with appending(named, "r", "w", 100_000, 3) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(batches)]
        writer.kill()
        told += [int(line) for line in writer.stdout]
    with appending(named, "r", "next", 1, 1) as writer:  # waits until a server has noticed the death, too
        head = int(writer.communicate(timeout=60)[0])
    *kept, last = records(named, tmp_path, "r")
    assert last == (head, '"next 0 0"')
    assert len(kept) % 3 == 0
    assert len(kept) >= (told or [0])[-1]
    assert kept == [(seq, f'"w {(seq - 1) // 3} {(seq - 1) % 3}"') for seq in range(1, head)]
