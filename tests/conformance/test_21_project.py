"""Spec 21 C-25 … C-28, and what spec 30 C-128 and C-129 say of profiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from ergo_cli.errors import ErgoError, ProjectError
from ergo_cli.project.finding import ProgramFlags, find_program_for_run
from ergo_cli.project.profiles import FixtureFile, resolve_profile
from ergo_cli.project.project_file import load_project

EXAMPLE = """\
name = "plant-monitor"
version = "0.3.0"

[profiles.historical]
graph = "graphs/plant.yaml"
fixture = "fixtures/day1.jsonl"
capture_output = "captures/day1.capture.json"
pretty_capture = true
max_duration = "15m"
max_events = 42
"""

CLUSTER = """\
kind: cluster
id: inner
version: "1.0.0"
nodes:
  one: {impl: "number_source@0.1.0", params: {value: 1.0}}
edges: []
outputs: {value: one.value}
"""

GRAPH = """\
kind: cluster
id: outer
version: "1.0.0"
nodes:
  inner: {cluster: "inner@1.0.0"}
edges: []
outputs: {value: inner.value}
"""


def write(root: Path, path: str, text: str) -> Path:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return target


def load(root: Path, body: str):
    return load_project(write(root, "ergo.toml", 'name = "n"\nversion = "1"\n' + body))


def profile_fault(root: Path, body: str) -> ProjectError:
    project = load(root, body)
    with pytest.raises(ProjectError) as caught:
        resolve_profile(project, "p").required_ingress()
    return caught.value


def test_c21_25_root_is_discovered_from_a_nested_folder(tmp_path: Path):
    write(tmp_path, "ergo.toml", EXAMPLE)
    nested = tmp_path / "graphs" / "deep" / "deeper"
    nested.mkdir(parents=True)
    assert load_project(nested).root == tmp_path


def test_c21_26_the_example_profile_resolves(tmp_path: Path):
    write(tmp_path, "ergo.toml", EXAMPLE)
    profile = resolve_profile(load_project(tmp_path), "historical")
    assert profile.graph == tmp_path / "graphs/plant.yaml"
    assert profile.cluster_paths == (tmp_path / "clusters",)
    assert profile.ingress == FixtureFile(tmp_path / "fixtures/day1.jsonl")
    assert profile.capture == tmp_path / "captures/day1.capture.json"
    assert profile.pretty
    assert profile.max_duration == 900 * 10**9
    assert profile.max_events == 42


@pytest.mark.parametrize(
    ("literal", "ns"),
    [
        ("1500ms", 1_500_000_000),
        ("2s", 2_000_000_000),
        ("15m", 900 * 10**9),
        ("1h", 3600 * 10**9),
        ("+5s", 5 * 10**9),
        ("0s", 0),
        ("9999999999999999999h", 18446744073709551615 * 10**9),
    ],
)
def test_c21_27_units(tmp_path: Path, literal: str, ns: int):
    project = load(tmp_path, f'[profiles.p]\ngraph = "g"\nmax_duration = "{literal}"\n')
    assert project.profiles["p"].max_duration == ns


@pytest.mark.parametrize(
    ("literal", "message"),
    [
        ("15fortnights", "invalid duration '15fortnights': invalid digit found in string"),
        ("xs", "invalid duration 'xs': invalid digit found in string"),
        ("s", "invalid duration 's': cannot parse integer from empty string"),
        ("15d", "unsupported duration '15d' (expected suffix ms|s|m|h)"),
    ],
)
def test_c21_27_a_bad_duration_fails_at_load_whichever_profile_holds_it(tmp_path: Path, literal: str, message: str):
    body = f'[profiles.good]\ngraph = "g"\n[profiles.p]\ngraph = "g"\nfixture = "e"\nmax_duration = "{literal}"\n'
    with pytest.raises(ProjectError) as caught:
        load(tmp_path, body)
    assert caught.value.code == "PRJ-PARSE"
    assert f"failed to parse '{tmp_path / 'ergo.toml'}'" in caught.value.message
    assert message in caught.value.message


def test_c21_27_a_duration_that_is_an_integer_is_a_parse_error(tmp_path: Path):
    with pytest.raises(ProjectError) as caught:
        load(tmp_path, '[profiles.p]\ngraph = "g"\nmax_duration = 15\n')
    assert caught.value.code == "PRJ-PARSE"


def test_c21_28_both_kinds_of_ingress_are_refused_at_resolution(tmp_path: Path):
    body = '[profiles.p]\ngraph = "g"\nfixture = "e"\n[profiles.p.ingress]\ntype = "process"\ncommand = ["x"]\n'
    error = profile_fault(tmp_path, body)
    assert error.code == "PRJ-INVALID"
    assert error.message == "project profile 'p' is invalid: fixture and ingress are mutually exclusive"


def test_c21_28_no_ingress_is_refused_where_one_is_needed(tmp_path: Path):
    error = profile_fault(tmp_path, '[profiles.p]\ngraph = "g"\n')
    assert error.code == "PRJ-INVALID"
    reason = "profile must declare exactly one ingress source (fixture or ingress)"
    assert error.message == f"project profile 'p' is invalid: {reason}"


def test_c21_28_an_empty_command_is_refused(tmp_path: Path):
    error = profile_fault(tmp_path, '[profiles.p]\ngraph = "g"\ningress = {type = "process", command = []}\n')
    assert error.code == "PRJ-INVALID"
    assert error.message == "project profile 'p' is invalid: process ingress command must not be empty"


def test_c21_28_an_unknown_profile_is_not_found(tmp_path: Path):
    with pytest.raises(ProjectError) as caught:
        resolve_profile(load(tmp_path, "[profiles]\n"), "ghost")
    assert caught.value.code == "PRJ-PROFILE"
    assert caught.value.message == "project profile 'ghost' does not exist"


def test_c30_128_a_profile_resolves_from_a_nested_folder_and_clusters_is_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    load(tmp_path, '[profiles.p]\ngraph = "graphs/outer.yaml"\nfixture = "e.jsonl"\nmax_events = 1\n')
    write(tmp_path, "graphs/outer.yaml", GRAPH)
    write(tmp_path, "clusters/inner.yaml", CLUSTER)
    (tmp_path / "nested/folder").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "nested/folder")
    found = find_program_for_run(ProgramFlags(profile="p"))
    assert found.program.graph_id == "outer"
    assert found.profile is not None
    assert found.profile.max_events == 1


@pytest.mark.parametrize(
    ("graph", "code"),
    [
        (None, "graph.load_failed"),
        ("kind: [", "graph.load_failed"),
        (GRAPH, "graph.load_failed"),
        (CLUSTER.replace("number_source@0.1.0", "no_such_source@0.1.0"), "graph.prepare_failed"),
    ],
    ids=["missing graph", "YAML error", "missing cluster", "expansion failure"],
)
def test_c30_129_what_is_wrong_with_the_graph_of_a_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, graph: str | None, code: str
):
    load(tmp_path, '[profiles.p]\ngraph = "g.yaml"\nfixture = "e.jsonl"\n')
    if graph is not None:
        write(tmp_path, "g.yaml", graph)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ErgoError) as caught:
        find_program_for_run(ProgramFlags())
    assert caught.value.code == code
    assert caught.value.causes


def test_c30_129_an_unknown_profile_of_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProjectError) as caught:
        find_program_for_run(ProgramFlags(profile="p"))
    assert caught.value.code == "PRJ-ROOT"
