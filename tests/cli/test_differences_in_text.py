"""What the text of a replay and of a diff says of differences (spec 70 §2, §3; docs/reports.md)."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.conftest import Ergo

FIXTURES = Path(__file__).parents[2] / "fixtures"


def copied(name: str, tmp_path: Path, file: str, old: str, new: str) -> Path:
    """A copy of a fixture project, one text of one file replaced."""
    ignored = shutil.ignore_patterns("__pycache__")
    home = Path(shutil.copytree(FIXTURES / name, tmp_path / name, ignore=ignored))
    text = (home / file).read_text()
    assert old in text
    (home / file).write_text(text.replace(old, new))
    return home


@pytest.fixture
def threshold(tmp_path: Path) -> Path:
    return copied("order_threshold", tmp_path, "graphs/order_threshold.yaml", "value: 105.0", "value: 104.0")


@pytest.fixture
def trend(tmp_path: Path) -> Path:
    return copied("own_primitives", tmp_path, "graphs/trend.yaml", "alpha: 0.25", "alpha: 0.5")


def test_groups_show_both_values_of_a_change_and_a_diff_its_first_decision(ergo: Ergo, threshold: Path) -> None:
    assert ergo("capture", "-o", "new.json", cwd=threshold).exit_code == 0
    ran = ergo("diff", "captures/monday.json", "new.json", cwd=threshold, COLUMNS="80")
    assert ran.exit_code == 1
    provenance = r"~ header.runtime_provenance  \S{1,20}56:[0-9a-f]{10,}… -> \S{1,20}56:[0-9a-f]{10,}…"
    groups, header, decision, closer = ran.stdout.split("\n\n")[1:]
    assert groups.splitlines()[0] == "  1  + bought_at = 104.25  q-0910"
    assert groups.splitlines()[4:6] == [
        "  5  evidence  ~ event.payload.bought_at  105.75 -> 104.25",
        "      first q-0930, last q-1010, memory of bought_at since q-0910",
    ]
    assert re.fullmatch(rf"  1  evidence  {provenance}", groups.splitlines()[6])
    assert re.fullmatch(rf"header  evidence\n  {provenance}", header)
    assert decision.splitlines() == [
        "decision 1  event q-0910",
        "  + bought_at = 104.25  set_context",
        "  + holding = true      set_context",
    ]
    assert closer == "closer     ergo explain new.json --event q-0910\n"
    verbose = ergo("diff", "captures/monday.json", "new.json", "-v", cwd=threshold).stdout
    assert len(re.findall(r"  in [AB] +\"rpv1:sha256:[0-9a-f]{64}\"", verbose)) == 2
    assert "  event     q-0910" in verbose.splitlines()


def test_a_new_effect_is_one_difference_whatever_it_shifts(ergo: Ergo, trend: Path) -> None:
    lines = ergo("replay", "--list", cwd=trend, COLUMNS="80").stdout.splitlines()
    assert [line for line in lines if line.startswith("  2  t3")] == [
        "  2  t3  ~ average  101.28125 -> 102.1875  set_context by remember",
        "  2  t3  + ordered_at = 104.0  set_context by buy",
        '  2  t3  + place_order  price=104.0 side="buy" venue="xetra"  by buy',
    ]
    assert [line.split() for line in lines if "first t2" in line] == [
        ["5", "remember", "~", "average", "first", "t2,", "last", "t6"]
    ]
    assert ergo("capture", "-o", "new.json", cwd=trend).exit_code == 0
    told = ergo("diff", "captures/prices.json", "new.json", "--list", cwd=trend, COLUMNS="80").stdout.splitlines()
    assert [line for line in told if re.match("  2  t3  . (average|ordered|place)", line)] == [
        "  2  t3  ~ average  101.28125 -> 102.375  set_context",
        "  2  t3  + ordered_at = 104.0  set_context",
        '  2  t3  + place_order  price=104.0 side="buy" venue="xetra"',
    ]


def test_a_report_in_json_pairs_effects_by_position(ergo: Ergo, trend: Path) -> None:
    [bundle] = ergo("replay", "--format", "json", cwd=trend).report["bundles"]
    assert bundle["divergence_count"] == len(bundle["divergences"]) == 8
    assert [(each["kind"], each["path"]) for each in bundle["divergences"] if each["event_id"] == "t3"] == [
        ("effect_changed", "effects[0].writes[0].key"),
        ("effect_changed", "effects[0].writes[0].value.Number"),
        ("effect_extra", "effects[1]"),
        ("effect_extra", "effects[2]"),
    ]


def test_an_intent_of_another_kind_is_gone_and_new(ergo: Ergo, tmp_path: Path) -> None:
    home = copied("own_primitives", tmp_path, "captures/prices.json", "place_order", "place_order")
    text = (home / "captures" / "prices.json").read_text()
    (home / "other.json").write_text(text.replace("place_order", "cancel_order"))
    lines = ergo("diff", "captures/prices.json", "other.json", cwd=home).stdout.splitlines()
    fields = 'price=106.25 side="buy" venue="xetra"'
    assert [line for line in lines if "_order" in line] == [f"  - place_order  {fields}", f"  + cancel_order  {fields}"]


def test_the_ends_of_a_change_of_names_are_whole(ergo: Ergo, tmp_path: Path) -> None:
    limit = ("LARGEST = 100.0", "LARGEST = 10.0")
    home = copied("agent", tmp_path, "refunds/agent.py", *limit)
    ran = ergo("replay", cwd=home, COLUMNS="80")
    assert ran.exit_code == 1
    assert "~ StateUpdated decide -> Interrupted" in ran.stdout


@pytest.mark.parametrize("strict", [False, True])
def test_suggested_commands_select_the_same_program(ergo: Ergo, threshold: Path, tmp_path: Path, strict: bool) -> None:
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    kept = shutil.copy(threshold / "captures" / "monday.json", elsewhere)
    home = shutil.move(threshold, elsewhere / "the project")
    words = ["--project", Path(home).relative_to(tmp_path), *(["--strict"] if strict else [])]
    ran = ergo("replay", Path(kept).relative_to(tmp_path), *words, cwd=tmp_path, COLUMNS="120")
    command = "ergo replay" if strict else "ergo why"
    suggested = next(line for line in ran.stdout.splitlines() if command in line)
    assert suggested.endswith("--project 'else where/the project'")
    again = ergo(*shlex.split(suggested)[2:], cwd=tmp_path)
    assert again.exit_code == (1 if strict else 0)
    said = again.stderr if strict else again.stdout
    assert "the program changed" in said if strict else said.startswith("bought_at = 104.25  only today\n")
