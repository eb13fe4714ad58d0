"""Render why episodes failed: by cause, the first of each, then counts; in text and in documents."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import islice

from ergo_cli.core.code_places import CodePlace
from ergo_cli.host.failures import MOST_CAUSES, Cause, FailureGroup, FailureSummary
from ergo_cli.report.document import FailureDocument, PlaceDocument, unicode
from ergo_cli.report.text import printable, shorten

_WIDTH = 400
"""The characters of a message that the text shows; the document has more."""

_MOST_CALLERS = 3


def failure_documents(failures: FailureSummary) -> tuple[FailureDocument, ...]:
    """One document for each cause, in order of its first failure."""
    return tuple(map(_document, failures.groups))


def failure_lines(*failures: FailureSummary) -> tuple[str, ...]:
    """The lines for standard error, a cause that several bundles have once; none where nothing failed."""
    lines = list(_lines(failures))
    return (*lines, *(line for summary in failures for line in _others(summary)))


def _lines(failures: Sequence[FailureSummary]) -> Iterator[str]:
    found: dict[Cause, list[FailureGroup]] = {}
    for group in (group for summary in failures for group in summary.groups):
        found.setdefault(group.cause, []).append(group)
    counts = [f"{sum(group.count for group in groups):,}" for groups in found.values()]
    width = max(map(len, counts), default=0)
    indent = " " * (width + 4)
    for count, (cause, groups) in zip(counts, found.items(), strict=True):
        yield f"  {count:>{width}}  {_headline(cause)}"
        place = _place_line(groups[0])
        if place is not None:
            yield indent + place
        yield from (f"{indent}called at {frame}" for frame in _callers(groups[0]))
        yield indent + (_events(groups[0]) if len(groups) == 1 else f"{len(groups):,} bundles, {_events(groups[0])}")


def _others(failures: FailureSummary) -> Iterator[str]:
    if failures.others:
        bound = "at least " if failures.others_are_more else ""
        yield (
            f"  and {failures.others:,} more, of {bound}{failures.other_causes:,} other causes: "
            f"the first {MOST_CAUSES} are listed"
        )


def _headline(cause: Cause) -> str:
    if cause.error is None:
        return cause.termination
    return printable(shorten(f"{cause.error}: {cause.message}" if cause.message else cause.error, _WIDTH))


def _place_line(group: FailureGroup) -> str | None:
    cause = group.cause
    place = None if cause.place is None else place_text(cause.place)
    node = None if cause.node is None else f"node {cause.node}"
    parts = [part for part in (place or group.where, node) if part is not None]
    return printable(", ".join(parts)) if parts else None


def _callers(group: FailureGroup) -> Iterator[str]:
    """The user's lines that led to where the first failure was raised, the innermost first."""
    frames = (frame for frame in group.frames if frame != group.cause.place)
    return (printable(place_text(frame)) for frame in islice(frames, _MOST_CALLERS))


def _events(group: FailureGroup) -> str:
    if group.first is None:
        return "after the last event"
    if group.count == 1:
        return printable(f"event {group.first}")
    return printable(f"first {group.first}, last {group.last}")


def _document(group: FailureGroup) -> FailureDocument:
    cause = group.cause
    return FailureDocument(
        group.count,
        group.first,
        group.last,
        cause.termination,
        cause.error,
        None if cause.message is None else unicode(cause.message),
        cause.node,
        None if cause.place is None else place_document(cause.place),
        None if group.where is None else unicode(group.where),
        tuple(map(place_document, group.frames)),
    )


def place_text(place: CodePlace) -> str:
    """``primitives.py:14 in ema``."""
    return f"{_shown(place)}:{place.line} in {place.function}"


def place_document(place: CodePlace) -> PlaceDocument:
    """Return the document of the user's line."""
    return PlaceDocument(unicode(_shown(place)), place.line, place.function)


def _shown(place: CodePlace) -> str:
    """The path of a file, relative where it is below the current folder."""
    try:
        near = os.path.relpath(place.file)
    except (OSError, ValueError):
        return place.file
    return place.file if near.startswith(os.pardir) else near
