"""What a compressed file may hold (spec 00 §12.4)."""

from __future__ import annotations

import gzip
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ergo_cli.stores.files import open_compressed, read_blocks
from ergo_cli.stores.inflation import FLOOR, CompressionError, InflationError, limit_in_force, reading_at_most

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BLOCK = bytes(2**20)


def written(path: Path, mebibytes: int) -> Path:
    """A file of so many MiB of zeros, compressed to a few hundred bytes a MiB or fewer."""
    with zstd.open(path, "wb") if path.suffix == ".zst" else gzip.open(path, "wb", 1) as file:
        for _ in range(mebibytes):
            file.write(BLOCK)
    return path


def held(blocks: Iterator[bytes]) -> int:
    """How many bytes there are before the limit."""
    sizes: list[int] = []
    with pytest.raises(InflationError, match=str(FLOOR)) as refusal:
        sizes.extend(map(len, blocks))
    assert "--max-input" in refusal.value.fix
    return sum(sizes)


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_small_file_may_hold_64_mebibytes(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"a{suffix}", 64)
    assert sum(map(len, read_blocks(str(path)))) == FLOOR


def test_and_not_a_byte_more(tmp_path: Path) -> None:
    assert held(read_blocks(str(written(tmp_path / "a.zst", 66)))) <= FLOOR


def test_a_larger_file_may_hold_a_thousand_times_its_size(tmp_path: Path) -> None:
    path = written(tmp_path / "a.zst", 66)
    with path.open("ab") as file:  # a frame that holds nothing: readers skip it
        file.write(b"\x50\x2a\x4d\x18" + (70_000).to_bytes(4, "little") + bytes(70_000))
    assert sum(map(len, read_blocks(str(path)))) == 66 * 2**20


def test_the_limit_is_raised_for_as_long_as_asked(tmp_path: Path) -> None:
    path = str(written(tmp_path / "a.zst", 66))
    with reading_at_most(66 * 2**20):
        assert limit_in_force() == 66 * 2**20
        assert sum(map(len, read_blocks(path))) == 66 * 2**20
    assert limit_in_force() is None
    assert held(read_blocks(path)) <= FLOOR


def test_a_pipe_counts_what_came_through_it(tmp_path: Path) -> None:
    content = written(tmp_path / "a.zst", 66).read_bytes()
    pipe = tmp_path / "pipe.zst"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    with open_compressed(str(pipe), ".zst") as file:
        assert held(iter(lambda: file.read(2**18), b"")) <= FLOOR
    writer.join()


def test_a_window_of_2_gibibytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd\x00" + bytes([21 << 3]) + b"\x51\x00\x00" + b"x" * 10)
    with pytest.raises(CompressionError, match="too much memory"):
        list(read_blocks(str(path)))
