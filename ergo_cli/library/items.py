"""Copy and check the events that a caller passes, before they are used (spec 30 §2)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import cast

from ergo_cli.core.json import JsonValue, free_text
from ergo_cli.core.numbers import Numbers
from ergo_cli.core.time import Duration
from ergo_cli.errors import EventError, StepError
from ergo_cli.events.external import EpisodeStart, HostedEvent, unbuildable
from ergo_cli.events.records import read_hosted
from ergo_cli.host.run_plan import EventLines
from ergo_cli.library.run_config import Items


def plain_event(event: HostedEvent, numbers: Numbers) -> HostedEvent:
    """A deep copy of the event with a payload of plain JSON types.

    Raises StepError ``EventBuild`` (recoverable) for what is not JSON: NaN, objects, integers beyond 64 bits, text that
    is not Unicode, an instant out of range.
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
            return free_text({"kind": "episode_start", "id": plain_json(label)})
        case _:
            raise ValueError(f"a {type(item).__name__} is neither an event nor the start of an episode")


def _event_text(event: HostedEvent) -> bytes:
    kind = cast("object", event.kind)
    return free_text(
        {
            "event_id": plain_json(event.event_id),
            "kind": plain_json(kind.value if isinstance(kind, Enum) else kind),
            "at": _instant(event.at),
            "semantic_kind": plain_json(event.semantic_kind),
            "payload": plain_json(event.payload),
        }
    )


def _instant(at: object) -> object:
    if isinstance(at, int):
        instant = Duration.of(at)
        return {"secs": instant.secs, "nanos": instant.nanos}
    return plain_json(at)


def plain_json(value: object) -> JsonValue:
    """Copy a value to the plain types of JSON; accepts subclasses of them. Raises ValueError for any other type."""
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
            return [plain_json(item) for item in cast("Sequence[object]", value)]
        case dict():
            return {_name(name): plain_json(member) for name, member in cast("dict[object, object]", value).items()}
        case _:
            raise ValueError(f"a {type(value).__name__} is not a JSON value")


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise ValueError(f"the name of a member is {name!r}, not a string")
    return "".join(name)


def _refused(event: HostedEvent, error: Exception) -> StepError:
    reason = "its payload holds itself, or nests too deep" if isinstance(error, RecursionError) else error
    return unbuildable(event, reason)
