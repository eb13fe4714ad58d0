"""Events that a caller made: copied and held against what an event's JSON may be before anything sees them (30 §2)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import cast

from ergo_cli.core.canonical import free_text
from ergo_cli.core.json import JsonValue
from ergo_cli.core.numbers import Numbers
from ergo_cli.core.time import Duration
from ergo_cli.errors import EventError, StepError
from ergo_cli.events.building import unbuildable
from ergo_cli.events.hosted import EpisodeStart, HostedEvent
from ergo_cli.events.records import read_hosted
from ergo_cli.host.planning import EventLines
from ergo_cli.library.config import Items


def plain_event(event: HostedEvent, numbers: Numbers) -> HostedEvent:
    """A copy of the event that shares nothing with the caller's, its payload nothing but JSON.

    Raises StepError ``EventBuild`` (recoverable) for what is no JSON: NaN, objects, integers beyond 64 bits, text that
    is no Unicode, an instant out of range.
    """
    try:
        return read_hosted(_event_text(event), numbers)
    except (ValueError, RecursionError) as error:
        raise _refused(event, error) from error


def event_lines(items: Items) -> EventLines:
    """The items as the lines of a stream. Raises EventError ``driver.input_invalid`` for one that JSON cannot hold."""
    return EventLines(items.label, tuple(_lines(items.label, items.events)))


def _lines(label: str, events: Sequence[HostedEvent | EpisodeStart]) -> list[bytes]:
    lines: list[bytes] = []
    for number, item in enumerate(events, 1):
        try:
            lines.append(_text(item) + b"\n")
        except (ValueError, RecursionError) as error:
            message = f"cannot read line {number}: {error}"
            fix = "give the event nothing but JSON values"
            raise EventError("driver.input_invalid", message, where=f"{label}:{number}:1", fix=fix) from error
    return lines


def _text(item: HostedEvent | EpisodeStart) -> bytes:
    match item:
        case HostedEvent():
            return _event_text(item)
        case EpisodeStart(label=label):
            return free_text({"kind": "episode_start", "id": _plain(label)})
        case _:
            raise ValueError(f"a {type(item).__name__} is neither an event nor the start of an episode")


def _event_text(event: HostedEvent) -> bytes:
    kind = cast("object", event.kind)
    return free_text(
        {
            "event_id": _plain(event.event_id),
            "kind": _plain(kind.value if isinstance(kind, Enum) else kind),
            "at": _instant(event.at),
            "semantic_kind": _plain(event.semantic_kind),
            "payload": _plain(event.payload),
        }
    )


def _instant(at: object) -> object:
    if isinstance(at, int):
        instant = Duration.of(at)
        return {"secs": instant.secs, "nanos": instant.nanos}
    return _plain(at)


def _plain(value: object) -> JsonValue:
    """The same value in the plain types of JSON, of which it may use subclasses. Raises ValueError for any other."""
    match value:
        case None | bool():
            return value
        case int():
            return int(value)
        case float():
            return float(value)
        case str():
            return "".join(value)
        case list() | tuple():
            return [_plain(item) for item in cast("Sequence[object]", value)]
        case dict():
            return {_name(name): _plain(member) for name, member in cast("dict[object, object]", value).items()}
        case _:
            raise ValueError(f"a {type(value).__name__} is no JSON value")


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise ValueError(f"the name of a member is {name!r}, not a string")
    return "".join(name)


def _refused(event: HostedEvent, error: Exception) -> StepError:
    reason = "its payload holds itself, or nests too deep" if isinstance(error, RecursionError) else error
    return unbuildable(event, reason)
