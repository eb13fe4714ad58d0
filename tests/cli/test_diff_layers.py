"""A diff opens with what changed between the two captures: program, code, adapter, constraints."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ergo

FIXTURES = Path(__file__).parents[2] / "fixtures"
ORDER = "graphs/order_threshold.yaml"


def captured(ergo: Ergo, tmp_path: Path, fixture: str, file: str, old: str, new: str, *options: str) -> Path:
    """A copy of a fixture with two bundles: ``a.json`` as it is, ``b.json`` after an edit of one file."""
    home = tmp_path / fixture
    shutil.copytree(FIXTURES / fixture, home, ignore=shutil.ignore_patterns("__pycache__"))
    assert ergo("capture", "-o", "a.json", *options, cwd=home).exit_code == 0
    text = (home / file).read_text()
    assert text.count(old) == 1
    (home / file).write_text(text.replace(old, new))
    assert ergo("capture", "-o", "b.json", *options, cwd=home).exit_code == 0
    return home


def bundle(ergo: Ergo, home: Path, *options: str, **environment: str) -> dict[str, Any]:
    [found] = ergo("diff", "a.json", "b.json", *options, "--format", "json", cwd=home, **environment).report["bundles"]
    return found


def changes(found: dict[str, Any]) -> list[tuple[object, ...]]:
    names = ("layer", "change", "subject", "before", "after", "file", "line")
    return [tuple(each[name] for name in names) for each in found.get("changes", ())]


def test_a_changed_graph_opens_the_diff_and_reaches_its_divergences(ergo: Ergo, tmp_path: Path) -> None:
    home = captured(ergo, tmp_path, "order_threshold", ORDER, "value: 105.0", "value: 104.0")
    ran = ergo("diff", "a.json", "b.json", cwd=home)
    lines = ran.stdout.splitlines()
    assert (ran.exit_code, ran.stderr) == (1, "")
    assert lines[0].startswith("differs  a.json → b.json  ")
    assert lines[1:3] == ["", "changed    graph.yaml:20  enter_level.value  105.0 -> 104.0"]
    at = lines.index("decision 1  event q-0910")
    assert lines[at + 1 : at + 4] == [
        "  + bought_at = 104.25  set_context by bought_at",
        "  + holding = true      set_context",
        "  because   enter_level.value  105.0 -> 104.0",
    ]
    found = bundle(ergo, home)
    assert changes(found) == [("program", "changed", "enter_level.value", "105.0", "104.0", "graph.yaml", 20)]
    effects = [each for each in found["divergences"] if each["kind"].startswith("effect")]
    assert {(each["node"], *each.get("changes", ())) for each in effects} == {("bought_at", 0), (None,)}


def test_a_change_is_without_effect_only_where_every_effect_has_a_node(ergo: Ergo, tmp_path: Path) -> None:
    two = "size: 3 }\n  always:\n    impl: const_bool@0.1.0\n    params: { value: true }\n"
    other = two.replace("3", "2").replace(
        "always:\n", "unheard: { impl: const_bool@0.1.0, params: { value: true } }\n  always:\n"
    )
    home = captured(ergo, tmp_path, "order_threshold", ORDER, two, other)
    found = bundle(ergo, home)
    assert {each["subject"]: each["without_effect"] for each in found["changes"]} == {
        "unheard": True,
        "recent.size": False,
    }
    assert {each["node"] for each in found["divergences"] if each["kind"].startswith("effect")} == {"remember"}


@pytest.mark.parametrize(("form", "is_known"), [((), False), (("--embed",), True)])
def test_without_the_store_embedded_texts_tell_and_else_a_warning(
    ergo: Ergo, tmp_path: Path, form: tuple[str, ...], is_known: bool
) -> None:
    home = captured(ergo, tmp_path, "order_threshold", ORDER, "value: 105.0", "value: 104.0", *form)
    elsewhere = {"XDG_DATA_HOME": str(tmp_path / "empty")}
    found = bundle(ergo, home, **elsewhere)
    assert [each[2] for each in changes(found)] == (["enter_level.value"] if is_known else [])
    names = "'a.json' and 'b.json'"
    unknown = f"what changed between the programs is not known: the texts of {names} are not in the program store"
    assert found["warnings"] == ([] if is_known else [unknown])
    stderr = ergo("diff", "a.json", "b.json", cwd=home, **elsewhere).stderr
    assert stderr == ("" if is_known else f"warning: b.json: {unknown}\n")


def test_a_damaged_text_is_not_taken_for_that_of_the_capture(
    ergo: Ergo, tmp_path: Path, environment: dict[str, str]
) -> None:
    home = captured(ergo, tmp_path, "order_threshold", ORDER, "value: 105.0", "value: 104.0")
    for kept in Path(environment["XDG_DATA_HOME"]).rglob("graph.yaml"):
        kept.write_text(kept.read_text().replace("105.0", "99.0"))
    found = bundle(ergo, home)
    assert changes(found) == []
    assert found["warnings"] == [
        "what changed between the programs is not known: the texts of 'a.json' are not in the program store"
    ]


def test_a_python_program_and_its_lines(ergo: Ergo, tmp_path: Path) -> None:
    home = captured(ergo, tmp_path, "agent", "refunds/agent.py", "LARGEST = 100.0", "LARGEST = 60.0")
    found = bundle(ergo, home)
    assert changes(found) == [("program", "changed", "LARGEST", "100.0", "60.0", "refunds/agent.py", 27)]
    assert found["outcome"] == "diverged"


def test_own_primitives_code_and_contract(ergo: Ergo, tmp_path: Path) -> None:
    file = "trend/primitives.py"
    home = captured(ergo, tmp_path, "own_primitives", file, "alpha * (price", "alpha * 2 * (price")
    found = bundle(ergo, home)
    assert [each[2:] for each in changes(found)] == [("in ema", "alpha", "alpha * 2", file, 27)]
    assert [each["nodes"] for each in found["changes"]] == [["smooth"]]
    text = (home / file).read_text()
    (home / file).write_text(text.replace('side: str = "buy"', 'side: str = "sell"').replace("alpha * 2 *", "alpha *"))
    assert ergo("capture", "-o", "b.json", cwd=home).exit_code == 0
    assert [each[2:] for each in changes(bundle(ergo, home))] == [("primitive order.side", '"buy"', '"sell"', file, 47)]


def test_the_adapter(ergo: Ergo, tmp_path: Path) -> None:
    home = captured(
        ergo, tmp_path, "order_threshold", "adapters/order_desk.yaml", "exclusiveMinimum: 0 }", "exclusiveMinimum: 1 }"
    )
    assert [each[:5] for each in changes(bundle(ergo, home))] == [
        ("adapter", "changed", "event_kinds.price_tick.payload_schema.properties.price.exclusiveMinimum", "0", "1")
    ]


def test_constraints_reach_what_the_supervisor_decides(ergo: Ergo, tmp_path: Path) -> None:
    home = tmp_path / "order_threshold"
    shutil.copytree(FIXTURES / "order_threshold", home)
    assert ergo("capture", "-o", "a.json", "--max-retries", "2", cwd=home).exit_code == 0
    assert ergo("capture", "-o", "b.json", "--max-in-flight", "0", "--deadline", "250ms", cwd=home).exit_code == 0
    found = bundle(ergo, home)
    assert [each[:5] for each in changes(found)] == [
        ("constraints", "added", "max_in_flight", None, "0"),
        ("constraints", "added", "deadline", None, "0.25s"),
        ("constraints", "removed", "max_retries", "2", None),
    ]
    header = {each["path"]: each["changes"] for each in found["divergences"] if each["kind"] == "header"}
    assert header == {
        "header.config.deadline": [1],
        "header.config.max_in_flight": [0],
        "header.config.max_retries": [2],
    }
    decided = [each["changes"] for each in found["divergences"] if each["path"] == "decision"]
    assert decided == [[0, 1, 2]] * 8
    text = ergo("diff", "a.json", "b.json", cwd=home).stdout
    assert "\nchanged    constraint max_in_flight  added  0\n" in text
    assert "  because   constraint max_in_flight  added  0\n" in text


def test_equal_captures_of_changed_code_say_nothing(ergo: Ergo, tmp_path: Path) -> None:
    file = "trend/primitives.py"
    home = captured(
        ergo, tmp_path, "own_primitives", file, "before = before or price", "before = before or price or 0.0"
    )
    ran = ergo("diff", "a.json", "b.json", cwd=home)
    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, "match  a.json → b.json  6 events, 6 invoked\n", "")
