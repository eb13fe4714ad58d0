"""Small inputs that stand for large ones, deep ones and slow ones: refused early, within 100 MiB."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.refusals import ADAPTER, EVENTS, GRAPH, PROGRAM, PROJECT, V3, refused, shell
from tests.conftest import Ergo

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SMALL = shell("ulimit -d 102400; exec")
"""Keeps a process from taking more than 100 MiB."""


def bomb(path: Path, head: bytes, fill: bytes, mebibytes: int = 900) -> Path:
    """A file of a few KiB that holds ``head`` and then ``fill``, over and over."""
    block = fill * 2**20
    with zstd.open(path, "wb") as file:
        file.write(head)
        for _ in range(mebibytes):
            file.write(block)
    return path


@pytest.fixture(scope="module")
def string(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """28 KB that hold a bundle with one string of 900 MiB."""
    head = b'{"capture_version":"v3","graph_id":"'
    return bomb(tmp_path_factory.mktemp("bombs") / "string.json.zst", head, b"a")


@pytest.mark.parametrize("command", [["inspect"], ["replay", "--project", PROJECT]])
def test_a_bundle_of_one_string(ergo: Ergo, string: Path, command: list[str | Path]) -> None:
    assert string.stat().st_size < 30_000
    ran = ergo(*command, string, "--format", "json", through=SMALL)
    assert ran.exit_code == 3
    assert "--max-input" in ran.stdout
    assert "bundle.read_failed" in ran.stdout


def test_the_limit_is_raised_on_request_and_that_of_a_value_holds(ergo: Ergo, tmp_path: Path) -> None:
    path = bomb(tmp_path / "string.json.zst", b'{"capture_version":"v3","graph_id":"', b"a", 80)
    ran = ergo("inspect", path, "--max-input", "1GiB", "--format", "json")
    refused(ran, 3, "bundle.parse_failed")
    assert "longer than 16 MiB" in ran.report["error"]["message"]


@pytest.mark.slow
def test_workers_read_within_the_same_limit(ergo: Ergo, tmp_path: Path) -> None:
    parts = V3
    for name in (b"graph_id", b"config", b"events", b"decisions", b"adapter_provenance"):
        parts = parts.replace(b',"' + name, b"," + b" " * (14 * 2**20) + b'"' + name)
    for name in ("a", "b"):
        (tmp_path / f"{name}.json.zst").write_bytes(zstd.compress(parts))
    ran = ergo("replay", "a.json.zst", "b.json.zst", "--jobs", "2", *PROGRAM, "--max-input", "80MiB")
    assert ran.exit_code == 0, ran.stderr
    assert ergo("replay", "a.json.zst", "b.json.zst", "--jobs", "2", *PROGRAM).exit_code == 3


@pytest.mark.parametrize("size", ["5MB", "-1MiB", "1e3", "\u0665MiB"])
def test_what_is_no_size(ergo: Ergo, size: str) -> None:
    ran = ergo("inspect", "b.json", "--max-input", size, "--format", "json")
    refused(ran, 2, "cli.invalid_option_value")


def test_events_of_blank_lines(ergo: Ergo, tmp_path: Path) -> None:
    bomb(tmp_path / "e.jsonl.zst", b"", b"\n")
    ran = ergo("run", "e.jsonl.zst", *PROGRAM, "--format", "json", through=SMALL)
    refused(ran, 3, "driver.input_invalid")
    assert "blank lines" in ran.report["error"]["message"]


@pytest.mark.parametrize("levels", [128, 990, 1100])
def test_events_that_nest_in_arrays(ergo: Ergo, tmp_path: Path, levels: int) -> None:
    line = '{"kind":"event","event":{"type":"Command","payload":{"a":' + "[" * levels + "]" * levels + "}}}\n"
    (tmp_path / "e.jsonl").write_text(line)
    ran = ergo("validate", "e.jsonl", "--format", "json")
    assert ran.exit_code == 3, ran.stderr
    assert "Traceback" not in ran.stderr
    [error] = ran.report["files"][0]["errors"]
    assert (error["code"], error["message"][-30:]) == ("driver.input_invalid", "nesting deeper than 127 levels")


@pytest.mark.parametrize("pattern", ["a{1,50000}{1,50000}", "(?=(a+)+$)x"])
def test_patterns_that_take_long(ergo: Ergo, tmp_path: Path, pattern: str) -> None:
    name = "price: { type: number, exclusiveMinimum: 0 }"
    text = ADAPTER.read_text()
    assert name in text
    (tmp_path / "a.yaml").write_text(
        text.replace(name, f"{name}\n        note: {{ type: string, pattern: '{pattern}' }}")
    )
    ran = ergo("run", EVENTS, "-g", GRAPH, "-a", "a.yaml", "--format", "json", through=SMALL)
    refused(ran, 3, "adapter.setup_failed")
    assert "linear time" in ran.report["error"]["message"]


LARGE = {
    "of one scalar": ("kind: " + "a " * 4_100_000, "INTERNAL"),
    "of comments": ("# c\n" * 2_000_000, "DEC-SYNTAX"),
    "beyond 8 MiB": ("#" * 9_000_000, "DEC-SYNTAX"),
    "that nests": ("a: " + "[" * 1100, "DEC-SYNTAX"),
}


@pytest.mark.parametrize("name", LARGE)
def test_yaml(ergo: Ergo, tmp_path: Path, name: str) -> None:
    text, code = LARGE[name]
    (tmp_path / "g.yaml").write_text(text)
    ran = ergo("validate", "g.yaml", "--format", "json", through=SMALL)
    assert ran.exit_code == 3, ran.stderr
    [error] = ran.report["files"][0]["errors"]
    assert error["code"] == code
    assert error["where"].startswith("g.yaml")
    assert error["fix"]
