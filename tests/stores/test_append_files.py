"""Files that grow at their end; their failures are in ``tests/conformance/test_60_journals.py`` (spec 60 §5.4)."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest

from ergo_cli.stores.append_files import AppendFile
from ergo_cli.testing.stores import refused


@pytest.mark.parametrize("is_synced", [False, True])
def test_blocks_follow_each_other(is_synced: bool, tmp_path: Path) -> None:
    file = AppendFile(tmp_path / "a.log", is_synced=is_synced)
    assert (file.size(), file.read(0, 9)) == (0, b"")
    assert not file.path.exists()
    file.append(b"one", 0)
    file.append(b"two", 3)
    assert (file.size(), file.read(0, 9), file.read(2, 2), file.read(6, 1)) == (6, b"onetwo", b"et", b"")


def test_what_stands_behind_a_block_is_cut_off(tmp_path: Path) -> None:
    file = AppendFile(tmp_path / "a.log")
    file.append(b"one and a torn rest", 0)
    file.append(b"two", 3)
    assert file.path.read_bytes() == b"onetwo"


def test_a_reader_never_sees_half_a_block(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    block = b"x" * 65_536
    writer = Thread(target=lambda: [AppendFile(path).append(block, number * len(block)) for number in range(40)])
    writer.start()
    sizes: set[int] = set()
    while writer.is_alive():
        sizes.add(AppendFile(path).size())
    writer.join()
    sizes.add(AppendFile(path).size())
    assert max(sizes) == 40 * len(block)
    assert {size % len(block) for size in sizes} == {0}


def test_a_place_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with refused("store.unreachable", str(tmp_path)):
        AppendFile(tmp_path).append(b"x", 0)
    with refused("store.unreachable", "missing"):
        AppendFile(tmp_path / "missing" / "a.log").append(b"x", 0)
    (tmp_path / "file").write_bytes(b"")
    with refused("store.unreachable", "file"):
        AppendFile(tmp_path / "file" / "a.log").size()
