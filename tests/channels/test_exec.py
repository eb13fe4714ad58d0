"""Programs run for calls: what they see, what they leave behind, what is allowed to run."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ergo_cli import exec_transport
from ergo_cli.channels.bounded_run import run_bounded
from ergo_cli.programs.plan.errors import IoError
from ergo_cli.programs.plan.facts import IoCall
from tests.channels.egress_channels import left_behind

MIB = 2**20
MINUTE = 60_000_000_000

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes an executable script of Python; at the end no process that works in its folder may be left."""

    def written(text: str) -> Path:
        path = tmp_path / "program"
        path.write_text(f"#!{sys.executable} -IS\nimport json, os, subprocess, sys, time\n{text}\n")
        path.chmod(0o755)
        return path

    return written


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def call(path: Path, *, named: str | None = None, allowed: Any = None, settings: Any = None, **request: Any) -> Any:
    transport = exec_transport(allowed or {path: digest(path)}, **(settings or {}))
    asked = {"kind": "run_program_v1", "program_path": named or str(path), **request}
    return transport(IoCall("tool", asked, "k"))


def refusal(path: Path, **more: Any) -> str:
    with pytest.raises(IoError) as caught:
        call(path, **more)
    assert not caught.value.info.retryable
    return caught.value.code


def test_the_answer_is_what_the_program_writes(write: Write) -> None:
    program = write("print(json.dumps({'argv': sys.argv[1:], 'stdin': json.load(sys.stdin)}))")
    answer = call(program, argv=["$HOME; *", 5, None, "-x"], stdin_json={"b": [1, "é"], "a": None})
    assert answer == {"argv": ["$HOME; *", "-x"], "stdin": {"a": None, "b": [1, "é"]}}


def test_a_program_always_gets_json_and_the_end_of_its_input(write: Write) -> None:
    assert call(write("print(json.dumps(sys.stdin.read()))")) == "null"


@pytest.mark.parametrize(
    ("text", "value"),
    [("18446744073709551615", 2**64 - 1), ('{"a":1,"a":2}', {"a": 2}), (" [1.5]\n", [1.5]), ("null", None)],
)
def test_answers_are_read_as_json_is_everywhere(write: Write, text: str, value: Any) -> None:
    assert call(write(f"sys.stdout.write({text!r})")) == value


@pytest.mark.parametrize("text", ["", "ok", "1 2", "NaN", "1e400", '"\\udc00"', "[" * 128 + "]" * 128])
def test_what_is_not_json_is_no_answer(write: Write, text: str) -> None:
    assert refusal(write(f"sys.stdout.write({text!r})")) == "plan.exec_stdout_invalid_json"


