"""Messages beside the result: their width, their counts, their paths, and each of them once (docs/reports.md)."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.terminals import on_terminal, plain
from tests.conftest import Ergo

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture
def threshold(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIXTURES / "order_threshold", tmp_path / "ot"))


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    """The project ``agent`` with a name in its step that does not exist."""
    home = Path(shutil.copytree(FIXTURES / "agent", tmp_path / "ag", ignore=shutil.ignore_patterns("__pycache__")))
    module = home / "refunds" / "agent.py"
    name = "risk_of_a_fraud_as_the_assessor_saw_it_when_the_case_was_opened"
    module.write_text(module.read_text().replace("if case.risk is None", f"if case.{name} is None"))
    return home


def shown_on_stderr(arguments: Sequence[str], environment: dict[str, str], folder: Path) -> list[str]:
    surroundings = {**environment, "COLUMNS": "80", "TERM": "xterm"}
    return plain(on_terminal(arguments, surroundings, folder, stream="stderr")).replace("\r\n", "\n").splitlines()


def test_warnings_and_notes_are_wrapped_on_a_terminal(ergo: Ergo, environment: dict[str, str], threshold: Path) -> None:
    graph = threshold / "graphs" / "order_threshold.yaml"
    graph.write_text(graph.read_text().replace("value: 105.0", "value: 104.0"))
    replay = ["replay", "-v", "captures/monday.json"]
    lines = shown_on_stderr(replay, environment, threshold)
    assert [lines[0], lines[1]] == [
        "note: captures/monday.json: program 'order_threshold' found by profile default",
        "    of ergo.toml",
    ]
    assert lines[2].startswith("warning: captures/monday.json: the program changed")
    assert all(len(line) <= 80 for line in lines if " " in line.strip()), lines
    piped = ergo(*replay, cwd=threshold, COLUMNS="80").stderr
    assert " ".join(" ".join(lines).split()) == " ".join(piped.split())
    assert len(piped.splitlines()) == 3, "what goes to a pipe is one line a message"


def test_failures_are_wrapped_on_a_terminal(environment: dict[str, str], failing: Path) -> None:
    lines = shown_on_stderr(["run"], environment, failing)
    assert lines[0].startswith("  8  AttributeError: ")
    assert all(len(line) <= 80 for line in lines), lines
    assert lines[1].strip().endswith("when_the_case_was_opened'")


def test_one_of_a_thing_is_not_several(ergo: Ergo, threshold: Path) -> None:
    events = (threshold / "events" / "monday.jsonl").read_text().splitlines(keepends=True)
    (threshold / "one.jsonl").write_text("".join(events[:2]))
    assert ergo("run", "one.jsonl", cwd=threshold).stdout.startswith("done  1 event, ")
    ran = ergo("capture", "one.jsonl", "-o", "one.json", cwd=threshold)
    assert ran.stdout.startswith("done  1 event, ")
    assert ergo("run", cwd=threshold).stdout.startswith("done  8 events, ")
    (threshold / "one.csv").write_text("timestamp,close\nt1,101.5\n")
    assert ergo("fixture", "from-csv", "one.csv", "made.jsonl", cwd=threshold).stdout == "wrote 1 event to made.jsonl\n"
    ran = ergo("explain", "one.json", "--event", "q-0900", "--occurrence", "3", cwd=threshold)
    assert "has event 'q-0900' 1 time, there is no occurrence 3" in ran.stderr


def test_paths_below_the_current_folder_are_relative(ergo: Ergo, threshold: Path) -> None:
    ran = ergo("capture", "-v", cwd=threshold)
    assert "  bundle  captures/monday.json" in ran.stdout.splitlines()
    assert ergo("capture", "--format", "json", cwd=threshold).report["run"]["bundle"] == str(
        threshold / "captures" / "monday.json"
    )
    ran = ergo("replay", "-v", threshold / "captures" / "monday.json", cwd=threshold)
    assert str(threshold) not in ran.stdout + ran.stderr
    assert ran.stderr.startswith("note: captures/monday.json: program 'order_threshold' found by")
    shutil.rmtree(threshold / "captures")
    (threshold / "captures").mkdir()
    ran = ergo("replay", threshold / "captures", cwd=threshold)
    assert str(threshold) not in ran.stdout + ran.stderr


def test_an_unknown_key_of_the_project_is_warned_of_once(ergo: Ergo, threshold: Path) -> None:
    project = threshold / "ergo.toml"
    project.write_text('colour = "red"\n' + project.read_text())
    for name in ("a", "b", "c", "d"):
        shutil.copy(threshold / "captures" / "monday.json", threshold / "captures" / f"{name}.json")
    for arguments in (["replay", "captures"], ["replay", "captures/a.json"], ["replay"], ["run"]):
        ran = ergo(*arguments, cwd=threshold)
        assert (ran.exit_code, ran.stderr) == (0, "warning: ergo.toml colour: unknown key 'colour' is ignored\n")
    bundles = ergo("replay", "captures", "--format", "json", cwd=threshold).report["bundles"]
    assert [len(bundle["warnings"]) for bundle in bundles] == [1] * 5


def test_an_id_of_megabytes_is_cut_where_people_read_it(ergo: Ergo, tmp_path: Path) -> None:
    """The report for programs has it whole; no command can name it."""
    shutil.copytree(FIXTURES / "order_threshold", tmp_path, dirs_exist_ok=True)
    stream = tmp_path / "events" / "monday.jsonl"
    long = "q" * 3_000_000
    stream.write_text(stream.read_text().replace('"q-0910"', f'"{long}"'))
    assert ergo("capture", "-o", "b.json").exit_code == 0
    graph = tmp_path / "graphs" / "order_threshold.yaml"
    graph.write_text(graph.read_text().replace("105.0", "104.0"))
    ran = ergo("replay", "b.json")
    assert ran.exit_code == 1
    assert len(ran.stdout) < 20_000
    assert f"event {'q' * 499}…{'q' * 500}" in ran.stdout
    [bundle] = ergo("replay", "b.json", "--format", "json").report["bundles"]
    assert bundle["divergences"][0]["event_id"] == long
