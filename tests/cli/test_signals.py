"""Signals: an orderly end with all that was committed, at the second one an end at once, and nothing left behind."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.channels.egress_channels import left_behind
from tests.channels.ingress_drivers import scripted as driver
from tests.channels.ingress_runs import FLOW, replayed
from tests.channels.samples import READY, sample_project, send
from tests.cli.started import ERGO, started, steps_in, wait_until
from tests.support.events import TICK_LINE

PROGRAM = ("-g", str(FLOW / "graph.yaml"), "-a", str(FLOW / "adapter.yaml"))
CAPTURE = ("capture", *PROGRAM, "-o", "b.json", "--journal", "j", "--format", "json")
SIGNALS = [signal.SIGINT, signal.SIGTERM]


def driven(folder: Path, *steps: str) -> list[str]:
    program, *arguments = driver(folder / "pid", *steps)
    return ["--driver-cmd", program, *(word for argument in arguments for word in ("--driver-arg", argument))]


@pytest.mark.parametrize("number", SIGNALS)
def test_c30_65_a_signal_after_a_committed_event(
    number: signal.Signals, tmp_path: Path, environment: dict[str, str]
) -> None:
    with started(tmp_path, environment, *CAPTURE, "-") as child:
        assert child.stdin is not None
        child.stdin.write(TICK_LINE)
        child.stdin.flush()
        wait_until(lambda: steps_in(tmp_path / "j") == 1, child)
        child.send_signal(number)
        output, errors = child.communicate(timeout=60)
    report = json.loads(output)
    assert (child.returncode, report["exit_code"], report["outcome"], report["error"]) == (
        130,
        130,
        "interrupted",
        None,
    )
    assert report["run"]["interruption"] == {"code": "host_stop_requested"}
    assert (report["run"]["bundle"], report["run"]["events"], errors) == ("b.json", 1, b"")
    assert [path.name for path in tmp_path.iterdir()] == ["b.json"]
    assert replayed(tmp_path / "b.json") == 1


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_before_the_first_event(number: signal.Signals, tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "b.json").write_text("the bundle of yesterday")
    with started(tmp_path, environment, *CAPTURE, "-") as child:
        wait_until((tmp_path / "j").exists, child)
        child.send_signal(number)
        output, errors = child.communicate(timeout=60)
    report = json.loads(output)
    assert (child.returncode, report["outcome"], report["run"]) == (130, "interrupted", None)
    assert report["error"]["code"] == "driver.output_incomplete"
    assert b"Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["b.json"]  # and no journal, which would hold nothing
    assert (tmp_path / "b.json").read_text() == "the bundle of yesterday"


def test_a_signal_while_half_a_line_is_there(tmp_path: Path, environment: dict[str, str]) -> None:
    with started(tmp_path, environment, *CAPTURE, "-") as child:
        assert child.stdin is not None
        child.stdin.write(TICK_LINE + TICK_LINE[:20])
        child.stdin.flush()
        wait_until(lambda: steps_in(tmp_path / "j") == 1, child)
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=60)
    assert child.returncode == 130
    assert replayed(tmp_path / "b.json") == 1


@pytest.mark.parametrize("last", [("sleep",), ("stubborn", "child", "flood")])
def test_a_signal_ends_a_driver_with_all_its_children(
    last: tuple[str, ...], tmp_path: Path, environment: dict[str, str]
) -> None:
    with started(tmp_path, environment, *CAPTURE, *driven(tmp_path, "hello", "event", *last)) as child:
        wait_until(lambda: steps_in(tmp_path / "j"), child)
        child.send_signal(signal.SIGTERM)
        output, _ = child.communicate(timeout=60)
    run = json.loads(output)["run"]
    assert (child.returncode, run["interruption"]) == (130, {"code": "host_stop_requested"})
    assert replayed(tmp_path / "b.json") == run["events"]
    assert left_behind(tmp_path) == []


def test_the_second_signal_ends_everything_at_once(tmp_path: Path, environment: dict[str, str]) -> None:
    project = sample_project(tmp_path, READY, "stubborn", "child", "read", "sleep", ack_timeout="1h")
    send(project, a="1", b="2")
    command = ("capture", "-p", "historical", "-o", str(tmp_path / "b.json"))
    with started(project, environment, *command) as child:
        wait_until((project / "outbox.jsonl").exists, child)
        child.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.3)
        child.send_signal(signal.SIGTERM)  # a second SIGINT would be one with the first until that is handled
        _, errors = child.communicate(timeout=60)
    assert (child.returncode, b"Traceback" in errors) == (130, False)
    assert list(tmp_path.glob("b.json*")) == []
    assert left_behind(tmp_path) == []


def test_a_signal_that_comes_when_all_is_told_changes_nothing(tmp_path: Path, environment: dict[str, str]) -> None:
    late = "import atexit, os, signal\natexit.register(os.kill, os.getpid(), signal.SIGTERM)\n"
    (tmp_path / "sitecustomize.py").write_text(late)
    with started(tmp_path, {**environment, "PYTHONPATH": str(tmp_path)}, "graph", str(FLOW / "graph.yaml")) as child:
        output, errors = child.communicate(timeout=60)
    assert (child.returncode, errors) == (0, b"")
    assert output


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT, signal.SIGXCPU, signal.SIGUSR1, signal.SIGALRM])
def test_every_ending_signal_is_sigterm(number: signal.Signals, tmp_path: Path, environment: dict[str, str]) -> None:
    with started(tmp_path, environment, *CAPTURE, *driven(tmp_path, "hello", "event", "child", "sleep")) as child:
        wait_until(lambda: steps_in(tmp_path / "j"), child)
        child.send_signal(number)
        _, errors = child.communicate(timeout=60)
    assert (child.returncode, errors) == (130, b"")
    assert replayed(tmp_path / "b.json") == 1
    assert left_behind(tmp_path) == []
    assert list(tmp_path.glob("*.tmp")) == []


def test_a_signal_inherited_as_ignored_stays_ignored(tmp_path: Path, environment: dict[str, str]) -> None:
    command = ["nohup", ERGO, *CAPTURE, "-"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdin=pipe, stdout=pipe, stderr=pipe) as child:
        wait_until((tmp_path / "j").exists, child)
        child.send_signal(signal.SIGHUP)
        output, _ = child.communicate(TICK_LINE, timeout=60)
    assert (child.returncode, json.loads(output)["outcome"]) == (0, "completed")


def test_a_run_that_waits_to_open_a_fifo_stops_at_the_first_signal(tmp_path: Path, environment: dict[str, str]) -> None:
    os.mkfifo(tmp_path / "events.jsonl")
    (tmp_path / "sitecustomize.py").write_text(SIGNAL_ON_OPEN)
    surroundings = {**environment, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    with started(tmp_path, surroundings, *CAPTURE, "events.jsonl") as child:
        output, errors = child.communicate(timeout=60)
    report = json.loads(output)
    assert (child.returncode, report["error"]["code"]) == (130, "driver.output_incomplete")
    assert b"Traceback" not in errors
    assert not (tmp_path / "b.json").exists()


SIGNAL_ON_OPEN = """
import os, signal, sys, threading
def opened(event, arguments):
    if event == "open" and str(arguments[0]).endswith("events.jsonl"):
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
sys.addaudithook(opened)
"""


def signalled_on(event: str, number: str) -> str:
    """A ``sitecustomize`` that sends a signal while a file of this suffix is opened."""
    return (
        "import os, signal, sys\n"
        "def opened(event, arguments):\n"
        f"    if event == 'open' and str(arguments[0]).endswith('{event}'):\n"
        f"        os.kill(os.getpid(), signal.{number})\n"
        "sys.addaudithook(opened)\n"
    )


@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP"])
def test_a_signal_while_the_temporary_file_is_made_leaves_none(
    number: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "sitecustomize.py").write_text(signalled_on(".tmp", number))
    surroundings = {**environment, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    (tmp_path / "events.jsonl").write_bytes(TICK_LINE)
    with started(tmp_path, surroundings, "capture", *PROGRAM, "-o", "b.json", "events.jsonl") as child:
        _, errors = child.communicate(timeout=60)
    assert (child.returncode, b"Traceback" in errors) == (130, False)
    assert not [path.name for path in tmp_path.iterdir() if "b.json" in path.name]


def test_a_signal_in_main_before_the_command(tmp_path: Path, environment: dict[str, str]) -> None:
    script = (
        "import os, signal, sys; from ergo_cli.cli import app\n"
        "app._keep_memory = lambda: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.argv = ['ergo', '--version']; app.main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (130, b"")


@pytest.mark.parametrize("turned_into", ["RuntimeError('from __set_name__')", "ErgoError('graph.load_failed', 'it')"])
def test_an_interruption_that_became_another_exception(
    turned_into: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    script = (
        "import os, signal\nfrom ergo_cli.errors import ErgoError\nfrom ergo_cli.host import run_plan\n"
        "def plan(request):\n try: os.kill(os.getpid(), signal.SIGTERM)\n"
        f" except BaseException as error: raise {turned_into} from error\n"
        "run_plan.plan_run = plan\n"
        "from ergo_cli.cli.app import main\nimport sys\n"
        f"sys.argv = ['ergo', 'run', '-g', {str(FLOW / 'graph.yaml')!r}, 'events.jsonl']\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (130, b"interrupted\n")


def test_an_interruption_lost_in_a_finalizer_or_swallowed_ends_the_command(tmp_path: Path) -> None:
    for lose in ("class A:\n def __del__(self): os.kill(os.getpid(), 15)\nA()", "import contextlib\n" + SWALLOWED):
        script = f"import os\nfrom ergo_cli.signals import stop_on_signals\nstop_on_signals()\n{lose}\nprint('went on')"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, timeout=60)
        assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


SWALLOWED = "for _ in range(2):\n    with contextlib.suppress(BaseException): os.kill(os.getpid(), 15)"


SOME, ALL = 10, 500
SEED = 20261129
MANY = 200_000


@pytest.mark.parametrize("times", [SOME, pytest.param(ALL, marks=pytest.mark.slow)])
def test_signals_at_random_moments_leave_nothing(times: int, tmp_path: Path, environment: dict[str, str]) -> None:
    print("seed", SEED)
    chance = random.Random(SEED)
    (tmp_path / "events.jsonl").write_bytes(TICK_LINE * MANY)
    long_journal(tmp_path, environment)
    for number in range(times):
        folder = tmp_path / str(number)
        folder.mkdir()
        begin = chance.choice(LONG_RUNS)
        words, cwd = begin(folder)
        before = set(cwd.iterdir())
        with started(cwd, environment, *words) as child:
            wait_until(lambda: handles_signals(child.pid), child)
            for _ in range(chance.choice([1, 2])):
                time.sleep(chance.random() * chance.choice([0.01, 0.3]))
                child.send_signal(chance.choice([signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT]))
            _, errors = child.communicate(timeout=60)
        assert (child.returncode, b"Traceback" in errors) == (130, False), (number, words, errors)
        left = {path.name for path in set(cwd.iterdir()) - before} - {
            "pid",
            "b.json",
            "j",
            "outbox.jsonl",
            "__pycache__",
        }
        assert (left, left_behind(folder), left_behind(cwd)) == (set(), [], []), (number, words)


def channel_run(folder: Path) -> tuple[list[str], Path]:
    """A run that sends many intents to a channel, which has a child."""
    project = sample_project(folder)
    channel = project / "channels" / "egress" / "sample_outbox.py"
    channel.write_text(channel.read_text().replace("import json\n", f"import json\n{HAVE_A_CHILD}", 1))
    send(project, **{f"e{number}": "1" for number in range(MANY // 10)})
    return ["capture", "-p", "historical", "-o", "b.json"], project


HAVE_A_CHILD = "import subprocess\nsubprocess.Popen(['sleep', '1000'])\n"


def long_journal(folder: Path, environment: dict[str, str]) -> None:
    """A journal of many steps, made of that of a run which a signal ended."""
    with started(folder, environment, *CAPTURE, *driven(folder, "hello", "event", "sleep")) as child:
        wait_until(lambda: steps_in(folder / "j"), child)
        child.kill()
        child.communicate(timeout=60)
    head, step = (folder / "j").read_bytes().splitlines(keepends=True)
    name = b'"' + json.loads(step)["event"]["event_id"].encode() + b'"'
    (folder / "j").write_bytes(head + b"".join(step.replace(name, b'"e%d"' % number) for number in range(MANY // 4)))


LONG_RUNS: list[Callable[[Path], tuple[list[str], Path]]] = [
    lambda folder: (["capture", *PROGRAM, "-o", "b.json", "../events.jsonl"], folder),
    lambda folder: ([*CAPTURE, "../events.jsonl"], folder),
    lambda folder: ([*CAPTURE, *driven(folder, "hello", "event", "child", "stubborn", "sleep")], folder),
    lambda folder: (["recover", "../j", "-o", "b.json"], folder),
    channel_run,
]
"""Runs of more than a second, each in a folder of its own: the words, and where they are said."""


def handles_signals(pid: int) -> bool:
    """Whether the process has got so far that SIGTERM has a handler."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> signal.SIGQUIT - 1 & caught >> signal.SIGTERM - 1 & 1)
