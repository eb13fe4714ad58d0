"""Exponential back-off on integers, the same for every program kind (spec 00 §13.3)."""

from __future__ import annotations


def backoff(base: int, attempt: int, cap: int) -> int:
    """``min(base * 2**attempt, cap)``, in the unit of ``base``.

    ``attempt`` is the number, from 0, of the attempt that just failed; however large, no power is computed beyond
    the cap.
    """
    if base and attempt >= cap.bit_length():
        return cap
    return min(base << attempt, cap) if base else 0
