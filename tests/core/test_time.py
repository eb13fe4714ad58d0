from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergo_cli.core.time import (
    MAX_NS,
    MAX_SECS,
    NANOS,
    Duration,
    backoff,
    parse_duration,
    saturating_add,
    saturating_sub,
)


@pytest.mark.parametrize(
    ("literal", "ns"),
    [
        ("1500ms", 1_500_000_000),
        ("15m", 900 * NANOS),
        ("0s", 0),
        ("+5s", 5 * NANOS),
        ("1h", 3600 * NANOS),
        ("0000000000000000000000000000000000000000000001s", NANOS),
        ("18446744073709551615s", MAX_SECS * NANOS),
        ("9999999999999999999h", MAX_SECS * NANOS),
        ("18446744073709551615m", MAX_SECS * NANOS),
    ],
)
def test_literals(literal: str, ns: int):
    assert parse_duration(literal) == ns


@pytest.mark.parametrize(
    ("literal", "message"),
    [
        ("15fortnights", "invalid duration '15fortnights': invalid digit found in string"),
        ("xs", "invalid duration 'xs': invalid digit found in string"),
        ("s", "invalid duration 's': cannot parse integer from empty string"),
        ("ms", "invalid duration 'ms': cannot parse integer from empty string"),
        ("15d", r"unsupported duration '15d' \(expected suffix ms|s|m|h\)"),
        ("", "unsupported duration ''"),
        ("+s", "invalid digit"),
        ("-5s", "invalid digit"),
        ("1.5s", "invalid digit"),
        ("1 s", "invalid digit"),
        ("1_000s", "invalid digit"),
        ("٣s", "invalid digit"),
        ("18446744073709551616s", "number too large"),
        ("1" * 5000 + "s", "number too large"),
    ],
)
def test_bad_literals(literal: str, message: str):
    with pytest.raises(ValueError, match=message):
        parse_duration(literal)


def test_durations_and_ns():
    assert Duration(5, 6).ns == 5 * NANOS + 6
    assert Duration.of(5 * NANOS + 6) == Duration(5, 6)
    assert Duration.of(MAX_NS) == Duration(MAX_SECS, NANOS - 1)
    assert Duration(1, 2**32 - 1).ns == NANOS + 2**32 - 1


@pytest.mark.parametrize(
    ("secs", "nanos"), [(-1, 0), (0, -1), (2**64, 0), (0, 2**32), (MAX_SECS, NANOS), (MAX_SECS, 2**32 - 1)]
)
def test_durations_out_of_range(secs: int, nanos: int):
    with pytest.raises(ValueError, match=r"secs|nanos"):
        Duration(secs, nanos).ns  # noqa: B018


def test_saturation():
    assert saturating_add(MAX_NS, 1) == MAX_NS
    assert saturating_add(1, 2) == 3
    assert saturating_sub(1, 2) == 0
    assert saturating_sub(3, 1) == 2


@pytest.mark.parametrize(
    ("base", "attempt", "cap", "delay"),
    [(50, 0, 500, 50), (50, 3, 500, 400), (50, 4, 500, 500), (0, 10**9, 500, 0), (7, 10**9, 500, 500), (7, 3, 0, 0)],
)
def test_it_doubles_up_to_the_cap(base: int, attempt: int, cap: int, delay: int) -> None:
    assert backoff(base, attempt, cap) == delay


@given(st.integers(0, 2**70), st.integers(0, 200), st.integers(0, 2**64))
def test_it_is_the_formula(base: int, attempt: int, cap: int) -> None:
    assert backoff(base, attempt, cap) == min(base * 2**attempt, cap)
