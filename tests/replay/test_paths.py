from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergo_cli.core.json import Item, Member, Step, render
from ergo_cli.errors import UsageError
from ergo_cli.replay.paths import Ignored, Pattern, all_matched, parse_patterns, prune

TREE = {
    "decision": "Invoke",
    "effects": [
        {"kind": "set_context", "writes": [{"key": "price", "value": {"Number": 1.5}}]},
        {"kind": "publish", "writes": [], "intents": [{"kind": "publish", "fields": [{"name": "a]b", "value": 1}]}]},
    ],
    "odd name": {"x": 1},
}


def left_of(*patterns: str) -> Any:
    return prune(parse_patterns(patterns), TREE)


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ((), ""),
        ((Member("effects"), Item(0), Member("writes"), Item(1)), "effects[0].writes[1]"),
        ((Member("odd name"), Member("x")), '"odd name".x'),
        ((Member("a.b"), Item(3)), '"a.b"[3]'),
        ((Member('say "é"'),), '"say \\"é\\""'),
        ((Member(""),), '""'),
    ],
)
def test_locations_are_written_as_paths(location: tuple[Step, ...], text: str) -> None:
    assert render(location) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "a.", ".a", "a..b", "[0]", "a[", "a[]", "a[x]", "a[-1]", "a[0", "a b", 'a."b', "a[b c=d]", "a]"),
        *("a[1]b", "a[" + "9" * 5000 + "]", 'a."\\q"', "é"),
    ],
)
def test_what_is_no_path_is_refused_with_the_text(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_patterns([text])
    assert caught.value.code == "cli.invalid_option_value"
    assert f"'{text}'" in caught.value.message


def test_a_member_an_item_and_what_lies_below_are_left_out() -> None:
    assert left_of("decision") == {name: TREE[name] for name in ("effects", "odd name")}
    assert left_of("effects[0]")["effects"] == [Ignored.ITEM, TREE["effects"][1]]
    assert left_of('"odd name".x')["odd name"] == {}
    assert left_of("effects[0].writes[0].value.Number")["effects"][0]["writes"] == [{"key": "price", "value": {}}]


@pytest.mark.parametrize(
    ("pattern", "gone"),
    [
        ("effects[*]", [0, 1]),
        ("effects[kind=publish]", [1]),
        ('effects[kind="publish"]', [1]),
        ("effects[kind=nothing]", []),
        ("*[0]", [0]),
        ("**[1]", [1]),
    ],
)
def test_selectors_choose_items(pattern: str, gone: list[int]) -> None:
    left = left_of(pattern)["effects"]
    assert [index for index, effect in enumerate(left) if effect is Ignored.ITEM] == gone


def test_a_text_with_a_bracket_is_written_as_json() -> None:
    [field] = left_of('**.fields[name="a]b"].value')["effects"][1]["intents"][0]["fields"]
    assert field == {"name": "a]b"}


def test_two_stars_stand_for_any_number_of_steps_none_included() -> None:
    assert "kind" not in json.dumps(left_of("**.kind"))
    assert "decision" not in left_of("**.decision")
    assert left_of("**") == {}
    assert "effects" not in left_of("effects.**")
    assert left_of("effects.**.Number")["effects"][0]["writes"] == [{"key": "price", "value": {}}]


def test_one_star_is_one_member_and_no_item() -> None:
    assert left_of("*") == {}
    assert left_of("effects.*") is TREE
    assert left_of("*.x")["odd name"] == {}


def test_nothing_left_out_is_the_same_tree() -> None:
    patterns = parse_patterns(["nowhere", "effects[7]", "effects.kind"])
    assert prune(patterns, TREE) is TREE
    assert not any(pattern.matched for pattern in patterns)


@pytest.mark.parametrize("order", [1, -1])
def test_what_one_pattern_takes_away_another_has_matched_all_the_same(order: int) -> None:
    patterns = parse_patterns(["effects", "effects[kind=publish].intents", "**.Number"][::order])
    prune(patterns, TREE)
    assert all_matched(patterns)


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


def locations(tree: Any, at: tuple[Step, ...] = ()) -> list[tuple[Step, ...]]:
    """The place of everything in a tree but the tree itself."""
    steps: list[tuple[Step, Any]] = []
    if isinstance(tree, dict):
        steps = [(Member(name), child) for name, child in tree.items()]
    elif isinstance(tree, list):
        steps = [(Item(index), child) for index, child in enumerate(tree)]
    return [place for step, child in steps for place in ((*at, step), *locations(child, (*at, step)))]


@given(tree=st.dictionaries(st.text(max_size=3), trees, min_size=1, max_size=4), draw=st.data())
def test_a_rendered_location_is_a_pattern_for_just_that_place(tree: dict[str, Any], draw: st.DataObject) -> None:
    places = locations(tree)
    place = draw.draw(st.sampled_from(places))
    pattern = Pattern(render(place))
    left = locations(pattern.prune(tree))
    assert pattern.matched
    gone = {other for other in places if other[: len(place)] == place}
    stands = {place} if isinstance(place[-1], Item) else set()
    assert set(left) == set(places) - gone | stands


@given(text=st.text('abc.*[]="\\ 09', max_size=12))
def test_any_text_is_a_path_or_refused(text: str) -> None:
    pattern = None
    with suppress(UsageError):
        pattern = Pattern(text)
    if pattern is not None:
        left = pattern.prune(TREE)
        assert pattern.matched == (left is not TREE)
