"""The way from a value to the change behind it, in at most two lines."""

from __future__ import annotations

from ergo_cli.programs.causes import Cause
from ergo_cli.report.way_to_change import way_texts

LEVEL = Cause(part="level", recorded="105.0", today="104.0", is_change=True)
PRICE = Cause(part="price", recorded="104.25", today="104.25")
ABOVE = Cause(part="above", recorded="false", today="true", made="gt(a, b)", sources=(PRICE, LEVEL))
BOTH = Cause(part="both", recorded="false", today="true", made="and(a, b)", sources=(ABOVE,))
ENTER = Cause(part="enter", recorded="not emitted", today="emitted", made="emit_if_true(input)", sources=(BOTH,))
BUY = Cause(part="buy", sources=(ENTER, PRICE))


def test_the_first_node_that_differs_and_the_one_next_to_the_change() -> None:
    assert list(way_texts(BUY)) == ["enter  not emitted -> emitted", "above  gt(price 104.25, level 105.0 -> 104.0)"]


def test_one_line_where_both_are_one_node() -> None:
    assert list(way_texts(Cause(part="buy", sources=(ABOVE,)))) == ["above  gt(price 104.25, level 105.0 -> 104.0)"]


def test_nothing_where_the_change_feeds_the_node_itself() -> None:
    assert list(way_texts(Cause(part="buy", sources=(LEVEL,)))) == []


def test_nothing_where_no_change_is_known() -> None:
    memory = Cause(part="level", recorded="1.0", today="2.0")
    assert list(way_texts(Cause(part="buy", sources=(memory,)))) == []


def test_the_way_passes_a_source_that_differs_and_leads_to_no_change() -> None:
    elsewhere = Cause(part="history", recorded="1.0", today="2.0")
    assert list(way_texts(Cause(part="buy", sources=(elsewhere, ABOVE)))) == [
        "above  gt(price 104.25, level 105.0 -> 104.0)"
    ]


def test_names_within_one_cluster_are_short_and_equal_inputs_give_way() -> None:
    load = Cause(
        part="overheated/over/load",
        recorded="0.98",
        today="1.01",
        made="safe_divide(a, b)",
        sources=(
            Cause(part="temperature", recorded="93.0", today="93.0"),
            Cause(part="overheated/over/limit_value", recorded="95.0", today="92.5", is_change=True),
        ),
    )
    assert list(way_texts(Cause(part="close", sources=(load,)))) == [
        "overheated/over/load  safe_divide(…, limit_value 95.0 -> 92.5)"
    ]
