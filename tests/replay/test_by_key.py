"""Effects paired by key and kind, as text reports show them; reports in JSON pair by position (spec 00 §12.7)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergo_cli.core.json import render
from ergo_cli.core.values import Effect, Intent, IntentField, NativeValue, Value, Write
from ergo_cli.replay.by_key import compare_by_key
from ergo_cli.replay.compare import compare_decisions, decision_tree
from ergo_cli.testing.bundles import completed, set_context


def found(expected: list[Effect], actual: list[Effect]) -> list[tuple[str, str, Any, Any]] | None:
    here, there = (decision_tree(completed("e", 0, effects), ()) for effects in (expected, actual))
    differences = compare_by_key(here, there)
    if differences is None:
        return None
    return [(each.kind.value, render(each.location), each.expected, each.actual) for each in differences]


def sets(**values: NativeValue) -> Effect:
    return Effect("set_context", [Write(key, Value.of(value)) for key, value in values.items()])


def asks(kind: str, **fields: NativeValue) -> Effect:
    wired = [IntentField(name, Value.of(value)) for name, value in fields.items()]
    return Effect(kind, [], [Intent(kind, f"{kind}-1", wired)])


A, B, LOUD = set_context("a", 1.0), set_context("b", 2.0), set_context("a", 9.0)
NUMBER = "writes[0].value.Number"
MISSING, EXTRA = "effect_missing effects[0]", "effect_extra effects[0]"
FIELDS = "effects[0].intents[0].fields"


def write(key: str, value: float) -> dict[str, Any]:
    return {"key": key, "value": {"Number": value}}


@pytest.mark.parametrize(
    ("expected", "actual", "wanted"),
    [
        ([A], [B, LOUD], [("effect_changed", f"effects[0].{NUMBER}", 1.0, 9.0), EXTRA]),
        ([B, A], [LOUD], [MISSING, ("effect_changed", f"effects[1].{NUMBER}", 1.0, 9.0)]),
        ([A, A], [LOUD, A, A], [EXTRA]),
        ([A], [B], [MISSING, EXTRA]),
        ([A, B, A], [A, A, A], ["effect_missing effects[1]", "effect_extra effects[1]"]),
        ([A, B, A], [A, B], ["effect_missing effects[2]"]),
        ([A, B], [B, LOUD], [("effect_changed", f"effects[0].{NUMBER}", 1.0, 9.0), "effect_order effects"]),
        ([sets(a=1.0, b=2.0)], [sets(b=2.0)], [("effect_changed", "effects[0].writes[0]", write("a", 1.0), None)]),
        ([sets(b=2.0)], [sets(a=1.0, b=2.0)], [("effect_extra", "effects[0].writes[0]", None, write("a", 1.0))]),
        (
            [asks("order", side="buy", size=1.0)],
            [A, asks("order", price=3.0, size=2.0)],
            [
                ("effect_changed", f"{FIELDS}[0]", {"name": "side", "value": {"String": "buy"}}, None),
                ("effect_changed", f"{FIELDS}[1].value.Number", 1.0, 2.0),
                ("effect_changed", f"{FIELDS}[0]", None, {"name": "price", "value": {"Number": 3.0}}),
                EXTRA,
            ],
        ),
    ],
)
def test_what_is_about_the_same_is_compared(expected: list[Effect], actual: list[Effect], wanted: list[Any]) -> None:
    differences = found(expected, actual)
    assert differences is not None
    assert len(differences) == len(wanted)
    shown = [
        each if isinstance(wish, tuple) else f"{each[0]} {each[1]}"
        for each, wish in zip(differences, wanted, strict=True)
    ]
    assert shown == wanted


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ([A, B], [A, B]),
        ([A, B], [LOUD, B]),
        ([A, B], [B, A]),
        ([A, LOUD], [LOUD, A]),
        ([asks("order", size=1.0)], [asks("order", size=2.0)]),
    ],
)
def test_nothing_else_is_shown_where_the_position_says_it_as_well(expected: list[Effect], actual: list[Effect]) -> None:
    assert found(expected, actual) is None


effects = st.lists(
    st.one_of(
        st.builds(set_context, st.sampled_from("ab"), st.sampled_from([1.0, 2.0])),
        st.builds(lambda a, b: sets(a=a, b=b), st.just(1.0), st.sampled_from([1.0, 2.0])),
        st.builds(lambda size: asks("order", size=size), st.sampled_from([1.0, 2.0])),
    ),
    max_size=5,
)


@given(effects, effects)
def test_only_lists_that_differ_have_differences(expected: list[Effect], actual: list[Effect]) -> None:
    here, there = (decision_tree(completed("e", 0, each), ()) for each in (expected, actual))
    if not list(compare_decisions(here, there)):
        assert found(expected, actual) is None
    one_sided = [
        each for each in found(expected, actual) or () if each[1].count(".") == 0 and each[0] != "effect_order"
    ]
    assert len([each for each in one_sided if each[0] == "effect_missing"]) <= len(expected)
    assert len([each for each in one_sided if each[0] == "effect_extra"]) <= len(actual)
