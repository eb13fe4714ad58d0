"""Runs whose events come from a process: what the command says, keeps and leaves behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.channels.ingress_drivers import PROGRAMS, left_of, pid_in, scripted
from tests.channels.ingress_runs import FLOW
from tests.cli.refusals import ERGO, files, refused
from tests.cli.started import wait_until
from tests.conftest import Ergo, Ran

PROGRAM = ("-g", FLOW / "graph.yaml", "-a", FLOW / "adapter.yaml")
PROTOCOL = ("driver.protocol_invalid", "protocol_violation")
TERMINATED = ("driver.start_failed", "driver_terminated")

FAULTS = {
    "dies": (("die",), TERMINATED),
    "exits": (("exit:3",), TERMINATED),
    "floods stderr": (("errflood:4", "exit:1"), TERMINATED),
    "leaves a child": (("child", "say:{"), PROTOCOL),
    "half a line": (('half:{"type":"ev',), PROTOCOL),
    "100 MB line": (("long:100", "sleep"), PROTOCOL),
    "not UTF-8": (("bytes:ff0a", "sleep"), PROTOCOL),
    "ignores SIGTERM": (("stubborn", "say:[]", "sleep"), PROTOCOL),
}


def options(command: list[str]) -> list[str]:
    program, *arguments = command
    return ["--driver-cmd", program, *(word for argument in arguments for word in ("--driver-arg", argument))]


def capture(ergo: Ergo, folder: Path, *steps: str) -> Ran:
    """A capture of a scripted driver into ``b.json``, of which no process may be left."""
    ran = ergo("capture", *PROGRAM, "-o", "b.json", "--format", "json", *options(scripted(folder / "pid", *steps)))
    assert left_of(pid_in(folder)) == []
    return ran


def replay(ergo: Ergo) -> Ran:
    return ergo("replay", "b.json", "--strict", *PROGRAM, "--format", "json")


@pytest.mark.parametrize("interpreter", [[sys.executable, str(PROGRAMS / "ingress_ticks.py")], None], ids=["py", "sh"])
def test_a_driver_that_does_as_it_should(ergo: Ergo, tmp_path: Path, interpreter: list[str] | None) -> None:
    (tmp_path / "numbers").write_text("1.5\n2\n-3e2\n")
    command = [*(interpreter or [str(PROGRAMS / "ingress_ticks.sh")]), "numbers"]
    ran = ergo("capture", *PROGRAM, "-o", "b.json", *options(command))
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout.startswith("done  3 events, ")
    assert replay(ergo).report["bundles"][0]["events"] == 3


def test_a_driver_and_a_file_of_the_same_events_make_the_same_bundle(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "numbers").write_text("1.5\n2\n")
    events = (
        f'{{"event_id":"tick-{second}","kind":"Command","at":{{"secs":{second},"nanos":0}},'
        f'"semantic_kind":"tick","payload":{{"x":{x}}}}}\n'
        for second, x in enumerate((1.5, 2))
    )
    (tmp_path / "events.jsonl").write_text("".join(events))
    driver = options([str(PROGRAMS / "ingress_ticks.sh"), "numbers"])
    assert ergo("capture", *PROGRAM, "-o", "driver.json", *driver).exit_code == 0
    assert ergo("capture", "events.jsonl", *PROGRAM, "-o", "file.json").exit_code == 0
    assert (tmp_path / "driver.json").read_bytes() == (tmp_path / "file.json").read_bytes()


@pytest.mark.parametrize(("steps", "codes"), FAULTS.values(), ids=FAULTS)
def test_a_fault_after_the_first_step(
    ergo: Ergo, tmp_path: Path, steps: tuple[str, ...], codes: tuple[str, str]
) -> None:
    ran = capture(ergo, tmp_path, "hello", "event", *steps)
    assert ran.exit_code == ran.report["exit_code"] == 7
    assert ran.report["outcome"] == "interrupted"
    assert (ran.report["error"]["code"], ran.report["run"]["interruption"]) == (codes[0], {"code": codes[1]})
    assert (ran.report["run"]["events"], ran.report["run"]["bundle"]) == (1, "b.json")
    replayed = replay(ergo)
    assert (replayed.exit_code, replayed.report["bundles"][0]["events"]) == (0, 1)


@pytest.mark.parametrize(("steps", "codes"), FAULTS.values(), ids=FAULTS)
def test_a_fault_before_the_first_step(
    ergo: Ergo, tmp_path: Path, steps: tuple[str, ...], codes: tuple[str, str]
) -> None:
    refused(capture(ergo, tmp_path, "hello", *steps), 3, codes[0])
    assert list(files(tmp_path)) == ["pid"]


def test_a_flood_is_stopped_by_a_bound(ergo: Ergo, tmp_path: Path) -> None:
    ran = ergo(
        "capture", *PROGRAM, "-o", "b.json", "--max-events", "5", *options(scripted(tmp_path / "pid", "hello", "flood"))
    )
    assert ran.exit_code == 0
    assert left_of(pid_in(tmp_path)) == []
    assert replay(ergo).report["bundles"][0]["events"] == 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_driver_is_idle(
    ergo: Ergo, tmp_path: Path, environment: dict[str, str], number: signal.Signals
) -> None:
    driver = options(scripted(tmp_path / "pid", "hello", "event", "stubborn", "sleep"))
    command = [ERGO, "capture", *map(str, PROGRAM), "-o", "b.json", "--journal", "journal", *driver]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        committed = tmp_path / "journal"
        wait_until(lambda: committed.exists() and b"evt-1" in committed.read_bytes(), child)
        child.send_signal(number)
        child.communicate(timeout=60)
    assert child.returncode == 130
    assert left_of(pid_in(tmp_path)) == []
    assert replay(ergo).report["bundles"][0]["events"] == 1


@pytest.mark.parametrize(
    ("command", "adapter", "code"),
    [
        (["./missing"], True, "driver.input_invalid"),
        (["./"], True, "driver.input_invalid"),
        ([" "], True, "driver.input_invalid"),
        (["no-such-program"], True, "driver.start_failed"),
        (["./missing"], False, "adapter.required_for_graph"),
    ],
)
def test_a_driver_that_cannot_be_started(
    ergo: Ergo, tmp_path: Path, command: list[str], adapter: bool, code: str
) -> None:
    program = PROGRAM if adapter else PROGRAM[:2]
    refused(ergo("capture", *program, "-o", "b.json", "--format", "json", *options(command)), 3, code)
    assert files(tmp_path) == {}
