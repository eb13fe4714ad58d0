"""Sorting by time in parts that are set aside: as a stable sort in memory, whatever the size of a part."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ergo_cli.tools.importing.sorting import TimeSort

LINES = st.lists(st.tuples(st.integers(0, 2**62), st.binary(max_size=40)), max_size=60)
FEW_TIMES = st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=400)), max_size=200)


@given(LINES | FEW_TIMES, st.sampled_from([1, 300, 5000, 10**9]))
def test_parts_give_what_one_stable_sort_gives(lines: list[tuple[int, bytes]], part: int) -> None:
    with TimeSort(part) as sort:
        for at, line in lines:
            sort.add(at, line)
        assert list(sort.lines()) == [line for _, line in sorted(lines, key=lambda each: each[0])]


def test_lines_longer_than_what_is_read_at_once() -> None:
    with TimeSort(1) as sort:
        for at in (3, 1, 2):
            sort.add(at, bytes([at]) * 700_000)
        assert [line[0] for line in sort.lines()] == [1, 2, 3]
