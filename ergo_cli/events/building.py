"""From hosted to external events: canonical payload text, rendered once (spec 30 §4–5)."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from ergo_cli.core.json import JsonValue, canonical
from ergo_cli.core.numbers import Numbers
from ergo_cli.errors import StepError
from ergo_cli.events.external import ExternalEvent
from ergo_cli.events.hosted import HostedEvent

_EXACT = Numbers.EXACT  # looking up a member of an enumeration is felt once an event


def event_of(event: HostedEvent, members: dict[str, JsonValue], numbers: Numbers) -> ExternalEvent:
    """The external event whose payload is the canonical text of ``members``.

    Under ``ORIGINAL`` the context is read from that text again, as the original does: a number may move twice.
    Raises InvalidPayload where that fails; ValueError or TypeError for what JSON cannot hold.
    """
    text = render_payload(members)
    if numbers is _EXACT:
        return ExternalEvent.of_members(event.event_id, event.kind, event.at, text, members)
    return ExternalEvent.with_payload(event.event_id, event.kind, event.at, text, numbers)


def events_of(events: Sequence[HostedEvent]) -> list[ExternalEvent] | None:
    """What ``event_of`` gives for each event under exact numbers; None where one of them needs a look of its own."""
    payloads = [event.payload for event in events if isinstance(event.payload, dict)]
    if len(payloads) < len(events):
        return None
    try:
        texts = list(map(canonical, payloads))
        if b"null" in b"".join(texts):
            _refuse_non_finite(list(payloads))
    except (ValueError, TypeError):
        return None
    ids, kinds = [event.event_id for event in events], [event.kind for event in events]
    return ExternalEvent.of_many(ids, kinds, [event.at for event in events], texts, payloads)


def render_payload(members: dict[str, JsonValue]) -> bytes:
    """The canonical text of a payload object.

    Raises ValueError or TypeError for what JSON cannot hold: numbers that are not finite, lone surrogates, keys that
    are no strings.
    """
    text = canonical(members)
    if b"null" in text:
        _refuse_non_finite(members)
    return text


def _refuse_non_finite(value: JsonValue) -> None:
    match value:
        case float() if not isfinite(value):
            raise ValueError(f"{value} is not a finite number")
        case dict():
            for member in value.values():
                _refuse_non_finite(member)
        case list():
            for item in value:
                _refuse_non_finite(item)
        case _:
            pass


def step_fault(event: HostedEvent, name: str, reason: str, fix: str, *details: str) -> StepError:
    """The recoverable error ``name`` for one event: nothing was recorded, stepping may go on (spec 30 §8)."""
    message = f"event '{event.event_id}': {reason}"
    return StepError(name, message, recoverable=True, where=f"event '{event.event_id}'", fix=fix, details=details)


def unbuildable(event: HostedEvent, reason: object) -> StepError:
    """``EventBuild``: the payload cannot become the payload of an external event."""
    return step_fault(event, "EventBuild", f"no event can be built: {reason}", "correct the event's payload")
