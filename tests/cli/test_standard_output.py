"""``-`` as output: standard output carries the content alone, the result goes to standard error (spec 00 §7)."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from ergo_cli.errors import CaptureWriteError
from ergo_cli.stores.standard_output import StandardOutput
from tests.cli.refusals import ERGO, EVENTS, GRAPH, PROGRAM, V3, refused
from tests.conftest import Ergo

TABLE = "time,close\n2024-01-02T00:00:00Z,1\n2024-01-03T00:00:00Z,2\n"


def test_a_table_is_piped_into_a_run(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "t.csv").write_text(TABLE)
    command = f"'{ERGO}' fixture from-csv t.csv - | '{ERGO}' run - --format json"
    done = subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, timeout=120)
    report = json.loads(done.stdout)
    assert (done.returncode, report["run"]["events"]) == (0, 2)
    assert "wrote 2 events to -" in done.stderr.decode().splitlines()


@pytest.mark.parametrize("command", [("capture", "-o"), ("run", "--capture")])
def test_a_bundle_on_standard_output_is_what_a_file_would_hold(ergo: Ergo, command: tuple[str, str]) -> None:
    verb, option = command
    ran = ergo(verb, EVENTS, *PROGRAM, option, "-", "--format", "json", "-q")
    report = json.loads(ran.stderr)
    assert (ran.exit_code, report["run"]["bundle"]) == (0, "-")
    assert json.loads(ran.stdout) == json.loads(V3)


def test_quiet_leaves_out_a_text_that_is_for_people(ergo: Ergo) -> None:
    ran = ergo("graph", GRAPH, "-o", "-", "--as", "dot", "-q")
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout.startswith("digraph")


def test_what_fails_writes_nothing(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TABLE + "2024-01-04T00:00:00Z,dear\n")
    ran = ergo("fixture", "from-csv", "t.csv", "-", "-v")
    assert (ran.exit_code, ran.stdout) == (3, "")
    assert "code: fixture.csv_invalid" in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize("command", ["run", "capture"])
def test_a_crash_journal_does_not_go_there(ergo: Ergo, tmp_path: Path, command: str) -> None:
    bundle = ("-o", "b.json") if command == "capture" else ()
    ran = ergo(command, EVENTS, *PROGRAM, *bundle, "--journal", "-", "--format", "json")
    refused(ran, 2, "cli.conflicting_options")
    assert ran.report["error"]["fix"] == "name a file with --journal"
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_closes_the_pipe_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as pipe:
        monkeypatch.setattr("sys.__stdout__", pipe)
        with StandardOutput() as output:
            output.write(b"content")
            with pytest.raises(CaptureWriteError, match="its reader closed it"):
                output.commit()
