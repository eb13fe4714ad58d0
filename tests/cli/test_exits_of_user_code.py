"""A program that calls ``sys.exit`` fails its episode, and neither ends ergo nor is taken for a defect of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.plan_projects import Home
from tests.conftest import Ergo

KERNEL = """
import sys

from ergo_cli.programs.kernel import *

def opened(payload):
    return {opened}

def step(state):
    return {step}

def reduce(state, event):
    return {reduce}

class Policy(AllowAll):
    def authorize(self, run_id, action, context):
        {authorize}

def execute(action, call):
    return {execute}

program = KernelProgram("own", opened, step, execute, reduce, Policy())
"""
SOUND = {
    "opened": "0",
    "step": "Complete() if state else Do(CallTool('t', {}))",
    "reduce": "state + 1",
    "authorize": "pass",
    "execute": "1",
}
PROJECT = 'name = "n"\nversion = "1"\n[profiles.default]\nkernel = "agent:program"\nfixture = "events.jsonl"\n'


@pytest.mark.parametrize("part", SOUND)
def test_of_a_kernel_program(ergo: Ergo, tmp_path: Path, part: str) -> None:
    (tmp_path / "ergo.toml").write_text(PROJECT)
    (tmp_path / "agent.py").write_text(KERNEL.format(**SOUND | {part: "sys.exit(3)"}))
    event = {"kind": "event", "event": {"type": "Command", "id": "e1", "payload": {}}}
    (tmp_path / "events.jsonl").write_text('{"kind":"episode_start","id":"d"}\n' + json.dumps(event) + "\n")
    ran = ergo("capture", "-o", "b.json", "--fail-on-error", "--format", "json", cwd=tmp_path)
    (failure,) = ran.report["run"]["failures"]
    assert (ran.exit_code, "Traceback" in ran.stderr) == (1, False)
    assert (failure["error"], failure["place"]["file"]) == ("SystemExit", "agent.py")


@pytest.mark.parametrize("part", ["handler", "async handler", "transport"])
def test_of_a_plan_program(ergo: Ergo, tmp_path: Path, part: str) -> None:
    home = Home(tmp_path / "own")
    home.one(
        "io.call('a', {}, 'k')" if part == "transport" else "raise SystemExit(3)",
        more='transports={"a": "own.world:ask"}',
    )
    if part == "async handler":
        program = home.root / "own" / "program.py"
        program.write_text(program.read_text().replace("def ", "async def ", 1))
    home.world("raise SystemExit(3)")
    ran = ergo("capture", "-o", "b.json", "--fail-on-error", "--format", "json", cwd=home.root)
    (failure,) = ran.report["run"]["failures"]
    assert (ran.exit_code, "Traceback" in ran.stderr) == (1, False)
    assert "SystemExit" in json.dumps(failure)
    assert ergo("replay", "b.json", "--strict", cwd=home.root).exit_code == 0
