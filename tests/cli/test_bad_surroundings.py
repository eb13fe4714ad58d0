"""Whatever goes wrong around a command: disks, rights, pipes, streams, locales, interrupts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest

from tests.cli.bad_texts import LINE
from tests.cli.refusals import ERGO, EVENTS, GRAPH, PROGRAM, V3, as_a_user, files, refused, shell
from tests.conftest import Ergo, Ran


def test_a_pipe_is_not_replaced_by_a_bundle(ergo: Ergo, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    ran = ergo("capture", EVENTS, *PROGRAM, "-o", "pipe", "--format", "json")
    refused(ran, 6, "capture.write_failed")
    assert ran.report["error"]["details"] == ["InvalidDestination"]
    assert files(tmp_path) == {"pipe": None}


def test_a_bundle_from_a_pipe_is_read_once(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(V3)
    os.mkfifo(tmp_path / "pipe")
    for command in (["inspect", "pipe"], ["replay", "pipe", *PROGRAM]):
        assert ergo(*command, through=shell("cat x.json > pipe & exec")).exit_code == 0


@pytest.mark.parametrize("name", ["b.json", "b.json.gz", "b.json.zst"])
def test_a_full_disk(ergo: Ergo, tmp_path: Path, name: str) -> None:
    (tmp_path / "e.jsonl").write_text("".join(LINE.replace("e1", f"e{n * n:x}") for n in range(5000)))
    (tmp_path / name).write_text("the bundle of yesterday")
    before = files(tmp_path)
    arguments = ["capture", "e.jsonl", "-o", name, "--format", "json"]
    ran = ergo(*arguments, through=shell("ulimit -f 16; exec"), PYTHONDONTWRITEBYTECODE="1")
    refused(ran, 6, "capture.write_failed")
    assert files(tmp_path) == before


def as_nobody(ergo: Ergo, folder: Path, *arguments: str | Path) -> Ran:
    """Run in ``folder`` as a user who owns nothing, which only matters to whoever may do anything."""
    if os.geteuid() != 0:
        return ergo(*arguments, "--format", "json")
    other = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    folder.chmod(folder.stat().st_mode | 0o055)
    if shutil.which("setpriv") is None or ergo("--version", through=other).exit_code != 0:
        pytest.skip("needs to be somebody else, who may run the command")
    return ergo(*arguments, "--format", "json", through=other)


@pytest.mark.parametrize("mode", [0o000, 0o444])
@pytest.mark.parametrize("command", [["run"], ["capture", "-o", "b.json"]])
def test_events_in_a_folder_that_cannot_be_read(ergo: Ergo, tmp_path: Path, command: list[str], mode: int) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked" / "e.jsonl").write_bytes(EVENTS.read_bytes())
    (tmp_path / "locked").chmod(mode)
    ran = ergo(*command, "locked/e.jsonl", *PROGRAM, "--format", "json", through=as_a_user())
    (tmp_path / "locked").chmod(0o700)
    refused(ran, 3, "driver.input_invalid")


def test_a_folder_that_is_not_ours_to_write(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text("the bundle of yesterday")
    tmp_path.chmod(0o555)
    ran = as_nobody(ergo, tmp_path, "capture", EVENTS, "-o", "b.json")
    tmp_path.chmod(0o755)
    refused(ran, 6, "capture.write_failed")
    assert files(tmp_path) == {"b.json": b"the bundle of yesterday"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["run", "secret"], "driver.input_invalid"),
        (["run", EVENTS, "-g", "secret"], "graph.load_failed"),
        (["run", EVENTS, "-g", GRAPH, "-a", "secret"], "adapter.setup_failed"),
        (["inspect", "secret"], "bundle.read_failed"),
    ],
)
def test_a_file_that_is_not_ours_to_read(ergo: Ergo, tmp_path: Path, arguments: list[str | Path], code: str) -> None:
    (tmp_path / "secret").write_bytes(V3)
    (tmp_path / "secret").chmod(0)
    refused(as_nobody(ergo, tmp_path, *arguments), 3, code)


def test_a_home_that_cannot_be_used_is_a_warning(ergo: Ergo, tmp_path: Path) -> None:
    ran = ergo("capture", EVENTS, *PROGRAM, "-o", "b.json", "--format", "json", HOME="/dev/null", XDG_DATA_HOME="")
    assert ran.exit_code == 0
    assert ["program store" in warning for warning in ran.report["warnings"]] == [True]
    assert (tmp_path / "b.json").read_bytes() == V3
    refused(ergo("replay", "b.json", "--format", "json", HOME="/dev/null", XDG_DATA_HOME=""), 3, "program.not_found")


def test_a_corrupted_program_store_is_passed_over(ergo: Ergo, tmp_path: Path, environment: dict[str, str]) -> None:
    assert ergo("capture", EVENTS, *PROGRAM, "-o", "b.json").exit_code == 0
    [record] = Path(environment["XDG_DATA_HOME"]).rglob("program.json")
    for content in (b"\xff", b"[" * 100_000, record.read_bytes().replace(b"graph.yaml", b"../../x")):
        record.write_bytes(content)
        ran = ergo("replay", "b.json", "--format", "json")
        refused(ran, 3, "program.not_found")
        assert "passed over" in ran.stderr
    record.unlink()
    os.mkfifo(record)
    refused(ergo("replay", "b.json", "--format", "json"), 3, "program.not_found")


@pytest.mark.parametrize("arguments", [["run", EVENTS], ["capture", EVENTS, "-o", "b.json"], ["replay"]])
def test_a_folder_that_is_gone(ergo: Ergo, arguments: list[str | Path]) -> None:
    ran = ergo(*arguments, "--format", "json", through=shell("mkdir gone; cd gone; rmdir ../gone; exec"))
    refused(ran, 3, "PRJ-ROOT")


def test_standard_input_that_is_closed(ergo: Ergo, tmp_path: Path) -> None:
    refused(ergo("run", "-", "--format", "json", through=shell("exec <&-; exec")), 3, "driver.input_invalid")
    (tmp_path / "e.jsonl").write_text(LINE)
    assert ergo("run", "e.jsonl", through=shell("exec <&- >&- 2>&-; exec")).exit_code == 0


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs a device that is always full")
@pytest.mark.parametrize("arguments", [[], ["--version"], ["run", "--help"]])
def test_help_that_nobody_can_read(ergo: Ergo, arguments: list[str]) -> None:
    ran = ergo(*arguments, through=shell("exec >/dev/full; exec"))
    assert ran.exit_code == 6
    assert "the result could not be written to standard output" in ran.stderr


def test_help_whose_reader_goes_away(ergo: Ergo) -> None:
    assert ergo("--help", through=("/bin/sh", "-c", '{ "$@"; echo $? >&2; } | :', "sh")) == (0, "", "0\n")


def test_a_locale_without_letters(ergo: Ergo, tmp_path: Path) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    (tmp_path / "größe.jsonl").write_text(LINE.replace("e1", "größe") * 2)
    refused(ergo("run", "größe.jsonl", "--format", "json", **plain), 3, "fixture.duplicate_event_id")
    name = os.fsdecode(b"\xff.json")
    ran = ergo("capture", EVENTS, *PROGRAM, "-o", name, "--format", "json", **plain)
    assert (ran.exit_code, (tmp_path / name).read_bytes()) == (0, V3)


@pytest.mark.parametrize("command", [["replay", "pipe"], ["diff", "pipe", "pipe"]])
def test_an_interrupt_is_told_as_a_document(command: list[str], tmp_path: Path, environment: dict[str, str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    arguments = [ERGO, *command, "--format", "json"]
    child = subprocess.Popen(arguments, cwd=tmp_path, env=environment, stdout=PIPE, stderr=PIPE, text=True)
    with (tmp_path / "pipe").open("wb"):  # opens when the command does, and keeps it waiting for more
        child.send_signal(signal.SIGINT)
        stdout, stderr = child.communicate(timeout=60)
    assert "Traceback" not in stderr
    ran = Ran(child.returncode, stdout, stderr)
    assert (ran.exit_code, ran.report["exit_code"], ran.stderr.splitlines()[-1]) == (130, 130, "interrupted")


def test_an_interrupt_while_the_command_is_loaded(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from ergo_cli.cli.app import main\n"
        "class Loading:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'ergo_cli.replay.session': os.kill(os.getpid(), signal.SIGTERM)\n"
        "sys.meta_path.insert(0, Loading())\n"
        "sys.argv = ['ergo', 'replay', 'x.json', '--format', 'json']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "interrupted\n")
    assert Ran(done.returncode, done.stdout, done.stderr).report["outcome"] == "interrupted"
