"""The parts of the scaffold: its template, what it requires, how it is written."""

from __future__ import annotations

import json
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

import ergo_cli.tools
from ergo_cli import __version__
from ergo_cli.cli.init import KINDS
from ergo_cli.errors import ErgoError
from ergo_cli.tools.init_folder import ScaffoldFile, find_target, plant
from ergo_cli.tools.init_project import initialise, requirement_of, scaffold_files

TEMPLATE = Path(ergo_cli.tools.__file__).with_name("init_template")


def test_every_file_of_the_template_is_used_and_filled_in() -> None:
    files = {file.path: file.content.decode() for file in scaffold_files("sample", "ergo-replay==1.2.3")}
    there = {str(path.relative_to(TEMPLATE)) for path in TEMPLATE.rglob("*") if path.is_file()}
    assert set(files) == {path for path in there if "__pycache__" not in path}
    assert files["requirements.txt"] == "ergo-replay==1.2.3\n"
    assert files["README.md"].startswith("# sample\n")
    for text in files.values():
        assert not {"@name@", "@requirement@", "@runtime_level@"} & set(text.split())


def test_the_default_template_has_these_files() -> None:
    files = scaffold_files("sample", "ergo-replay==1.2.3")
    assert [file.path for file in files if file.executable] == ["scripts/test"]
    assert {file.path for file in files} == {
        ".github/workflows/ergo.yml",
        ".gitignore",
        ".gitlab-ci.yml",
        ".pre-commit-config.yaml",
        "README.md",
        "adapters/sample.yaml",
        "channels/egress/sample_outbox.py",
        "channels/ingress/live_feed.py",
        "clusters/sample_message.yaml",
        "egress/live.toml",
        "ergo.toml",
        "fixtures/historical.jsonl",
        "graphs/strategy.yaml",
        "primitives.py",
        "pytest.ini",
        "requirements.txt",
        "scripts/test",
    }
    assert files == scaffold_files("sample", "ergo-replay==1.2.3", "graph")


@pytest.mark.parametrize(
    ("kind", "modules"), [("kernel", {"agent.py", "desk.py"}), ("plan", {"carrier.py", "parcels.py"})]
)
def test_the_templates_of_programs_in_python(kind: str, modules: set[str]) -> None:
    files = scaffold_files("sample", "ergo-replay==1.2.3", kind)
    texts = {file.path: file.content.decode() for file in files}
    common = {".gitignore", "README.md", "ergo.toml", "fixtures/historical.jsonl", "requirements.txt", "scripts/test"}
    gates = {".github/workflows/ergo.yml", ".gitlab-ci.yml", ".pre-commit-config.yaml", "pytest.ini"}
    assert set(texts) == {*common, *gates, *modules}
    assert [file.path for file in files if file.executable] == ["scripts/test"]
    assert "--guard" not in texts["scripts/test"], "the guard is for own primitives of graphs"
    assert texts["README.md"].startswith("# sample\n")
    for path, text in texts.items():
        assert not {"@name@", "@requirement@", "@runtime_level@"} & set(text.split()), path


def test_the_kinds_that_are_offered() -> None:
    assert KINDS == ("graph", "kernel", "pipeline", "plan")


def test_projects_of_all_kinds_are_made_in_one_process(tmp_path: Path) -> None:
    """Their modules are imported in temporary folders, one after the other."""
    for number, kind in enumerate(("plan", "kernel", "pipeline", "plan", "graph")):
        made = initialise(str(tmp_path / f"p{number}"), kind=kind)
        assert (tmp_path / f"p{number}" / made.capture).is_file()


@pytest.mark.parametrize(
    ("origin", "requirement"),
    [
        (None, f"ergo-replay=={__version__}"),
        ({"url": "file:///srv/ergo", "dir_info": {"editable": True}}, "ergo-replay @ file:///srv/ergo"),
        ({"url": "https://host/ergo.whl", "archive_info": {}}, "ergo-replay @ https://host/ergo.whl"),
        (
            {
                "url": "https://host/ergo.git",
                "vcs_info": {"vcs": "git", "commit_id": "abc"},
            },
            "ergo-replay @ git+https://host/ergo.git@abc",
        ),
        (
            {"url": "https://host/all.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}, "subdirectory": "ergo"},
            "ergo-replay @ git+https://host/all.git@abc#subdirectory=ergo",
        ),
    ],
)
def test_the_requirement_is_what_was_installed(
    tmp_path: Path, origin: dict[str, object] | None, requirement: str
) -> None:
    if origin is not None:
        (tmp_path / "direct_url.json").write_text(json.dumps(origin))
    assert requirement_of(PathDistribution(tmp_path)) == requirement


def test_a_failure_removes_the_folders_that_were_made_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a").mkdir()
    files = [ScaffoldFile("x", b"a file"), ScaffoldFile("x/y", b"and a folder of its name")]
    with pytest.raises(ErgoError) as caught:
        plant(files, find_target("a/b/c/d", force=False))
    assert caught.value.code == "cli.init_scaffold_create_failed"
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["a"]


def test_a_target_that_appeared_meanwhile_is_left_alone(tmp_path: Path) -> None:
    target = find_target(str(tmp_path / "x"), force=False)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "own").write_text("mine")
    with pytest.raises(ErgoError) as caught:
        plant([ScaffoldFile("x", b"")], target)
    assert caught.value.code == "cli.init_target_create_failed"
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["x", "own"]
