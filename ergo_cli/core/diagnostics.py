"""Build messages to users: notices, suggestions of known names, repeated names."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct


class Notice(Struct, frozen=True):
    """A warning; ``ergo validate --strict`` turns it into an error. ``where`` is a file position, a path or both.

    ``is_of_changes``: it says that something changed, which needs no words where the changes are shown.
    """

    message: str
    where: str | None = None
    is_of_changes: bool = False


def counted(number: int, noun: str, several: str = "") -> str:
    """``1 event``, ``2,000 events``; ``several`` is a plural that does not end so."""
    return f"{number:,} {noun if number == 1 else several or noun + 's'}"


_LONGEST = 100


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The known name that ``name`` most likely stands for, or None if none is near."""
    return next(iter(nearest_few(name, names)), None)


def nearest_few(name: str, names: Iterable[str]) -> list[str]:
    """The known names that ``name`` may stand for, the most likely first; three at most."""
    if len(name) > _LONGEST:
        return []
    from difflib import get_close_matches  # imported here: only failures need it

    by_folded = {known.casefold(): known for known in sorted(names, reverse=True) if len(known) <= _LONGEST}
    return [by_folded[match] for match in get_close_matches(name.casefold(), sorted(by_folded), n=3)]


def did_you_mean(name: str, names: Iterable[str]) -> str | None:
    """``did you mean 'x'?`` with the nearest known name, or None if none is near."""
    match = nearest(name, names)
    return f"did you mean '{match}'?" if match is not None else None


def repeats(names: Iterable[str]) -> dict[int, int]:
    """The index of each name that stood there before, ascending, with the index where it stood first."""
    first: dict[str, int] = {}
    return {index: first[name] for index, name in enumerate(names) if first.setdefault(name, index) != index}
