from __future__ import annotations

import subprocess
import sys

import pytest

from ergo_cli import __version__
from ergo_cli.cli.app import execute
from tests.conftest import Ergo

FAULTS = [
    (["bogus"], "cli.unknown_command", "arg 'bogus'"),
    (["fixture", "bogus"], "cli.unknown_command", "arg 'bogus'"),
    (["fixture", "inspect", "a.jsonl", "b.jsonl"], "cli.unexpected_argument", "arg 'b.jsonl'"),
    (["explain", "b.json"], "cli.missing_required_option", "option --event"),
    (["graph", "g.yaml", "--as", "gif"], "cli.invalid_option_value", "arg '--as'"),
    (["--bogus"], "cli.invalid_option", "arg '--bogus'"),
    (["replay", "--bogus"], "cli.invalid_option", "arg '--bogus'"),
    (["replay", "-x"], "cli.invalid_option", "arg '-x'"),
    (["run", "e.jsonl", "-g"], "cli.missing_option_value", "arg '-g'"),
    (["run", "e.jsonl", "--graph"], "cli.missing_option_value", "arg '--graph'"),
    (["replay", "--strict=yes"], "cli.invalid_option_value", "arg '--strict'"),
    (["replay", "--format", "xml"], "cli.invalid_option_value", "arg '--format'"),
    (["replay", "--color", "blue"], "cli.invalid_option_value", "arg '--color'"),
    (["run", "e.jsonl", "--numbers", "rough"], "cli.invalid_option_value", "arg '--numbers'"),
    (["run", "e.jsonl", "--max-retries", "-1"], "cli.invalid_option_value", "arg '--max-retries'"),
    (
        ["run", "e.jsonl", "--max-in-flight", "18446744073709551616"],
        "cli.invalid_option_value",
        "arg '--max-in-flight'",
    ),
    (["run", "e.jsonl", "--deadline", "5 s"], "cli.invalid_option_value", "arg '--deadline'"),
    (["replay", "--max-divergences", "some"], "cli.invalid_option_value", "arg '--max-divergences'"),
    (["replay", "--ignore", "effects[", "b.json"], "cli.invalid_option_value", "arg '--ignore'"),
    (["inspect"], "cli.missing_required_argument", "BUNDLE"),
    (["diff", "a.json"], "cli.missing_required_argument", "B"),
    (["validate"], "cli.missing_required_argument", "FILE..."),
    (["diff", "a.json", "b.json", "c.json"], "cli.unexpected_argument", "arg 'c.json'"),
    (["run"], "cli.missing_required_option", "argument EVENTS"),
    (["run", "e.jsonl", "-a", "adapter.yaml"], "cli.missing_required_option", "option --adapter"),
    (["run", "e.jsonl", "-g", "g.yaml", "-P", "m:a"], "cli.conflicting_options", "option --program"),
]


@pytest.mark.parametrize(("arguments", "code", "where"), FAULTS)
def test_a_wrong_command_line_is_told_with_code_and_place(
    ergo: Ergo, arguments: list[str], code: str, where: str
) -> None:
    command, *others = arguments
    ran = ergo(command, *others, "-v") if command != "run" else ergo(command, "-v", *others)
    assert (ran.exit_code, ran.stdout) == (2, "")
    lines = ran.stderr.splitlines()
    assert lines[0].startswith("error: ")
    assert lines[1] == f"  where: {where}"
    assert lines[2].startswith("  fix: ")
    assert lines[3] == f"  code: {code}"


@pytest.mark.parametrize("spelling", [["--format", "json"], ["--format=json"]])
def test_a_wrong_command_line_is_a_document_where_json_is_asked_for(ergo: Ergo, spelling: list[str]) -> None:
    ran = ergo("replay", *spelling, "--bogus")
    assert ran.exit_code == 2
    assert ran.report["command"] == "replay"
    assert (ran.report["outcome"], ran.report["exit_code"]) == ("refused", 2)
    assert ran.report["error"]["code"] == "cli.invalid_option"
    assert ran.stderr.startswith("error: unknown option '--bogus'\n  fix: ")
    assert ergo("bogus", *spelling).report["command"] is None


