"""Instants and durations in nanoseconds, their wire form and literals; the clock; back-off (spec 10 §2, 00 §13.3)."""

from __future__ import annotations

import re
from typing import Protocol

from msgspec import Struct

NANOS = 1_000_000_000
MAX_SECS = 2**64 - 1
MAX_NS = MAX_SECS * NANOS + NANOS - 1
"""The last instant: times and durations are ints from 0 to this many nanoseconds."""

_LITERAL = re.compile(r"\+?([0-9]+)")
_UNITS = {"ms": 1_000_000, "s": NANOS, "m": 60 * NANOS, "h": 3600 * NANOS}


def saturating_add(a: int, b: int) -> int:
    """``a + b`` in nanoseconds, at most ``MAX_NS``."""
    return min(a + b, MAX_NS)


def saturating_sub(a: int, b: int) -> int:
    """``a - b`` in nanoseconds, at least zero."""
    return max(a - b, 0)


class Duration(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The wire form of an instant or a duration: ``{"secs":u64,"nanos":u32}``.

    Decoding alone does not check ranges; ``ns`` does.
    """

    secs: int
    nanos: int

    @classmethod
    def of(cls, ns: int) -> Duration:
        """The wire form of ``ns`` nanoseconds, ``nanos`` below 10**9."""
        return cls(*divmod(ns, NANOS))

    @property
    def text(self) -> str:
        """For people: ``5s``, ``0.25s``."""
        fraction = f"{self.nanos:09d}".rstrip("0")
        return f"{self.secs}.{fraction}s" if fraction else f"{self.secs}s"

    @property
    def ns(self) -> int:
        """Whole nanoseconds; ``nanos`` carries into seconds. Raises ValueError outside u64 seconds or u32 nanos."""
        if not 0 <= self.secs <= MAX_SECS:
            raise ValueError(f"secs must be between 0 and {MAX_SECS}, got {self.secs}")
        if not 0 <= self.nanos < 2**32:
            raise ValueError(f"nanos must be between 0 and {2**32 - 1}, got {self.nanos}")
        total = self.secs * NANOS + self.nanos
        if total > MAX_NS:
            raise ValueError("overflow: nanos carry secs beyond the range of u64")
        return total


def parse_duration(text: str) -> int:
    """Nanoseconds of a duration literal (spec 21 §10.2): digits and one of ``ms``, ``s``, ``m``, ``h``.

    Minutes and hours saturate at 2**64-1 seconds. Raises ValueError with a sentence that names the literal.
    """
    for unit in ("ms", "s", "m", "h"):
        if text.endswith(unit):
            return _scaled(text, text[: -len(unit)], unit)
    raise ValueError(f"unsupported duration '{text}' (expected suffix ms|s|m|h)")


def _scaled(text: str, digits: str, unit: str) -> int:
    if not digits:
        raise ValueError(f"invalid duration '{text}': cannot parse integer from empty string")
    match = _LITERAL.fullmatch(digits)
    if match is None:
        raise ValueError(f"invalid duration '{text}': invalid digit found in string")
    significant = match[1].lstrip("0")
    number = int(significant or "0") if len(significant) <= 20 else MAX_NS
    if number > MAX_SECS:
        raise ValueError(f"invalid duration '{text}': number too large to fit in target type")
    return min(number * _UNITS[unit], MAX_SECS * NANOS)


class Clock(Protocol):
    """A wall clock, a monotonic clock and a sleep that belong together: how programs see time (spec 00 §13.3)."""

    def wall_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds since some fixed moment; never goes back."""
        ...

    def sleep_ns(self, duration: int) -> None:
        """Return after ``duration`` nanoseconds."""
        ...


class StandingClock:
    """Time that never passes: always zero, and every sleep returns at once. Captures and replays run on it."""

    def wall_ms(self) -> int:
        """Zero."""
        return 0

    def monotonic_ns(self) -> int:
        """Zero."""
        return 0

    def sleep_ns(self, duration: int) -> None:
        """Return at once."""


def backoff(base: int, attempt: int, cap: int) -> int:
    """Exponential back-off on integers, ``min(base * 2**attempt, cap)`` in the unit of ``base`` (spec 00 §13.3).

    ``attempt`` is the number, from 0, of the attempt that just failed; a large one computes no power beyond the cap.
    """
    if base and attempt >= cap.bit_length():
        return cap
    return min(base << attempt, cap) if base else 0
