"""The streaming writer: the same bytes as the value, in every style and compression, or no file at all."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.bundle.reader import open_bundle
from ergo_cli.bundle.writer import BundleWriter
from ergo_cli.errors import CaptureWriteError
from ergo_cli.testing.bundles import bundle_of, completed, event_record, set_context


def sample(count: int) -> CaptureBundle:
    events = [event_record(f"e{at}", b'{"x":%d}' % at, at=at * 10**9) for at in range(count)]
    decisions = [completed(event.event_id, at, [set_context("x", at / 7)]) for at, event in enumerate(events)]
    return bundle_of(events, decisions)


def write(bundle: CaptureBundle, path: Path, *, pretty: bool = False) -> None:
    with BundleWriter(str(path), bundle.header, pretty=pretty) as writer:
        for event, decision in zip(bundle.events, bundle.decisions, strict=True):
            writer.event(event)
            writer.decision(decision)
        writer.commit(bundle.egress_provenance)


@pytest.mark.parametrize("count", [0, 1, 2, 5000])
@pytest.mark.parametrize("pretty", [False, True])
def test_a_stream_writes_what_a_value_encodes(tmp_path: Path, count: int, pretty: bool) -> None:
    bundle = sample(count)
    write(bundle, tmp_path / "b.json", pretty=pretty)
    assert (tmp_path / "b.json").read_bytes() == bundle.encode(pretty=pretty)


def test_two_captures_of_the_same_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.json.gz", "b.json.gz"):
        write(sample(100), tmp_path / name)
    first, second = (tmp_path / "a.json.gz").read_bytes(), (tmp_path / "b.json.gz").read_bytes()
    assert first == second
    assert gzip.decompress(first) == sample(100).encode()


@pytest.mark.parametrize("suffix", [".json.gz", ".json.zst"])
def test_compressed_bundles_read_back(tmp_path: Path, suffix: str) -> None:
    bundle = sample(3000)
    path = tmp_path / f"b{suffix}"
    write(bundle, path)
    assert path.stat().st_size < len(bundle.encode()) / 3
    assert open_bundle(str(path)).load() == bundle


def write_half(path: Path) -> None:
    bundle = sample(10)
    with BundleWriter(str(path), bundle.header) as writer:
        for event in bundle.events:
            writer.event(event)
        raise RuntimeError("the run fails")


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_a_run_that_fails_leaves_no_file(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(RuntimeError, match="the run fails"):
        write_half(tmp_path / f"b.json{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_folder_and_temporary_file_come_before_the_first_event(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "er"
    with BundleWriter(str(folder / "b.json"), sample(0).header):
        assert [path.suffix for path in folder.iterdir()] == [".tmp"]
    assert list(folder.iterdir()) == []


def test_a_destination_that_cannot_be_is_told_before_the_first_event(tmp_path: Path) -> None:
    with pytest.raises(CaptureWriteError) as caught:
        BundleWriter(f"{tmp_path}/..", sample(0).header)
    assert caught.value.stage == "InvalidDestination"


def test_a_header_that_cannot_be_written(tmp_path: Path) -> None:
    header = bundle_of([], [], graph_id="\ud800").header
    with pytest.raises(CaptureWriteError) as caught:
        BundleWriter(str(tmp_path / "b.json"), header)
    assert caught.value.stage == "Serialize"
    assert "compact" in caught.value.message
    assert list(tmp_path.iterdir()) == []
