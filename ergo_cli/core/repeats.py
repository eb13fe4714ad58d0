"""Names that stand in a list more than once."""

from __future__ import annotations

from collections.abc import Iterable


def repeats(names: Iterable[str]) -> dict[int, int]:
    """The index of each name that stood there before, ascending, with the index where it stood first."""
    first: dict[str, int] = {}
    return {index: first[name] for index, name in enumerate(names) if first.setdefault(name, index) != index}
