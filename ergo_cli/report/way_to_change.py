"""The shortest words for why a value differs: the way from its node to the change, in two lines (spec 70 §2)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ergo_cli.programs.causes import Cause
from ergo_cli.report.chain_texts import sides_text
from ergo_cli.report.text import GAP

_ROOM = 68
"""The columns of a reason on a screen of 80."""

_CALL = re.compile(r"(\w+)\(")


def way_texts(value: Cause) -> Iterator[str]:
    """The first node behind ``value`` that differs, and what the node next to the change makes of it.

    ``enter  false -> true``, ``above  gt(price 104.25, enter_level 105.0 -> 104.0)``. Nothing where the change is in
    the node itself, or in what feeds it.
    """
    way = _way(value)
    if len(way) < 2:
        return
    first, last = way[0], way[-2]
    if first is not last:
        yield f"{first.part}  {sides_text(first)}"
    yield f"{last.part}  {_made(last)}"


def _way(step: Cause) -> list[Cause]:
    """The steps that lead from one to a change, each a source of the one before; empty if none does."""
    for source in step.sources:
        if source.is_change:
            return [source]
        further = _way(source) if source.differs else []
        if further:
            return [source, *further]
    return []


def _made(step: Cause) -> str:
    """A function with the names and values of its inputs, of equal ones if there is room; else the value."""
    call = _CALL.match(step.made)
    if call is None or any(source.rewired for source in step.sources):
        return sides_text(step)
    within = step.part.rpartition("/")[0] + "/"
    named = [(f"{each.part.removeprefix(within)} {sides_text(each)}", each.differs) for each in step.sources]
    whole = f"{call[1]}({', '.join(text for text, _ in named)})"
    if len(step.part) + 2 + len(whole) <= _ROOM:
        return whole
    return f"{call[1]}({', '.join(text if differs else GAP for text, differs in named)})"
