from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergo_cli.core.json import render
from ergo_cli.core.values import Effect, Intent, IntentField, NativeValue, Value
from ergo_cli.replay.compare import Difference, compare_decisions, decision_tree, leaves
from ergo_cli.replay.paths import parse_patterns
from ergo_cli.replay.results import DivergenceKind
from ergo_cli.testing.bundles import completed, set_context

A, B, C, D = (set_context("k", number) for number in (1.0, 2.0, 3.0, 4.0))
NUMBER = "writes[0].value.Number"


def told(expected: list[Effect], actual: list[Effect], *ignore: str) -> list[tuple[str, str, Any, Any]]:
    patterns = parse_patterns(ignore)
    trees = [decision_tree(completed("e", 0, effects), patterns) for effects in (expected, actual)]
    return [as_told(difference) for difference in compare_decisions(trees[0], trees[1])]


def as_told(difference: Difference) -> tuple[str, str, Any, Any]:
    return difference.kind.value, render(difference.location), difference.expected, difference.actual


def kinds(expected: list[Effect], actual: list[Effect], *ignore: str) -> list[tuple[str, str]]:
    return [(kind, path) for kind, path, _, _ in told(expected, actual, *ignore)]


def publish(intent_id: str, **fields: NativeValue) -> Effect:
    wired = [IntentField(name, Value.of(value)) for name, value in fields.items()]
    return Effect("publish", [], [Intent("publish", intent_id, wired)])


@pytest.mark.parametrize(
    ("expected", "actual", "wanted"),
    [
        ([A, B], [A, B], []),
        ([A, B], [B, A], [("effect_order", "effects")]),
        ([A, A, B], [A, B, A], [("effect_order", "effects")]),
        ([A, B], [A], [("effect_missing", "effects[1]")]),
        ([B], [A, B], [("effect_extra", "effects[0]")]),
        ([A, C], [A, B, C], [("effect_extra", "effects[1]")]),
        ([A, B, C], [A, D, C], [("effect_changed", f"effects[1].{NUMBER}")]),
        (
            [A, B, C],
            [D, C],
            [("effect_changed", "effects[0].writes[0].value.Number"), ("effect_missing", "effects[1]")],
        ),
        ([], [A, B], [("effect_extra", "effects[0]"), ("effect_extra", "effects[1]")]),
    ],
)
def test_equal_ends_are_set_aside_and_the_rest_is_paired_by_position(
    expected: list[Effect], actual: list[Effect], wanted: list[tuple[str, str]]
) -> None:
    assert kinds(expected, actual) == wanted


def test_an_effect_on_one_side_is_told_whole_and_the_other_side_is_null() -> None:
    [(_, _, expected, actual)] = told([A], [])
    assert (expected["writes"], len(expected["effect_hash"]), actual) == (
        [{"key": "k", "value": {"Number": 1.0}}],
        64,
        None,
    )


def test_an_order_is_told_by_the_hashes() -> None:
    trees = [decision_tree(completed("e", 0, effects), ()) for effects in ([A, B], [B, A])]
    [difference] = compare_decisions(trees[0], trees[1])
    hashes = [effect["effect_hash"] for effect in json.loads(json.dumps(trees[0]["effects"]))]
    assert (difference.expected, difference.actual) == (hashes, hashes[::-1])


@pytest.mark.parametrize(
    ("before", "after", "path", "expected", "actual"),
    [
        (1.0, 2.0, "value.Number", 1.0, 2.0),
        (0.0, -0.0, "value.Number", 0.0, -0.0),
        (True, False, "value.Bool", True, False),
        (1.0, "1.0", "value", {"Number": 1.0}, {"String": "1.0"}),
        ([1.0, 2.0], [1.0, 3.0], "value.Series[1]", 2.0, 3.0),
        ([1.0], [1.0, 3.0], "value.Series", [1.0], [1.0, 3.0]),
        ([], [3.0], "value.Series", [], [3.0]),
    ],
)
def test_the_leaf_of_a_value(before: NativeValue, after: NativeValue, path: str, expected: Any, actual: Any) -> None:
    [difference] = told([set_context("k", before)], [set_context("k", after)])
    assert difference == ("effect_changed", f"effects[0].writes[0].{path}", expected, actual)


def test_every_leaf_of_an_effect_is_one_divergence() -> None:
    found = told([publish("i1", size=1.0, side="buy")], [publish("i2", size=2.0, side="buy")])
    assert [path for _, path, _, _ in found] == [
        "effects[0].intents[0].intent_id",
        "effects[0].intents[0].fields[0].value.Number",
    ]


def test_what_is_left_out_does_not_differ() -> None:
    before, after = publish("i1", size=1.0, side="buy"), publish("i2", size=2.0, side="buy")
    assert kinds([before], [after], "**.intent_id") == [
        ("effect_changed", "effects[0].intents[0].fields[0].value.Number")
    ]
    assert kinds([before], [after], "**.intent_id", "**.fields[name=size]") == []
    assert kinds([before, A], [A], "effects[kind=publish]") == []
    assert kinds([before, A, B], [C, B], "effects[kind=publish]") == [
        ("effect_changed", "effects[1].writes[0].value.Number")
    ]


def test_an_effect_with_something_left_out_is_compared_without_its_hash() -> None:
    decision = completed("e", 0, [A])
    tampered = json.loads(json.dumps(decision_tree(decision, ())))
    tampered["effects"][0]["effect_hash"] = "0" * 64
    [difference] = compare_decisions(decision_tree(decision, ()), tampered)
    assert render(difference.location) == "effects[0].effect_hash"
    assert kinds([A], [B], "effects[*].writes[*].value") == []
    assert kinds([A, B], [B, A], "effects[*].writes[*].value") == []
    assert "effect_hash" not in json.dumps(decision_tree(decision, parse_patterns(["effects[*].writes[*].value"])))


def test_an_order_of_effects_without_hashes_still_has_something_to_tell() -> None:
    [(kind, _, expected, actual)] = told([A, B], [B, A], "**.effect_hash")
    assert kind == "effect_order"
    assert expected == actual[::-1]
    assert all(len(text) == 64 for text in expected)


def test_acks_and_interruptions_are_evidence_and_not_compared() -> None:
    assert not list(compare_decisions({"interruption": "x", "effects": []}, {"interruption": None, "effects": []}))


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=4),
    max_leaves=10,
)


@given(one=values, other=values)
def test_leaves_differ_and_only_equal_trees_have_none(one: Any, other: Any) -> None:
    found = list(leaves(one, other, ()))
    assert all(repr(expected) != repr(actual) for _, expected, actual in found)
    assert len({location for location, _, _ in found}) == len(found)
    assert not list(leaves(one, one, ()))


effects = st.lists(st.sampled_from([A, B, C, D]), max_size=5)


@given(expected=effects, actual=effects)
def test_effect_lists_that_differ_always_tell_how_and_account_for_their_lengths(
    expected: list[Effect], actual: list[Effect]
) -> None:
    found = [kind for kind, _ in kinds(expected, actual)]
    assert bool(found) == (expected != actual)
    missing, extra = DivergenceKind.EFFECT_MISSING.value, DivergenceKind.EFFECT_EXTRA.value
    assert found.count(missing) - found.count(extra) == len(expected) - len(actual)
    assert 0 in (found.count(missing), found.count(extra))
