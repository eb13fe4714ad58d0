"""What is written never takes the place of what is read."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from tests.channels.ingress_runs import FLOW
from tests.cli.refusals import ERGO, files, refused
from tests.conftest import Ergo
from tests.support.events import TICK_LINE


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["capture", "e.jsonl", "-g", "graph.yaml", "-a", "adapter.yaml", "-o", "e.jsonl"], id="events"),
        pytest.param(["capture", "e.jsonl", "-g", "graph.yaml", "-a", "adapter.yaml", "-o", "link"], id="a link"),
        pytest.param(["capture", "e.jsonl", "-g", "graph.yaml", "-a", "adapter.yaml", "-o", "graph.yaml"], id="graph"),
        pytest.param(["run", "e.jsonl", "-g", "graph.yaml", "-a", "adapter.yaml", "--capture", "e.jsonl"], id="run"),
        pytest.param(["recover", "j", "-o", "../x/j"], id="journal"),
        pytest.param(["fixture", "from-csv", "prices.csv", "prices.csv"], id="table"),
        pytest.param(["fixture", "from-csv", "prices.csv", "hard.csv"], id="a hard link"),
        pytest.param(
            ["capture", "e.jsonl", "-g", "graph.yaml", "-a", "adapter.yaml", "-o", "adapter.yaml"], id="adapter"
        ),
        pytest.param(["graph", "graph.yaml", "-o", "./graph.yaml"], id="picture"),
    ],
)
def test_an_output_in_the_place_of_an_input_is_refused(ergo: Ergo, tmp_path: Path, arguments: list[str]) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    for name in ("graph.yaml", "adapter.yaml"):
        (folder / name).write_bytes((FLOW / name).read_bytes())
    (folder / "e.jsonl").write_text(TICK_LINE.decode())
    (folder / "link").symlink_to("e.jsonl")
    (folder / "j").write_text("{}\n")
    (folder / "prices.csv").write_text("time,close\nnoon,1\n")
    (folder / "hard.csv").hardlink_to(folder / "prices.csv")
    before = files(folder)
    refused(ergo(*arguments, "--format", "json", cwd=folder), 2, "cli.conflicting_options")
    assert files(folder) == before


def test_an_output_below_a_loop_of_links_is_told_as_such(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text(TICK_LINE.decode())
    (tmp_path / "loop").symlink_to("loop")
    program = ["-g", str(FLOW / "graph.yaml"), "-a", str(FLOW / "adapter.yaml")]
    ran = ergo("capture", "e.jsonl", *program, "-o", "loop/b.json", "--journal", "j", "--format", "json")
    refused(ran, 6, "capture.write_failed")


@pytest.mark.parametrize(
    "line",
    [
        "capture e.jsonl -g graph.yaml -a adapter.yaml -o - >> e.jsonl",
        "capture - -g graph.yaml -a adapter.yaml -o e.jsonl < e.jsonl",
        "capture - -g graph.yaml -a adapter.yaml -o - < e.jsonl 1<> e.jsonl",
        "export b.json >> b.json",
        "export b.json 1<> b.json",
        "export - -o b.json < b.json",
        "redact b.json --redact payload.x -g graph.yaml -a adapter.yaml -o - >> b.json",
        "fixture from-csv prices.csv - >> prices.csv",
        "graph graph.yaml -o - >> graph.yaml",
    ],
)
def test_a_file_that_a_standard_stream_is_redirected_to_is_not_destroyed(
    ergo: Ergo, environment: dict[str, str], tmp_path: Path, line: str
) -> None:
    for name in ("graph.yaml", "adapter.yaml"):
        (tmp_path / name).write_bytes((FLOW / name).read_bytes())
    (tmp_path / "e.jsonl").write_text(TICK_LINE.decode())
    (tmp_path / "prices.csv").write_text("time,close\nnoon,1\n")
    program = ("-g", "graph.yaml", "-a", "adapter.yaml")
    assert ergo("capture", "e.jsonl", *program, "-o", "b.json").exit_code == 0
    environment["ERGO_REDACT_KEY"] = "0" * 32
    before = files(tmp_path)
    ran = subprocess.run(
        ["/bin/sh", "-c", f"{shlex.quote(ERGO)} {line}"], cwd=tmp_path, env=environment, capture_output=True, timeout=60
    )
    assert (ran.returncode, b"writing there would destroy it" in ran.stderr) == (2, True), ran
    assert files(tmp_path) == before


def test_what_a_pipe_or_a_terminal_brings_is_no_file(ergo: Ergo, environment: dict[str, str], tmp_path: Path) -> None:
    program = f"-g {FLOW / 'graph.yaml'} -a {FLOW / 'adapter.yaml'}"
    (tmp_path / "e.jsonl").write_text(TICK_LINE.decode())
    line = f"cat e.jsonl | {ERGO} capture - {program} -o - | {ERGO} export - > rows.jsonl < /dev/stdin"
    ran = subprocess.run(["/bin/sh", "-c", line], cwd=tmp_path, env=environment, capture_output=True, timeout=60)
    assert (ran.returncode, (tmp_path / "rows.jsonl").read_bytes().count(b"\n")) == (0, 1), ran
