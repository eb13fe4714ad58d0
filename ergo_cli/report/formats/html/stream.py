"""The stream of a bundle in few cells: runs of equal decisions, decisions that differ, pauses between events."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from msgspec import Struct

from ergo_cli.bundle.reader import open_bundle
from ergo_cli.errors import ErgoError
from ergo_cli.replay.results import BundleResult, Outcome
from ergo_cli.stores.files import STANDARD_INPUT

MOST_CELLS = 240
"""Of one bundle: above, short runs of equal decisions are joined with what is around them."""

MOST_EVENTS = 1_000_000
"""Of a bundle whose times are read."""

_NANOS = 1_000_000_000
_PAUSE = 10
"""How many times the usual distance of two events a pause is, at least."""
_MOST_PAUSES = 20


class Cell(Struct, frozen=True, omit_defaults=True):
    """Decisions that stand together, from ``first`` to ``last``, by their places from 0; or a pause before ``first``.

    ``count`` are the divergences that are listed of them, ``differing`` the decisions that have any. ``begin`` and
    ``end`` are the times of their events, ``pause`` is a length: ``09:10:00``.
    """

    kind: Literal["equal", "differs", "pause"]
    first: int
    last: int
    count: int = 0
    differing: int = 0
    begin: str | None = None
    end: str | None = None
    pause: str | None = None


class _Span(NamedTuple):
    """Decisions from a place until before another one; ``counts`` are the divergences of those that differ."""

    start: int
    stop: int
    differs: bool


def cells(result: BundleResult) -> list[Cell]:
    """The cells of a bundle that was compared; empty where it was not, or where nothing differs."""
    if result.outcome is not Outcome.DIVERGED or not result.divergences:
        return []
    counts = Counter(each.seq for each in result.divergences if each.event_id is not None)
    length = max(_decided(result), 1 + max(counts, default=-1))
    times = _times(result)
    if len(times) < length:
        times = array("Q")
    found: list[Cell] = []
    pauses = dict(_pauses(times))
    for span in _joined(_spans(sorted(counts), _start(result, counts), length), MOST_CELLS):
        found += _cells_of(span, counts, times, pauses)
    return found


def _decided(result: BundleResult) -> int:
    counts, first = result.decisions, result.window.first or 0
    return first + (0 if counts is None else counts.invoke + counts.defer + counts.skip)


def _start(result: BundleResult, counts: Counter[int]) -> int:
    """The first decision that was compared."""
    return min(counts, default=0) if result.window.event is not None else result.window.first or 0


def _spans(differing: Sequence[int], at: int, length: int) -> list[_Span]:
    """The decisions from a place until before ``length``, those that differ and those that do not in turn."""
    spans: list[_Span] = []
    for seq in differing:
        if seq > at:
            spans.append(_Span(at, seq, differs=False))
        if spans and spans[-1].differs:
            spans[-1] = spans[-1]._replace(stop=seq + 1)
        else:
            spans.append(_Span(seq, seq + 1, differs=True))
        at = seq + 1
    if length > at:
        spans.append(_Span(at, length, differs=False))
    return spans


def _joined(spans: Sequence[_Span], most: int) -> list[_Span]:
    """At most ``most`` spans: the shortest of equal decisions between others go into those around them."""
    surplus = (len(spans) - most + 1) // 2
    if surplus <= 0:
        return list(spans)
    inner = sorted((each.stop - each.start, each.start) for each in spans[1:-1] if not each.differs)
    dropped = {start for _, start in inner[:surplus]}
    joined: list[_Span] = []
    for span in spans:
        if joined and joined[-1].differs and (span.differs or span.start in dropped):
            joined[-1] = joined[-1]._replace(stop=span.stop)
        else:
            joined.append(span)
    return joined


def _cells_of(span: _Span, counts: Counter[int], times: Sequence[int], pauses: dict[int, int]) -> Iterator[Cell]:
    """The cells of a span: one between every two pauses, and the pauses."""
    breaks = [seq for seq in pauses if span.start < seq < span.stop]
    starts = [span.start, *sorted(breaks)]
    for start, stop in pairwise([*starts, span.stop]):
        if start in pauses:
            yield Cell("pause", start, start, pause=_text(pauses[start]))
        found = [counts[seq] for seq in range(start, stop) if seq in counts] if span.differs else []
        begin, end = (_text(times[start]), _text(times[stop - 1])) if times else (None, None)
        yield Cell("differs" if found else "equal", start, stop - 1, sum(found), len(found), begin, end)


def _text(nanoseconds: int) -> str:
    """A time of the stream: ``09:10:00``, with days in front and a fraction behind where there are any."""
    seconds, fraction = divmod(nanoseconds, _NANOS)
    days, seconds = divmod(seconds, 86_400)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return (f"{days:,} d " if days else "") + clock + (f".{fraction:09}".rstrip("0") if fraction else "")


def _pauses(times: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The longest pauses, each with the place of the event behind it."""
    distances = [(after - before, place) for place, (before, after) in enumerate(pairwise(times), 1) if after > before]
    usual = sorted(distance for distance, _ in distances)[len(distances) // 2] if distances else 0
    long = sorted((each for each in distances if each[0] >= _PAUSE * usual), reverse=True)
    yield from ((place, distance) for distance, place in long[:_MOST_PAUSES])


def _times(result: BundleResult) -> array[int]:
    """When the events happened, in order; empty where the bundle has gone, is very long, or has no times."""
    path = result.path if result.base is None else result.base
    times = array("Q")
    if path == STANDARD_INPUT or (result.events or 0) > MOST_EVENTS:
        return times
    try:
        with open_bundle(path) as reader:
            times.extend(record.event_time for record in reader.events())
    except ErgoError:  # it was readable when it was compared: times are a help alone
        return array("Q")
    return times if any(times) else array("Q")
