"""Numbers of the command line: every integer option has its range, and its ends do what they say."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from ergo_cli.cli.app import execute
from ergo_cli.cli.commands import MOST_JOBS, application
from ergo_cli.errors import exit_code

ROOT = Path(__file__).parents[2]
BEYOND = str(2**64)
JOBS = ("replay",), "--jobs"
DURATIONS = ("--max-duration", "--rate-window", "--deadline")


def integer_options() -> Iterator[tuple[tuple[str, ...], str]]:
    """Every integer option by its command: those of an integer type, and ``--jobs``, which has a parser of its own."""
    for path, command in commands_below((), typer.main.get_command(application([]))):
        for parameter in command.params:
            if parameter.type.name.startswith("int") or parameter.opts[0] == "--jobs":
                yield path, parameter.opts[0]


def commands_below(path: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, inner in command.commands.items():
        yield from commands_below((*path, name), inner)


OPTIONS = list(integer_options())


def test_the_walk_finds_the_integer_options() -> None:
    named = {(("explain",), "--occurrence"), (("runs", "fork"), "--at"), (("run",), "--max-events"), JOBS}
    assert named <= set(OPTIONS)


@pytest.mark.parametrize("value", ["-1", BEYOND, "9" * 5000])
@pytest.mark.parametrize(("path", "option"), OPTIONS)
def test_a_number_out_of_range_is_refused(
    path: tuple[str, ...], option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = execute([*path, "-v", option, value])
    shown = capsys.readouterr().err
    assert code == exit_code("cli.invalid_option_value")
    assert f"\n  where: arg '{option}'\n  fix: " in shown
    assert "\n  code: cli.invalid_option_value\n" in shown


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    shutil.copytree(ROOT / "fixtures" / "order_threshold", tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (kept,) = Path("captures").iterdir()
    return str(kept)


def test_the_last_occurrence_is_looked_for(bundle: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["explain", bundle, "--event", "q-0900", "--occurrence", str(2**63 - 1)]) == 2
    assert "has event 'q-0900' 1 time, there is no occurrence 9223372036854775807" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("--max-divergences", str(2**63 - 1)), ("--jobs", str(MOST_JOBS))])
def test_the_largest_numbers_of_a_replay_are_taken(bundle: str, arguments: tuple[str, str]) -> None:
    assert execute(["replay", bundle, "--strict", *arguments]) == 0


@pytest.mark.parametrize("option", ["--max-events", "--max-in-flight", "--max-per-window", "--max-retries"])
def test_the_largest_count_of_a_run_is_taken(bundle: str, option: str) -> None:
    assert execute(["run", option, str(2**64 - 1)]) == 0


@pytest.mark.parametrize("option", DURATIONS)
@pytest.mark.parametrize("literal", ["9223372036854775808ms", "18446744073709551615s", "18446744073709551615h"])
def test_the_longest_durations_are_taken(bundle: str, option: str, literal: str) -> None:
    assert execute(["run", option, literal, "--fail-on-error"]) == 0
