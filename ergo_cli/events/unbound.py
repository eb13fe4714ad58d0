"""Events of runs without an adapter (spec 10 §13, 30 §5)."""

from __future__ import annotations

from ergo_cli.core.numbers import Numbers
from ergo_cli.events.building import event_of, unbuildable
from ergo_cli.events.external import ExternalEvent, json_type
from ergo_cli.events.hosted import HostedEvent


def build_unbound_event(event: HostedEvent, numbers: Numbers = Numbers.EXACT) -> ExternalEvent:
    """The event with its payload in canonical form, or a mechanical one if it has none; the semantic kind is ignored.

    Raises StepError ``EventBuild`` (recoverable) for a payload that is no JSON object.
    """
    payload = event.payload
    if payload is None:
        return ExternalEvent.mechanical(event.event_id, event.kind, event.at)
    if not isinstance(payload, dict):
        raise unbuildable(event, f"payload must be a JSON object, got {json_type(payload)}")
    try:
        return event_of(event, payload, numbers)
    except (ValueError, TypeError) as error:
        raise unbuildable(event, error) from error
