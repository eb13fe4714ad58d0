"""Plans whose transport runs programs: captured, replayed without them, killed with everything they started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from tests.channels.egress_channels import left_behind
from tests.cli.plan_projects import BUNDLE, Home, events_of, failure
from tests.conftest import Ergo

ASK = (
    'asked = {"kind": "run_program_v1", "program_path": "tools/double", "stdin_json": ctx.read("n")}',
    'ctx.write("answer", io.call("tool", asked, "k").response)',
)
TOOL = 'transports={"tool": "own.tools:transport"}'
TOOLS = """
from pathlib import Path

from ergo_cli import exec_transport

transport = exec_transport({{"tools/double": "{digest}"}}, folder=Path(__file__).parents[1])
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "own").one(*ASK, more=TOOL)
    home.events({"n": 21})
    return home


def tool(home: Home, script: str) -> Path:
    """Write the program ``double``, and the transport that may run it."""
    path = home.root / "tools" / "double"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    digest = sha256(path.read_bytes()).hexdigest()
    (home.root / "own" / "tools.py").write_text(TOOLS.format(digest=digest))
    return path


def test_a_replay_starts_no_program_and_imports_no_transport(ergo: Ergo, home: Home) -> None:
    path = tool(home, 'echo called >> calls; read -r n; echo "$((2 * n))"')
    bundle = home.capture(ergo)
    [write] = bundle["decisions"][0]["effects"][0]["effect"]["writes"]
    assert (write["key"], write["value"]) == ("answer", {"String": "42"})
    path.unlink()
    (home.root / "own" / "tools.py").write_text("raise SystemExit(9)\n")
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0
    assert (home.root / "calls").read_text() == "called\n"


def test_a_program_that_fails_fails_the_attempt_and_replays_so(ergo: Ergo, home: Home) -> None:
    path = tool(home, "echo hunter2; echo hunter2 >&2; exit 42")
    bundle = home.capture(ergo)
    info = failure(bundle)
    assert (info["code"], info["message"]) == ("exec_failed", f"'{path}' exited with status 42")
    [failed] = [event for event in events_of(bundle["journals"][0]) if event.get("name") == "call_failed"]
    details = failed["payload"]["error"]["Transport"]["details"]
    assert details == {"program_path": str(path), "exit_code": 42, "signal": None}
    assert "hunter2" not in (home.root / BUNDLE).read_text()
    path.unlink()
    assert ergo("replay", BUNDLE, "--strict", cwd=home.root).exit_code == 0


def test_a_program_that_was_changed_is_not_run(ergo: Ergo, home: Home) -> None:
    path = tool(home, "echo 1")
    path.write_text("#!/bin/sh\ntouch marker; echo 1\n")
    info = failure(home.capture(ergo))
    assert info["code"] == "exec_program_not_allowed"
    assert not (home.root / "marker").exists()


def test_the_transport_of_a_strangers_project_is_not_imported(ergo: Ergo, home: Home, tmp_path: Path) -> None:
    tool(home, "touch marker; echo 1")
    (tmp_path / "here").mkdir()
    ran = ergo("run", "../own/events.jsonl", "--format", "json", cwd=tmp_path / "here")
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "program.import_refused")
    assert not (home.root / "marker").exists()


def test_a_deadline_leaves_the_program_to_the_end_of_ergo(ergo: Ergo, home: Home) -> None:
    tool(home, "exec sleep 600")
    ran = ergo("capture", "--deadline", "200ms", cwd=home.root)
    assert ran.exit_code == 0, ran.stderr
    [decision] = home.kept()["decisions"]
    assert decision["termination"] == "TimedOut"
    assert left_behind(home.root) == []


def test_nothing_is_left_where_ergo_is_killed(home: Home, environment: dict[str, str]) -> None:
    tool(home, "sleep 600 & mkfifo up 2>/dev/null; echo > up; wait")
    os.mkfifo(home.root / "up")
    command = [str(Path(sys.executable).with_name("ergo")), "capture"]
    with subprocess.Popen(command, cwd=home.root, env=environment, stderr=subprocess.DEVNULL) as child:
        (home.root / "up").read_text()  # until the program has started its child
        child.kill()
    assert left_behind(home.root) == []


def test_a_signal_ends_the_program_too(home: Home, environment: dict[str, str]) -> None:
    tool(home, "sleep 600 & echo > up; wait")
    os.mkfifo(home.root / "up")
    command = [str(Path(sys.executable).with_name("ergo")), "capture", "--format", "json"]
    with subprocess.Popen(command, cwd=home.root, env=environment, stdout=subprocess.PIPE) as child:
        (home.root / "up").read_text()
        child.terminate()  # asks for a stop after the step
        child.send_signal(signal.SIGINT)
        assert child.stdout is not None
        report = json.loads(child.stdout.read())
    assert (child.returncode, report["exit_code"]) == (130, 130)
    assert left_behind(home.root) == []
