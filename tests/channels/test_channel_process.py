"""The processes of channels: heard in lines, told in lines, ended with all that they started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ergo_cli.channels.group import kill_all
from ergo_cli.channels.process import (
    QUEUE_BYTES,
    QUEUE_LINES,
    TAIL_BYTES,
    Broken,
    ChannelProcess,
    Eof,
    Line,
    LineQueue,
)
from ergo_cli.events.stream import LINE_LIMIT
from tests.channels.egress_channels import left_behind
from tests.channels.ingress_drivers import left_of, members, scripted

SECOND = 1_000_000_000
LONG = 60 * SECOND

Start = Callable[..., ChannelProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a command; at the end all are killed, and neither process, thread nor descriptor may be left."""
    started: list[ChannelProcess] = []
    descriptors = _descriptors()

    def run(*command: str, folder: Path | None = None, writable: bool = False) -> ChannelProcess:
        started.append(ChannelProcess.start(command, folder, writable=writable))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.kill()
        assert left_of(process.pid) == []
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("ergo channel")] == []
    assert _descriptors() == descriptors


def _descriptors() -> list[str]:
    return [path for path in map(_target, Path("/proc/self/fd").iterdir()) if path]


def _target(descriptor: Path) -> str:
    try:
        return f"{descriptor.name} {descriptor.readlink()}"
    except OSError:
        return ""


def lines_of(process: ChannelProcess) -> list[bytes]:
    lines: list[bytes] = []
    while isinstance(received := process.receive(LONG), Line):
        lines.append(received.text)
    assert received == process.receive(0) == Eof()
    return lines


def test_lines_then_the_end_then_the_status(start: Start) -> None:
    process = start("printf", "a\\n\\n\\377\\r\\nlast")
    assert lines_of(process) == [b"a", b"", b"\xff", b"last"]
    assert process.wait(LONG) == process.wait(0) == 0


def test_no_shell_sees_the_arguments(start: Start) -> None:
    assert lines_of(start("echo", "$HOME; *")) == [b"$HOME; *"]


