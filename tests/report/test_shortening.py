from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ergo_cli.report.text import shorten, shorten_pair, value_texts


def test_short_texts_stay_as_they_are() -> None:
    assert shorten("abc", 3) == "abc"
    assert shorten_pair("abc", "abd", 3) == ("abc", "abd")


def test_a_long_text_loses_its_middle() -> None:
    assert shorten("abcdefghij", 5) == "ab…ij"


def test_the_common_ends_of_a_pair_are_shortened_and_the_difference_is_kept() -> None:
    expected, actual = shorten_pair("a" * 100 + "LEFT" + "z" * 100, "a" * 100 + "OTHER!" + "z" * 100, 40)
    assert expected == "a" * 8 + "…" + "a" * 8 + "LEFT" + "z" * 8 + "…" + "z" * 8
    assert actual == "a" * 8 + "…" + "a" * 8 + "OTHER!" + "z" * 8 + "…" + "z" * 8
    assert len(actual) == 40


def test_what_one_common_end_does_not_need_the_other_has() -> None:
    assert shorten_pair("a" * 100 + "1z", "a" * 100 + "2z", 40) == (
        "a" * 18 + "…" + "a" * 19 + "1z",
        "a" * 18 + "…" + "a" * 19 + "2z",
    )


def test_around_a_long_difference_something_is_kept() -> None:
    expected, actual = shorten_pair("a" * 50 + "1" * 90 + "z" * 50, "a" * 50 + "2" * 90 + "z" * 50, 40)
    assert expected == "aaaaa…aaaaaa" + "1" * 90 + "zzzzz…zzzzzz"
    assert actual == expected.replace("1", "2")


@given(st.text("ab", max_size=90), st.text("cd", max_size=60), st.text("ef", max_size=60), st.text("ab", max_size=90))
def test_the_part_that_differs_is_never_cut(head: str, left: str, right: str, tail: str) -> None:
    expected, actual = shorten_pair(head + left + tail, head + right + tail, 20)
    assert left in expected
    assert right in actual


def test_an_absent_side_is_a_dash() -> None:
    assert value_texts(None, {"kind": "set_context"}, 80) == ("-", '{"kind":"set_context"}')
    assert value_texts("Invoke", None, 80) == ('"Invoke"', "-")


def test_values_are_compact_json_in_the_order_of_the_record() -> None:
    assert value_texts({"b": 1.0, "a": [True, "é"]}, 0.1, 80) == ('{"b":1.0,"a":[true,"é"]}', "0.1")
