"""What a project may give that was found beside an input file."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import fields, replace
from project_texts import GRAPH

from ergo_cli.errors import ProgramError
from ergo_cli.project.profiles import capture_of, profile_for_replay, resolve_profile
from ergo_cli.project.project_file import Profile, Project, read_project
from ergo_cli.project.trust import PROFILE_KEYS, PROJECT_KEYS, Standing, check_key, check_settings, cluster_gate

HEAD = 'name = "n"\nversion = "1"\n'
NO_KEYS = {"file", "root", "notices", "trusted"}
"""Fields of a project that nobody writes in its file."""

TEXTS = {
    "fixture": '"../e.jsonl"',
    "ingress": '{type = "process", command = ["sh"]}',
    "adapter": '"../a.yaml"',
    "egress": '"e.toml"',
    "capture_output": '"o.json"',
    "store": '"sqlite:s.db"',
    "artifacts": '"s3://bucket"',
    "redact_key_file": '"../key"',
}
"""A value to be refused, of each key that can have one."""


def stranger(write, body: str) -> Project:
    return read_project(write("evil/ergo.toml", HEAD + body))


def profile_of(write, *lines: str) -> Project:
    return stranger(write, "\n".join(['[profiles.p]\ngraph = "g.yaml"', *lines]) + "\n")


def test_every_key_of_the_project_file_says_where_it_stands():
    """A new key belongs into the tables of ``trust``, into the one of docs/projects.md and, if refused, into TEXTS."""
    assert {field.name for field in fields(Profile)} == PROFILE_KEYS.keys()
    assert {field.name for field in fields(Project)} - NO_KEYS == PROJECT_KEYS.keys()
    limited = {key for key, standing in PROFILE_KEYS.items() if standing in (Standing.BELOW_ROOT, Standing.REFUSED)}
    assert limited == TEXTS.keys() | {"program"}


def test_the_documentation_names_every_key():
    text = (Path(__file__).parents[2] / "docs" / "projects.md").read_text()
    table = text.partition("## Whose project")[2].partition("\n## ")[0]
    keys = (PROFILE_KEYS.keys() | PROJECT_KEYS.keys()) - {"program", "profiles"}
    written = {"expects": "[[expect]]"}
    assert [key for key in sorted(keys) if f"`{written.get(key, key)}`" not in table] == []


@pytest.mark.parametrize("key", TEXTS)
def test_each_limited_key_is_refused_unless_it_is_not_used(write, key: str):
    project = profile_of(write, f"{key} = {TEXTS[key]}")
    with pytest.raises(ProgramError) as caught:
        check_settings(project, "p")
    error = caught.value
    assert (error.code, error.where) == ("program.import_refused", f"{project.file} profiles.p.{key}")
    assert "found beside an input file" in error.message
    assert "--project DIR" in str(error.fix)
    check_settings(project, "p", {key})
    check_settings(replace(project, trusted=True), "p")


def test_a_key_that_says_nothing_of_where_it_stands_is_refused(write, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(PROFILE_KEYS, "run_id")
    check_settings(profile_of(write), "p")
    with pytest.raises(ProgramError, match=r"profiles\.p\.run_id"):
        check_settings(profile_of(write, 'run_id = "$.id"'), "p")


def test_values_are_given(write):
    body = 'max_events = 0\nmax_duration = "0s"\npretty_capture = true\nembed = true\nignore = ["x"]\nprimitives = "m"'
    body += "\nguard = true"
    check_settings(profile_of(write, body, 'numbers = "original"', 'adapter = "sub/../a.yaml"'), "p")


@pytest.mark.parametrize("path", ["/etc/passwd", "../g.yaml", "out/g.yaml", "g.yaml", "gone/g.yaml"])
def test_the_graph_lies_below_the_root_through_links_too(write, tmp_path: Path, path: str):
    write("own/g.yaml", "")
    project = stranger(write, f'[profiles.p]\ngraph = "{path}"\n')
    (project.root / "out").symlink_to("../own")
    (project.root / "g.yaml").symlink_to("../own/g.yaml")
    (project.root / "gone").symlink_to("../gone")
    with pytest.raises(ProgramError, match="leads out of the project's folder") as caught:
        check_key(project, "p", "program")
    assert caught.value.where == f"{project.file} profiles.p.graph"


def test_a_root_that_is_reached_through_a_link_is_its_own(write, tmp_path: Path):
    write("evil/g.yaml", "")
    profile_of(write)
    (tmp_path / "link").symlink_to("evil")
    check_settings(read_project(tmp_path / "link" / "ergo.toml"), "p")


def test_a_default_capture_does_not_leave_the_root(write, tmp_path: Path):
    project = stranger(write, '[profiles.p]\ngraph = "g"\n[profiles."../../x"]\ngraph = "g"\n')
    assert capture_of(resolve_profile(project, "p")) == project.root / "captures/p.capture.json"
    with pytest.raises(ProgramError, match="leads out"):
        capture_of(resolve_profile(project, "../../x"))
    (project.root / "captures").symlink_to("..")
    with pytest.raises(ProgramError, match="leads out"):
        capture_of(resolve_profile(project, "p"))


def test_no_graph_is_opened_outside_to_choose_a_profile_for_a_bundle(write, tmp_path: Path):
    outside = write("own/g.yaml", GRAPH.format(id="own", value=1))
    project = stranger(write, f'[profiles.a]\ngraph = "{outside}"\n[profiles.b]\ngraph = "b.yaml"\n')
    assert profile_for_replay(project, tmp_path / "b.json", "own") is None
    trusted = replace(project, trusted=True)
    found = profile_for_replay(trusted, tmp_path / "b.json", "own")
    assert found is not None
    assert found.name == "a"


def test_clusters_lie_below_the_root_or_where_the_caller_says(write, tmp_path: Path):
    project = profile_of(write)
    (project.root / "clusters").symlink_to("../own")
    inner = write("own/inner.yaml", "")
    gate = cluster_gate(project, (tmp_path / "own",))
    assert gate is not None
    gate(inner)
    gate(project.root / "inner.yaml")
    with pytest.raises(ProgramError, match="leads out"):
        gate(project.root / "clusters" / "inner.yaml")
    assert cluster_gate(replace(project, trusted=True)) is None
    assert cluster_gate(None) is None
