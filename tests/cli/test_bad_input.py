"""Whatever a user gives: an exit code, an error with code, place and advice, and nothing written."""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path

import pytest

from tests.cli.bad_texts import BAD_EVENTS, BAD_GRAPHS, BAD_PROJECTS, DEEP, LINE, graph
from tests.cli.refusals import (
    ADAPTER,
    EVENTS,
    GRAPH,
    MEMORY,
    PROGRAM,
    PROJECT,
    V3,
    refused,
    refused_leaving_all_as_it_was,
    shell,
)
from tests.conftest import Ergo

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


@pytest.mark.parametrize("name", BAD_EVENTS)
def test_events(ergo: Ergo, tmp_path: Path, name: str) -> None:
    (tmp_path / "e.jsonl").write_bytes(BAD_EVENTS[name])
    arguments: list[str | Path] = ["capture", "e.jsonl", "-o", "b.json"]
    refused_leaving_all_as_it_was(ergo, tmp_path, arguments, 3, "driver.input_invalid")


def test_an_id_of_a_megabyte_is_told_shortened_and_reported_whole(ergo: Ergo, tmp_path: Path) -> None:
    name = "i" * 1_000_000
    (tmp_path / "e.jsonl").write_text(LINE.replace("e1", name) * 2)
    ran = ergo("capture", "e.jsonl", "-o", "b.json", "--format", "json")
    refused(ran, 3, "fixture.duplicate_event_id")
    assert name in ran.report["error"]["message"]


@pytest.mark.parametrize("name", BAD_GRAPHS)
def test_graphs(ergo: Ergo, tmp_path: Path, name: str) -> None:
    text, code = BAD_GRAPHS[name]
    (tmp_path / "g.yaml").write_text(text)
    stage = "graph.prepare_failed" if code.startswith("V.") else "graph.load_failed"
    arguments: list[str | Path] = ["capture", EVENTS, "-g", "g.yaml", "-o", "b.json"]
    refused_leaving_all_as_it_was(ergo, tmp_path, arguments, 3, stage, code)


def test_a_graph_nested_deep_in_json(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "g.json").write_text('{"a":' * DEEP + "1" + "}" * DEEP)
    refused(ergo("run", EVENTS, "-g", "g.json", "--format", "json"), 3, "graph.load_failed", "DEC-SYNTAX")


def test_a_folder_in_place_of_a_cluster_is_no_suggestion(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "gone.yaml").mkdir()
    (tmp_path / "g.yaml").write_text(graph("{a: {cluster: gone@0.1.0}}"))
    ran = ergo("run", EVENTS, "-g", "g.yaml", "--format", "json")
    refused(ran, 3, "graph.load_failed", "DIS-NOT-FOUND")
    assert "did you mean" not in ran.report["error"]["fix"]


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("kind: adapter", "a: " + "[" * DEEP),
        ("kind: adapter", GRAPH.read_text()),
        ("{ name: price,", "{ name: prize,"),
        ("type: Bool, required: false, writable: true", "type: Bool, required: false, writable: false"),
        ("name: set_context", "name: set_other"),
        ("{ type: number, exclusiveMinimum: 0 }", '{ $ref: "file:///etc/passwd" }'),
        ("exclusiveMinimum: 0", "minimum: .nan"),
    ],
    ids=["nested", "a graph", "missing key", "key not writable", "effect not accepted", "foreign schema", "no number"],
)
def test_adapters(ergo: Ergo, tmp_path: Path, written: str, instead: str) -> None:
    text = ADAPTER.read_text()
    assert written in text
    (tmp_path / "a.yaml").write_text(text.replace(written, instead))
    arguments: list[str | Path] = ["capture", EVENTS, "-g", GRAPH, "-a", "a.yaml", "-o", "b.json"]
    refused_leaving_all_as_it_was(ergo, tmp_path, arguments, 3, "adapter.setup_failed")


@pytest.mark.parametrize("name", BAD_PROJECTS)
def test_projects(ergo: Ergo, tmp_path: Path, name: str) -> None:
    (tmp_path / "ergo.toml").write_bytes(BAD_PROJECTS[name])
    refused_leaving_all_as_it_was(ergo, tmp_path, ["capture", EVENTS, "-o", "b.json"], 3, "PRJ-PARSE")


