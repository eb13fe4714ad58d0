from __future__ import annotations

from pathlib import Path

import pytest

from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import ProjectError, UsageError, exit_code
from ergo_cli.host.run_plan import capture_path, default_capture_path
from ergo_cli.project.profiles import (
    FixtureFile,
    IngressProcess,
    captured_profiles,
    profile_for_run,
    resolve_profile,
)
from ergo_cli.project.project_file import locate_project, read_project
from ergo_cli.supervisor.seam import Constraints

HEAD = 'name = "n"\nversion = "1"\n'


def load(write, body: str):
    return read_project(write("ergo.toml", HEAD + body))


def test_paths_are_joined_to_the_root_and_absolute_ones_stay(write, tmp_path: Path):
    project = load(
        write,
        '[profiles.p]\ngraph = "graphs/g.yaml"\nfixture = "/abs/e.jsonl"\nadapter = "a.yaml"\negress = "e.toml"\n',
    )
    profile = resolve_profile(project, "p")
    assert profile.graph == tmp_path / "graphs/g.yaml"
    assert profile.ingress == FixtureFile(Path("/abs/e.jsonl"))
    assert (profile.adapter, profile.egress) == (tmp_path / "a.yaml", tmp_path / "e.toml")
    assert profile.cluster_paths == (tmp_path / "clusters",)
    assert not profile.cluster_paths[0].exists()


def test_a_process_runs_as_written_in_the_root(write, tmp_path: Path):
    project = load(write, '[profiles.p]\ngraph = "g"\ningress = {type = "process", command = ["bin/x", "-v"]}\n')
    assert resolve_profile(project, "p").required_ingress() == IngressProcess(("bin/x", "-v"), tmp_path)


def test_constraints_come_from_the_profile(write):
    project = load(
        write,
        '[profiles.p]\ngraph = "g"\nmax_in_flight = 4\nmax_per_window = 0\nrate_window = "10s"\ndeadline = "0s"\n'
        '[profiles.q]\ngraph = "g"\nmax_retries = 2\n',
    )
    assert resolve_profile(project, "p").constraints == Constraints(4, 0, 10_000_000_000, 0, 0)
    assert resolve_profile(project, "q").constraints == Constraints(max_retries=2)


def test_top_level_keys_hold_unless_the_profile_has_its_own(write):
    project = load(
        write,
        'numbers = "original"\nprimitives = "a"\nignore = ["x"]\n[profiles.p]\ngraph = "g"\n'
        '[profiles.q]\ngraph = "g"\nnumbers = "exact"\nprimitives = []\nignore = ["y"]\n',
    )
    p, q = resolve_profile(project, "p"), resolve_profile(project, "q")
    assert (p.numbers, p.primitives, p.ignore) == (Numbers.ORIGINAL, ("a",), ("x",))
    assert (q.numbers, q.primitives, q.ignore) == (Numbers.EXACT, (), ("x", "y"))


def test_the_profile_without_a_name_is_default_or_the_only_one(write):
    several = '[profiles.a]\ngraph = "a"\n[profiles.default]\ngraph = "d"\n'
    chosen = profile_for_run(load(write, several), None)
    assert chosen is not None
    assert chosen.name == "default"
    only = profile_for_run(load(write, '[profiles.a]\ngraph = "a"\n'), None)
    assert only is not None
    assert only.name == "a"
    assert profile_for_run(load(write, "[profiles]\n"), None) is None


def test_several_profiles_ask_for_one_by_name(write):
    project = load(write, '[profiles.b]\ngraph = "b"\n[profiles.a]\ngraph = "a"\n')
    with pytest.raises(UsageError, match="a, b") as caught:
        profile_for_run(project, None)
    assert caught.value.code == "cli.missing_required_option"
    chosen = profile_for_run(project, "b")
    assert chosen is not None
    assert chosen.name == "b"


def test_an_unknown_profile_lists_those_there_are(write):
    with pytest.raises(ProjectError, match="project profile 'x' does not exist") as caught:
        resolve_profile(load(write, '[profiles.b]\ngraph = "b"\n[profiles.a]\ngraph = "a"\n'), "x")
    assert (caught.value.code, caught.value.fix) == ("PRJ-PROFILE", "use one of: a, b")
    assert exit_code(caught.value.code) == 2


def test_a_capture_goes_to_the_flag_then_the_profile_then_target(write, tmp_path: Path):
    load(
        write,
        '[profiles.p]\ngraph = "g.yaml"\ncapture_output = "out/p.json"\n[profiles.v1.2]\ngraph = "g"\n'.replace(
            "v1.2", '"v1.2"'
        ),
    )
    project = locate_project(None, tmp_path)
    assert project is not None
    p, v = resolve_profile(project, "p"), resolve_profile(project, "v1.2")
    assert capture_path(Path("o.json"), p, None) == Path("o.json")
    assert capture_path(None, p, Path("g.yaml")) == tmp_path / "out/p.json"
    assert capture_path(None, v, None) == tmp_path / "captures/v1.2.capture.json"
    assert capture_path(None, None, Path("graphs/g.yaml")) == Path("target/g-capture.json")


@pytest.mark.parametrize(
    ("graph", "name"),
    [
        ("we ird.v1.yaml", "we_ird_v1-capture.json"),
        ("dir.d/plant", "plant-capture.json"),
        ("größe-2_b.yaml", "gr__e-2_b-capture.json"),
    ],
)
def test_the_default_place_is_named_after_the_graph_file(graph, name):
    assert default_capture_path(Path(graph)) == Path("target") / name


def test_without_a_graph_file_the_default_place_is_named_graph():
    assert default_capture_path(None) == Path("target/graph-capture.json")


def test_captured_profiles_are_those_whose_capture_exists(write, tmp_path: Path):
    project = load(write, "".join(f'[profiles.{name}]\ngraph = "g"\n' for name in "abc"))
    write("captures/c.capture.json", "{}")
    write("captures/a.capture.json", "{}")
    assert [profile.name for profile in captured_profiles(project, None)] == ["a", "c"]
    assert [profile.name for profile in captured_profiles(project, "c")] == ["c"]
    assert captured_profiles(project, "b") == ()