def test_the_folder_is_where_it_works_and_relative_commands_lie(start: Start, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\npwd\n")
    program.chmod(0o755)
    assert lines_of(start("./program", folder=tmp_path)) == [str(tmp_path).encode()]


def test_nothing_to_read_is_not_the_end(start: Start) -> None:
    process = start("sleep", "600")
    assert process.receive(0) is None
    assert process.receive(SECOND // 100) is None
    assert process.wait(SECOND // 100) is None


def test_input_is_the_null_device_unless_asked_for(start: Start) -> None:
    assert lines_of(start("cat")) == []


def test_lines_are_sent_and_input_closed(start: Start) -> None:
    process = start("cat", writable=True)
    process.send(b"one", LONG)
    process.send(b"x" * 2**20, LONG)
    process.close_input()
    process.close_input()
    assert lines_of(process) == [b"one", b"x" * 2**20]
    with pytest.raises(BrokenPipeError):
        process.send(b"two", LONG)


def test_a_program_that_does_not_read_cannot_block_the_host(start: Start) -> None:
    process = start("sleep", "600", writable=True)
    with pytest.raises(TimeoutError):
        process.send(b"x" * 2**20, SECOND // 20)


def test_a_program_that_has_closed_its_input_is_told_nothing(start: Start) -> None:
    process = start("sh", "-c", "exec <&-; echo closed; exec sleep 600", writable=True)
    assert process.receive(LONG) == Line(b"closed")
    with pytest.raises(BrokenPipeError):
        process.send(b"line", LONG)


def test_a_program_that_cannot_be_run(tmp_path: Path) -> None:
    for command, folder in [
        (["no-such-program"], None),
        (["./missing"], tmp_path),
        (["true"], tmp_path / "missing"),
        (["a\0b"], None),
    ]:
        with pytest.raises(OSError):
            ChannelProcess.start(command, folder, writable=True)


def test_the_longest_line_is_read_and_a_longer_one_ends_reading(start: Start) -> None:
    process = start("sh", "-c", f"head -c {LINE_LIMIT} /dev/zero; printf '\\r\\nshort\\n'; exec cat /dev/zero")
    assert process.receive(LONG) == Line(bytes(LINE_LIMIT))
    assert process.receive(LONG) == Line(b"short")
    broken = process.receive(LONG)
    assert broken == Broken("the line is longer than 16 MiB", oversized=True)
    assert process.receive(0) == broken
    assert process.wait(0) is None


def test_the_end_of_stderr_is_kept(start: Start, tmp_path: Path) -> None:
    process = start(*scripted(tmp_path / "pid", "errflood:3"))
    assert process.wait(LONG) == 0
    process.kill()
    assert process.stderr_tail.endswith("f" * 63 + "\nthe last words")
    assert len(process.stderr_tail) == TAIL_BYTES


def test_stderr_that_is_not_text_is_shown_nevertheless(start: Start) -> None:
    process = start("sh", "-c", r"printf ' a\377 ' >&2")
    process.wait(LONG)
    process.kill()
    assert process.stderr_tail == "a\N{REPLACEMENT CHARACTER}"


def test_the_status_of_a_signal_is_negative(start: Start) -> None:
    assert start("sh", "-c", "kill -TERM $$").wait(LONG) == -signal.SIGTERM


def test_kill_ends_children_that_hold_the_output(start: Start, tmp_path: Path) -> None:
    process = start(*scripted(tmp_path / "pid", "child", "say:ready", "stubborn", "sleep"))
    assert process.receive(LONG) == Line(b"ready")
    assert len(members(process.pid)) == 3  # the keeper, too
    process.kill()
    assert left_of(process.pid) == []


def test_kill_ends_children_whose_parent_is_gone(start: Start, tmp_path: Path) -> None:
    process = start(*scripted(tmp_path / "pid", "child", "exit:3"))
    assert process.wait(LONG) == 3
    assert process.receive(SECOND // 20) is None
    assert len(members(process.pid)) == 3  # the child, its parent that keeps the group's number, and the keeper
    process.kill()
    assert left_of(process.pid) == []


def test_kill_does_not_wait_for_a_process_that_left_the_group(start: Start) -> None:
    script = "import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(600)"
    process = start("sh", "-c", '"$@" & wait', "sh", sys.executable, "-c", script)
    escaped = process.receive(LONG)
    assert isinstance(escaped, Line)
    process.kill()
    os.kill(int(escaped.text), signal.SIGKILL)


def test_kill_all_ends_every_group(start: Start, tmp_path: Path) -> None:
    processes = [start(*scripted(tmp_path / str(number), "child", "say:ready", "sleep")) for number in range(2)]
    for process in processes:
        assert process.receive(LONG) == Line(b"ready")
    kill_all()
    for process in processes:
        assert process.wait(LONG) == -signal.SIGKILL
        assert process.receive(LONG) == Eof()


def test_a_host_that_ignores_its_children_hears_them_too() -> None:
    script = (
        "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "from ergo_cli.channels.process import ChannelProcess\n"
        "process = ChannelProcess.start(['echo', 'x'], None, writable=False)\n"
        f"print(process.receive({LONG}), process.wait({LONG})); process.kill()"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("Line(text=b'x') 0\n", "")


@pytest.mark.parametrize(("size", "fitting"), [(1, QUEUE_LINES), (2**20, QUEUE_BYTES // 2**20), (QUEUE_BYTES + 1, 1)])
def test_the_queue_is_bounded_by_lines_and_by_bytes(size: int, fitting: int) -> None:
    queue, line = LineQueue(), b"x" * size
    for _ in range(fitting):
        assert queue.put(line)
    later = threading.Thread(target=queue.put, args=(b"later",))
    later.start()
    later.join(0.02)
    assert later.is_alive()
    assert [queue.take(LONG) for _ in range(fitting)] == [Line(line)] * fitting
    assert queue.take(LONG) == Line(b"later")
    later.join()


def test_nobody_waits_for_an_abandoned_queue() -> None:
    queue = LineQueue()
    for _ in range(QUEUE_LINES):
        assert queue.put(b"")
    waiting = threading.Thread(target=queue.put, args=(b"later",))
    waiting.start()
    queue.abandon()
    waiting.join()
    assert not queue.put(b"never")


class _Killed(BaseException):
    """What the handler of a signal raises."""


def test_a_signal_while_a_child_is_born_waits_until_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    born: list[int] = []

    def popen(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        child = spawn(*arguments, **options)
        born.append(child.pid)
        signal.raise_signal(signal.SIGINT)
        return child

    def insist(number: int, frame: object) -> None:
        kill_all()
        raise _Killed

    spawn, descriptors = subprocess.Popen, _descriptors()
    monkeypatch.setattr(subprocess, "Popen", popen)
    before = signal.signal(signal.SIGINT, insist)
    try:
        with pytest.raises(_Killed):
            ChannelProcess.start(["sleep", "600"], None, writable=True)
        assert signal.getsignal(signal.SIGINT) is insist
    finally:
        signal.signal(signal.SIGINT, before)
    assert left_of(born[0]) == []
    assert _descriptors() == descriptors


def test_a_child_of_another_thread_is_none_of_the_signals_business(start: Start) -> None:
    started: list[ChannelProcess] = []
    thread = threading.Thread(target=lambda: started.append(start("true")))
    thread.start()
    thread.join()
    assert started[0].wait(LONG) == 0


def test_without_a_thread_to_hear_it_no_child_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", exhausted)
    with pytest.raises(OSError, match="can't start new thread"):
        ChannelProcess.start(["sleep", "600"], tmp_path, writable=True)
    assert left_behind(tmp_path) == []


def test_a_killed_host_leaves_neither_child_nor_child_of_a_child(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys\n"
        "from ergo_cli.channels.process import ChannelProcess\n"
        "process = ChannelProcess.start(sys.argv[1:], None, writable=True)\n"
        f"process.receive({LONG}); print(process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    command = [sys.executable, "-c", script, *scripted(tmp_path / "pid", "child", "say:ready", "stubborn", "sleep")]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert left_of(int(done.stdout)) == []
