"""No pattern to ignore breaks the report on a divergence: it is shown, or it is left out (spec 00 §12.7)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergo_cli.project.loading import load_program_from_files
from ergo_cli.replay.diffing import diff_bundles
from ergo_cli.replay.engine import replay_bundle
from ergo_cli.replay.paths import parse_patterns
from ergo_cli.replay.results import BundleResult, ReplayOptions, Target
from ergo_cli.report.comparisons import DIFF, Shown, render_comparison
from ergo_cli.report.document import encode_report
from ergo_cli.report.layout import plain_lines

FIXTURES = Path(__file__).parents[2] / "fixtures"
MONDAY = FIXTURES / "order_threshold" / "captures" / "monday.json"
PRICES = FIXTURES / "own_primitives" / "captures" / "prices.json"
EDITS = [
    ('"xetra"', '"paris"'),
    ('"place_order"', '"cancel_order"'),
    ('"ordered_at"', '"sold_at"'),
    ('"price"', '"amount"'),
    ('"Number":106.25', '"Number":1.5'),
    ('"Number":106.25', '"String":"much"'),
    ('{"key":"ordered_at","value":{"Number":106.25}}', ""),
    ('{"name":"side","value":{"String":"buy"}},', ""),
]


def paths(tree: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], ...]]:
    """Every place of a decision as steps, each step with the ways to write it."""
    if isinstance(tree, dict):
        for name, member in tree.items():
            yield from _below((name, "*", "**"), member)
    elif isinstance(tree, list):
        for index, item in enumerate(tree):
            named = [f"[{name}={text}]" for name, text in _texts(item)]
            yield from _below((f"[{index}]", "[*]", *named), item)


def _below(step: tuple[str, ...], child: Any) -> Iterator[tuple[tuple[str, ...], ...]]:
    yield (step,)
    for further in paths(child):
        yield (step, *further)


def _texts(item: Any) -> Iterator[tuple[str, str]]:
    for name, member in item.items() if isinstance(item, dict) else ():
        if isinstance(member, str):
            yield name, member


def tree(bundle: Path) -> dict[str, Any]:
    """All decisions laid over one another, as the tree that patterns are matched with."""
    effects = [
        {**each["effect"], "effect_hash": ""}
        for decision in json.loads(bundle.read_bytes())["decisions"]
        for each in decision["effects"]
    ]
    return {"decision": "", "termination": "", "episode_id": 0, "effects": effects}


@st.composite
def patterns(draw: st.DrawFn, bundle: Path) -> str:
    place = draw(st.sampled_from(list(paths(tree(bundle)))))
    steps = [draw(st.sampled_from(ways)) for ways in place]
    steps = steps[draw(st.integers(0, len(steps) - 1)) :] if draw(st.booleans()) else steps
    text = "".join(step if step.startswith("[") else f".{step}" for step in steps)
    return f"**{text}" if draw(st.booleans()) or text.startswith("[") else text.removeprefix(".")


def check(result: BundleResult) -> None:
    """Every form of the report can be made, and nothing in it stands for what was left out."""
    for shown in (Shown(), Shown(listed=True), Shown(verbose=True)):
        rendered = render_comparison("diff", [result], DIFF, shown=shown)
        assert rendered.report.exit_code == (1 if result.divergence_count else 0)
        assert "Ignored" not in "\n".join(plain_lines(rendered.blocks))
        assert b'"ignored"' not in encode_report(rendered.report)


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder, text = tmp_path_factory.mktemp("edited"), json.dumps(json.loads(PRICES.read_bytes()), separators=(",", ":"))
    for number, (old, new) in enumerate(EDITS):
        assert old in text
        (folder / f"{number}.json").write_text(text.replace(old, new))
    return [folder / f"{number}.json" for number in range(len(EDITS))]


@pytest.mark.parametrize("number", range(len(EDITS)))
@given(data=st.data(), turned=st.booleans())
def test_a_diff_with_any_pattern_is_rendered(
    number: int, data: st.DataObject, turned: bool, edited: list[Path]
) -> None:
    ignore = parse_patterns(data.draw(st.lists(patterns(PRICES), min_size=1, max_size=2)))
    sides = (edited[number], PRICES) if turned else (PRICES, edited[number])
    check(diff_bundles(*sides, ignore))


@pytest.fixture(scope="module")
def lowered(tmp_path_factory: pytest.TempPathFactory) -> Target:
    home = FIXTURES / "order_threshold"
    graph = tmp_path_factory.mktemp("graphs") / "lowered.yaml"
    (authored,) = (home / "graphs").glob("*.yaml")
    graph.write_text(authored.read_text().replace("value: 105.0", "value: 104.0"))
    (adapter,) = (home / "adapters").glob("*.yaml")
    loaded = load_program_from_files(graph, (), adapter)
    return Target(loaded.program, loaded.adapter)


@given(data=st.data())
def test_a_replay_with_any_pattern_is_rendered(data: st.DataObject, lowered: Target) -> None:
    ignore = parse_patterns(data.draw(st.lists(patterns(MONDAY), min_size=1, max_size=2)))
    check(replay_bundle(str(MONDAY), lowered, ReplayOptions(strict=False, ignore=ignore)))
