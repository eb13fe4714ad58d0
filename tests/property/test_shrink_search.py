"""The search for the smallest stream: the result fails, none of it can go, and it takes the tries that are promised."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import combinations
from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergo_cli.core.json import JsonValue
from ergo_cli.tools.shrink.minimiser import MOST_GROUPS, smallest
from ergo_cli.tools.shrink.simplifier import simplest
from ergo_cli.tools.shrink.tries import LimitReached, Limits, Stop, Tries, TryHung

Holds = Callable[[frozenset[int]], bool]


class Asked:
    """A predicate that counts, and refuses to be asked what no search may ask."""

    def __init__(self, holds: Holds) -> None:
        self.holds = holds
        self.count = 0
        self.items = 0

    def __call__(self, part: list[int]) -> bool:
        assert part, "an empty stream is never tried"
        assert part == sorted(set(part)), "parts keep the order of the stream"
        self.count += 1
        self.items += len(part)
        return self.holds(frozenset(part))


def is_one_minimal(part: list[int], holds: Holds) -> bool:
    whole = frozenset(part)
    return len(part) == 1 or not any(holds(whole - {each}) for each in part)


sizes = st.integers(1, 60)


@given(size=sizes, draw=st.data())
def test_what_matters_is_found_where_every_part_that_holds_it_fails(size: int, draw: st.DataObject) -> None:
    needed = draw.draw(st.sets(st.integers(0, size - 1), min_size=1))
    asked = Asked(lambda part: needed <= part)
    assert smallest(range(size), asked) == sorted(needed)
    assert asked.count <= 4 + log2(size) + len(needed) * (2 * log2(size) + 6)


@given(size=sizes, draw=st.data())
def test_any_of_several_causes_is_found_whole_and_alone(size: int, draw: st.DataObject) -> None:
    numbers = st.integers(0, size - 1)
    causes = draw.draw(st.lists(st.frozensets(numbers, min_size=1, max_size=5), min_size=1, max_size=4))

    def holds(part: frozenset[int]) -> bool:
        return any(cause <= part for cause in causes)

    found = smallest(range(size), Asked(holds))
    assert frozenset(found) in causes
    assert is_one_minimal(found, holds)


@given(size=st.integers(1, 25), seed=st.integers(), share=st.floats(0.05, 0.95))
def test_the_result_fails_and_none_of_it_can_go_whatever_fails(size: int, seed: int, share: float) -> None:
    """Nothing links one part to another: whether it fails is drawn for each part, the same each time."""

    def holds(part: frozenset[int]) -> bool:
        return len(part) == size or random.Random(f"{seed} {sorted(part)}").random() < share

    found = smallest(range(size), Asked(holds))
    assert found == sorted(found)
    assert holds(frozenset(found))
    assert is_one_minimal(found, holds)


@given(size=sizes, ways=st.lists(st.integers(2, 7), max_size=3), draw=st.data())
def test_groups_change_what_is_tried_not_what_is_found(size: int, ways: list[int], draw: st.DataObject) -> None:
    needed = draw.draw(st.sets(st.integers(0, size - 1), min_size=1))
    asked = Asked(lambda part: needed <= part)
    assert smallest(range(size), asked, [lambda item, way=way: item % way for way in ways]) == sorted(needed)
    most = 4 + log2(size) + len(needed) * (2 * log2(size) + 6) + len(ways) + MOST_GROUPS
    assert asked.count <= most


def test_of_a_hundred_thousand_in_one_key_the_others_go_at_once() -> None:
    needed = frozenset(range(777, 100_000, 10_000))
    asked = Asked(lambda part: needed <= part)
    assert smallest(range(100_000), asked, [lambda item: item % 1_000]) == sorted(needed)
    assert asked.count < 80


@pytest.mark.parametrize(("matter", "most"), [(1, 25), (5, 110), (10, 200), (50, 800)])
@pytest.mark.parametrize("seed", range(5))
def test_of_a_hundred_thousand_those_that_matter_are_found_in_the_tries_that_are_promised(
    matter: int, most: int, seed: int
) -> None:
    needed = frozenset(random.Random(seed).sample(range(100_000), matter))
    asked = Asked(lambda part: needed <= part)
    assert smallest(range(100_000), asked, [lambda item: item % 2, lambda item: item % 5]) == sorted(needed)
    assert asked.count < most


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def leaves(value: JsonValue) -> int:
    match value:
        case dict():
            return 1 + sum(map(leaves, value.values()))
        case list():
            return 1 + sum(map(leaves, value))
        case str():
            return 1 + len(value)
        case _:
            return 1


@given(value=values)
def test_a_value_of_which_nothing_matters_becomes_the_simplest_of_its_type(value: JsonValue) -> None:
    simpler = simplest(value, lambda _: True)
    assert type(simpler) is type(value)
    assert simpler == (value if value is None or isinstance(value, bool) else type(value)())


@given(value=values, seed=st.integers(), share=st.floats(0.05, 0.95))
def test_a_simplified_value_fails_and_has_no_more_parts(value: JsonValue, seed: int, share: float) -> None:
    def fails(other: JsonValue) -> bool:
        return repr(other) == repr(value) or random.Random(f"{seed} {other!r}").random() < share

    simpler = simplest(value, fails)
    assert fails(simpler)
    assert leaves(simpler) <= leaves(value)


@given(members=st.dictionaries(st.text(max_size=3), st.integers(), min_size=1, max_size=8), draw=st.data())
def test_members_that_matter_stay_and_no_others(members: dict[str, int], draw: st.DataObject) -> None:
    needed = draw.draw(st.sets(st.sampled_from(sorted(members))))
    found = simplest(members, lambda other: isinstance(other, dict) and needed <= other.keys())
    assert found == dict.fromkeys(needed, 0)


@pytest.mark.parametrize(
    ("value", "least", "found"),
    [(1_000_000, 105, 122), (104.25, 104, 104.0), (-37, -3000, 0), (7, 7, 7), (0.3, 0.3, 0.3)],
)
def test_a_number_is_halved_as_long_as_it_fails(value: float, least: float, found: float) -> None:
    assert simplest(value, lambda other: isinstance(other, int | float) and other >= least) == found


def test_the_best_so_far_is_kept_where_a_limit_is_reached() -> None:
    tries = Tries(lambda part: {3, 40} <= set(part), range(100), Limits(tries=7))
    with pytest.raises(LimitReached) as caught:
        smallest(range(100), tries)
    assert (caught.value.stop, tries.count) == (Stop.TRIES, 7)
    assert {3, 40} <= set(tries.best) < set(range(100))


def test_a_try_that_hangs_does_not_fail_and_the_third_one_ends_the_search() -> None:
    def hangs_on_small_ones(part: list[int]) -> bool:
        if len(part) < 50:
            raise TryHung
        return 99 in part

    tries = Tries(hangs_on_small_ones, range(100))
    with pytest.raises(LimitReached) as caught:
        smallest(range(100), tries)
    assert (caught.value.stop, tries.hung) == (Stop.HUNG, 3)
    assert len(tries.best) >= 50


def test_all_pairs_of_a_short_stream_are_found() -> None:
    for pair in combinations(range(9), 2):
        asked = Asked(lambda part, pair=pair: part.issuperset(pair))
        assert smallest(range(9), asked) == list(pair)
