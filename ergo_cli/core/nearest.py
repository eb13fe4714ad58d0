"""The nearest known name to one that is not known: for the ``fix`` of an error."""

from __future__ import annotations

from collections.abc import Iterable

_LONGEST = 100


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The known name that ``name`` most likely stands for, or None if none is near."""
    if len(name) > _LONGEST:
        return None
    from difflib import get_close_matches  # only failures pay for the import

    by_folded = {known.casefold(): known for known in sorted(names, reverse=True) if len(known) <= _LONGEST}
    matches = get_close_matches(name.casefold(), sorted(by_folded), n=1)
    return by_folded[matches[0]] if matches else None


def did_you_mean(name: str, names: Iterable[str]) -> str | None:
    """``did you mean 'x'?`` with the nearest known name, or None if none is near."""
    match = nearest(name, names)
    return f"did you mean '{match}'?" if match is not None else None