EDITED = V3.replace(b'"payload":[123,', b'"payload":[124,', 1)
BAD_BUNDLES = {
    "nothing": (b"", "bundle.parse_failed"),
    "truncated": (V3[: len(V3) // 2], "bundle.parse_failed"),
    "bad UTF-8": (V3.replace(b"q-0900", b"q-\xff", 1), "bundle.parse_failed"),
    "byte order mark": (b"\xef\xbb\xbf" + V3, "bundle.parse_failed"),
    "nested": (V3.replace(b'"events":[', b'"events":[' + b"[" * DEEP + b"]" * DEEP + b","), "bundle.parse_failed"),
    "nested header": (b'{"capture_version":"v3","graph_id":' + b"[" * 1_000_000, "bundle.parse_failed"),
    "no number": (V3.replace(b'"max_retries":0', b'"max_retries":NaN'), "bundle.parse_failed"),
    "endless integer": (V3.replace(b'"max_retries":0', b'"max_retries":' + b"9" * 5000), "bundle.parse_failed"),
    "half a character": (V3.replace(b'"q-0900"', b'"\\ud800"'), "bundle.parse_failed"),
    "edited payload": (EDITED, "replay.hash_mismatch"),
    "unknown version": (V3.replace(b'"v3"', b'"v9"', 1), "replay.unsupported_capture_version"),
}


@pytest.mark.parametrize("name", BAD_BUNDLES)
def test_bundles(ergo: Ergo, tmp_path: Path, name: str) -> None:
    content, code = BAD_BUNDLES[name]
    assert content != V3
    (tmp_path / "x.json").write_bytes(content)
    ran = ergo("replay", "x.json", *PROGRAM, "--format", "json", through=shell(MEMORY))
    refused(ran, 3, code)
    assert [bundle["outcome"] for bundle in ran.report["bundles"]] == ["refused"]


@pytest.mark.parametrize("command", [["diff", "x.json", "y.json"], ["diff", "y.json", "x.json"], ["inspect", "x.json"]])
@pytest.mark.parametrize("name", ["bad UTF-8", "truncated", "nested"])
def test_bundles_under_other_commands(ergo: Ergo, tmp_path: Path, name: str, command: list[str]) -> None:
    (tmp_path / "x.json").write_bytes(BAD_BUNDLES[name][0])
    (tmp_path / "y.json").write_bytes(V3)
    refused(ergo(*command, "--format", "json"), 3, "bundle.parse_failed")


def test_a_bundle_of_another_version_is_not_compared(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(BAD_BUNDLES["unknown version"][0])
    refused(ergo("diff", "x.json", "x.json", "--format", "json"), 3, "replay.unsupported_capture_version")


@pytest.mark.parametrize("unknown", [b'"\xff"', b"[" * 5000 + b"]" * 5000, b"9" * 5000])
def test_what_nobody_reads_is_validated_too(ergo: Ergo, tmp_path: Path, unknown: bytes) -> None:
    (tmp_path / "x.json").write_bytes(V3.replace(b'{"event_id":', b'{"zzz":' + unknown + b',"event_id":', 1))
    refused(ergo("validate", "x.json", "--format", "json"), 3)


def test_a_program_in_python_is_not_read_as_yaml(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text('"""A pipeline."""\n\nprogram = 1\n')
    done = ergo("validate", "flow.py")
    assert done.exit_code == 3
    assert "'flow.py' cannot be validated: it is Python" in done.stderr
    assert "fix: validate the ergo.toml whose profile names the program" in done.stderr


def test_a_bundle_with_a_digest_shows_every_edit(ergo: Ergo, tmp_path: Path) -> None:
    assert ergo("capture", EVENTS, *PROGRAM, "-o", "v4.json", "--embed").exit_code == 0
    whole = (tmp_path / "v4.json").read_bytes()
    for content, code in [
        (whole.replace(b"q-0900", b"q-0901", 1), "bundle.digest_mismatch"),
        (whole.replace(b'"sha256:', b'"sha257:'), "bundle.digest_mismatch"),
        (whole[:-3], "bundle.parse_failed"),
    ]:
        (tmp_path / "v4.json").write_bytes(content)
        refused(ergo("replay", "v4.json", *PROGRAM, "--format", "json"), 3, code)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.json.gz", gzip.compress(V3)[:-20]),
        ("x.json.gz", V3),
        ("x.json.zst", zstd.compress(V3)[:-20]),
        ("x.json.zst", b""),
        ("x.json", gzip.compress(V3)),
        ("x.json.zst", zstd.compress(b" " * 300_000_000)),
    ],
    ids=["torn gzip", "no gzip", "torn zstd", "empty", "gzip unsaid", "bomb"],
)
def test_compressed_bundles(ergo: Ergo, tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    refused(ergo("replay", name, *PROGRAM, "--format", "json", through=shell(MEMORY)), 3, "replay.host_setup_failed")


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code"),
    [
        (["run", "."], 3, "driver.input_invalid"),
        (["run", "nowhere.jsonl"], 3, "driver.input_invalid"),
        (["run", "/dev/null"], 3, "driver.input_invalid"),
        (["run", "/dev/zero"], 3, "driver.input_invalid"),
        (["run", os.fsdecode(b"\xff.jsonl")], 3, "driver.input_invalid"),
        (["run", "a\nerror: b\ncode: c"], 3, "driver.input_invalid"),
        (["run", "e.jsonl", "-g", "."], 3, "graph.load_failed"),
        (["run", "e.jsonl", "-g", "nowhere.yaml"], 3, "graph.load_failed"),
        (["run", "e.jsonl", "-g", "/dev/zero"], 3, "graph.load_failed"),
        (["run", "e.jsonl", "-g", GRAPH, "-a", "."], 3, "adapter.setup_failed"),
        (["run", "e.jsonl", "-g", GRAPH, "-a", "/dev/zero"], 3, "adapter.setup_failed"),
        (["replay", "/dev/zero", *PROGRAM], 3, "bundle.parse_failed"),
        (["replay", "nowhere.json", *PROGRAM], 3, "bundle.read_failed"),
        (["inspect", "."], 3, "bundle.read_failed"),
        (["diff", "nowhere.json", "."], 3, "bundle.read_failed"),
        (["validate", "nowhere.yaml"], 3, "LOAD-IO"),
        (["run", "e.jsonl", "--project", "nowhere"], 3, "PRJ-ROOT"),
        (["capture", "e.jsonl", "-o", "/"], 6, "capture.write_failed"),
        (["capture", "e.jsonl", "-o", "."], 6, "capture.write_failed"),
        (["capture", "e.jsonl", "-o", "b.json/c.json"], 6, "capture.write_failed"),
        (["capture", "e.jsonl", "-o", "n" * 300], 6, "capture.write_failed"),
        (["capture", "e.jsonl", "-o", "n/" * 2500 + "b.json"], 6, "capture.write_failed"),
        (["capture", "e.jsonl", "-o", "b.json", "-p", "nobody"], 3, "PRJ-ROOT"),
        (["run", ""], 2, "cli.missing_required_argument"),
        (["capture", "e.jsonl", "-o", ""], 2, "cli.missing_option_value"),
        (["capture", "e.jsonl", "--output="], 2, "cli.missing_option_value"),
        (["run", "e.jsonl", "-g", ""], 2, "cli.missing_option_value"),
        (["run", "e.jsonl", "--deadline", "9" * 5000 + "s"], 2, "cli.invalid_option_value"),
        (["run", "e.jsonl", "--max-in-flight", "9" * 5000], 2, "cli.invalid_option_value"),
        (["replay", "x.json", "--ignore", "a..b"], 2, "cli.invalid_option_value"),
        (["replay", "x.json", "--ignore", f"effects[{'9' * 5000}]"], 2, "cli.invalid_option_value"),
    ],
)
def test_arguments(ergo: Ergo, tmp_path: Path, arguments: list[str | Path], exit_code: int, code: str) -> None:
    (tmp_path / "e.jsonl").write_text(LINE)
    refused_leaving_all_as_it_was(ergo, tmp_path, arguments, exit_code, code)


def test_a_path_of_many_double_stars_is_as_quick_as_one(ergo: Ergo, tmp_path: Path) -> None:
    ran = ergo("replay", PROJECT / "captures" / "monday.json", *PROGRAM, "--ignore", ".".join(["**"] * 5000 + ["zz"]))
    assert ran.exit_code == 0


@pytest.mark.parametrize("command", [("bisect",), ("inspect",), ("why",), ("explain", "--event", "q-1")])
def test_a_folder_in_the_place_of_a_bundle(ergo: Ergo, tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "captures").mkdir()
    name, *more = command
    ran = ergo(name, "captures", *more)
    assert ran.exit_code == 3
    assert ran.stderr.endswith(
        "cannot read bundle 'captures': it is a folder\n  fix: name one bundle in it; ergo replay takes folders\n"
    )
