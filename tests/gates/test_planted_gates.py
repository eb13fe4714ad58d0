"""The gates that ``ergo init`` plants, and those that this repository offers, run as their tools run them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ruamel.yaml import YAML

from tests.conftest import Ergo

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent


class Outcome(NamedTuple):
    """What a step came to."""

    exit_code: int
    text: str


def yaml(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


@pytest.fixture
def home(tmp_path: Path, ergo: Ergo) -> Path:
    """A project as ``ergo init`` makes it."""
    assert ergo("init", "flow", cwd=tmp_path).exit_code == 0
    return tmp_path / "flow"


@pytest.fixture
def around(environment: dict[str, str]) -> dict[str, str]:
    """An environment in which ergo, pytest and pre-commit are on the PATH."""
    quiet = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "PYTHONWARNINGS": ""}
    return {**environment, **quiet, "PATH": f"{PROGRAMS}:{environment['PATH']}"}


def run(line: str | list[str], cwd: Path, environment: Mapping[str, str]) -> Outcome:
    words = shlex.split(line) if isinstance(line, str) else line
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    return Outcome(done.returncode, done.stdout + done.stderr)


def edit(home: Path) -> None:
    """Let the strategy say something else."""
    graph = home / "graphs" / "strategy.yaml"
    text = graph.read_text()
    assert "hello-from-cluster" in text
    graph.write_text(text.replace("hello-from-cluster", "hello-again"))


def test_pytest_is_a_gate_of_a_new_project(home: Path, around: dict[str, str]) -> None:
    done = run("python -m pytest -p no:cacheprovider", home, around)
    assert done.exit_code == 0, done.text
    assert "1 passed" in done.text
    edit(home)
    done = run("python -m pytest -p no:cacheprovider", home, around)
    assert done.exit_code == 1
    assert "refused  captures/historical.capture.json  the program changed since the capture" in done.text


def test_pre_commit_is_a_gate_of_a_new_project(home: Path, around: dict[str, str]) -> None:
    around["PRE_COMMIT_HOME"] = str(home.parent / "pre-commit")
    for line in ("git init --quiet", "git add ."):
        assert run(line, home, around).exit_code == 0
    done = run("pre-commit run --all-files", home, around)
    assert done.exit_code == 0, done.text
    assert "captures still decide the same" in done.text
    edit(home)
    done = run("pre-commit run --all-files", home, around)
    assert done.exit_code == 1
    assert "exit code: 4" in done.text
    assert "graphs/strategy.yaml" in done.text


def test_the_hooks_of_the_repository_are_valid_and_name_commands_that_run(home: Path, around: dict[str, str]) -> None:
    around["PRE_COMMIT_HOME"] = str(home.parent / "pre-commit")
    assert run(["pre-commit", "validate-manifest", str(ROOT / ".pre-commit-hooks.yaml")], home, around).exit_code == 0
    hooks = yaml(ROOT / ".pre-commit-hooks.yaml")
    assert [hook["id"] for hook in hooks] == ["ergo-replay", "ergo-validate"]
    for hook in hooks:
        done = run([*shlex.split(hook["entry"]), *hook["args"]], home, around)
        assert done.exit_code == 0, done.text


def steps_of_github(home: Path) -> list[str]:
    (job,) = yaml(home / ".github" / "workflows" / "ergo.yml")["jobs"].values()
    return [step["run"] for step in job["steps"] if "run" in step]


def test_the_workflow_is_a_gate_of_a_new_project(home: Path, around: dict[str, str]) -> None:
    install, *steps = steps_of_github(home)
    assert install == "pip install -r requirements.txt"
    for line in steps:
        done = run(line, home, around)
        assert done.exit_code == 0, done.text
    edit(home)
    around["GITHUB_STEP_SUMMARY"] = str(home.parent / "summary.md")
    done = run(steps[-1], home, around)
    assert done.exit_code == 4
    assert "::error file=graphs/strategy.yaml,line=" in done.text
    assert "strategy.yaml" in (home.parent / "summary.md").read_text()


def test_the_job_of_gitlab_is_a_gate_of_a_new_project(home: Path, around: dict[str, str]) -> None:
    job = yaml(home / ".gitlab-ci.yml")["replay"]
    install, *steps = job["script"]
    assert install == "pip install -r requirements.txt"
    for line in steps:
        done = run(line, home, around)
        assert done.exit_code == 0, done.text
    edit(home)
    assert run(steps[-1], home, around).exit_code == 4
    (finding,) = json.loads((home / job["artifacts"]["reports"]["codequality"]).read_text())
    assert finding["location"]["path"] == "graphs/strategy.yaml"
    assert "<error" in (home / job["artifacts"]["reports"]["junit"]).read_text()


@pytest.fixture
def asked(around: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """What action.yml gives its steps where nothing is set."""
    defaults = {name: given["default"] for name, given in yaml(ROOT / "action.yml")["inputs"].items()}
    steps = yaml(ROOT / "action.yml")["runs"]["steps"]
    named = {
        name: defaults[value.removeprefix("${{ inputs.").removesuffix(" }}")]
        for step in steps
        for name, value in step.get("env", {}).items()
    }
    return {**around, **named, "GITHUB_ACTION_PATH": str(ROOT), "REPORTS": str(tmp_path / "reports")}


def step(name: str, home: Path, asked: Mapping[str, str]) -> Outcome:
    """Run a step of the action as its runner does: the text of the step, in bash."""
    (line,) = [
        each["run"] for each in yaml(ROOT / "action.yml")["runs"]["steps"] if each.get("run", "").endswith(f" {name}")
    ]
    return run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", line], home, asked)


def test_the_action_replays_annotates_and_keeps_reports(home: Path, asked: dict[str, str], tmp_path: Path) -> None:
    done = step("replay", home, asked)
    assert done.exit_code == 0, done.text
    kept = sorted(path.name for path in (tmp_path / "reports").iterdir())
    assert kept == ["ergo.html", "ergo.json", "ergo.sarif", "junit.xml"]
    edit(home)
    done = step("replay", home, asked)
    assert done.exit_code == 4
    assert "::error file=graphs/strategy.yaml,line=" in done.text
    done = step("replay", home, {**asked, "STRICT": "false"})
    assert done.exit_code == 1
    assert json.loads((tmp_path / "reports" / "ergo.json").read_text())["outcome"] == "diverged"


def test_the_action_takes_bundles_line_by_line_whatever_they_are_called(
    home: Path, asked: dict[str, str], tmp_path: Path
) -> None:
    kept = (home / "captures" / "historical.capture.json").read_bytes()
    names = ["captures/$(touch ran) `touch ran`.json", "captures/a b;c.json", "captures/-x.json"]
    for name in names:
        (home / name).write_bytes(kept)
    done = step("replay", home, {**asked, "BUNDLES": "\n".join(["", *names, ""])})
    assert done.exit_code == 0, done.text
    report = json.loads((tmp_path / "reports" / "ergo.json").read_text())
    assert [bundle["path"] for bundle in report["bundles"]] == names
    assert not (home / "ran").exists()


@pytest.mark.parametrize(
    ("name", "value", "exit_code"),
    [("STRICT", "yes", 2), ("FAIL_ON", "some", 2), ("BUNDLES", "nothing/*.json", 5), ("BUNDLES", "--strict", 3)],
)
def test_the_action_refuses_what_it_does_not_know(
    name: str, value: str, exit_code: int, home: Path, asked: dict[str, str]
) -> None:
    done = step("replay", home, {**asked, name: value})
    assert done.exit_code == exit_code, done.text
    assert "::error" in done.text


@pytest.mark.parametrize(("requirement", "installed"), [("", str(ROOT)), ("ergo-replay==0.1.0", "ergo-replay==0.1.0")])
def test_the_action_installs_its_own_version_or_the_one_that_is_named(
    requirement: str, installed: str, home: Path, asked: dict[str, str], tmp_path: Path
) -> None:
    stand_in = tmp_path / "bin" / "python"
    stand_in.parent.mkdir()
    stand_in.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/asked\n')
    stand_in.chmod(0o755)
    path = f"{stand_in.parent}:{asked['PATH']}"
    assert step("install", home, {**asked, "REQUIREMENT": requirement, "PATH": path}).exit_code == 0
    words = (tmp_path / "asked").read_text().splitlines()
    assert (words[:3], words[-1]) == (["-m", "pip", "install"], installed)
