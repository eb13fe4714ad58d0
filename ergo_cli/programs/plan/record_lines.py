"""Records of plan runs in words for readers: names and fields."""

from __future__ import annotations

from typing import cast

from ergo_cli.core import wire
from ergo_cli.core.json import JsonValue, decode
from ergo_cli.programs.plan.events import CALL_FAILED, FACT_RECORDED, DomainEvent, Envelope, StateFailed
from ergo_cli.programs.recorded import RecordLine


def record_line(envelope: Envelope) -> RecordLine:
    """The name of a record, with its state or the key of its fact, and its fields."""
    name, place, fields = parts_of(envelope)
    return RecordLine(" ".join(filter(None, (name, place))), fields or None)


def parts_of(envelope: Envelope) -> tuple[str, str, dict[str, JsonValue]]:
    """The name of an event, where it belongs to, and its other fields."""
    if envelope.domain is not None:
        return _domain_parts(envelope.domain)
    event = envelope.kernel
    fields = _members(decode(wire.encode(envelope.event.event)))
    name = type(event).__name__
    members = _members(fields[name])
    state = str(members.pop("state_id", ""))
    if isinstance(event, StateFailed):
        return name, state, _failure_fields(_members(members["error"])["info"])
    return name, f"{state}#{members.pop('attempt')}" if "attempt" in members else state, members


def _domain_parts(event: DomainEvent) -> tuple[str, str, dict[str, JsonValue]]:
    payload: object = event.payload
    fields = {**_members(cast("object", payload) if isinstance(payload, dict) else {"payload": payload})}
    place = str(fields.pop("key", ""))
    if event.name == CALL_FAILED:  # its state is that of the attempt around it
        [info] = _members(fields["error"]).values()
        fields = _failure_fields(info)
    elif event.name == FACT_RECORDED and not fields["meta"]:
        del fields["meta"]
    return event.name, place, fields


def _failure_fields(info: JsonValue) -> dict[str, JsonValue]:
    """What failed in one text, which comes first, and the rest of the information."""
    rest = dict(_members(info))
    error = f"{rest.pop('code')}: {rest.pop('message')}"
    if rest["details"] is None:
        del rest["details"]
    return {"error": error, **rest}


def _members(value: object) -> dict[str, JsonValue]:
    return cast("dict[str, JsonValue]", value)
