"""Nothing is said twice: what bundles, profiles or files have in common is one line of the text."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import Ergo

FIXTURES = Path(__file__).parents[2] / "fixtures"
GRAPH = "graphs/order_threshold.yaml"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """The order desk, with sixty copies of its bundle in ``captures``."""
    home = shutil.copytree(FIXTURES / "order_threshold", tmp_path / "desk")
    for number in range(60):
        shutil.copy(home / "captures" / "monday.json", home / "captures" / f"day-{number:02}.json")
    (home / "captures" / "monday.json").unlink()
    return home


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize("options", [(), ("-v",), ("--jobs", "2")])
def test_sixty_refused_bundles_name_the_hashes_once_where_more_is_asked_for(
    ergo: Ergo, desk: Path, options: tuple[str, ...]
) -> None:
    edit(desk / GRAPH, "value: 105.0", "value: 104.0")
    ran = ergo("replay", "captures", "--strict", *options, cwd=desk)
    assert ran.exit_code == 4
    assert len(re.findall("recorded 'rpv1:sha256:7e62a169", ran.stdout + ran.stderr)) == ("-v" in options)
    assert len(re.findall("sha256:7e62a169", ran.stdout + ran.stderr)) == ("-v" in options)
    for sentence in ("refuses a changed program", "the program changed since the capture", "  fix: "):
        assert (ran.stdout + ran.stderr).count(sentence) == 1, sentence
    assert ran.stdout.splitlines() == [
        "refused  60 of 60 bundles  0 events",
        "refused  captures/day-00.json, captures/day-01.json, captures/day-02.json, … (60 bundles)  "
        "the program changed since the capture",
        "",
        "compare    ergo replay captures/day-00.json",
    ]


def test_the_list_names_each_refused_bundle(ergo: Ergo, desk: Path) -> None:
    edit(desk / GRAPH, "value: 105.0", "value: 104.0")
    ran = ergo("replay", "captures", "--strict", "--list", cwd=desk)
    assert "refused  captures/day-59.json  the program changed since the capture\n" in ran.stdout
    assert ran.stdout.count("refused  captures/day-") == 60
    first, *error = ran.stderr.splitlines()
    assert first.startswith(
        "warning: captures/day-00.json, captures/day-01.json, captures/day-02.json, … (60 bundles): "
    )
    assert len(error) == 3


def test_a_graph_that_cannot_be_loaded_is_said_once_for_all_bundles(ergo: Ergo, desk: Path) -> None:
    edit(desk / GRAPH, "impl: gt@0.1.0", "impl: gtt@0.1.0")
    ran = ergo("replay", "captures", cwd=desk)
    assert ran.exit_code == 3
    first, fix = ran.stderr.splitlines()
    assert first == (
        f"error: {GRAPH}:25:3 nodes.above  the bundle cannot be replayed: "
        "'above' is 'gtt@0.1.0', which is not a known primitive"
    )
    assert fix.startswith("  fix: did you mean 'gt'?")
    assert "gtt" not in ran.stdout


def test_refusals_of_different_reasons_name_their_bundles(ergo: Ergo, desk: Path) -> None:
    edit(desk / GRAPH, "impl: gt@0.1.0", "impl: gtt@0.1.0")
    ran = ergo("replay", "captures/day-00.json", "captures/day-01.json", "nope.json", cwd=desk)
    errors = [line for line in ran.stderr.splitlines() if line.startswith("error: ")]
    assert "captures/day-00.json, captures/day-01.json: " in errors[0]
    assert errors[1] == (
        "error: the bundle cannot be replayed: cannot read bundle 'nope.json': No such file or directory"
    )
    assert ran.stdout.splitlines()[1:] == [
        "refused  captures/day-00.json, captures/day-01.json",
        "refused  nope.json",
    ]


def test_a_missing_bundle_is_one_error_and_a_verdict(ergo: Ergo) -> None:
    ran = ergo("replay", "nope.json")
    assert ran.stdout == "refused  nope.json\n"
    assert ran.stderr.splitlines() == [
        "error: the bundle cannot be replayed: cannot read bundle 'nope.json': No such file or directory",
        "  fix: check that the file is there, whole and readable",
    ]


def test_a_file_that_is_not_a_bundle_is_named_with_its_position(ergo: Ergo, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"a":1}')
    ran = ergo("replay", "bad.json")
    assert ran.stderr.count("bad.json") == 1
    assert "'bad.json:1:5' is not a capture bundle" in ran.stderr
    assert ran.stdout == "refused  bad.json\n"


def test_a_fault_of_several_profiles_is_said_once(ergo: Ergo, desk: Path) -> None:
    edit(desk / GRAPH, "impl: gt@0.1.0", "impl: gtt@0.1.0")
    toml = desk / "ergo.toml"
    toml.write_text(f'{toml.read_text()}\n[profiles.two]\ngraph = "{GRAPH}"\nadapter = "adapters/order_desk.yaml"\n')
    ran = ergo("validate", "ergo.toml", GRAPH, cwd=desk)
    assert ran.exit_code == 3
    assert [line for line in ran.stderr.splitlines() if "gtt@0.1.0" in line] == [
        f"error: {GRAPH}:25:3 nodes.above  profiles 'default', 'two': "
        "'above' is 'gtt@0.1.0', which is not a known primitive"
    ]
    assert ran.stdout.splitlines() == [
        "invalid: ergo.toml (project order-threshold)",
        f"invalid: {GRAPH} (cluster)",
    ]
    files = ergo("validate", "ergo.toml", GRAPH, "--format", "json", cwd=desk).report["files"]
    assert [len(each["errors"]) for each in files] == [2, 1]
