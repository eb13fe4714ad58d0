from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.terminals import on_terminal, plain
from tests.conftest import Ergo

ERGO = str(Path(sys.executable).with_name("ergo"))


@pytest.fixture
def diverging(conformance: Path) -> list[str]:
    case = conformance / "20-replay-failures"
    program = ["-g", str(case / "graph_changed.yaml"), "-a", str(case / "adapter.yaml")]
    return ["replay", "-q", str(case / "good.json"), *program]


def test_a_terminal_gets_colour_and_a_pipe_does_not(
    ergo: Ergo, diverging: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    shown = on_terminal(diverging, {**environment, "TERM": "xterm-256color"}, tmp_path)
    assert "\x1b[" in shown
    piped = ergo(*diverging).stdout
    assert "\x1b" not in piped
    assert plain(shown).replace("\r\n", "\n") == piped


def test_colour_is_as_asked_for(ergo: Ergo, diverging: list[str], environment: dict[str, str], tmp_path: Path) -> None:
    terminal = {**environment, "TERM": "xterm-256color"}
    assert "\x1b[3" not in on_terminal([*diverging, "--color", "never"], terminal, tmp_path)
    assert "\x1b[1;31m" not in on_terminal(diverging, {**terminal, "NO_COLOR": "1"}, tmp_path)
    assert "\x1b[1;31m" in ergo(*diverging, "--color", "always").stdout
    assert "\x1b[1;31m" in ergo(*diverging, FORCE_COLOR="1").stdout
    assert "\x1b" not in ergo(*diverging, "--color", "never", FORCE_COLOR="1").stdout
    assert "\x1b[1;31m" not in ergo(*diverging, FORCE_COLOR="1", NO_COLOR="1").stdout


def test_json_is_one_line_whatever_the_terminal(
    diverging: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    shown = on_terminal([*diverging, "--format", "json"], {**environment, "FORCE_COLOR": "1"}, tmp_path)
    assert shown.startswith('{"schema":"ergo.report/1"')
    assert shown.count("\n") == 1
    assert "\x1b" not in shown


def test_a_reader_that_goes_away_is_no_fault(diverging: list[str], environment: dict[str, str], tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    child = subprocess.run(
        [ERGO, *diverging], stdout=write, stderr=subprocess.PIPE, env=environment, cwd=tmp_path, timeout=60
    )
    os.close(write)
    assert (child.returncode, child.stderr) == (1, b"")


def test_nobody_reading_at_all_is_no_fault(conformance: Path, environment: dict[str, str], tmp_path: Path) -> None:
    case = conformance / "20-replay-failures"
    program = ["-g", str(case / "graph_changed.yaml"), "-a", str(case / "adapter.yaml")]
    read, write = os.pipe()
    os.close(read)
    child = subprocess.run(
        [ERGO, "replay", str(case / "good.json"), *program],
        stdout=write,
        stderr=write,
        env=environment,
        cwd=tmp_path,
        timeout=60,
    )
    os.close(write)
    assert child.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_under_the_result_is_exit_code_6(
    diverging: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    with open("/dev/full", "wb") as full:
        child = subprocess.run(
            [ERGO, *diverging], stdout=full, stderr=subprocess.PIPE, env=environment, cwd=tmp_path, timeout=60
        )
    assert child.returncode == 6
    assert b"error: the result could not be written to standard output" in child.stderr
    assert b"fix: free some space, or redirect it to another place" in child.stderr


def test_names_that_no_terminal_should_obey_are_escaped(ergo: Ergo) -> None:
    line = b'{"kind":"event","event":{"type":"Command","id":"\\u001b[2J"}}\n'
    ran = ergo("run", "-", stdin=line + line)
    assert ran.exit_code == 3
    assert "\x1b" not in ran.stderr
    assert "\\x1b[2J" in ran.stderr


def test_text_survives_an_encoding_that_lacks_its_letters(ergo: Ergo) -> None:
    line = '{"kind":"event","event":{"type":"Command","id":"größe"}}\n'.encode()
    ran = ergo("run", "-", stdin=line + line, PYTHONIOENCODING="ascii")
    assert ran.exit_code == 3
    assert "gr\\xf6\\xdfe" in ran.stderr
