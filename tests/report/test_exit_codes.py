from __future__ import annotations

import itertools

import pytest

from ergo_cli.report.document import gravest


def test_nothing_is_the_best_that_can_be() -> None:
    assert gravest([]) == 0


@pytest.mark.parametrize(("graver", "lighter"), list(itertools.pairwise([130, 70, 6, 3, 4, 7, 1, 5, 0])))
def test_the_gravest_code_wins(graver: int, lighter: int) -> None:
    assert gravest([lighter, graver, lighter]) == graver
