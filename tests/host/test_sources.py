from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path

import pytest

from ergo_cli.errors import EventError
from ergo_cli.host.event_input import open_source, source_label

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = b'{"kind":"event","event":{"type":"Command"}}\n' * 20_000


def read(path: Path | str) -> bytes:
    with open_source(str(path)) as chunks:
        return b"".join(chunks)


def refusal(path: Path) -> EventError:
    with pytest.raises(EventError) as refused:
        read(path)
    assert refused.value.code == "driver.input_invalid"
    assert str(path) in refused.value.message
    assert refused.value.where == str(path)
    assert refused.value.fix
    return refused.value


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("e.jsonl", TEXT),
        ("e.jsonl.gz", gzip.compress(TEXT)),
        ("two.jsonl.gz", gzip.compress(TEXT[:1000]) + gzip.compress(TEXT[1000:])),
        ("e.jsonl.zst", zstd.compress(TEXT)),
    ],
)
def test_files_are_read_by_their_suffix(name: str, content: bytes, tmp_path: Path):
    path = tmp_path / name
    path.write_bytes(content)
    assert read(path) == TEXT


@pytest.mark.parametrize("name", ["e.jsonl", "e.jsonl.gz", "e.jsonl.zst"])
def test_chunks_are_small(name: str, tmp_path: Path):
    path = tmp_path / name
    pack = {"gz": gzip.compress, "zst": zstd.compress}.get(path.suffix[1:], bytes)
    path.write_bytes(pack(bytes(5_000_000)))
    with open_source(str(path)) as chunks:
        sizes = [len(chunk) for chunk in chunks]
    assert sum(sizes) == 5_000_000
    assert max(sizes) <= 256 * 1024


def test_standard_input(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TEXT)))
    assert read("-") == TEXT
    assert source_label("-") == "<stdin>"


@pytest.mark.parametrize("name", ["none.jsonl", "none.jsonl.gz", "none.jsonl.zst", "no/folder.jsonl"])
def test_missing_files(name: str, tmp_path: Path):
    assert "no such file" in refusal(tmp_path / name).message


@pytest.mark.parametrize("name", ["folder", "folder.gz", "folder.zst"])
def test_folders(name: str, tmp_path: Path):
    (tmp_path / name).mkdir()
    assert "folder" in refusal(tmp_path / name).message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.jsonl.gz", TEXT),
        ("plain.jsonl.zst", TEXT),
        ("cut.jsonl.gz", gzip.compress(TEXT)[:-20]),
        ("cut.jsonl.zst", zstd.compress(TEXT)[:-5]),
        ("bent.jsonl.gz", gzip.compress(TEXT)[:40] + b"\xff" * 20 + gzip.compress(TEXT)[60:]),
        ("checksum.jsonl.gz", gzip.compress(TEXT)[:-8] + bytes(8)),
    ],
)
def test_broken_compression(name: str, content: bytes, tmp_path: Path):
    path = tmp_path / name
    path.write_bytes(content)
    assert "not sound compressed data" in refusal(path).message


def test_a_path_with_a_zero_byte_is_refused():
    with pytest.raises(EventError):
        read("a\0b")
