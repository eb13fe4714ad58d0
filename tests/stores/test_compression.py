from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from ergo_cli.stores.files import BLOCK, compressor_for, is_compressed, read_blocks
from ergo_cli.stores.inflation import CompressionError

TEXT = b"".join(b"%d\n" % number for number in range(100_000))


def compressed(name: str) -> bytes:
    compressor = compressor_for(name)
    assert compressor is not None
    return compressor.compress(TEXT[:1000]) + compressor.compress(TEXT[1000:]) + compressor.flush()


@pytest.mark.parametrize("name", ["a.json.gz", "a.json.zst"])
def test_what_is_compressed_reads_back_in_blocks(tmp_path: Path, name: str) -> None:
    data = compressed(name)
    (tmp_path / name).write_bytes(data)
    blocks = list(read_blocks(str(tmp_path / name)))
    assert b"".join(blocks) == TEXT
    assert max(map(len, blocks)) <= BLOCK
    assert len(data) < len(TEXT)


def test_a_plain_name_is_not_compressed(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(TEXT)
    assert compressor_for("a.json") is None
    assert b"".join(read_blocks(str(tmp_path / "a.json"))) == TEXT
    assert [is_compressed(name) for name in ("a.json", "a.json.gz", "a.json.zst")] == [False, True, True]


def test_a_gzip_header_has_no_time_and_no_name() -> None:
    data = compressed("a.json.gz")
    assert data[3] == 0, "no optional fields, so no name"
    assert data[4:8] == bytes(4), "no time"
    assert gzip.decompress(data) == TEXT


@pytest.mark.parametrize("name", ["a.json.gz", "a.json.zst"])
@pytest.mark.parametrize("keep", [0.5, 0.0])
def test_a_torn_or_foreign_file_is_refused(tmp_path: Path, name: str, keep: float) -> None:
    data = compressed(name)
    (tmp_path / name).write_bytes(data[: int(len(data) * keep)] or b"no such thing")
    with pytest.raises(CompressionError, match="not a whole"):
        list(read_blocks(str(tmp_path / name)))


def test_the_libraries_are_imported_only_when_needed() -> None:
    code = "import sys, ergo_cli.stores.files as c; c.compressor_for('a.json'); print('zstd' in str(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"
