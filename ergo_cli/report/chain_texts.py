"""The words for one step of a chain behind a value, in text and in pictures."""

from __future__ import annotations

from collections.abc import Iterator

from ergo_cli.core.diagnostics import counted
from ergo_cli.programs.causes import Cause, Raised
from ergo_cli.replay.reasons import Why
from ergo_cli.report.failures import place_text
from ergo_cli.report.text import GAP, shorten, shorten_pair

_VALUE_WIDTH = 32


def event_text(why: Why) -> str:
    """What a chain is about: ``event q-0910``, or ``the end`` of what closing the program recorded."""
    return "the end" if why.event_id is None else f"event {why.event_id}"


def sides_text(cause: Cause, width: int = _VALUE_WIDTH) -> str:
    """The value of a step: ``105.0``; ``105.0 -> 104.0`` where today's is another; cut to about ``width`` columns."""
    if not cause.differs:
        return "" if cause.today is None else shorten(side_text(cause.today), max(_VALUE_WIDTH, width))
    each = max(_VALUE_WIDTH, (width - len(" -> ")) // 2)
    recorded, today = shorten_pair(side_text(cause.recorded), side_text(cause.today), each)
    return f"{recorded} -> {today}"


def side_text(value: str | None) -> str:
    """The value of one side, or the word for none."""
    return "(none)" if value in (None, "null") else value


def origin_text(why: Why, cause: Cause) -> str:
    """Where a value comes from that no node makes: an earlier event, the payload, a default, or nowhere."""
    if cause.episode is not None:
        return f"event {why.episodes[cause.episode].event_id}"
    if cause.key is None:
        return ""
    if cause.written is not None:
        return f"{cause.key} written by event {why.episodes[cause.written].event_id}"
    if cause.is_unset:
        return f"{cause.key} not set yet"
    if cause.is_default:
        return f"{cause.key} by default, nothing at {cause.payload_path} of the payload"
    if cause.payload_path in (None, cause.key):
        return f"{cause.key} of the payload"
    return f"{cause.key} from {cause.payload_path} of the payload"


def alike_text(cause: Cause) -> str:
    """How many writes are left out between a member of the context and the write that is its source."""
    return f"{GAP} {counted(cause.alike, 'event')} the same way" if cause.alike else ""


def failure_texts(cause: Cause) -> Iterator[str]:
    """How a part failed; the side is named where it did on one alone."""
    was, now = cause.recorded_failure, cause.today_failure
    if now is not None:
        yield _failure(now) if was == now else f"today: {_failure(now)}"
    if was is not None and was != now:
        yield f"recorded: {_failure(was)}"


def _failure(failure: Raised) -> str:
    place = "" if failure.place is None else f" ({place_text(failure.place)})"
    return f"{failure.message}{place}"
