"""Texts that count on: each is the one before it with the number at its end raised by one."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBERED = re.compile(r"(.*?)([0-9]{1,18})", re.DOTALL)
_LIMIT = 10**18  # one digit more, and the pattern would no longer tell the number from what is before it


class Series:
    """The texts from ``first`` on, as far as they were counted; ``first`` may be any text that ends in a number."""

    def __init__(self, first: str) -> None:
        match = _NUMBERED.fullmatch(first)
        prefix, digits = match.groups() if match else (first, "")
        self._pattern = f"{prefix.replace('%', '%%')}%0{len(digits)}d"
        self._first = self._next = int(digits or "0")
        self._upcoming = first

    def __len__(self) -> int:
        return self._next - self._first

    def __contains__(self, text: str) -> bool:
        if len(text) == len(self._upcoming) and text >= self._upcoming:  # which most are that are asked for
            return False
        match = _NUMBERED.fullmatch(text)
        return match is not None and self._first <= int(match[2]) < self._next and text == self._pattern % int(match[2])

    def goes_on(self, texts: Sequence[str]) -> bool:
        """Whether these are the next texts, all of them; then they are counted."""
        end = self._next + len(texts)
        if not texts or end > _LIMIT or texts[-1] != self._pattern % (end - 1):
            return False
        if list(map(self._pattern.__mod__, range(self._next, end))) != list(texts):
            return False
        self._next, self._upcoming = end, self._pattern % end
        return True
