"""Exit codes of whole commands and the outcomes that go with them (spec 00 §7)."""

from __future__ import annotations

from collections.abc import Iterable

USAGE = 2
NOTHING_TO_DO = 5
BROKEN = 7
DEFECT = 70
INTERRUPTED = 130

_GRAVEST_FIRST = (INTERRUPTED, DEFECT, 6, USAGE, 3, 4, 7, 1, NOTHING_TO_DO, 0)


def gravest(codes: Iterable[int]) -> int:
    """The code that wins over all others; 0 where there is none."""
    return min(codes, key=_GRAVEST_FIRST.index, default=0)


def failure_outcome(code: int) -> str:
    """The outcome of a command that ended with an error of this exit code."""
    match code:
        case 130 | 7:
            return "interrupted"
        case 6 | 70:
            return "failed"
        case 5:
            return "empty"
        case _:
            return "refused"
