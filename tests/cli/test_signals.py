"""SIGINT and SIGTERM during a run: an orderly end with all that was committed, at the second signal an end at once."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.channels.egress_channels import left_behind
from tests.channels.ingress_drivers import scripted as driver
from tests.channels.ingress_runs import FLOW, replayed
from tests.channels.samples import READY, sample_project, send
from tests.cli.started import started, steps_in, wait_until
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
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.json", "j"]
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
