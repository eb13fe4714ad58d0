"""Records that differ only since a stage before them does: text reports count them, documents and lists have them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ergo_cli.core.levels import Level
from ergo_cli.replay.results import BundleResult, Divergence, as_shown
from ergo_cli.report.text import Line, Tone


def independent(result: BundleResult) -> list[Divergence]:
    """The differences that follow from no earlier record, in their order."""
    return _parted(result)[0]


def following_lines(results: Iterable[BundleResult]) -> Iterator[Line]:
    """The line that counts the records that follow from an earlier one, where there are any."""
    count = sum(len(_parted(result)[1]) for result in results)
    if count:
        records = "1 record after it differs" if count == 1 else f"{count:,} records after it differ"
        yield Line(f"  {records} too (--list)", Tone.FAINT)


def _parted(result: BundleResult) -> tuple[list[Divergence], list[Divergence]]:
    """The differences that are independent, and the records that follow from one of them.

    A record follows from the origin that its kind names, if a record of that differs too: unless it is of the origin
    itself, and what was written there is another.
    """
    first: list[Divergence] = []
    following: list[Divergence] = []
    decided: set[str] = set()
    for each in as_shown(result.divergences):
        origin = None if each.log is None else each.origin
        follows = origin in decided and (each.node != origin or each.level is not Level.DECISION)
        (following if follows else first).append(each)
        if each.log is not None and each.node is not None and each.level is Level.DECISION:
            decided.add(each.node)
    return first, following
