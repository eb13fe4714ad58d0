from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergo_cli.core.backoff import backoff


@pytest.mark.parametrize(
    ("base", "attempt", "cap", "delay"),
    [(50, 0, 500, 50), (50, 3, 500, 400), (50, 4, 500, 500), (0, 10**9, 500, 0), (7, 10**9, 500, 500), (7, 3, 0, 0)],
)
def test_it_doubles_up_to_the_cap(base: int, attempt: int, cap: int, delay: int) -> None:
    assert backoff(base, attempt, cap) == delay


@given(st.integers(0, 2**70), st.integers(0, 200), st.integers(0, 2**64))
def test_it_is_the_formula(base: int, attempt: int, cap: int) -> None:
    assert backoff(base, attempt, cap) == min(base * 2**attempt, cap)