def test_a_near_miss_is_pointed_out(ergo: Ergo) -> None:
    assert "fix: did you mean 'replay'?" in ergo("reply").stderr
    assert "fix: did you mean '--strict'?" in ergo("replay", "--strct").stderr


NEAR = [
    ("replay --json", "--format json"),
    ("run e.jsonl --output-format json", "--format"),
    ("capture e.jsonl --out b.json", "--output"),
    ("inspect b.json --verbosity 2", "--verbose"),
    ("validate g.yaml --no-color", "--color never"),
    ("replay --parallel 4", "--jobs"),
    ("replay -j 4", "--jobs"),
    ("run e.jsonl --config ergo.toml", "--project"),
    ("diff a.json b.json --exclude retry_count", "--ignore"),
    ("replay --colour always", "--color"),
    ("replay --FORMAT json", "--format"),
    ("fixture inspect e.jsonl --json", "--format json"),
    ("runs list --quite", "--quiet"),
    ("capture e.jsonl --profle live", "--profile"),
    ("run e.jsonl --retries 3", "--max-retries"),
    ("graph g.yaml --out x.svg", "--output"),
]
FAR = ["--json", "run --parallel 4", "run -j 4", "replay --file b.json", "replay --seed 7", "replay -x", "diff --foo"]


@pytest.mark.parametrize(("line", "meant"), NEAR)
def test_an_unknown_option_is_answered_with_what_helps(ergo: Ergo, line: str, meant: str) -> None:
    assert f"\n  fix: did you mean '{meant}'?\n" in ergo(*line.split()).stderr


@pytest.mark.parametrize("line", FAR)
def test_nothing_far_fetched_is_suggested(ergo: Ergo, line: str) -> None:
    told = ergo(*line.split(), "-v").stderr
    assert "code: cli.invalid_option\n" in told
    assert "--help shows what it takes\n" in told


@pytest.mark.parametrize("command", ["run", "capture", "replay", "diff", "inspect", "explain", "validate", "graph"])
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_explains_itself(ergo: Ergo, command: str, flag: str) -> None:
    ran = ergo(command, flag)
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout.startswith(f"Usage: ergo {command} ")
    assert "--format" in ran.stdout


def test_the_version_is_known_everywhere(ergo: Ergo) -> None:
    for arguments in (["--version"], ["run", "--version"], ["validate", "--version"]):
        assert ergo(*arguments) == (0, f"ergo {__version__}\n", "")


def test_the_version_costs_no_library() -> None:
    script = (
        "import sys\nfrom ergo_cli.cli.app import execute\nassert execute(['--version']) == 0\n"
        "heavy = {'rich', 'ruamel', 'jsonschema_rs', 'platformdirs'} & {m.split('.')[0] for m in sys.modules}\n"
        "ours = {m for m in sys.modules if m.startswith(('ergo_cli.replay', 'ergo_cli.bundle', 'ergo_cli.programs'))}\n"
        "sys.exit(f'imported: {heavy | ours}' if heavy | ours else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("asked", "same"),
    [(["help"], ["--help"]), (["help", "runs", "list"], ["runs", "list", "--help"]), (["-V"], ["--version"])],
)
def test_other_ways_to_ask(asked: list[str], same: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(same) == 0
    expected = capsys.readouterr()
    assert execute(asked) == 0
    assert capsys.readouterr() == expected
    assert expected.out


def test_lists_of_commands_are_not_cut_and_have_two_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["--help"]) == 0
    out = capsys.readouterr().out
    assert "..." not in out.replace("[ARGS]...", "")
    assert [line.split()[:2] for line in out.splitlines()[-2:]] == [["ergo", "capture"], ["ergo", "replay"]]


def test_the_module_runs_as_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "ergo_cli", "-V"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"ergo {__version__}\n")
