"""The pytest plugin, as a project meets it: pytest runs in a process of its own, in a copy of an example."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest

from tests.conftest import Ergo

ROOT = Path(__file__).parents[2]
GATE = """
import pytest

@pytest.mark.ergo_replay("captures/*.json")
def test_gate(ergo_bundle):
    assert ergo_bundle.name == "monday.json"
"""


class Outcome(NamedTuple):
    """What a run of pytest came to."""

    exit_code: int
    text: str


Run = Callable[..., Outcome]


@pytest.fixture
def home(tmp_path: Path, ergo: Ergo) -> Path:
    """A copy of the trading strategy, captured here, whose bundles pytest is to replay."""
    home = tmp_path / "strategy"
    shutil.copytree(ROOT / "fixtures" / "order_threshold", home)
    assert ergo("capture", cwd=home).exit_code == 0
    (home / "pytest.ini").write_text("[pytest]\ntestpaths = tests\nergo_bundles =\n    captures/*.json\n")
    (home / "tests").mkdir()
    (home / "tests" / "test_one.py").write_text("def test_one():\n    pass\n")
    return home


@pytest.fixture
def run(home: Path, environment: dict[str, str]) -> Run:
    """Runs pytest in a process of its own."""

    def tested(*arguments: str, cwd: Path = home) -> Outcome:
        line = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:benchmark", *arguments]
        done = subprocess.run(line, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
        return Outcome(done.returncode, done.stdout + done.stderr)

    return tested


def lower_the_entry_level(home: Path) -> None:
    graph = home / "graphs" / "order_threshold.yaml"
    graph.write_text(graph.read_text().replace("value: 105.0", "value: 104.0"))


def test_a_bundle_of_the_ini_file_is_a_test_beside_those_of_the_test_folders(run: Run) -> None:
    done = run("-v")
    assert done.exit_code == 0, done.text
    assert "captures/monday.json::replay PASSED" in done.text
    assert "2 passed" in done.text


def test_a_divergence_is_the_text_of_the_failure(home: Path, run: Run) -> None:
    lower_the_entry_level(home)
    done = run()
    assert done.exit_code == 1
    assert "1 failed, 1 passed" in done.text
    screen = done.text[done.text.index("differs  captures/monday.json") : done.text.index("short test summary")]
    assert screen.splitlines()[:5] == [
        "differs  captures/monday.json  1 of 8 decisions",
        "",
        "changed    graphs/order_threshold.yaml:20  enter_level.value  105.0 -> 104.0",
        "",
        "decision 1  event q-0910",
    ]
    assert "reproduce  ergo replay captures/monday.json\n" in screen
    assert "Traceback" not in done.text


def test_what_the_failure_names_reproduces_it(home: Path, run: Run, ergo: Ergo) -> None:
    lower_the_entry_level(home)
    (home / "pytest.ini").write_text(
        "[pytest]\nergo_bundles = captures\nergo_strict = true\nergo_profile = default\nergo_project = .\n"
    )
    done = run("-q")
    assert done.exit_code == 1
    assert "refused  captures/monday.json  the program changed since the capture" in done.text
    (line,) = [line for line in done.text.splitlines() if line.startswith("reproduce  ergo ")]
    assert line == "reproduce  ergo replay captures/monday.json --strict --profile default --project ."
    assert ergo(*line.split()[2:], cwd=home).exit_code == 4


def test_the_marker_replays_before_the_lines_of_the_test(home: Path, run: Run) -> None:
    (home / "tests" / "test_one.py").write_text(GATE)
    done = run("tests", "-v")
    assert done.exit_code == 0, done.text
    assert "tests/test_one.py::test_gate[captures/monday.json] PASSED" in done.text
    assert "1 passed" in done.text
    lower_the_entry_level(home)
    done = run("tests")
    assert done.exit_code == 1
    assert "enter_level.value  105.0 -> 104.0" in done.text
    assert "assert ergo_bundle" not in done.text


def test_workers_of_xdist_replay_the_same_bundles(home: Path, run: Run) -> None:
    (home / "tests" / "test_one.py").write_text(GATE)
    assert "2 passed" in run("-n", "2").text
    lower_the_entry_level(home)
    done = run("-n", "2")
    assert done.exit_code == 1
    assert "2 failed" in done.text


def test_a_bundle_named_on_the_command_line_is_the_only_test(run: Run) -> None:
    assert "1 passed" in run("captures/monday.json").text
    assert "1 passed" in run("tests").text


def test_a_bundle_is_found_from_a_folder_below(home: Path, run: Run) -> None:
    done = run("-v", cwd=home / "tests")
    assert done.exit_code == 0, done.text
    assert "2 passed" in done.text


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("ergo_bundles = nothing/*.json", "ini value ergo_bundles: no bundle matched"),
        ("ergo_bundles = captures/none.json", "ini value ergo_bundles: there is no bundle 'captures/none.json'"),
        ("ergo_bundles =\n    captures/*.json\n    other/*.json", "other/*.json"),
        (
            "ergo_bundles = captures\nergo_fail_on = some",
            "ini value ergo_fail_on: 'some' is none of decision, evidence",
        ),
    ],
)
def test_a_gate_that_opens_no_bundle_is_not_green(settings: str, said: str, home: Path, run: Run) -> None:
    (home / "pytest.ini").write_text(f"[pytest]\n{settings}\n")
    done = run()
    assert done.exit_code == 4
    assert said in done.text
    assert "Traceback" not in done.text


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        ('"nothing/*.json"', "no bundle matched"),
        ('"captures", until=3', "ergo_replay takes no 'until'"),
        ('"captures", fail_on="some"', "ergo_replay, fail_on: 'some' is none of"),
        ("", "it names no bundle"),
    ],
)
def test_a_marker_that_cannot_be_followed_ends_the_run(marker: str, said: str, home: Path, run: Run) -> None:
    text = f"import pytest\n\n@pytest.mark.ergo_replay({marker})\ndef test_gate():\n    pass\n"
    (home / "tests" / "test_one.py").write_text(text)
    done = run("tests")
    assert done.exit_code != 0
    assert said in done.text


def test_a_file_that_is_no_bundle_fails_with_its_error(home: Path, run: Run) -> None:
    (home / "captures" / "torn.json").write_text((home / "captures" / "monday.json").read_text()[:-40])
    done = run()
    assert done.exit_code == 1
    assert "refused  captures/torn.json" in done.text
    assert "1 failed, 2 passed" in done.text
    assert "Traceback" not in done.text


def test_strange_names_of_bundles_stay_what_they_are(home: Path, run: Run) -> None:
    strange = home / "captures" / "a [b] 'c' é.json"
    shutil.copy(home / "captures" / "monday.json", strange)
    lower_the_entry_level(home)
    done = run("--junitxml", "out.xml")
    assert done.exit_code == 1
    assert "2 failed, 1 passed" in done.text
    assert len(ElementTree.parse(home / "out.xml").findall(".//failure")) == 2


def test_pytest_without_a_word_of_ergo_is_not_slowed_by_it(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "test_one.py").write_text(
        "import sys\n\ndef test_one():\n"
        "    loaded = {name for name in sys.modules if name.split('.')[0] == 'ergo_cli'}\n"
        "    names = {'ergo_cli', 'ergo_cli.version', 'ergo_cli.pytest_plugin', 'ergo_cli.pytest_plugin.plugin'}\n"
        "    assert loaded == names\n"
    )
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "xdist"])
def test_new_decisions_become_the_recording_where_that_is_asked_for(
    workers: tuple[str, ...], home: Path, run: Run, ergo: Ergo
) -> None:
    lower_the_entry_level(home)
    assert run().exit_code == 1
    done = run("--ergo-accept", *workers)
    assert done.exit_code == 0, done.text
    assert re.search(r"=+ accepted =+\ncaptures/monday\.json\n", done.text)
    assert run().exit_code == 0
    assert ergo("replay", "--strict", cwd=home).exit_code == 0
    (line,) = (home / "captures" / "accepted.jsonl").read_text().splitlines()
    assert json.loads(line)["why"] == "pytest --ergo-accept"


def test_a_program_that_changed_is_accepted_under_strict_too(home: Path, run: Run) -> None:
    (home / "pytest.ini").write_text("[pytest]\nergo_bundles = captures\nergo_strict = true\n")
    lower_the_entry_level(home)
    assert "refused  captures/monday.json" in run().text
    assert run("--ergo-accept").exit_code == 0
    assert run().exit_code == 0


def test_what_cannot_be_replayed_is_not_accepted(home: Path, run: Run) -> None:
    bundle = home / "captures" / "monday.json"
    torn = bundle.read_text()[:-40]
    bundle.write_text(torn)
    done = run("--ergo-accept")
    assert done.exit_code == 1
    assert bundle.read_text() == torn


def test_ci_accepts_nothing(home: Path, run: Run, environment: dict[str, str]) -> None:
    lower_the_entry_level(home)
    before = (home / "captures" / "monday.json").read_bytes()
    environment["CI"] = "true"
    done = run("--ergo-accept")
    assert done.exit_code == 4
    assert "--ergo-accept: CI is set" in done.text
    assert (home / "captures" / "monday.json").read_bytes() == before


@pytest.fixture
def agent(home: Path) -> Path:
    """A copy of the refunds agent in the place of the strategy, its bundles and a test of its own."""
    shutil.rmtree(home)
    shutil.copytree(ROOT / "fixtures" / "agent", home)
    (home / "pytest.ini").write_text("[pytest]\nergo_bundles = captures\n")
    (home / "tests").mkdir()
    return home


def test_modules_of_test_folders_do_not_stand_for_those_of_the_project(agent: Path, run: Run) -> None:
    (agent / "tests" / "test_one.py").write_text("import refunds.agent\n\ndef test_one():\n    pass\n")
    shutil.copytree(agent / "refunds", agent / "tests" / "refunds")
    desk = agent / "refunds" / "agent.py"
    desk.write_text(desk.read_text() + "\nraise RuntimeError('the module of the project')\n")
    done = run()
    assert done.exit_code == 1
    assert "RuntimeError: the module of the project" in done.text


def test_modules_that_the_program_imports_are_those_of_the_project(agent: Path, run: Run) -> None:
    (agent / "tests" / "limits.py").write_text("")
    (agent / "tests" / "test_one.py").write_text("import limits\n\ndef test_one():\n    pass\n")
    (agent / "limits.py").write_text("HIGHEST = 1\n")
    program = agent / "refunds" / "agent.py"
    program.write_text(program.read_text() + "\nfrom limits import HIGHEST\n")
    done = run()
    assert done.exit_code == 0, done.text


@pytest.mark.parametrize("call", ["skip", "xfail", "exit"])
def test_a_program_does_not_leave_its_test_out(call: str, agent: Path, run: Run) -> None:
    program = agent / "refunds" / "agent.py"
    lines = f"    import pytest\n    pytest.{call}('not today')\n"
    text = program.read_text()
    end = text.index(":\n", text.index("\ndef reduce(")) + 2
    program.write_text(text[:end] + lines + text[end:])
    done = run()
    assert done.exit_code == 1, done.text
    assert "1 failed" in done.text
    assert "not today" in done.text


def test_an_error_of_the_project_is_shown_without_lines_of_ergo(home: Path, run: Run) -> None:
    (home / "ergo.toml").write_text("[[broken\n")
    done = run()
    assert done.exit_code == 1
    assert "fix: mend the TOML" in done.text
    assert "During handling" not in done.text
    assert "gate.py" not in done.text
