from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ergo_cli.replay.joining import Keys, Occurrences, Row, join, moved, rows

Joined = list[tuple[Row[str] | None, Row[str] | None]]

ids = st.lists(st.sampled_from("abcde"), max_size=12)


def joined(left: str | list[str], right: str | list[str]) -> Joined:
    return list(join(rows(left, str), rows(right, str), Keys(left), Keys(right)))


def told(pairs: Joined) -> list[str]:
    return [f"{left.record if left else '-'}{right.record if right else '-'}" for left, right in pairs]


def test_equal_streams_are_joined_in_step() -> None:
    assert told(joined("abc", "abc")) == ["aa", "bb", "cc"]


def test_an_insertion_at_the_front_is_one_row() -> None:
    assert told(joined("abc", "xabc")) == ["-x", "aa", "bb", "cc"]


def test_removals_and_extras_stand_where_they_are() -> None:
    assert told(joined("abcd", "acxd")) == ["aa", "b-", "cc", "-x", "dd"]


def test_a_moved_record_is_joined_all_the_same() -> None:
    assert told(joined("abc", "bca")) == ["aa", "bb", "cc"]


def test_repeated_ids_are_joined_by_occurrence() -> None:
    pairs = joined("aba", "aa")
    assert told(pairs) == ["aa", "b-", "aa"]
    assert [left.key for left, _ in pairs if left] == [("a", 0), ("b", 0), ("a", 1)]


def test_only_what_stands_elsewhere_is_held() -> None:
    read = 0

    def coming() -> list[str]:
        return ["x", *map(str, range(1000))]

    def counted() -> list[Row[str]]:
        return list(rows(coming(), str))

    def watched():
        nonlocal read
        for row in counted():
            read += 1
            yield row

    left = rows(map(str, range(1000)), str)
    for index, _ in enumerate(join(left, watched(), Keys(map(str, range(1000))), Keys(coming()))):
        assert read <= index + 1


@given(left=ids, right=ids)
def test_every_record_comes_once_and_with_its_like(left: list[str], right: list[str]) -> None:
    pairs = joined(left, right)
    lefts = [one for one, _ in pairs if one is not None]
    rights = [other for _, other in pairs if other is not None]
    assert [row.seq for row in lefts] == list(range(len(left)))
    assert sorted(row.seq for row in rights) == list(range(len(right)))
    assert all(one.key == other.key for one, other in pairs if one is not None and other is not None)
    common = {row.key for row in rows(left, str)} & {row.key for row in rows(right, str)}
    assert {one.key for one, other in pairs if one is not None and other is not None} == common


@given(told_ids=ids)
def test_keys_know_exactly_the_keys_of_a_stream(told_ids: list[str]) -> None:
    occurrences = Occurrences()
    mine = {occurrences.key(event_id) for event_id in told_ids}
    keys = Keys(told_ids)
    assert mine == {(event_id, n) for event_id in "abcdex" for n in range(14) if (event_id, n) in keys}


def test_one_event_that_went_to_the_end_is_the_one_that_moved() -> None:
    keys = [(event_id, 0) for event_id in "abcde"]
    assert moved(keys, keys[1:] + keys[:1]) == {("a", 0)}
    assert moved(keys, keys) == set()
    assert moved(keys, [("x", 0), *keys[:2], *keys[3:]]) == set()


@given(order=st.permutations(list(range(7))))
def test_without_the_moved_events_both_orders_agree_and_fewer_would_not_do(order: list[int]) -> None:
    a = [(str(number), 0) for number in range(7)]
    b = [(str(number), 0) for number in order]
    gone = moved(a, b)
    assert [key for key in a if key not in gone] == [key for key in b if key not in gone]
    rising = [0] * 7
    for index, number in enumerate(order):
        rising[index] = 1 + max((rising[before] for before in range(index) if order[before] < number), default=0)
    assert len(gone) == 7 - max(rising)
