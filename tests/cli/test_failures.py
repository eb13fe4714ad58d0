"""Failures say why, with the user's line; waiting runs say what they ask; done runs are not captured again."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from ergo_cli.host.failures import Failures
from ergo_cli.report.failures import failure_lines
from ergo_cli.supervisor.seam import ErrKind, Failed
from tests.conftest import Ergo

OWN = Path(__file__).parents[2] / "fixtures" / "own_primitives"
PROJECT = 'name = "n"\nversion = "1"\n[profiles.default]\nkernel = "agent:program"\nfixture = "events.jsonl"\n'
AGENT = """
from ergo_cli.programs.kernel import *

def step(state):
    if state == 0:
        {step}
    return Complete()

def execute(action, call):
    {execute}

program = KernelProgram("own", lambda payload: 0, step, execute, lambda state, event: state + 1{more})
"""


def agent(root: Path, step: str, execute: str = "return 1", more: str = "") -> None:
    (root / "ergo.toml").write_text(PROJECT)
    (root / "agent.py").write_text(AGENT.format(step=step, execute=execute, more=more))
    lines = ['{"kind":"episode_start","id":"d"}']
    lines += (json.dumps({"kind": "event", "event": {"type": "Command", "id": e, "payload": {}}}) for e in ("e1", "e2"))
    (root / "events.jsonl").write_text("\n".join(lines) + "\n")


def test_a_failing_primitive_is_named_with_its_line(ergo: Ergo, tmp_path: Path) -> None:
    home = shutil.copytree(OWN, tmp_path / "home", ignore=shutil.ignore_patterns("__pycache__"))
    module = home / "trend" / "primitives.py"
    module.write_text(module.read_text().replace("before + alpha", "befor + alpha"))
    ran = ergo("run", "--format", "json", cwd=home)
    assert ran.stderr.splitlines() == [
        "  6  NameError: name 'befor' is not defined",
        "     trend/primitives.py:27 in ema, node smooth",
        "     first t1, last t6",
    ]
    [failure] = ran.report["run"]["failures"]
    assert (failure["count"], failure["event_id"], failure["last_event_id"]) == (6, "t1", "t6")
    assert (failure["error"], failure["node"]) == ("NameError", "smooth")
    assert failure["place"] == {"file": "trend/primitives.py", "line": 27, "function": "ema"}
    replayed = ergo("replay", "captures/prices.json", cwd=home)
    assert replayed.exit_code == 1
    assert "trend/primitives.py:27 in ema, node smooth" in replayed.stderr
    event = ("explain", "captures/prices.json", "--event", "t1")
    [line] = [line for line in ergo(*event, cwd=home).stdout.splitlines() if "befor" in line and "smooth" in line]
    assert line.endswith("broke: NameError: name 'befor' is not defined (trend/primitives.py:27 in ema)")
    nodes = ergo(*event, "--format", "json", cwd=home).report["episode"]["nodes"]
    assert [(node["path"], node["place"]) for node in nodes if "place" in node] == [("smooth", failure["place"])]
    for name in ("a", "b", "c", "d"):
        shutil.copy(home / "captures" / "prices.json", home / "captures" / f"{name}.json")
    warning, *lines = ergo("replay", "captures", cwd=home).stderr.splitlines()
    assert "the texts of the capture are not in the program store" in warning
    assert lines == [
        "  30  NameError: name 'befor' is not defined",
        "      trend/primitives.py:27 in ema, node smooth",
        "      5 bundles, first t1, last t6",
    ]


@pytest.mark.parametrize(
    ("step", "execute", "place"),
    [
        ("return 1 / 0", "return 1", "agent.py:6 in step"),
        ("return Do(CallTool('t', 1))", "1 / 0", "agent.py:10 in execute"),
    ],
)
def test_a_failing_kernel_program_is_named_with_its_line(
    ergo: Ergo, tmp_path: Path, step: str, execute: str, place: str
) -> None:
    agent(tmp_path, step, execute)
    ran = ergo("capture", "-o", "b.json")
    assert ran.stderr.splitlines() == [
        "  2  ZeroDivisionError: division by zero",
        f"     {place}",
        "     first e1, last e2",
    ]


def test_causes_are_bounded_and_what_is_left_out_is_counted() -> None:
    failures = Failures()
    for number in range(1000):
        failures.note(f"e{number}", Failed(ErrKind.RUNTIME_ERROR), KeyError(f"key {number % 500}"))
    summary = failures.summary()
    assert (len(summary.groups), summary.others, summary.other_causes) == (100, 800, 400)
    assert sum(group.count for group in summary.groups) + summary.others == 1000
    assert failure_lines(summary)[-1] == "  and 800 more, of 400 other causes: the first 100 are listed"


def test_the_command_that_is_shown_answers_a_run_that_waits(ergo: Ergo, tmp_path: Path) -> None:
    agent(tmp_path, 'return Interrupt({"ask": "approve refund?", "amount": 900})')
    ran = ergo("run", "--store", "sqlite:runs.db")
    assert "  own/e1  asks  approve refund?  amount=900" in ran.stdout.splitlines()
    [command] = [line.strip() for line in ran.stdout.splitlines() if "resume own/e1" in line]
    assert command == "ergo runs resume own/e1 --value true --store sqlite:runs.db"
    answered = ergo(*shlex.split(command)[1:])
    assert answered.exit_code == 0, answered.stderr
    assert answered.stdout.startswith("completed: own/e1")
    listed = ergo("runs", "list", "--status", "blocked", "--store", "sqlite:runs.db", "--format", "json")
    assert [run["run_id"] for run in listed.report["runs"]] == ["own/e2"]


def test_the_command_that_is_shown_lists_the_runs_that_are_left_out(ergo: Ergo, tmp_path: Path) -> None:
    agent(tmp_path, "return Interrupt('go on?')")
    event = '{"kind":"event","event":{"type":"Command","id":"f%d","at":"%ds"}}'
    episode = '{"kind":"episode_start","id":"E1"}'
    (tmp_path / "many.jsonl").write_text("\n".join([episode, *(event % (n, n + 1) for n in range(13))]) + "\n")
    ran = ergo("run", "many.jsonl", "--store", "sqlite:many.db", "-P", "agent:program")
    command = "ergo runs list --status blocked --store sqlite:many.db"
    assert ran.stdout.splitlines()[-1] == f"  and 3 more: {command}"
    listed = ergo(*shlex.split(command)[1:], "--format", "json")
    assert len(listed.report["runs"]) == 13
    kept_nowhere = ergo("run", "many.jsonl", "-P", "agent:program").stdout.splitlines()
    assert kept_nowhere[-2] == "  and 3 more"


def test_a_run_that_waits_for_a_signal_is_blocked(ergo: Ergo, tmp_path: Path) -> None:
    agent(tmp_path, "return Do(WaitSignal('go'))", more=", extensions=Extensions(fold_first=True, built_in_waits=True)")
    ran = ergo("run", "--store", "sqlite:runs.db", "--format", "json")
    assert ran.report["run"]["waiting_runs"] == 2
    waiting = ran.report["run"]["waiting"][0]
    assert (waiting["run_id"], waiting["signal"], waiting["asks"]) == ("own/e1", "go", None)
    listed = ergo("runs", "list", "--store", "sqlite:runs.db", "--format", "json").report["runs"]
    assert [run["derived_status"] for run in listed] == ["Blocked", "Blocked"]
    assert ergo(*shlex.split(waiting["answer"])[1:]).stdout.startswith("completed: own/e1")


def test_runs_that_are_done_are_not_captured_again(ergo: Ergo, tmp_path: Path) -> None:
    agent(tmp_path, "return Do(CallTool('t', 1))")
    again = ("capture", "-o", "b.json", "--store", "sqlite:runs.db")
    assert ergo(*again).exit_code == 0
    before = (tmp_path / "b.json").read_bytes()
    refused = ergo(*again, "--format", "json")
    assert (refused.exit_code, refused.report["error"]["code"]) == (3, "kernel.already_completed")
    assert "run 'own/e1' is already completed" in refused.report["error"]["message"]
    assert refused.report["error"]["details"] == ["also completed: run 'own/e2'"]
    assert (tmp_path / "b.json").read_bytes() == before
    assert ergo(*again, "--continue").exit_code == 0


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("def execute(action, call)", "async def execute(action, call)", "is an async function"),
        ("def execute(action, call)", "def execute(action)", "cannot be called with (action, call)"),
        ("def step(state)", "def step()", "cannot be called with (state)"),
        ("    return Complete()", "    yield Complete()", "is a generator function"),
    ],
)
def test_an_unfit_function_is_refused_at_load(ergo: Ergo, tmp_path: Path, old: str, new: str, why: str) -> None:
    agent(tmp_path, "pass")
    module = tmp_path / "agent.py"
    text = module.read_text()
    assert old in text
    module.write_text(text.replace(old, new))
    error = ergo("run", "--format", "json").report["error"]
    assert error["code"] == "program.unfit_function"
    assert why in error["message"]
    line = 9 if "execute" in new else 4
    assert error["where"].endswith(f"agent.py:{line}")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("def step(state)", "async def step(state)", "is an async function"),
        ("def step(state)", "def step(state, more)", "cannot be called with (state)"),
        ("    return Complete()", "    yield Complete()", "is a generator function"),
    ],
)
def test_an_unfit_function_is_refused_in_a_replay(ergo: Ergo, tmp_path: Path, old: str, new: str, why: str) -> None:
    agent(tmp_path, "pass")
    assert ergo("capture", "-o", "b.json").exit_code == 0
    module = tmp_path / "agent.py"
    module.write_text(module.read_text().replace(old, new))
    ran = ergo("replay", "b.json", "--format", "json")
    assert (ran.exit_code, ran.report["error"]["code"]) == (3, "program.unfit_function")
    assert why in ran.report["error"]["message"]
    assert ran.report["error"]["where"].endswith("agent.py:4")
    sound = module.read_text().replace(new, old)
    module.write_text(sound.replace("def execute(", "async def execute(") + "# of another size: no stale bytecode\n")
    assert ergo("replay", "b.json").exit_code == 0, "a replay does not call the executor"


def test_fixtures_are_validated_against_the_adapter_and_the_gate_proves_the_folder(ergo: Ergo, tmp_path: Path) -> None:
    assert ergo("init", "flow").exit_code == 0
    home = tmp_path / "flow"
    assert ergo("validate", "ergo.toml", "--strict", cwd=home).exit_code == 0
    for gate in ("scripts/test", ".github/workflows/ergo.yml"):
        assert "ergo replay captures --strict" in (home / gate).read_text()
    assert ergo("capture", "-o", "again.json", cwd=home).exit_code == 0
    fixture = home / "fixtures" / "historical.jsonl"
    fixture.write_text(fixture.read_text().replace('{"message":"hello-from-historical"}', '{"message":7}'))
    for arguments in (("ergo.toml",), ("fixtures/historical.jsonl", "-a", "adapters/sample.yaml")):
        ran = ergo("validate", *arguments, "--format", "json", cwd=home)
        assert ran.exit_code == 3
        [error] = ran.report["files"][0]["errors"]
        assert "historical.jsonl:2" in error["where"]


def test_a_byte_order_mark_before_events_is_skipped(ergo: Ergo, tmp_path: Path) -> None:
    agent(tmp_path, "pass")
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"\xef\xbb\xbf" + events.read_bytes())
    assert ergo("run", "--format", "json").report["run"]["events"] == 2


def test_compressed_events_are_recognised_under_another_name(ergo: Ergo, tmp_path: Path) -> None:
    agent(tmp_path, "pass")
    events = tmp_path / "events.jsonl"
    events.write_bytes(gzip.compress(events.read_bytes()))
    assert ergo("run", "--format", "json").report["run"]["events"] == 2


@pytest.mark.parametrize("ref", ["agent.py:program", "nowhere:program", "agent:nothing", "agent:step", "agent"])
@pytest.mark.parametrize("command", ["capture events.jsonl -o b.json", "run events.jsonl", "runs resume own/e1"])
def test_a_program_that_cannot_be_found_is_named_where_it_was_given(
    ergo: Ergo, tmp_path: Path, ref: str, command: str
) -> None:
    agent(tmp_path, "return Complete()")
    ran = ergo(*command.split(), "-P", ref, "--format", "json")
    assert (ran.exit_code, ran.report["error"]["where"]) == (3, "option --program")
    toml = tmp_path / "ergo.toml"
    toml.write_text(PROJECT.replace("agent:program", ref if ":" in ref else "agent:nothing"))
    ran = ergo(*command.split(), "--format", "json")
    assert (ran.exit_code, ran.report["error"]["where"]) == (3, f"{toml} profiles.default.kernel")


def test_an_executor_that_cannot_be_found_is_that_of_the_program(ergo: Ergo, tmp_path: Path) -> None:
    agent(tmp_path, "return Complete()")
    module = tmp_path / "agent.py"
    module.write_text(module.read_text().replace("step, execute", "step, 'agent:nothing'"))
    error = ergo("run", "--format", "json").report["error"]
    assert (error["where"], error["code"]) == ("executor of 'agent:program'", "program.import_failed")


@pytest.mark.parametrize("event", ['{"Foo":1}', '"yes"', "1", '{"Resumed":{"valu":1}}'])
def test_what_is_no_event_of_a_log_is_refused_with_an_example(ergo: Ergo, tmp_path: Path, event: str) -> None:
    agent(tmp_path, "return Interrupt('go on?')")
    ergo("run", "--store", "sqlite:runs.db")
    fork = ("runs", "fork", "own/e1", "--at", "1", "--as", "other", "--store", "sqlite:runs.db", "--event")
    error = ergo(*fork, event, "--format", "json").report["error"]
    assert error["where"] == "option --event"
    [example] = re.findall("'(.*)'", error["fix"])
    assert ergo(*fork, example).exit_code == 0
