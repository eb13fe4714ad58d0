from __future__ import annotations

from pathlib import Path

import pytest

from ergo_cli.errors import ProjectError
from ergo_cli.project.project_file import find_project, load_project, locate_project

TOML = 'name = "{}"\nversion = "1"\n[profiles]\n'
PYPROJECT = '[tool.ergo]\nname = "{}"\nversion = "1"\n[tool.ergo.profiles]\n'


def test_the_nearest_folder_wins(write, tmp_path: Path):
    write("ergo.toml", TOML.format("outer"))
    write("a/ergo.toml", TOML.format("inner"))
    (tmp_path / "a/b/c").mkdir(parents=True)
    assert load_project(tmp_path / "a/b/c").name == "inner"
    assert load_project(tmp_path / "a" / "ergo.toml").root == tmp_path / "a"
    assert load_project(tmp_path).name == "outer"


def test_ergo_toml_wins_over_pyproject_in_one_folder_only(write, tmp_path: Path):
    write("ergo.toml", TOML.format("outer"))
    write("a/pyproject.toml", PYPROJECT.format("py"))
    assert load_project(tmp_path / "a").name == "py"
    write("a/ergo.toml", TOML.format("toml"))
    assert load_project(tmp_path / "a").name == "toml"


def test_pyproject_without_table_is_passed(write, tmp_path: Path):
    write("ergo.toml", TOML.format("outer"))
    write("a/pyproject.toml", '[project]\nname = "ergo-user"\n')
    assert load_project(tmp_path / "a").name == "outer"


def test_a_relative_start_climbs_above_the_current_folder(write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write("ergo.toml", TOML.format("outer"))
    write("a/b/events.jsonl", "")
    monkeypatch.chdir(tmp_path / "a")
    assert load_project(Path("b/events.jsonl")).root == tmp_path


def test_no_project(tmp_path: Path):
    assert find_project(tmp_path) is None
    with pytest.raises(ProjectError) as caught:
        load_project(tmp_path)
    assert caught.value.code == "PRJ-ROOT"
    assert caught.value.message == f"could not discover project root from '{tmp_path}' (no ergo.toml found)"


def test_current_folder_comes_before_the_folder_of_the_input(write, tmp_path: Path, in_folder: Path):
    events = write("far/sub/events.jsonl", "")
    write("far/ergo.toml", TOML.format("far"))
    assert locate_project() is None
    located = locate_project(events)
    assert located is not None
    assert located.name == "far"
    write("elsewhere/ergo.toml", TOML.format("near"))
    located = locate_project(events)
    assert located is not None
    assert located.name == "near"


def test_a_named_project_is_not_looked_for(write, tmp_path: Path, in_folder: Path):
    write("ergo.toml", TOML.format("outer"))
    write("named/pyproject.toml", PYPROJECT.format("named"))
    named = locate_project(None, Path("../named"))
    assert named is not None
    assert (named.name, named.root) == ("named", tmp_path / "named")
    with pytest.raises(ProjectError, match="could not discover project root from"):
        locate_project(None, in_folder)