def test_only_listed_variables_are_seen(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    program = write("print(json.dumps(dict(os.environ)))")
    for name, value in {"SEEN": "1", "BOTH": "ergo", "HIDDEN": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("ABSENT", raising=False)
    listed = {"environment": ("SEEN", "BOTH", "ABSENT")}
    seen = call(program, settings=listed, env={"BOTH": "request", "OWN": "3"})
    seen.pop("LC_CTYPE", None)  # set by Python itself
    assert seen == {"SEEN": "1", "BOTH": "request", "OWN": "3"}


def test_programs_work_in_the_folder_where_paths_begin(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = write("print(json.dumps(os.getcwd()))")
    allowed = {"program": digest(program)}
    assert call(program, named="program", allowed=allowed, settings={"folder": tmp_path}) == str(tmp_path)
    assert refusal(program, named="program", allowed=allowed) == "plan.exec_program_missing"
    monkeypatch.chdir(tmp_path)
    assert call(program, named="./program", allowed=allowed) == str(tmp_path)


def test_a_link_to_an_allowed_file_is_that_file(write: Write, tmp_path: Path) -> None:
    program = write("print(1)")
    (tmp_path / "link").symlink_to(program)
    assert call(program, named=str(tmp_path / "link")) == 1
    assert call(program, allowed={tmp_path / "link": digest(program)}) == 1


def test_a_program_whose_bytes_have_changed_is_not_started(write: Write, tmp_path: Path) -> None:
    program = write("print(1)")
    allowed = {program: digest(program)}
    assert call(program, allowed=allowed) == 1
    write(f"open({str(tmp_path / 'marker')!r}, 'w').close(); print(1)")
    assert refusal(program, allowed=allowed) == "plan.exec_program_not_allowed"
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("named", ["folder", "plain", "fifo"])
def test_what_cannot_be_executed_is_not_opened(tmp_path: Path, named: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "plain").write_text("print(1)")
    os.mkfifo(tmp_path / "fifo", 0o777)
    allowed = {tmp_path / named: "0" * 64}
    assert refusal(tmp_path / named, allowed=allowed) == "plan.exec_program_not_executable"


@pytest.mark.parametrize("named", ["gone", "a\0b", "circle", "x" * 300, "file/below"])
def test_paths_that_lead_nowhere(tmp_path: Path, named: str) -> None:
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "file").touch()
    code = refusal(tmp_path, named=named, allowed={"other": "0" * 64}, settings={"folder": tmp_path})
    assert code == "plan.exec_program_missing"


@pytest.mark.parametrize("body", [b"#!/no/such/interpreter\n", b"\x7fELF nonsense", b"echo 1\n"])
def test_a_file_that_the_system_cannot_run(tmp_path: Path, body: bytes) -> None:
    """The last one has no first line that names an interpreter: a shell would run it, and there is none."""
    program = tmp_path / "program"
    program.write_bytes(body)
    program.chmod(stat.S_IRWXU)
    assert refusal(program) == "plan.exec_spawn_failed"


@pytest.mark.parametrize("argument", [{"argv": ["a\0b"]}, {"env": {"a=b": "c"}}, {"env": {"a": "\0"}}])
def test_arguments_that_no_process_can_have(write: Write, argument: Any) -> None:
    assert refusal(write("print(1)"), **argument) == "plan.exec_spawn_failed"


def test_a_program_need_not_read_its_input(write: Write) -> None:
    assert call(write("os.close(0); print(1)"), stdin_json="x" * (MIB - 2)) == 1


def test_input_and_output_may_fill_their_pipes_at_once(write: Write) -> None:
    echo = write("sys.stdout.write(sys.stdin.read(1)); sys.stdout.flush(); sys.stdout.write(sys.stdin.read())")
    assert call(echo, stdin_json="x" * (MIB - 2)) == "x" * (MIB - 2)


def test_a_program_may_close_its_outputs_before_it_reads(write: Write, tmp_path: Path) -> None:
    reading = write("print(1, flush=True); os.close(1); os.close(2); open('read', 'w').write(sys.stdin.read())")
    assert call(reading, stdin_json="x" * (MIB - 2), settings={"folder": tmp_path}) == 1
    assert (tmp_path / "read").stat().st_size == MIB


@pytest.mark.parametrize(("limit", "code"), [(16 * MIB, None), (16 * MIB - 1, "plan.exec_stdout_too_large")])
def test_the_highest_limit_of_an_output(write: Write, limit: int, code: str | None) -> None:
    program, settings = write(f"sys.stdout.write(json.dumps('x' * ({16 * MIB} - 2)))"), {"max_output": limit}
    if code is None:
        assert len(call(program, settings=settings)) == 16 * MIB - 2
    else:
        assert refusal(program, settings=settings) == code


@pytest.mark.parametrize(
    ("programs", "settings", "message"),
    [
        ({"x": "12"}, {}, "the digest of 'x' is not 64 hexadecimal digits in lower case"),
        ({"x": "A" * 64}, {}, "the digest of 'x' is not 64 hexadecimal digits in lower case"),
        ({}, {"max_output": 16 * MIB + 1}, "max_output is between 0 and 16777216"),
        ({}, {"max_output": -1}, "max_output is between 0 and 16777216"),
    ],
)
def test_settings_that_are_none(programs: Any, settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        exec_transport(programs, **settings)


CHILD = "child = subprocess.Popen(['sleep', '600'])"


def test_what_a_program_leaves_running_is_killed(write: Write, tmp_path: Path) -> None:
    """The child holds both outputs: waiting for their ends would take ten minutes."""
    assert call(write(f"{CHILD}; print(1)"), settings={"folder": tmp_path}) == 1
    assert left_behind(tmp_path) == []


def test_a_program_that_takes_too_long_is_killed_with_its_children(write: Write, tmp_path: Path) -> None:
    program = write(f"{CHILD}; open('up', 'w').close(); child.wait()")
    assert refusal(program, settings={"folder": tmp_path}, timeout_ms=3000) == "plan.exec_timeout"
    assert (tmp_path / "up").exists()
    assert left_behind(tmp_path) == []


def test_a_process_that_left_the_group_is_not_waited_for(write: Write, tmp_path: Path) -> None:
    program = write("child = subprocess.Popen(['sleep', '600'], start_new_session=True); print(child.pid)")
    escaped = call(program)
    os.kill(escaped, signal.SIGKILL)
    assert left_behind(tmp_path) == []


def test_the_whole_output_is_counted_and_the_first_part_kept(tmp_path: Path) -> None:
    command = ["sh", "-c", "printf abcdef; printf ghi >&2; exit 3"]
    done = run_bounded(command, tmp_path, os.environ, b"", 4, MINUTE)
    assert done is not None
    assert (done.status, bytes(done.stdout.kept), done.stdout.size) == (3, b"abcd", 6)
    assert (bytes(done.stderr.kept), done.stderr.size) == (b"ghi", 3)
