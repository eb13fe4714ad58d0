"""The nearest known name to one that is not known: for the ``fix`` of an error."""

from __future__ import annotations

from collections.abc import Iterable

_LONGEST = 100


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The known name that ``name`` most likely stands for, or None if none is near."""
    return next(iter(nearest_few(name, names)), None)


def nearest_few(name: str, names: Iterable[str]) -> list[str]:
    """The known names that ``name`` may stand for, the most likely first; three at most."""
    if len(name) > _LONGEST:
        return []
    from difflib import get_close_matches  # only failures pay for the import

    by_folded = {known.casefold(): known for known in sorted(names, reverse=True) if len(known) <= _LONGEST}
    return [by_folded[match] for match in get_close_matches(name.casefold(), sorted(by_folded), n=3)]


def did_you_mean(name: str, names: Iterable[str]) -> str | None:
    """``did you mean 'x'?`` with the nearest known name, or None if none is near."""
    match = nearest(name, names)
    return f"did you mean '{match}'?" if match is not None else None
