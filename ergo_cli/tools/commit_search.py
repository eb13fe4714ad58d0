"""Search a history for the commit that changed an answer, with about log2 questions."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from enum import Enum
from typing import Protocol


class Answer(Enum):
    """What a commit shows: it holds what was recorded, it differs, or it cannot be run."""

    HOLDS = "holds"
    DIFFERS = "differs"
    CANNOT_RUN = "cannot run"


Ask = Callable[[str], Answer]
"""Answers for the commit of an id."""


class History(Protocol):
    """How commits follow one another."""

    def between(self, goods: Sequence[str], bad: str) -> list[str]:
        """The commits behind ``goods`` up to ``bad``, that which halves them best first."""
        ...


def narrowed(history: History, good: str, bad: str, ask: Ask) -> tuple[list[str], str]:
    """The good commits and the bad one between which nothing is left to ask; ``good`` holds, ``bad`` differs.

    The bad one is the first that differs if no other commit lies between; those that do cannot be run.
    """
    goods, skipped, missed = [good], set[str](), 0
    while left := _left(history, goods, bad, skipped):
        asked = left[min(1 << missed, len(left)) - 1]  # away from commits that cannot be run, ever farther
        match ask(asked):
            case Answer.CANNOT_RUN:
                skipped.add(asked)
                missed += 1
                continue
            case Answer.DIFFERS:
                bad = asked
            case Answer.HOLDS:
                goods.append(asked)
        missed = 0
    return goods, bad


def _left(history: History, goods: Sequence[str], bad: str, skipped: Set[str]) -> list[str]:
    """The commits between that are still to be asked, the best first."""
    return [each for each in history.between(goods, bad) if each != bad and each not in skipped]


def last_good(line: Sequence[str], ask: Ask) -> str | None:
    """A commit of ``line`` that holds; ``line`` goes back from one that differs. None if none was found.

    The steps back are 1, 2, 4, 8 and so on. Where they end with commits that cannot be run, such as those before the
    program was written, the step at which that begins is halved.
    """
    differs, broken, step = 0, None, 1
    last = len(line) - 1
    while differs < last:
        place = min(step, last)
        match ask(line[place]):
            case Answer.HOLDS:
                return line[place]
            case Answer.DIFFERS:
                differs, broken = place, None
            case Answer.CANNOT_RUN:
                broken = place if broken is None else broken
        if place == last:
            break
        step *= 2
    while broken is not None and broken - differs > 1:
        place = (differs + broken) // 2
        match ask(line[place]):
            case Answer.HOLDS:
                return line[place]
            case Answer.DIFFERS:
                differs = place
            case Answer.CANNOT_RUN:
                broken = place
    return None
