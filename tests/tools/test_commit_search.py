"""The search of a history: the right commit, in about log2 questions, whatever cannot be run."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergo_cli.tools.commit_search import Answer, last_good, narrowed


class Graph:
    """Commits by number as text, each with its parents, which have lower numbers."""

    def __init__(self, parents: Sequence[Sequence[int]]) -> None:
        self.ancestors: list[set[int]] = []
        for number, above in enumerate(parents):
            self.ancestors.append({number}.union(*(self.ancestors[each] for each in above)))

    def range(self, goods: Sequence[str], bad: str) -> set[int]:
        return self.ancestors[int(bad)].difference(*(self.ancestors[int(good)] for good in goods))

    def between(self, goods: Sequence[str], bad: str) -> list[str]:
        """As ``git rev-list --bisect-all`` orders them: by the smaller part that an answer leaves out."""
        inside = self.range(goods, bad)
        reached = {each: len(self.ancestors[each] & inside) for each in inside}
        best = sorted(inside, key=lambda each: (-min(reached[each], len(inside) - reached[each]), each))
        return [str(each) for each in best]


def line(length: int) -> Graph:
    return Graph([[number - 1] if number else [] for number in range(length)])


def answers(differs: Set[int], broken: Set[int], asked: list[int]) -> Callable[[str], Answer]:
    def ask(commit: str) -> Answer:
        asked.append(int(commit))
        if int(commit) in broken:
            return Answer.CANNOT_RUN
        return Answer.DIFFERS if int(commit) in differs else Answer.HOLDS

    return ask


@given(st.data(), st.integers(2, 200))
def test_on_a_line_what_is_left_is_the_commit_and_the_broken_ones_before_it(data: st.DataObject, length: int) -> None:
    culprit = data.draw(st.integers(1, length - 1))
    broken = data.draw(st.sets(st.integers(1, length - 2), max_size=20)) - {0, length - 1} if length > 2 else set[int]()
    asked: list[int] = []
    graph = line(length)
    goods, bad = narrowed(graph, "0", str(length - 1), answers(set(range(culprit, length)), broken, asked))
    first = next(number for number in range(culprit, length) if number not in broken)
    before = next(number for number in range(culprit - 1, -1, -1) if number not in broken)
    assert (int(bad), graph.range(goods, bad)) == (first, set(range(before + 1, first + 1)))
    assert len(asked) == len(set(asked))


@given(st.integers(1, 198), st.sets(st.integers(1, 198), min_size=20, max_size=20))
def test_200_commits_take_ten_answers_beside_the_20_broken_ones(culprit: int, broken: set[int]) -> None:
    """Twelve, with the replays of both ends."""
    asked: list[int] = []
    narrowed(line(200), "0", "199", answers(set(range(culprit, 200)), broken, asked))
    assert sum(each not in broken for each in asked) <= 10


@pytest.mark.parametrize("start", range(1, 179, 7))
@pytest.mark.parametrize("culprit", [1, 50, 99, 100, 101, 150, 198])
def test_20_broken_commits_in_a_row(start: int, culprit: int) -> None:
    broken, asked = set(range(start, start + 20)), list[int]()
    narrowed(line(200), "0", "199", answers(set(range(culprit, 200)), broken, asked))
    assert sum(each not in broken for each in asked) <= 10


@pytest.mark.parametrize("length", [2, 3, 10, 1000, 5000])
def test_without_broken_commits_the_number_is_log2(length: int) -> None:
    for culprit in {1, length // 3 + 1, length - 1}:
        asked: list[int] = []
        narrowed(line(length), "0", str(length - 1), answers(set(range(culprit, length)), set(), asked))
        assert len(asked) <= ceil(log2(length))


@given(st.data(), st.integers(2, 40))
def test_in_a_history_with_merges_the_first_commit_that_differs_is_found(data: st.DataObject, length: int) -> None:
    parents: list[list[int]] = [[]]
    for number in range(1, length):
        parents.append(sorted(data.draw(st.sets(st.integers(0, number - 1), min_size=1, max_size=2))))
    graph = Graph(parents)
    culprit = data.draw(st.sampled_from(sorted(graph.ancestors[-1] - {0})))
    differs = {number for number in range(length) if culprit in graph.ancestors[number]}
    goods, bad = narrowed(graph, "0", str(length - 1), answers(differs, set(), []))
    assert (int(bad), graph.range(goods, bad)) == (culprit, {culprit})


@given(st.integers(1, 400), st.data())
def test_a_commit_that_holds_is_found_going_back(length: int, data: st.DataObject) -> None:
    """The line goes from the newest commit, which differs, to the oldest."""
    culprit = data.draw(st.integers(0, length - 1))
    asked: list[int] = []
    commits = [str(number) for number in reversed(range(length))]
    good = last_good(commits, answers(set(range(culprit, length)), set(), asked))
    assert (good is None) == (culprit == 0)
    assert good is None or int(good) < culprit
    assert len(asked) <= ceil(log2(length + 1)) + 1


@given(st.integers(3, 400), st.data())
def test_commits_before_the_program_was_written_do_not_hide_one_that_holds(length: int, data: st.DataObject) -> None:
    written = data.draw(st.integers(1, length - 2))
    culprit = data.draw(st.integers(written + 1, length - 1))
    commits = [str(number) for number in reversed(range(length))]
    asked: list[int] = []
    good = last_good(commits, answers(set(range(culprit, length)), set(range(written)), asked))
    assert good is not None
    assert written <= int(good) < culprit
    assert len(asked) <= 2 * ceil(log2(length + 1)) + 1


def test_where_everything_differs_or_nothing_runs_there_is_none() -> None:
    commits = [str(number) for number in reversed(range(100))]
    assert last_good(commits, answers(set(range(100)), set(), [])) is None
    assert last_good(commits, answers({99}, set(range(99)), [])) is None
    assert last_good(["0"], answers({0}, set(), [])) is None
