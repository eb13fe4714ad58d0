"""What the README promises, run."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import ergo_cli
from ergo_cli.errors import exit_code
from tests.conftest import Ergo

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTED = README + "".join(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").glob("*.md")))
AUTHORED = {".yaml", ".json", ".jsonl"}
FIXTURES = sorted(path.parent for path in (ROOT / "fixtures").glob("*/ergo.toml"))


def test_the_public_names_are_these_and_can_be_imported() -> None:
    assert ergo_cli.__all__ == sorted(ergo_cli.__all__)
    for name in ergo_cli.__all__:
        assert getattr(ergo_cli, name).__doc__
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = ergo_cli.nothing_such  # type: ignore[attr-defined]


def test_the_two_used_by_lines_work_in_an_empty_folder(ergo: Ergo, tmp_path: Path) -> None:
    shutil.copy(ROOT / "fixtures" / "rate_limited" / "events" / "burst.jsonl", tmp_path / "events.jsonl")
    lines = re.findall(r"^\$ ergo (.*?) +#", README, re.MULTILINE)[:2]
    assert lines == ["capture events.jsonl -o bundle.json", "replay bundle.json --strict"]
    for line in lines:
        ran = ergo(*line.split())
        assert ran.exit_code == 0, ran.stderr
    assert "ergo:schedule" in (tmp_path / "bundle.json").read_text()


@pytest.mark.parametrize("project", FIXTURES, ids=lambda path: path.name)
def test_fixtures_find_their_project_and_pass_their_gate(project: Path, ergo: Ergo, tmp_path: Path) -> None:
    shutil.copytree(project, tmp_path / "project")
    home = tmp_path / "project"
    (events,), (kept,) = (home / "events").iterdir(), (home / "captures").iterdir()
    before = kept.read_bytes()
    assert ergo("replay", "--strict", cwd=home).exit_code == 0
    assert ergo("capture", cwd=home).exit_code == 0
    assert kept.read_bytes() == before
    assert ergo("capture", f"events/{events.name}", "-o", "bundle.json", cwd=home).exit_code == 0
    assert ergo("replay", "bundle.json", "--strict", cwd=home).exit_code == 0
    assert (home / "bundle.json").read_bytes() == before


@pytest.mark.parametrize("project", FIXTURES, ids=lambda path: path.name)
def test_fixtures_are_valid_to_the_last_warning(project: Path, ergo: Ergo) -> None:
    files = [path for path in sorted(project.rglob("*")) if path.suffix in AUTHORED or path.name == "ergo.toml"]
    ran = ergo("validate", "--strict", *files, cwd=project)
    assert ran.exit_code == 0, ran.stdout + ran.stderr


def test_the_divergence_on_screen_is_what_a_user_sees(ergo: Ergo, tmp_path: Path) -> None:
    (shown,) = re.findall(r"\$ ergo replay bundle\.json\n(diverged.*?)\n\$ echo", README, re.DOTALL)
    shutil.copytree(ROOT / "fixtures" / "order_threshold", tmp_path / "project")
    home = tmp_path / "project"
    assert ergo("capture", "events/monday.jsonl", "-o", "bundle.json", cwd=home).exit_code == 0
    graph = home / "graphs" / "order_threshold.yaml"
    graph.write_text(graph.read_text().replace("value: 105.0", "value: 104.0"))
    ran = ergo("replay", "bundle.json", cwd=home)
    assert ran.exit_code == 1
    assert ran.stdout.strip() == shown.strip()


def test_the_exit_codes_are_documented() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    assert codes == {0, 1, 2, 3, 4, 5, 6, 7, 70, 130}
    reached = ("cli.usage", "graph.load_failed", "capture.write_failed", "internal.error")
    assert {exit_code(code) for code in reached} <= codes


def test_every_command_and_option_is_documented(ergo: Ergo) -> None:
    usage = ergo("--help").stdout
    for command in re.findall(r"^  ([a-z]+)  ", usage.split("Commands:")[1], re.MULTILINE):
        assert f"`ergo {command} " in README
        for option in set(re.findall(r"--[a-z-]+", ergo(command, "--help").stdout)):
            assert option in DOCUMENTED, f"{command} {option}"


def test_every_link_of_the_documentation_leads_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
