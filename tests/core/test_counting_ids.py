from __future__ import annotations

import pytest

from ergo_cli.core.digest_set import CountingIds


@pytest.mark.parametrize(
    ("first", "following"),
    [
        ("q-0000009", ["q-0000009", "q-0000010", "q-0000011"]),
        ("9", ["9", "10", "11"]),
        ("e98", ["e98", "e99", "e100", "e101"]),
        ("e-099", ["e-099", "e-100"]),
        ("50%d2", ["50%d2", "50%d3"]),
        ("a\n1", ["a\n1", "a\n2"]),
        ("1.9", ["1.9", "1.10"]),
    ],
)
def test_texts_count_on(first: str, following: list[str]):
    ids = CountingIds(first)
    assert len(ids) == 0
    assert first not in ids
    assert ids.continues(following)
    assert len(ids) == len(following)
    assert all(text in ids for text in following)


@pytest.mark.parametrize(
    "texts", [["e1", "e3"], ["e1", "e1"], ["e1", "e02"], ["e1", "f2"], ["e1", "e2", "e3 "], ["e2"], ["x"], []]
)
def test_anything_else_does_not(texts: list[str]):
    ids = CountingIds("e1")
    assert not ids.continues(texts)
    assert len(ids) == 0
    assert "e1" not in ids


@pytest.mark.parametrize("first", ["", "a", "tick-", "²", "٣", "1" * 19 + "x"])
def test_a_text_without_a_number_begins_none(first: str):
    assert not CountingIds(first).continues([first])


def test_only_what_was_counted_is_held():
    ids = CountingIds("e8")
    assert ids.continues(["e8", "e9", "e10"])
    assert ids.continues(["e11"])
    assert [text for text in ("e7", "e08", "e8", "e9", "e10", "e010", "e11", "e12", "E8", "e", "e8 ", "e٩")
            if text in ids] == ["e8", "e9", "e10", "e11"]  # fmt: skip


def test_a_long_number_counts_on_in_its_last_digits():
    first = "7" * 30 + "0" * 18
    ids = CountingIds(first)
    assert ids.continues([first, first[:-1] + "1"])
    assert first[:-1] + "1" in ids
