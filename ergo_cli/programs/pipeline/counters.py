"""Counters of 64 bits that saturate (spec 60 §2.2 rule 3)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ergo_cli.core.numbers import U64_MAX

Count = Annotated[int, Meta(ge=0)]
"""A count, a sequence number, a duration or a position: 0 to 2^64 − 1, larger JSON integers being floats."""


def raised(count: int, by: int = 1) -> int:
    """A counter after it went up, at most 2^64 − 1."""
    return min(count + by, U64_MAX)


def lowered(count: int, by: int = 1) -> int:
    """A counter after it went down, at least 0."""
    return max(count - by, 0)
