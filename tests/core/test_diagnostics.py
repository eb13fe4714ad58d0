from __future__ import annotations

from ergo_cli.core.diagnostics import repeats


def test_every_further_occurrence_points_to_the_first() -> None:
    assert repeats(["a", "b", "a", "c", "b", "a"]) == {2: 0, 4: 1, 5: 0}


def test_distinct_names_repeat_nothing() -> None:
    assert repeats(iter(("a", "A", ""))) == {}
