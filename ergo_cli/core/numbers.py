"""Convert JSON number texts to numbers: exactly, or as the original misreads them (spec 00 §12.3, 10 §4)."""

from __future__ import annotations

from enum import Enum
from math import isfinite

U64_MAX = 2**64 - 1
I64_MIN = -(2**63)
I64_MAX = 2**63 - 1
_I32_MAX = 2**31 - 1
_POWERS = [float(f"1e{n}") for n in range(309)]


class Numbers(Enum):
    """A number profile. ``ORIGINAL`` exists to match bundles of the original to the last bit."""

    EXACT = "exact"
    ORIGINAL = "original"


def exact_integer(text: str) -> int | float:
    """A JSON integer text under ``exact``: an int within i64/u64, ``-0`` as -0.0, else the nearest float.

    Raises ValueError ("number out of range") where that float would be infinite.
    """
    if text == "-0":
        return -0.0
    if len(text) <= 20:
        number = int(text)
        if I64_MIN <= number <= U64_MAX:
            return number
    return exact_float(text)


def exact_float(text: str) -> float:
    """The nearest binary64, ties to even. Raises ValueError ("number out of range") beyond the finite range."""
    number = float(text)
    if not isfinite(number):
        raise ValueError("number out of range")
    return number


def original_number(text: str) -> int | float:
    """A JSON number text as the original's decoder reads it: about one long decimal in ten is one unit off.

    Digits beyond 64 bits are dropped, then the significand is scaled by a power of ten with one rounding too many.
    Raises ValueError ("number out of range") beyond the finite range.
    """
    positive = not text.startswith("-")
    body = text if positive else text[1:]
    mantissa, mark, exponent = body.replace("E", "e").partition("e")
    whole, point, fraction = mantissa.partition(".")
    significand, dropped = _significand(whole)
    if dropped == 0 and not point and not mark:
        return _integer(significand, positive)
    significand, kept = _extend(significand, fraction)
    return _scale(significand, dropped - kept, exponent, positive)


def original_float(text: str) -> float:
    """As ``original_number``, for a text with a fraction or an exponent, whose number is always a float."""
    return float(original_number(text))


def _significand(digits: str) -> tuple[int, int]:
    """The leading digits that fit 64 bits, and how many digits were dropped behind them."""
    significand = 0
    for index, digit in enumerate(digits):
        grown = significand * 10 + int(digit)
        if grown > U64_MAX:
            return significand, len(digits) - index
        significand = grown
    return significand, 0


def _extend(significand: int, fraction: str) -> tuple[int, int]:
    """The significand with as many fraction digits as fit, and their number."""
    for index, digit in enumerate(fraction):
        grown = significand * 10 + int(digit)
        if grown > U64_MAX:
            return significand, index
        significand = grown
    return significand, len(fraction)


def _integer(significand: int, positive: bool) -> int | float:
    if positive:
        return significand
    if significand == 0 or significand > -I64_MIN:
        return -float(significand)
    return -significand


def _scale(significand: int, exponent: int, written: str, positive: bool) -> float:
    upward = not written.startswith("-")
    shift = int(written.lstrip("+-").lstrip("0")[:20] or "0")
    if shift > _I32_MAX:
        if significand and upward:
            raise ValueError("number out of range")
        return 0.0 if positive else -0.0
    exponent += shift if upward else -shift
    number = _scaled(float(significand), max(-_I32_MAX - 1, min(_I32_MAX, exponent)))
    return number if positive else -number


def _scaled(number: float, exponent: int) -> float:
    while abs(exponent) > 308:
        if number == 0.0:
            return number
        if exponent >= 0:
            raise ValueError("number out of range")
        number /= 1e308
        exponent += 308
    number = number * _POWERS[exponent] if exponent >= 0 else number / _POWERS[-exponent]
    if not isfinite(number):
        raise ValueError("number out of range")
    return number
