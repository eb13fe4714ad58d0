"""Spec 30, checklist lines of the command line: C-102 to C-104, C-106 to C-108, C-110."""

from __future__ import annotations

from pathlib import Path

import pytest

from ergo_cli import __version__
from tests.conftest import Ergo


def test_c30_102_no_arguments_give_the_usage(ergo: Ergo) -> None:
    bare = ergo()
    assert (bare.exit_code, bare.stderr) == (0, "")
    assert bare.stdout.startswith("Usage: ergo ")
    assert ergo("--help") == bare
    assert ergo("-h") == bare
    for command in ("run", "capture", "replay", "diff", "inspect", "validate"):
        assert f"\n  {command} " in bare.stdout


def test_c30_102_version(ergo: Ergo) -> None:
    assert ergo("--version") == (0, f"ergo {__version__}\n", "")


@pytest.mark.parametrize("command", ["run", "capture"])
def test_c30_103_a_run_without_events_is_a_usage_error(ergo: Ergo, command: str) -> None:
    ran = ergo(command)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr.startswith("error: ")


def test_c30_104_unknown_words_are_named(ergo: Ergo) -> None:
    command = ergo("conjure")
    assert (command.exit_code, command.stdout) == (2, "")
    assert "code: cli.unknown_command" in command.stderr
    assert "'conjure'" in command.stderr
    option = ergo("run", "e.jsonl", "--conjure")
    assert option.exit_code == 2
    assert "code: cli.invalid_option" in option.stderr
    assert "'--conjure'" in option.stderr


def test_c30_106_an_option_without_its_value(ergo: Ergo) -> None:
    ran = ergo("run", "events.jsonl", "-g")
    assert ran.exit_code == 2
    assert "code: cli.missing_option_value\nwhere: arg '-g'\n" in ran.stderr


def test_c30_106_no_ingress_at_all(ergo: Ergo, conformance: Path) -> None:
    ran = ergo("run", "-g", conformance / "01-minimal" / "graph.yaml")
    assert ran.exit_code == 2
    assert "code: cli.missing_required_option\n" in ran.stderr


def test_c30_107_short_and_long_options_are_equivalent(ergo: Ergo, conformance: Path, tmp_path: Path) -> None:
    case = conformance / "03-context-set"
    short = ergo(
        "capture", case / "events.jsonl", "-g", case / "graph.yaml", "-a", case / "adapter.yaml", "-o", "short.json"
    )
    long = ergo(
        *("capture", case / "events.jsonl", f"--graph={case / 'graph.yaml'}", "--adapter", case / "adapter.yaml"),
        *("--output", "long.json"),
    )
    assert (short.exit_code, long.exit_code) == (0, 0)
    assert (tmp_path / "short.json").read_bytes() == (tmp_path / "long.json").read_bytes()


def test_c30_107_profile_has_a_short_form(ergo: Ergo, conformance: Path, tmp_path: Path) -> None:
    case = conformance / "01-minimal"
    (tmp_path / "ergo.toml").write_text(
        f'name = "p"\nversion = "1"\n[profiles.a]\ngraph = "{case}/graph.yaml"\nfixture = "{case}/events.jsonl"\n'
        f'[profiles.b]\ngraph = "{case}/nowhere.yaml"\n'
    )
    assert ergo("run", "-p", "a") == ergo("run", "--profile", "a")
    assert ergo("run", "-p", "a").exit_code == 0
    assert ergo("run").exit_code == 2


def test_c30_108_default_place_of_a_capture(ergo: Ergo, conformance: Path, tmp_path: Path) -> None:
    case = conformance / "01-minimal"
    (tmp_path / "we ird.v1.yaml").write_bytes((case / "graph.yaml").read_bytes())
    ran = ergo("capture", case / "events.jsonl", "-g", "we ird.v1.yaml", "--format", "json")
    assert ran.exit_code == 0
    assert ran.report["run"]["bundle"] == str(Path("target") / "we_ird_v1-capture.json")
    assert (tmp_path / "target" / "we_ird_v1-capture.json").read_bytes() == (case / "capture.json").read_bytes()


def test_c30_110_error_block_and_its_json_form(ergo: Ergo, conformance: Path) -> None:
    case = conformance / "03-context-set"
    arguments = ["run", case / "events.jsonl", "-g", case / "graph.yaml"]
    lines = ergo(*arguments).stderr.splitlines()
    names = [line.partition(": ")[0] for line in lines]
    assert names == ["error", "code", "rule", "where", "fix", "detail"]
    assert lines[1:3] == ["code: adapter.required_for_graph", "rule: RUN-CANON-2"]
    error = ergo(*arguments, "--format", "json").report["error"]
    assert list(error) == ["code", "rule", "message", "where", "fix", "details", "causes"]
    assert lines == [
        f"error: {error['message']}",
        f"code: {error['code']}",
        f"rule: {error['rule']}",
        f"where: {error['where']}",
        f"fix: {error['fix']}",
        *(f"detail: {detail}" for detail in error["details"]),
    ]
