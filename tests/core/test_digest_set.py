from __future__ import annotations

import tracemalloc

import pytest

from ergo_cli.core.digest_set import DigestSet


def test_a_text_is_new_once():
    seen = DigestSet()
    assert seen.add("a")
    assert seen.add("")
    assert not seen.add("a")
    assert not seen.add("")
    assert len(seen) == 2


def test_texts_are_compared_by_code_points():
    seen = DigestSet()
    assert seen.add("é")
    assert seen.add("e\u0301")
    assert seen.add("É")
    assert not seen.add("\u00e9")


def test_it_forgets_nothing_as_it_grows():
    seen = DigestSet()
    texts = [f"event-{number}" for number in range(20_000)]
    for number, text in enumerate(texts):
        assert seen.add(text)
        assert not seen.add(texts[number // 2])
    assert not any(seen.add(text) for text in texts)
    assert len(seen) == 20_000


@pytest.mark.parametrize("length", [8, 2000])
def test_memory_does_not_depend_on_the_length_of_texts(length: int):
    tracemalloc.start()
    try:
        seen = DigestSet()
        for number in range(50_000):
            seen.add(str(number).rjust(length))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(seen) == 50_000
    assert used / 50_000 < 32


def test_membership_is_asked_without_adding() -> None:
    ids = DigestSet()
    for number in range(500):
        assert f"e{number}" not in ids
        ids.add(f"e{number}")
    assert all(f"e{number}" in ids for number in range(500))
    assert len(ids) == 500
