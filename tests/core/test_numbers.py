from __future__ import annotations

import pytest

from ergo_cli.core.numbers import exact_float, exact_integer, original_float, original_number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("-1", -1),
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
        ("18446744073709551616", 2.0**64),
        ("-9223372036854775809", -(2.0**63)),
        ("9" * 300, float("9" * 300)),
    ],
)
def test_exact_integers(text: str, expected: int | float):
    number = exact_integer(text)
    assert number == expected
    assert type(number) is type(expected)


@pytest.mark.parametrize("read", [exact_integer, original_number])
def test_minus_zero_keeps_its_sign(read: object):
    assert str(read("-0")) == "-0.0"  # type: ignore[operator]


@pytest.mark.parametrize("text", ["1e309", "-1e309", "9" * 400])
def test_numbers_beyond_the_finite_range(text: str):
    for read in (exact_float, original_float, original_number):
        with pytest.raises(ValueError, match="number out of range"):
            read(text)


def test_numbers_below_the_finite_range_are_zero():
    assert exact_float("1e-400") == 0.0
    assert str(original_number("-1e-400")) == "-0.0"


def test_the_original_ignores_digits_beyond_64_bits():
    assert original_number("0.18446744073709551616") == original_number("0.1844674407370955161")


def test_a_huge_exponent_of_zero_is_zero():
    assert original_number("0e99999999999") == 0.0
    assert str(original_number("-0.0e99999999999")) == "-0.0"
    with pytest.raises(ValueError, match="number out of range"):
        original_number("1e99999999999")
